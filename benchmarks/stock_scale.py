"""Memory and speed of the stock task as the number of tickers grows, and forecasts a second of its two signatures.

    python -m benchmarks.stock_scale

Each number of tickers gets a process of its own, which reads a made-up table of random walks, 2,500 days each, from Parquet as a
user's is: what it holds once the table is laid out, and the most it has held by then, after 30 training steps and after
forecasting the test days.
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

import numpy as np
import pandas as pd

from benchmarks.machine import describe_machine, peak_memory_mib

TICKERS, DAYS, STEPS = (50, 500, 2000), 2500, 30
BATCHES = (1, 64, 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=int, help="write a table of so many tickers to --table, in this process")
    parser.add_argument("--measure", type=int, help="measure --table, of so many tickers, in this process")
    parser.add_argument("--table", type=Path)
    known = parser.parse_args()
    if known.write:
        _write(known.table, known.write)
    elif known.measure:
        _measure(known.table, known.measure)
    else:
        print(describe_machine("tensorflow", "keras"), flush=True)
        with tempfile.TemporaryDirectory() as folder:
            table = str(Path(folder) / "prices.parquet")
            for count in TICKERS:
                for part in ("--write", "--measure"):  # each in a process of its own, which its memory is that of
                    command = [sys.executable, "-m", "benchmarks.stock_scale", part, str(count), "--table", table]
                    subprocess.run(command, check=True)


def _write(path: Path, tickers: int) -> None:
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
    from shared.pipelines import with_cardinality
    from tasks.stock import data, model, train
    from tasks.stock.batches import WindowBatches, forecasts, open_panel
    from tasks.stock.config import PRESETS

    config = dataclasses.replace(PRESETS["default"], data=str(path))
    splits = data.load(config)
    panels = {name: open_panel(getattr(splits, name), config.forecast) for name in ("train", "test")}
    laid_out, reading = _memory_mib(), peak_memory_mib()
    trainer = model.trainer_of(model.SubmodelBuilder(config).parts)
    trainer.compile(optimizer="adamw", loss=train.loss)
    batches = WindowBatches(panels["train"], config.forecast, config.training.batch_size, 1)
    trainer.fit(batches.epochs(0), steps_per_epoch=3, verbose=0)
    started = time.perf_counter()
    trainer.fit(with_cardinality(batches.epochs(0).take(STEPS), STEPS), verbose=0)
    step = (time.perf_counter() - started) / STEPS
    trained = peak_memory_mib()
    started = time.perf_counter()
    found = forecasts(trainer, WindowBatches(panels["test"], config.forecast))
    rate = len(found) / (time.perf_counter() - started)
    print(
        f"{tickers} tickers, {tickers * DAYS:,} rows: {laid_out:,.0f} MiB held once laid out (at most {reading:,.0f} while reading), "
        f"at most {trained:,.0f} after {STEPS} steps of {1000 * step:.0f} ms, {peak_memory_mib():,.0f} after {len(found):,} "
        f"forecasts, {rate:,.0f} a second",
        flush=True,
    )
    if tickers == TICKERS[0]:
        _serve(config)


def _memory_mib() -> float:
    """Returns what this process holds at the moment, on Linux."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def _serve(config) -> None:
    import keras
    import tensorflow as tf

    from tasks.stock.calibration import NORMAL_KNOTS
    from tasks.stock.model import SubmodelBuilder
    from tasks.stock.serving import export_spec, served_normals

    normals = np.tile(NORMAL_KNOTS, (len(config.forecast.horizons), 1))
    whole: keras.Model = SubmodelBuilder(config).whole(served_normals(normals, config.forecast.quantiles))
    metadata = {"forecast": dataclasses.asdict(config.forecast), "normals": normals.tolist()}
    signatures = export_spec(whole, metadata).signatures
    for name in ("step", "serving_default"):
        call = tf.function(signatures[name].function)
        for batch in BATCHES:
            request = {
                key: tf.constant(np.resize(value, (batch, *value.shape[1:])))
                for key, value in signatures[name].example_request.items()
            }
            call(**request)
            times = []
            for _ in range(21):
                started = time.perf_counter()
                call(**request)
                times.append(time.perf_counter() - started)
            print(f"{name}, batch {batch}: {batch / float(np.median(times)):,.0f} forecasts a second", flush=True)


if __name__ == "__main__":
    main()
