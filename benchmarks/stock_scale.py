"""Memory and speed of the stock task for growing numbers of tickers, and forecasts per second of its two signatures.

    python -m benchmarks.stock_scale

Each number of tickers has its own processes. One writes a generated table of random walks, 2,500 days each, as Parquet. The other reads
it like a user's file and reports its memory after building the panels, and its peak memory at that point, after 30 training steps, and
after forecasting the test days.
"""

from __future__ import annotations

import argparse
import dataclasses
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from benchmarks.machine import describe_machine, peak_memory_mib

if TYPE_CHECKING:
    from tasks.stock.config import StockConfig

TICKERS, DAYS, STEPS = (50, 500, 2000), 2500, 30
WARM_UP_STEPS = 3
BATCH_SIZES = (1, 64, 1024)
REPETITIONS = 21


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=int, help="write a table with this number of tickers to --table")
    parser.add_argument("--measure", type=int, help="measure --table, which has this number of tickers")
    parser.add_argument("--table", type=Path, help="Parquet file of prices")
    arguments = parser.parse_args()
    if arguments.write:
        _write_table(arguments.table, arguments.write)
    elif arguments.measure:
        _measure(arguments.table, arguments.measure)
    else:
        _run_processes()


def _run_processes() -> None:
    """Runs each step for each number of tickers in its own process, so that the peak memory is that of the step."""
    print(describe_machine("tensorflow", "keras"), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        table = str(Path(folder) / "prices.parquet")
        for count in TICKERS:
            for step in ("--write", "--measure"):
                command = [sys.executable, "-m", "benchmarks.stock_scale", step, str(count), "--table", table]
                subprocess.run(command, check=True)


def _write_table(path: Path, tickers: int) -> None:
    rng = np.random.default_rng(0)
    days = pd.bdate_range("2010-01-01", periods=DAYS).strftime("%Y-%m-%d")
    close = 50 * np.exp(np.cumsum(rng.normal(0, 0.01, (tickers, DAYS)), axis=1)).ravel()
    table = {"Ticker": np.repeat([f"T{k}" for k in range(tickers)], DAYS), "Date": np.tile(days, tickers)}
    table |= {
        "Open": close,
        "High": close * 1.01,
        "Low": close * 0.99,
        "Close": close,
        "Volume": np.full(len(close), 1e6),
    }
    pd.DataFrame(table).to_parquet(path)


def _measure(path: Path, tickers: int) -> None:
    """Prints memory and speed of loading, training and forecasting; for the smallest table also the speed of the signatures."""
    from shared.data.pipelines import with_cardinality
    from tasks.stock import data, model, train
    from tasks.stock.batches import WindowBatches, build_panel, predict_parameters
    from tasks.stock.config import PRESETS

    config = dataclasses.replace(PRESETS["default"], data=str(path))
    splits = data.load(config)
    panels = {name: build_panel(getattr(splits, name), config) for name in ("train", "test")}
    panel_memory, loading_peak = _memory_mib(), peak_memory_mib()
    parameter_model = model.build_parameter_model(model.SubmodelBuilder(config).submodels)
    parameter_model.compile(optimizer="adamw", loss=train.loss)
    batches = WindowBatches(panels["train"], config.features, config.training.batch_size, 1)
    parameter_model.fit(batches.epochs(0), steps_per_epoch=WARM_UP_STEPS, verbose=0)
    started = time.perf_counter()
    parameter_model.fit(with_cardinality(batches.epochs(0).take(STEPS), STEPS), verbose=0)
    step_seconds = (time.perf_counter() - started) / STEPS
    training_peak = peak_memory_mib()
    started = time.perf_counter()
    parameters = predict_parameters(parameter_model, WindowBatches(panels["test"], config.features))
    rate = len(parameters) / (time.perf_counter() - started)
    print(
        f"{tickers} tickers, {tickers * DAYS:,} rows: {panel_memory:,.0f} MiB after building the panels (peak {loading_peak:,.0f}); "
        f"peak {training_peak:,.0f} MiB after {STEPS} training steps of {1000 * step_seconds:.0f} ms; peak {peak_memory_mib():,.0f} MiB "
        f"after {len(parameters):,} forecasts, {rate:,.0f} per second",
        flush=True,
    )
    if tickers == TICKERS[0]:
        _measure_signatures(config)


def _memory_mib() -> float:
    """Returns the memory that this process uses now, in MiB, on Linux."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def _measure_signatures(config: StockConfig) -> None:
    """Prints the forecasts per second of both signatures of an untrained model."""
    import tensorflow as tf

    from tasks.stock.calibration import KNOT_Z_SCORES
    from tasks.stock.model import SubmodelBuilder
    from tasks.stock.serving import export_spec, exported_z_scores

    z_scores = np.tile(KNOT_Z_SCORES, (len(config.forecast.horizons), 1))
    model = SubmodelBuilder(config).full_model(exported_z_scores(z_scores, config.forecast.quantiles))
    metadata = {"forecast": dataclasses.asdict(config.forecast), "z_scores": z_scores.tolist()}
    signatures = export_spec(model, metadata).signatures
    for name in ("step", "serving_default"):
        function = tf.function(signatures[name].function)
        for batch_size in BATCH_SIZES:
            request = {
                key: tf.constant(np.resize(value, (batch_size, *value.shape[1:])))
                for key, value in signatures[name].example_request.items()
            }
            function(**request)
            seconds = []
            for _ in range(REPETITIONS):
                started = time.perf_counter()
                function(**request)
                seconds.append(time.perf_counter() - started)
            rate = batch_size / float(np.median(seconds))
            print(f"{name}, batch size {batch_size}: {rate:,.0f} forecasts per second", flush=True)


if __name__ == "__main__":
    main()
