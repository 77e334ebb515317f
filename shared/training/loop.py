"""The training loop of all tasks: reproducible by seed, logged, with early stopping, and able to resume.

At the end of each epoch, a run writes a checkpoint: weights, optimizer, random states, state of the callbacks and the epoch. If the
batches depend only on (seed, epoch), a resumed run reaches the same weights as an uninterrupted one.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np

from shared.config import TrainingConfig
from shared.errors import SuiteError
from shared.training.checkpoints import Checkpoints, CSVLog, History


class Batches(Protocol):
    """Interface of a training pipeline for `fit`, such as `shared.data.sequence_batches.SequenceBatches`."""

    @property
    def steps(self) -> int:
        """Number of batches per epoch, the same in all epochs."""
        ...

    def epochs(self, first: int) -> Any:
        """Returns the batches of epoch `first` (counted from 0), then those of the following epochs, without end."""
        ...


def fit(
    model: keras.Model,
    batches: Batches,
    validation: Any,
    config: TrainingConfig,
    folder: Path,
    loss: Any,
    metrics: Sequence[Any] = (),
    monitored_metric: str = "loss",
) -> History:
    """Trains `model` in place; at the end it has the weights of its best epoch, or their moving average if that is as good.

    Args:
        model: a Keras model, not compiled.
        batches: the training pipeline.
        validation: validation batches, a `tf.data.Dataset`. None if the number of epochs is already chosen: all epochs are then
            trained, and the training loss selects the best one.
        config: settings of the training.
        folder: folder of the run, for logs and checkpoints; a run with checkpoints in this folder is resumed.
        loss: a Keras loss.
        metrics: Keras metrics, new objects in each call.
        monitored_metric: name of the loss or metric that early stopping minimizes.

    Returns:
        Metrics of each epoch, training time and best epoch.

    Raises:
        SuiteError: the loss is infinite or NaN, or a checkpoint in `folder` belongs to a different model.
    """
    folder.mkdir(parents=True, exist_ok=True)
    passes = passes_per_epoch(config, batches.steps)
    steps = passes * batches.steps
    model.compile(optimizer=_optimizer(config, steps), loss=loss, metrics=list(metrics))
    model.optimizer.build(model.trainable_variables)
    monitor, patience = f"val_{monitored_metric}", config.patience
    if validation is None:
        monitor, patience = "loss", config.epochs
    stopping = keras.callbacks.EarlyStopping(monitor, patience=patience, restore_best_weights=True, mode="min")
    checkpoints = Checkpoints(folder, stopping)
    first = checkpoints.restore(model)
    if not checkpoints.is_finished:
        model.fit(
            batches.epochs(first * passes),
            shuffle=False,  # `batches` are already shuffled
            steps_per_epoch=steps,
            initial_epoch=first,
            epochs=config.epochs,
            validation_data=validation,
            verbose=1 if sys.stdout.isatty() else 2,  # a progress bar in a terminal, one line per epoch in a log file
            callbacks=_callbacks(folder, stopping, checkpoints),
        )
    if stopping.best_weights is not None:
        model.set_weights(stopping.best_weights)
    history = checkpoints.history
    history.best_epoch = stopping.best_epoch + 1
    if config.ema_decay and validation is not None:
        history.is_average = _use_average_if_better(model, validation, monitored_metric, float(stopping.best))
    return history


def passes_per_epoch(config: TrainingConfig, steps: int) -> int:
    """Returns how often an epoch passes over the training split, so that all epochs together have at least `config.min_steps` steps.

    Patience, checkpoints and the learning rate count epochs, so that they mean the same for small and for large data.

    Args:
        config: settings of the training.
        steps: number of batches of the training split.
    """
    return max(1, -(-config.min_steps // (config.epochs * steps)))


def _callbacks(
    folder: Path, stopping: keras.callbacks.EarlyStopping, checkpoints: Checkpoints
) -> list[keras.callbacks.Callback]:
    """Returns the callbacks of `fit` in their order: a diverged epoch is not saved, and a checkpoint has the state of `stopping`."""
    tensorboard, log = keras.callbacks.TensorBoard(folder / "tensorboard"), CSVLog(folder / "log.csv", checkpoints)
    return [tensorboard, _StopWhenDiverged(), stopping, checkpoints, log]


def _use_average_if_better(model: keras.Model, validation: Any, monitored_metric: str, best: float) -> bool:
    """Sets the weights of `model` to their moving average if the average scores at most `best` on the validation split.

    Returns:
        Whether the model has the average; otherwise its weights are unchanged.
    """
    best_weights = model.get_weights()
    model.optimizer.finalize_variable_values(model.trainable_variables)
    if model.evaluate(validation, verbose=0, return_dict=True)[monitored_metric] <= best:
        return True
    model.set_weights(best_weights)
    return False


def identity_loss(targets: Any, losses: Any) -> Any:
    """Returns `losses`: the Keras loss of a model whose outputs are already losses."""
    return losses


@contextlib.contextmanager
def precision(policy: str) -> Iterator[None]:
    """Sets the Keras dtype policy, such as "mixed_bfloat16", of the layers that are created in this context."""
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(previous)


def in_float32(trained: keras.Model, policy: str, build: Callable[[], keras.Model]) -> keras.Model:
    """Returns a model that computes in float32, with the weights of a trained model.

    Args:
        trained: the trained model.
        policy: dtype policy of the training; with "float32", the model itself is returned.
        build: function that builds a model of the same architecture.
    """
    if policy == "float32":
        return trained
    with precision("float32"):
        model = build()
    model.set_weights(trained.get_weights())
    return model


class _StopWhenDiverged(keras.callbacks.Callback):
    """Raises an error after an epoch whose loss is infinite or NaN, before the epoch is saved in a checkpoint."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if not np.isfinite((logs or {}).get("loss", 0.0)):
            raise SuiteError(
                f"Training diverged in epoch {epoch + 1}: the loss is infinite or NaN. Lower --training.learning-rate or "
                "--training.gradient-clip, or train with --training.precision float32."
            )


def _optimizer(config: TrainingConfig, steps: int) -> keras.optimizers.Optimizer:
    """Returns AdamW with warm-up, cosine decay and the moving average of the weights, for `steps` batches per epoch."""
    total_steps = steps * config.epochs
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=config.learning_rate / 50,
        warmup_target=config.learning_rate,
        warmup_steps=max(1, min(200, total_steps // 10)),
        decay_steps=total_steps,
        alpha=1 / 50,
    )
    optimizer = keras.optimizers.AdamW(
        schedule,
        weight_decay=config.weight_decay,
        global_clipnorm=config.gradient_clip,
        use_ema=config.ema_decay > 0,
        ema_momentum=config.ema_decay,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer
