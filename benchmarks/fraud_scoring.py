"""Transactions per second that an exported fraud model scores, compared with gradient boosting on the same table.

    python -m benchmarks.fraud_scoring saved_models/fraud/1 --data transactions.parquet

The script first streams the whole file through `step` and prints the peak memory. It then calls `step`, `serving_default` and
gradient boosting in the same process. Gradient boosting gets features that are already computed; the time to compute them is
printed separately.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf
from sklearn.ensemble import HistGradientBoostingClassifier

from benchmarks.machine import describe_machine, peak_memory_mib
from shared.export.versions import load_metadata
from shared.state.memory import MemoryStore
from shared.workflow import load_predictor
from tasks.fraud import data
from tasks.fraud.config import FraudConfig
from tasks.fraud.features import feature_table
from tasks.fraud.serving import build_request
from tasks.fraud.states import StepModel
from tasks.fraud.stream import score_stream, stream_batches
from tasks.fraud.transaction_index import build_transaction_index

ROWS, BATCH_SIZES, CARDS = 200_000, (1, 32, 256, 4096), 64
STREAM_BATCH_SIZE, ROWS_PER_REPORT = 8192, 250_000
REPETITIONS = 21


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", type=Path, help="folder of an exported version")
    parser.add_argument("--data", required=True, help="Parquet file in time order with the columns of the Handbook")
    arguments = parser.parse_args()
    print(describe_machine("tensorflow", "keras", "scikit-learn"))
    metadata = load_metadata(arguments.version)
    model = tf.saved_model.load(str(arguments.version))
    step = model.signatures["step"]
    state_size = step.structured_input_signature[1]["card_state"].shape[1]
    _measure_stream(arguments.data, StepModel(load_predictor(arguments.version, "step").predictors, metadata))
    config = dataclasses.replace(FraudConfig(), data=arguments.data)
    frame = data.read(config, arguments.data).head(ROWS)
    _measure_step(frame, step, metadata, state_size)
    _measure_histories(frame, model.signatures["serving_default"], metadata)
    _measure_boosting(frame, metadata)


def _measure_stream(source: str, model: StepModel) -> None:
    batches = stream_batches(FraudConfig(), source, STREAM_BATCH_SIZE)
    count, started = 0, time.perf_counter()
    for scores in score_stream(batches, model, MemoryStore()):
        previous, count = count, count + len(scores["alert"])
        if previous // ROWS_PER_REPORT < count // ROWS_PER_REPORT:
            rate = count / (time.perf_counter() - started)
            memory = peak_memory_mib()
            print(f"stream, {count:,} transactions: {rate:,.0f} transactions per second, peak memory {memory:,.0f} MiB")


def _measure_step(frame: pd.DataFrame, step: Any, metadata: dict[str, Any], state_size: int) -> None:
    index = build_transaction_index(frame, metadata["label_delay_days"])
    rng = np.random.default_rng(0)
    for size in BATCH_SIZES:
        rows = rng.choice(len(frame), size)
        request = {name: values[rows] for name, values in index.fields.items()}
        request |= index.terminal_fields(rows, metadata["terminal_history_length"])
        request["card_state"] = np.zeros((size, state_size), np.float32)
        request["card_time"] = np.zeros(size, np.int64)
        tensors = _to_tensors(request)
        rate = _measure_rate(partial(step, **tensors), size)
        print(f"step, batch size {size}: {rate:,.0f} transactions per second")


def _measure_histories(frame: pd.DataFrame, signature: Any, metadata: dict[str, Any]) -> None:
    index = build_transaction_index(frame, metadata["label_delay_days"])
    cards = np.unique(index.first)[:CARDS]
    request = build_request(index, cards, metadata["terminal_history_length"], metadata["terminal"])
    tensors, count = _to_tensors(request), int(request["length"].sum())
    rate = _measure_rate(lambda: signature(**tensors), count)
    mean = count / CARDS
    print(f"serving_default, {CARDS} cards, mean of {mean:.0f} transactions: {rate:,.0f} transactions per second")


def _measure_boosting(frame: pd.DataFrame, metadata: dict[str, Any]) -> None:
    started = time.perf_counter()
    table = feature_table(frame, metadata["label_delay_days"]).to_numpy()
    rate = len(frame) / (time.perf_counter() - started)
    print(f"features of the baselines: {rate:,.0f} transactions per second")
    model = HistGradientBoostingClassifier(learning_rate=0.05, max_leaf_nodes=15).fit(table, frame["fraud"])
    for size in BATCH_SIZES:
        rate = _measure_rate(partial(model.predict_proba, table[:size]), size)
        print(f"gradient boosting, batch size {size}: {rate:,.0f} transactions per second")


def _measure_rate(function: Callable[[], Any], count: int) -> float:
    """Returns `count` divided by the median seconds of a call."""
    function()
    seconds = []
    for _ in itertools.repeat(None, REPETITIONS):
        started = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - started)
    return count / float(np.median(seconds))


def _to_tensors(request: Mapping[str, np.ndarray]) -> dict[str, tf.Tensor]:
    return {name: tf.constant(value) for name, value in request.items()}


if __name__ == "__main__":
    main()
