"""Trains the stock task: `python -m tasks.stock.train` is `lstm-suite train stock`."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from shared import cli, training
from shared.sources import Splits
from shared.task import Task, TrainedModel
from tasks.stock import data, model, serving
from tasks.stock.batches import WindowBatches, forecasts, open_panel
from tasks.stock.calibration import normals_of
from tasks.stock.config import StockConfig
from tasks.stock.distribution import log_score
from tasks.stock.evaluate import evaluate
from tasks.stock.recalibration import recalibrate

RISE_WEIGHT = 0.5  # of the log loss of rise or fall, beside the log score


def train_model(config: StockConfig, splits: Splits, folder: Path) -> TrainedModel:
    """Trains one model over all tickers, and calibrates its distributions on validation.

    Args:
        config: settings.
        splits: from `tasks.stock.data.load`; the test split is not looked at.
        folder: for logs and checkpoints.
    """
    started = time.monotonic()
    keras.utils.set_random_seed(config.training.seed)
    panels = {name: open_panel(getattr(splits, name), config.forecast) for name in ("train", "validation")}
    with training.precision(config.training.precision):
        views = model.SubmodelBuilder(config)
        trainer = model.trainer_of(views.parts)
    prepared = time.monotonic() - started
    history = training.fit(
        trainer,
        WindowBatches(panels["train"], config.forecast, config.training.batch_size, config.training.seed),
        WindowBatches(panels["validation"], config.forecast, config.training.batch_size, config.training.seed).evaluation_batches(),
        config.training,
        folder,
        loss=loss,
    )
    started = time.monotonic()
    if config.training.precision != "float32":
        trained, views = trainer, model.SubmodelBuilder(config)
        trainer = training.rebuild_in_float32(trained, lambda: model.trainer_of(views.parts))
    panel = panels["validation"]
    asked = np.flatnonzero(panel.chosen)
    batches = WindowBatches(panel, config.forecast, config.training.batch_size, config.training.seed)
    distribution = model.distribution_of(forecasts(trainer, batches))
    normals = normals_of(np.asarray(distribution.to_normal(panel.returns[asked]), np.float64))
    history.seconds += prepared + time.monotonic() - started
    metadata = {
        "task": "stock",
        "table": dataclasses.asdict(config.table),
        "forecast": dataclasses.asdict(config.forecast),
        "direction": dataclasses.asdict(config.direction),
        "normals": normals.tolist(),
        "trained_until": str(panels["train"].day.max())[:10],
        "calibrated_until": str(panel.day.max())[:10],
    }
    return TrainedModel(
        model=views.whole(serving.served_normals(normals, config.forecast.quantiles)),
        metadata=metadata,
        history=history,
        components={"recalibrated": None},  # made when the answers are there, in `evaluate`
        notes={"normal numbers of the calibrated quantiles": normals.round(3).tolist()},
    )


def loss(returns: Any, parameters: Any) -> Any:
    """Returns the log score and the log loss of rise or fall, `(batch, time)`; means over a batch are those over its answers.

    Args:
        returns: log-returns `(batch, time, horizons)`, not numbers where there is no answer.
        parameters: `tasks.stock.model.PARAMETERS` `(batch, time, horizons, 5)`.
    """
    known = ops.logical_not(ops.isnan(returns))
    answers = ops.where(known, returns, ops.zeros_like(returns))
    score = log_score(answers, model.distribution_of(parameters))
    logits = parameters[..., 4]
    rise = ops.cast(answers > 0, logits.dtype)
    doubt = ops.softplus(logits) - rise * logits
    real = ops.cast(known, logits.dtype)
    share = ops.maximum(ops.mean(real), 1e-6)
    return ops.mean((score + RISE_WEIGHT * doubt) * real, axis=-1) / share


TASK = Task(
    name="stock",
    load=data.load,
    train=train_model,
    evaluate=evaluate,
    export_spec=serving.export_spec,
    score_file=serving.score_file,
    predict=serving.predict,
    primary_metric="crps_skill",
    recalibrate=recalibrate,
    example_inputs=serving.EXAMPLES,
    limitations=(
        "Not investment advice. It forecasts how far a price may move; where to, nobody knows well enough to live on, and "
        "this model does not either: see the accuracy of the direction and its interval. It has seen the days it was "
        "trained on: a calm market's model is too sure of itself in a crash, until it is calibrated or trained again. Prices must be "
        "adjusted for splits, days be trading days, and at least twenty of them."
    ),
)

if __name__ == "__main__":
    cli.main_of("stock")
