"""Trains the stock model, and declares the task."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from shared.data.sources import Splits
from shared.streams import SequenceStream
from shared.task import Task, TrainedModel
from shared.training import loop
from shared.training.checkpoints import History
from tasks.stock import direction, forecast_plot, forecast_table, model, serving
from tasks.stock.batches import Panel, WindowBatches, build_panel, compute_features, predict_parameters
from tasks.stock.config import StockConfig
from tasks.stock.distribution import log_score
from tasks.stock.evaluate import naive_errors, plan_evaluation, score
from tasks.stock.model import get_submodels
from tasks.stock.recalibration import (
    compute_outcomes,
    initial_z_scores,
    join_outcomes,
    recalibrate,
    recent_z_scores,
    trading_days,
)
from tasks.stock.scores import METRICS

DIRECTION_WEIGHT = 0.5  # weight of the log loss of the direction, relative to the log score


def train_model(config: StockConfig, splits: Splits, folder: Path) -> TrainedModel:
    """Trains one model for all tickers, and calibrates its distributions and its direction on the validation split.

    Args:
        config: settings of the run.
        splits: from `tasks.stock.data.load`; the test split is not used.
        folder: folder for logs and checkpoints.
    """
    train, validation = (build_panel(frame, config) for frame in (splits.train, splits.validation))
    submodels, history = _fit(config, train, validation, folder)
    horizons = config.forecast.horizons
    parameters = _parameters(submodels, validation, config)
    z_scores, counts = initial_z_scores(
        compute_outcomes(validation, parameters, horizons),
        lambda: compute_outcomes(train, _parameters(submodels, train, config), horizons),
        horizons,
    )
    trees = direction.fit_trees(submodels, train, config)
    features, _ = compute_features(submodels, WindowBatches(validation, config.features), config.lstm.units[-1])
    returns = validation.returns[validation.has_outcome]
    weights = direction.find_weights(trees, features, parameters[..., 4], returns)
    metadata = {
        "features": dataclasses.asdict(config.features),
        "forecast": dataclasses.asdict(config.forecast),
        "evaluation": dataclasses.asdict(config.evaluation),
        "z_scores": z_scores.tolist(),
        "direction_weights": list(weights),
        "naive_errors": naive_errors(splits.train, horizons),
        "trained_until": _last_day(train),
        "calibrated_until": _last_day(validation),
    }
    return TrainedModel(
        model=_full_model(submodels, direction.Direction(trees, weights), metadata, config),
        metadata=metadata,
        history=history,
        notes={
            "calibrated z-scores of the quantiles": z_scores.round(3).tolist(),
            "independent outcomes in the calibration": counts.round(1).tolist(),
            "weight of the boosted trees in the direction": list(weights),
        },
    )


def refit(config: StockConfig, splits: Splits, evaluated: TrainedModel, folder: Path) -> TrainedModel | None:
    """Trains the exported model on the days of all splits, from the same seed and with the best number of epochs.

    All its days trained it, so its calibration comes from the evaluated model: from its outcomes on the last validation and test days, as
    the calibration of `recalibrated` on the day after the last. The weights of the direction stay.

    Args:
        config: settings of the run.
        splits: from `tasks.stock.data.load`.
        evaluated: from `train_model`.
        folder: folder for logs and checkpoints.

    Returns:
        The model for the export; None if `--training.no-refit` is set.
    """
    if not config.training.refit:
        return None
    horizons, metadata = config.forecast.horizons, evaluated.metadata
    validation, test = (build_panel(frame, config) for frame in (splits.validation, splits.test))
    parts = [
        compute_outcomes(panel, _parameters(get_submodels(evaluated.model), panel, config), horizons)
        for panel in (validation, test)
    ]
    outcomes = join_outcomes(*parts)
    calendar = trading_days(outcomes)
    z_scores = recent_z_scores(outcomes, calendar, len(calendar) - 1, horizons, np.asarray(metadata["z_scores"]))
    first = splits.train["day"][splits.train["is_scored_row"]].min()
    all_days = build_panel(splits.test.assign(is_scored_row=splits.test["day"] >= first), config)
    submodels, _ = _fit(config, all_days, None, folder, evaluated.history.best_epoch)
    trees = direction.fit_trees(submodels, all_days, config)
    last = _last_day(all_days)
    new_metadata = {**metadata, "z_scores": z_scores.tolist(), "trained_until": last, "calibrated_until": last}
    new_direction = direction.Direction(trees, tuple(metadata["direction_weights"]))
    return dataclasses.replace(
        evaluated,
        model=_full_model(submodels, new_direction, new_metadata, config),
        metadata=new_metadata,
        notes={**evaluated.notes, "calibrated z-scores of the exported model": z_scores.round(3).tolist()},
        export_note=(
            f"The scores are those of a model trained on the days until {metadata['trained_until']}, which did not see the test split. "
            f"The exported model has the same settings and {evaluated.history.best_epoch} epochs on all days until {last}; its "
            "intervals are calibrated on the last validation and test days by the evaluated model."
        ),
    )


def _fit(
    config: StockConfig, train: Panel, validation: Panel | None, folder: Path, epochs: int | None = None
) -> tuple[model.Submodels, History]:
    """Trains on a panel in the precision of the settings; returns float32 submodels.

    Args:
        config: settings of the run.
        train: the training days.
        validation: days for early stopping, or None.
        folder: folder for logs and checkpoints.
        epochs: number of epochs without early stopping; by default that of the settings.
    """
    keras.utils.set_random_seed(config.training.seed)  # each training starts from the same seed
    batch_size, seed, precision = config.training.batch_size, config.training.seed, config.training.precision
    training = config.training if epochs is None else dataclasses.replace(config.training, epochs=epochs)
    with loop.precision(precision):
        builder = model.SubmodelBuilder(config)
        parameter_model = model.build_parameter_model(builder.submodels)
    held_out = None
    if validation is not None:
        held_out = WindowBatches(validation, config.features, batch_size, seed).evaluation_batches()
    history = loop.fit(
        parameter_model,
        WindowBatches(train, config.features, batch_size, seed),
        held_out,
        training,
        folder,
        loss=loss,
    )
    if precision != "float32":
        builder = model.SubmodelBuilder(config)
    loop.in_float32(parameter_model, precision, lambda: model.build_parameter_model(builder.submodels))
    return builder.submodels, history


def _full_model(
    submodels: model.Submodels, mixture: direction.Direction, metadata: dict[str, Any], config: StockConfig
) -> keras.Model:
    """Returns the model of `model.keras`, with the trees of the direction and the calibration of the metadata."""
    exported = serving.exported_z_scores(np.asarray(metadata["z_scores"]), config.forecast.quantiles)
    return model.build_full_model(direction.add_direction(submodels, mixture, config.lstm.units[-1]), exported)


def _parameters(submodels: model.Submodels, panel: Panel, config: StockConfig) -> np.ndarray:
    """Returns `tasks.stock.model.PARAMETERS` after each row of a panel with an outcome, `(rows, horizons, 5)`."""
    return predict_parameters(model.build_parameter_model(submodels), WindowBatches(panel, config.features))


def _last_day(panel: Panel) -> str:
    return str(panel.day.max())[:10]


def loss(returns: Any, parameters: Any) -> Any:
    """Returns log score plus weighted log loss of the direction, `(batch, time)`; the mean over a batch is that over its outcomes.

    Args:
        returns: log-returns `(batch, time, horizons)`; NaN without an outcome.
        parameters: `tasks.stock.model.PARAMETERS` `(batch, time, horizons, 5)`.
    """
    is_known = ops.logical_not(ops.isnan(returns))
    outcomes = ops.where(is_known, returns, ops.zeros_like(returns))
    log_scores = log_score(outcomes, model.build_distribution(parameters))
    logits = parameters[..., 4]
    is_up = ops.cast(outcomes > 0, logits.dtype)
    direction_loss = ops.softplus(logits) - is_up * logits
    weight = ops.cast(is_known, logits.dtype)
    fraction = ops.maximum(ops.mean(weight), 1e-6)
    return ops.mean((log_scores + DIRECTION_WEIGHT * direction_loss) * weight, axis=-1) / fraction


TASK = Task(
    name="stock",
    train=train_model,
    refit=refit,
    export_spec=serving.export_spec,
    predict=serving.predict,
    prediction_table=forecast_table.prediction_table,
    plot=forecast_plot.draw,
    predict_labelled=serving.predict_labelled,
    score=score,
    plan_evaluation=plan_evaluation,
    metrics=METRICS,
    stream=lambda predictors, _: SequenceStream.of_example(predictors, ("state",), False),
    primary_metric="crps_skill",
    recalibrate=recalibrate,
    example_inputs=serving.EXAMPLES,
    limitations=(
        "Not investment advice. The model forecasts how far a price may move, not in which direction: see the accuracy of the "
        "direction and its interval. It knows only its training days: a model from a calm market gives too narrow intervals in a "
        "crash, until it is recalibrated or trained again. Prices must be adjusted for splits, and a series must have at least "
        "twenty trading days."
    ),
)
