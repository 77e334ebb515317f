"""Coverage of the intervals of the stock task for single tickers with few days, before and after calibration.

    python -m benchmarks.stock_coverage --days 300 600 900 --series 30
    python -m benchmarks.stock_coverage --days 300 600 900 --series 30 --data kdd17/ohlcv.csv.xz

Without `--data`, the series follow GARCH(1,1) with Student's t innovations; with it, they are random segments of its tickers. Every
series trains a model of its own. The intervals of the evaluated model are scored on its test days, those of the exported model, which
was trained again on all days, on the 140 days after the file. All outcomes of all series count equally.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from benchmarks.machine import describe_machine
from shared.data.notices import collect_notices
from tasks.stock import data, train
from tasks.stock.batches import Panel, WindowBatches, build_panel, predict_parameters
from tasks.stock.calibration import KNOT_Z_SCORES, KNOTS
from tasks.stock.config import PRESETS, StockConfig
from tasks.stock.model import build_parameter_model, get_submodels
from tasks.stock.recalibration import compute_outcomes

LATER_DAYS = 140
BURN_IN = 500  # simulated days before a series
PERSISTENCE, REACTION, DEGREES, VOLATILITY, DRIFT = 0.90, 0.08, 5.0, 0.015, 0.0003
ENDS = {level: int(np.searchsorted(KNOTS, 0.5 + level / 200)) for level in (80, 95)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, nargs="+", default=[300, 600, 900], help="days of a file")
    parser.add_argument("--series", type=int, default=30, help="number of series")
    parser.add_argument("--data", help="table of prices with the columns Ticker, Date and Close")
    parser.add_argument("--preset", default="default", choices=sorted(PRESETS))
    parser.add_argument("--seed", type=int, default=1, help="seed of the training, and of the choice of the series")
    arguments = parser.parse_args()
    print(describe_machine("tensorflow", "keras"), flush=True)
    table = pd.read_csv(arguments.data) if arguments.data else None
    for days in arguments.days:
        hits: dict[str, list[np.ndarray]] = {}
        for number in range(arguments.series):
            prices = (
                _simulate(days, arguments.seed, number) if table is None else _cut(table, days, arguments.seed, number)
            )
            for name, values in _measure(prices, days, arguments.preset, arguments.seed):
                hits.setdefault(name, []).append(values)
        for name, parts in hits.items():
            print(f"{days} days, {name}: {_format(np.concatenate(parts))}", flush=True)


def _simulate(days: int, seed: int, number: int) -> pd.DataFrame:
    rng = np.random.default_rng((seed, number))
    count = BURN_IN + days + LATER_DAYS
    shocks = rng.standard_t(DEGREES, count) * np.sqrt((DEGREES - 2) / DEGREES)
    change, variance = np.empty(count), VOLATILITY**2
    for k, shock in enumerate(shocks):
        change[k] = np.sqrt(variance) * shock
        variance = VOLATILITY**2 * (1 - PERSISTENCE - REACTION) + REACTION * change[k] ** 2 + PERSISTENCE * variance
    close = 50 * np.exp(np.cumsum(change[BURN_IN:] + DRIFT))
    return pd.DataFrame({"Date": pd.bdate_range("2015-01-01", periods=len(close)), "Close": close})


def _cut(table: pd.DataFrame, days: int, seed: int, number: int) -> pd.DataFrame:
    tickers = sorted(table["Ticker"].unique())
    rows = table[table["Ticker"] == tickers[number % len(tickers)]]
    start = np.random.default_rng((seed, number)).integers(0, len(rows) - days - LATER_DAYS)
    return rows.iloc[start : start + days + LATER_DAYS].drop(columns="Ticker")


def _measure(prices: pd.DataFrame, days: int, preset: str, seed: int) -> Iterator[tuple[str, np.ndarray]]:
    """Yields names and hits `(rows, horizons, levels)` of the intervals without and with calibration; NaN without an outcome."""
    keras.backend.clear_session()
    with tempfile.TemporaryDirectory() as folder, collect_notices(), contextlib.redirect_stdout(io.StringIO()):
        base = PRESETS[preset]
        config = dataclasses.replace(
            base,
            data=str(Path(folder) / "prices.csv"),
            columns=dataclasses.replace(base.columns, ticker=None),
            training=dataclasses.replace(base.training, seed=seed),
        )
        prices.to_csv(config.data, index=False)
        everything = data.load(config).test
        prices.iloc[:days].to_csv(config.data, index=False)
        splits = data.load(config)
        later = everything.assign(is_scored_row=everything["day"] > splits.test["day"].max())
        evaluated = train.train_model(config, splits, Path(folder) / "evaluated")
        exported = train.refit(config, splits, evaluated, Path(folder) / "exported")
        assert exported is not None
        parts = []
        for name, model, frame in (
            ("test days", evaluated, splits.test),
            ("later days, exported model", exported, later),
        ):
            z_scores = _outcomes(model.model, build_panel(frame, config), config)
            for label, knots in (
                ("nominal", np.tile(KNOT_Z_SCORES, (3, 1))),
                ("calibrated", np.array(model.metadata["z_scores"])),
            ):
                ends = np.stack([knots[:, end] for end in ENDS.values()], axis=-1)
                inside = (np.abs(z_scores)[..., None] <= ends).astype(float)
                inside[np.isnan(z_scores)] = np.nan
                parts.append((f"{name}, {label}", inside))
    yield from parts


def _outcomes(model: keras.Model, panel: Panel, config: StockConfig) -> np.ndarray:
    parameters = predict_parameters(build_parameter_model(get_submodels(model)), WindowBatches(panel, config.features))
    return compute_outcomes(panel, parameters, config.forecast.horizons).z_scores


def _format(inside: np.ndarray) -> str:
    coverage = 100 * np.nanmean(inside, axis=0)
    return "; ".join(
        f"{level} % interval {' / '.join(f'{value:.1f}' for value in coverage[:, k])}" for k, level in enumerate(ENDS)
    )


if __name__ == "__main__":
    main()
