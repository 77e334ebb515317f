"""Trains the stock model, and declares the task."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from keras import ops

from shared.data.sources import Splits
from shared.streams import SequenceStream
from shared.task import Task, TrainedModel
from shared.training import loop
from tasks.stock import model, serving
from tasks.stock.batches import WindowBatches, build_panel, predict_parameters
from tasks.stock.calibration import conformal_z_scores
from tasks.stock.config import StockConfig
from tasks.stock.distribution import log_score
from tasks.stock.evaluate import naive_errors, plan_evaluation, score
from tasks.stock.recalibration import recalibrate
from tasks.stock.scores import METRICS

DIRECTION_WEIGHT = 0.5  # weight of the log loss of the direction, relative to the log score


def train_model(config: StockConfig, splits: Splits, folder: Path) -> TrainedModel:
    """Trains one model for all tickers, and calibrates its distributions on the validation split.

    Args:
        config: settings of the run.
        splits: from `tasks.stock.data.load`; the test split is not used.
        folder: folder for logs and checkpoints.
    """
    train, validation = (build_panel(frame, config) for frame in (splits.train, splits.validation))
    batch_size, seed = config.training.batch_size, config.training.seed
    with loop.precision(config.training.precision):
        builder = model.SubmodelBuilder(config)
        parameter_model = model.build_parameter_model(builder.submodels)
    validation_batches = WindowBatches(validation, config.features, batch_size, seed)
    history = loop.fit(
        parameter_model,
        WindowBatches(train, config.features, batch_size, seed),
        validation_batches.evaluation_batches(),
        config.training,
        folder,
        loss=loss,
    )
    if config.training.precision != "float32":
        builder = model.SubmodelBuilder(config)
    parameter_model = loop.in_float32(
        parameter_model, config.training.precision, lambda: model.build_parameter_model(builder.submodels)
    )
    distribution = model.build_distribution(predict_parameters(parameter_model, validation_batches))
    returns = validation.returns[validation.has_outcome]
    z_scores = conformal_z_scores(np.asarray(distribution.to_z_score(returns), np.float64))
    metadata = {
        "features": dataclasses.asdict(config.features),
        "forecast": dataclasses.asdict(config.forecast),
        "evaluation": dataclasses.asdict(config.evaluation),
        "z_scores": z_scores.tolist(),
        "naive_errors": naive_errors(splits.train, config.forecast.horizons),
        "trained_until": str(train.day.max())[:10],
        "calibrated_until": str(validation.day.max())[:10],
    }
    return TrainedModel(
        model=builder.full_model(serving.exported_z_scores(z_scores, config.forecast.quantiles)),
        metadata=metadata,
        history=history,
        notes={"calibrated z-scores of the quantiles": z_scores.round(3).tolist()},
    )


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
    export_spec=serving.export_spec,
    read_inputs=serving.read_inputs,
    parse_inputs=serving.parse_inputs,
    predict=serving.predict,
    prediction_table=serving.prediction_table,
    predict_labelled=serving.predict_labelled,
    read_records=serving.read_records,
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
