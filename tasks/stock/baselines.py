"""Baselines: random walk, drift, EWMA, GARCH(1,1), and gradient boosting of quantiles."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping

import numpy as np
from arch import arch_model
from arch.utility.exceptions import ConvergenceWarning, DataScaleWarning
from scipy.stats import norm, t
from sklearn.ensemble import HistGradientBoostingRegressor

from tasks.stock.predictive import Forecast, location_scale_forecast, quantile_forecast

DECAY = 0.94  # per day, of RiskMetrics (J. P. Morgan, 1996)
INITIAL_RETURNS = 10  # their mean square is the initial value of the average
REFIT_DAYS = 252  # trading days between two fits of GARCH
BOOSTED_LEVELS = np.array([0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975])
MIN_RETURNS = 100  # for a fit of GARCH; with fewer, EWMA replaces it
PERCENT = 100.0


def compute_moments(
    close: np.ndarray, first: np.ndarray, rows: np.ndarray, horizons: tuple[int, ...]
) -> dict[str, dict[str, np.ndarray]]:
    """Returns location and scale of the log-return for the simple baselines, from what is known at the close of each row.

    Args:
        close: prices `(days,)`, one ticker after the other.
        first: position of the first row of the ticker of each row `(days,)`.
        rows: rows to forecast, increasing.
        horizons: trading days ahead.

    Returns:
        `location` and `scale` `(rows, horizons)` for `random_walk` (no drift, volatility of all earlier days), `drift` (with the mean of
        all earlier days) and `ewma` (no drift, volatility of RiskMetrics).
    """
    span = np.asarray(horizons, np.float64)
    daily = {name: np.full(len(rows), np.nan) for name in ("mean", "deviation", "ewma")}
    for begin in np.unique(first[rows]):
        selected = np.flatnonzero(first[rows] == begin)
        last = rows[selected]
        change = np.diff(np.log(close[begin : last.max() + 1].astype(np.float64)))
        days = np.arange(1, len(change) + 1)
        mean = np.cumsum(change) / days
        deviation = np.sqrt(np.maximum(np.cumsum(change**2) / days, 1e-12))
        smooth = np.empty(len(change))
        level = np.mean(change[:INITIAL_RETURNS] ** 2)
        for k, value in enumerate(change):
            level = DECAY * level + (1 - DECAY) * value * value
            smooth[k] = level
        position = last - begin - 1  # the newest known change
        daily["mean"][selected], daily["deviation"][selected] = mean[position], deviation[position]
        daily["ewma"][selected] = np.sqrt(np.maximum(smooth[position], 1e-12))
    zero, root = np.zeros((len(rows), len(span))), np.sqrt(span)
    return {
        "random_walk": {"location": zero, "scale": daily["deviation"][:, None] * root},
        "drift": {"location": daily["mean"][:, None] * span, "scale": daily["deviation"][:, None] * root},
        "ewma": {"location": zero, "scale": daily["ewma"][:, None] * root},
    }


def garch_forecast(
    close: np.ndarray,
    first: np.ndarray,
    rows: np.ndarray,
    horizons: tuple[int, ...],
    returns: np.ndarray,
    innovations: str,
) -> Forecast:
    """Returns the forecasts of a GARCH(1,1) model of each ticker (Bollerslev, 1986), fitted again every 252 trading days.

    The variance over h days is the sum of the forecast daily variances; the mean is 0.

    Args:
        close: as in `compute_moments`, like `first`, `rows` and `horizons`.
        returns: outcomes `(rows, horizons)`.
        innovations: "normal", or "t" for Student's t, whose degrees of freedom are fitted too.
    """
    scale = np.full((len(rows), len(horizons)), np.nan)
    degrees_of_freedom = np.full(len(rows), np.inf)
    ahead = np.asarray(horizons) - 1
    for begin in np.unique(first[rows]):
        selected = np.flatnonzero(first[rows] == begin)
        last = rows[selected]
        change = PERCENT * np.diff(np.log(close[begin : last.max() + 1].astype(np.float64)))
        for part in range(0, len(selected), REFIT_DAYS):
            block = selected[part : part + REFIT_DAYS]
            position = rows[block] - begin - 1
            if position[0] + 1 < MIN_RETURNS:
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                warnings.simplefilter("ignore", DataScaleWarning)
                model = arch_model(change[: position[-1] + 1], mean="Zero", vol="GARCH", p=1, q=1, dist=innovations)
                fit = model.fit(last_obs=int(position[0]) + 1, disp="off", show_warning=False)
                forecast = fit.forecast(horizon=int(ahead.max()) + 1, start=int(position[0]), reindex=False)
            total = np.cumsum(forecast.variance.to_numpy(), axis=1)[position - position[0]]
            scale[block] = np.sqrt(total[:, ahead]) / PERCENT
            if innovations == "t":
                degrees_of_freedom[block] = fit.params["nu"]
    missing = np.isnan(scale[:, 0])
    if missing.any():
        scale[missing] = compute_moments(close, first, rows[missing], horizons)["ewma"]["scale"]
    zero = np.zeros_like(scale)
    if innovations == "normal":
        return location_scale_forecast(zero, scale, returns, norm)
    return _student_forecast(zero, scale, degrees_of_freedom, returns)


def _student_forecast(
    location: np.ndarray, scale: np.ndarray, degrees_of_freedom: np.ndarray, returns: np.ndarray
) -> Forecast:
    """Returns Student's t forecasts with standard deviation `scale`; rows with equal degrees of freedom are computed together."""
    quantiles, density, up_probability = None, np.empty_like(scale), np.empty_like(scale)
    for degrees in np.unique(degrees_of_freedom):
        rows = degrees_of_freedom == degrees
        unit = np.sqrt((degrees - 2) / degrees) if np.isfinite(degrees) else 1.0
        distribution = t(degrees) if np.isfinite(degrees) else norm
        part = location_scale_forecast(location[rows], scale[rows] * unit, returns[rows], distribution)
        if quantiles is None:
            quantiles = np.empty((len(scale), *part.quantiles.shape[1:]), np.float32)
        quantiles[rows], density[rows] = part.quantiles, part.log_density
        up_probability[rows] = part.up_probability
    assert quantiles is not None
    return Forecast(quantiles, density, up_probability)


def fit_gradient_boosting(
    features: np.ndarray, units: np.ndarray, returns: np.ndarray, seed: int
) -> Callable[[np.ndarray, np.ndarray, np.ndarray], Forecast]:
    """Fits one gradient-boosting model per quantile and horizon on the input features of the LSTM.

    Args:
        features: `(rows, features)`.
        units: scale of the returns, `(rows, horizons)`.
        returns: outcomes `(rows, horizons)`.
        seed: random seed.

    Returns:
        Function that forecasts other rows from the same three arrays.
    """
    models = []
    for k in range(returns.shape[1]):
        is_known = np.isfinite(returns[:, k])
        for level in BOOSTED_LEVELS:
            model = HistGradientBoostingRegressor(
                loss="quantile", quantile=level, learning_rate=0.1, max_iter=60, max_leaf_nodes=15,
                min_samples_leaf=200, random_state=seed,
            )  # fmt: skip
            model.fit(features[is_known], returns[is_known, k] / units[is_known, k])
            models.append(model)

    def forecast(features: np.ndarray, units: np.ndarray, returns: np.ndarray) -> Forecast:
        values = np.stack([model.predict(features) for model in models], axis=1)
        return quantile_forecast(
            BOOSTED_LEVELS, values.reshape(*units.shape, len(BOOSTED_LEVELS)) * units[..., None], returns
        )

    return forecast


def simple_forecasts(moments: Mapping[str, Mapping[str, np.ndarray]], returns: np.ndarray) -> dict[str, Forecast]:
    """Returns the normal forecasts for the result of `compute_moments`."""
    return {name: location_scale_forecast(m["location"], m["scale"], returns, norm) for name, m in moments.items()}
