"""Transactions scored a second by an exported fraud model, beside gradient boosting on the same table, and memory kept.

    python -m benchmarks.fraud_scoring saved_models/fraud/1 --data transactions.parquet

`step` and `serving_default` are asked in one process; gradient boosting is given features that are already with_cardinality, so its
figure is without the work of counting them, which is a line of its own. Then the file streams through `step` as it comes.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import time
from pathlib import Path

import numpy as np
import tensorflow as tf
from sklearn.ensemble import HistGradientBoostingClassifier

from benchmarks.machine import describe_machine, peak_memory_mib
from shared import workflow
from tasks.fraud import data, features, stream
from tasks.fraud.config import FraudConfig
from tasks.fraud.serving import histories
from tasks.fraud.transaction_index import build_transaction_index

ROWS, BATCHES, CARDS = 200_000, (1, 32, 256, 4096), 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", type=Path)
    parser.add_argument("--data", required=True, help="a Parquet file in time order, with the Handbook's columns")
    known = parser.parse_args()
    print(describe_machine("tensorflow", "keras", "scikit-learn"))
    metadata = workflow.load_metadata(known.version)
    model = tf.saved_model.load(str(known.version))
    step = model.signatures["step"]
    state_size = step.structured_input_signature[1]["card_state"].shape[1]
    _stream(known.data, step, metadata, state_size)
    frame = data.read(dataclasses.replace(FraudConfig(), data=known.data), known.data).head(ROWS)
    _steps(frame, step, metadata, state_size)
    _whole(frame, model.signatures["serving_default"], metadata)
    _boosting(frame, metadata)


def _stream(source: str, step, metadata, state_size: int) -> None:
    def call(request):
        return {name: value.numpy() for name, value in step(**_tensors(request)).items()}

    parts = stream.batches(FraudConfig(), source, 8192)
    read, started = 0, time.perf_counter()
    for answer in stream.score_stream(parts, call, metadata, state_size):
        before, read = read, read + len(answer["alert"])
        if before // 250_000 < read // 250_000:
            seconds = time.perf_counter() - started
            print(
                f"streamed {read:,}: {read / seconds:,.0f} transactions a second, peak memory {peak_memory_mib():,.0f} MiB"
            )


def _steps(frame, step, metadata, state_size: int) -> None:
    ledger = build_transaction_index(frame, metadata["delay_days"])
    rng = np.random.default_rng(0)
    for batch in BATCHES:
        rows = rng.choice(len(frame), batch)
        request = {name: values[rows] for name, values in ledger.fields.items()}
        request |= ledger.terminal_fields(rows, metadata["reports"])
        request["card_state"] = np.zeros((batch, state_size), np.float32)
        request["card_time"] = np.zeros(batch, np.int64)
        tensors = _tensors(request)
        print(
            f"step, batch {batch}: {_rate(lambda tensors=tensors: step(**tensors), batch):,.0f} transactions a second"
        )


def _whole(frame, signature, metadata) -> None:
    ledger = build_transaction_index(frame, metadata["delay_days"])
    request = histories(ledger, np.unique(ledger.first)[:CARDS], metadata["reports"], metadata["terminal"])
    tensors, count = _tensors(request), int(request["length"].sum())
    rate = _rate(lambda: signature(**tensors), count)
    print(f"serving_default, {CARDS} cards of {count / CARDS:.0f} transactions: {rate:,.0f} transactions a second")


def _boosting(frame, metadata) -> None:
    started = time.perf_counter()
    table = features.table(frame, metadata["delay_days"]).to_numpy()
    print(
        f"counting the baselines' features: {len(frame) / (time.perf_counter() - started):,.0f} transactions a second"
    )
    model = HistGradientBoostingClassifier(learning_rate=0.05, max_leaf_nodes=15).fit(table, frame["fraud"])
    for batch in BATCHES:
        rate = _rate(lambda batch=batch: model.predict_proba(table[:batch]), batch)
        print(f"gradient boosting, batch {batch}: {rate:,.0f} transactions a second")


def _rate(call, count: int) -> float:
    call()
    times = []
    for _ in itertools.repeat(None, 21):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return count / float(np.median(times))


def _tensors(request):
    return {name: tf.constant(value) for name, value in request.items()}


if __name__ == "__main__":
    main()
