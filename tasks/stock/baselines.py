"""What a forecast of prices has to beat: random walk, drift, EWMA, GARCH(1,1), and gradient boosting of quantiles."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping

import numpy as np
from arch import arch_model
from arch.utility.exceptions import ConvergenceWarning, DataScaleWarning
from scipy.stats import norm, t
from sklearn.ensemble import HistGradientBoostingRegressor

from tasks.stock.predictive import Forecast, of_quantiles, standardized

DECAY = 0.94  # a day's, of RiskMetrics (J. P. Morgan, 1996), for daily returns
START = 10  # returns whose mean square the average starts from
REFIT = 252  # trading days after which GARCH is trained_model anew
BOOSTED = np.array([0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975])
FEWEST = 100  # returns to fit GARCH to; with fewer its place is taken by EWMA
PERCENT = 100.0


def moments(
    close: np.ndarray, first: np.ndarray, asked: np.ndarray, horizons: tuple[int, ...]
) -> dict[str, dict[str, np.ndarray]]:
    """Returns location and scale of the log-return by the simple baselines, of what is known at each row's close.

    Args:
        close: prices `(rows,)`, one ticker after the other.
        first: position of the first row of each row's ticker `(rows,)`.
        asked: rows to forecast, increasing.
        horizons: trading days ahead.

    Returns:
        For `random_walk` (no drift, the volatility of all days so far), `drift` (their mean besides) and `ewma` (no drift,
        volatility by RiskMetrics), `location` and `scale` `(asked, horizons)`.
    """
    span = np.asarray(horizons, np.float64)
    daily = {name: np.full(len(asked), np.nan) for name in ("mean", "deviation", "ewma")}
    for begin in np.unique(first[asked]):
        mine = np.flatnonzero(first[asked] == begin)
        last = asked[mine]
        change = np.diff(np.log(close[begin : last.max() + 1].astype(np.float64)))
        days = np.arange(1, len(change) + 1)
        mean = np.cumsum(change) / days
        deviation = np.sqrt(np.maximum(np.cumsum(change**2) / days, 1e-12))
        smooth = np.empty(len(change))
        level = np.mean(change[:START] ** 2)
        for k, value in enumerate(change):
            level = DECAY * level + (1 - DECAY) * value * value
            smooth[k] = level
        place = last - begin - 1  # the newest change known
        daily["mean"][mine], daily["deviation"][mine] = mean[place], deviation[place]
        daily["ewma"][mine] = np.sqrt(np.maximum(smooth[place], 1e-12))
    none, root = np.zeros((len(asked), len(span))), np.sqrt(span)
    return {
        "random_walk": {"location": none, "scale": daily["deviation"][:, None] * root},
        "drift": {"location": daily["mean"][:, None] * span, "scale": daily["deviation"][:, None] * root},
        "ewma": {"location": none, "scale": daily["ewma"][:, None] * root},
    }


def garch(
    close: np.ndarray, first: np.ndarray, asked: np.ndarray, horizons: tuple[int, ...], returns: np.ndarray, shape: str
) -> Forecast:
    """Returns the forecasts of a GARCH(1,1) of each ticker (Bollerslev, 1986), trained_model anew after every 252 trading days.

    The variance of h days is the sum of the forecast daily variances; the mean is left at 0.

    Args:
        close: as for `moments`, and so `first`, `asked` and `horizons`.
        returns: what came to pass `(asked, horizons)`.
        shape: "normal", or "t" for Student's, whose degrees of freedom are trained_model too.
    """
    scale = np.full((len(asked), len(horizons)), np.nan)
    freedom = np.full(len(asked), np.inf)
    ahead = np.asarray(horizons) - 1
    for begin in np.unique(first[asked]):
        mine = np.flatnonzero(first[asked] == begin)
        last = asked[mine]
        change = PERCENT * np.diff(np.log(close[begin : last.max() + 1].astype(np.float64)))
        for part in range(0, len(mine), REFIT):
            chosen = mine[part : part + REFIT]
            place = asked[chosen] - begin - 1
            if place[0] + 1 < FEWEST:
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                warnings.simplefilter("ignore", DataScaleWarning)
                model = arch_model(change[: place[-1] + 1], mean="Zero", vol="GARCH", p=1, q=1, dist=shape)
                trained_model = model.fit(last_obs=int(place[0]) + 1, disp="off", show_warning=False)
                found = trained_model.forecast(horizon=int(ahead.max()) + 1, start=int(place[0]), reindex=False)
            total = np.cumsum(found.variance.to_numpy(), axis=1)[place - place[0]]
            scale[chosen] = np.sqrt(total[:, ahead]) / PERCENT
            if shape == "t":
                freedom[chosen] = trained_model.params["nu"]
    missing = np.isnan(scale[:, 0])
    if missing.any():
        scale[missing] = moments(close, first, asked[missing], horizons)["ewma"]["scale"]
    none = np.zeros_like(scale)
    if shape == "normal":
        return standardized(none, scale, returns, norm)
    return _students(none, scale, freedom, returns)


def _students(location: np.ndarray, scale: np.ndarray, freedom: np.ndarray, returns: np.ndarray) -> Forecast:
    """Returns Student's t forecasts of deviation `scale`, rows of like degrees of freedom together."""
    quantiles, density, rise = None, np.empty_like(scale), np.empty_like(scale)
    for degrees in np.unique(freedom):
        rows = freedom == degrees
        unit = np.sqrt((degrees - 2) / degrees) if np.isfinite(degrees) else 1.0
        shape = t(degrees) if np.isfinite(degrees) else norm
        part = standardized(location[rows], scale[rows] * unit, returns[rows], shape)
        if quantiles is None:
            quantiles = np.empty((len(scale), *part.quantiles.shape[1:]), np.float32)
        quantiles[rows], density[rows], rise[rows] = part.quantiles, part.log_density, part.rise
    assert quantiles is not None
    return Forecast(quantiles, density, rise)


def boosted_quantiles(
    features: np.ndarray, units: np.ndarray, returns: np.ndarray, seed: int
) -> Callable[[np.ndarray, np.ndarray, np.ndarray], Forecast]:
    """Learns one gradient boosting a quantile and horizon, on the LSTM's own input features.

    Args:
        features: `(rows, features)`.
        units: by which returns are measured, `(rows, horizons)`.
        returns: what came to pass `(rows, horizons)`.
        seed: of the boosting.

    Returns:
        What forecasts other rows from the same three.
    """
    models = []
    for k in range(returns.shape[1]):
        known = np.isfinite(returns[:, k])
        for level in BOOSTED:
            model = HistGradientBoostingRegressor(
                loss="quantile", quantile=level, learning_rate=0.1, max_iter=60, max_leaf_nodes=15,
                min_samples_leaf=200, random_state=seed,
            )  # fmt: skip
            model.fit(features[known], returns[known, k] / units[known, k])
            models.append(model)

    def forecast(features: np.ndarray, units: np.ndarray, returns: np.ndarray) -> Forecast:
        values = np.stack([model.predict(features) for model in models], axis=1)
        return of_quantiles(BOOSTED, values.reshape(*units.shape, len(BOOSTED)) * units[..., None], returns)

    return forecast


def simple(moments_of: Mapping[str, Mapping[str, np.ndarray]], returns: np.ndarray) -> dict[str, Forecast]:
    """Returns the normal forecasts of `moments`."""
    return {name: standardized(m["location"], m["scale"], returns, norm) for name, m in moments_of.items()}
