"""The training loop of all tasks: reproducible by seed, logged, with early stopping, and able to resume.

At the end of each epoch, a run writes a checkpoint: weights, optimizer, random states, state of the callbacks and the epoch, in
one file that is written completely or not at all. If the batches depend only on (seed, epoch), a resumed run reaches the same
weights as an uninterrupted one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np

from shared.config import TrainingConfig
from shared.errors import SuiteError

MAX_CHECKPOINTS = 2
"""Number of checkpoints that remain on disk; the older one is used if the newer one is damaged."""


class Batches(Protocol):
    """Interface of a training pipeline for `fit`, such as `shared.data.sequence_batches.SequenceBatches`."""

    @property
    def steps(self) -> int:
        """Number of batches per epoch, the same in all epochs."""
        ...

    def epochs(self, first: int) -> Any:
        """Returns the batches of epoch `first` (counted from 0), then those of the following epochs, without end."""
        ...


@dataclass
class History:
    """Course of a training run."""

    epochs: list[dict[str, float]] = field(default_factory=list)
    """Losses and metrics of each epoch, by their Keras names."""
    seconds: float = 0.0
    """Training time, in seconds; the complete epochs before an interruption are included."""
    best_epoch: int = 0
    """Best epoch on the validation split, counted from 1; the model has its weights, unless `is_average`."""
    is_average: bool = False
    """Whether the model has the moving average of the weights instead."""


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
    model.compile(optimizer=_optimizer(config, batches.steps), loss=loss, metrics=list(metrics))
    model.optimizer.build(model.trainable_variables)
    monitor, patience = (
        (f"val_{monitored_metric}", config.patience) if validation is not None else ("loss", config.epochs)
    )
    stopping = keras.callbacks.EarlyStopping(monitor, patience=patience, restore_best_weights=True, mode="min")
    checkpoints = Checkpoints(folder, stopping)
    first = checkpoints.restore(model)
    if not checkpoints.is_finished:
        model.fit(
            batches.epochs(first),
            shuffle=False,  # `batches` are already shuffled
            steps_per_epoch=batches.steps,
            initial_epoch=first,
            epochs=config.epochs,
            validation_data=validation,
            verbose=1 if sys.stdout.isatty() else 2,  # a progress bar in a terminal, one line per epoch in a log file
            callbacks=[
                keras.callbacks.TensorBoard(folder / "tensorboard"),
                _StopWhenDiverged(),
                stopping,
                checkpoints,
                _CSVLog(folder / "log.csv", checkpoints),
            ],
        )
    if stopping.best_weights is not None:
        model.set_weights(stopping.best_weights)
    history = checkpoints.history
    history.best_epoch = stopping.best_epoch + 1
    if config.ema_decay and validation is not None:
        history.is_average = _use_average_if_better(model, validation, monitored_metric, float(stopping.best))
    return history


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


def rebuild_in_float32(trained: keras.Model, build: Callable[[], keras.Model]) -> keras.Model:
    """Returns a new model that computes in float32, with the weights of a model that was trained in mixed precision.

    Args:
        trained: the trained model.
        build: function that builds a model of the same architecture.
    """
    with precision("float32"):
        model = build()
    model.set_weights(trained.get_weights())
    return model


class Checkpoints(keras.callbacks.Callback):
    """Saves a checkpoint at the end of each epoch and deletes all but the newest `MAX_CHECKPOINTS`.

    Args:
        folder: folder of the run; the files are FOLDER/checkpoints/epoch-0001.npz and so on.
        stopping: the early stopping callback, whose state is part of a checkpoint. List it before this callback, so that it is
            up to date when the checkpoint is saved.
    """

    def __init__(self, folder: Path, stopping: keras.callbacks.EarlyStopping) -> None:
        super().__init__()
        self.folder = folder / "checkpoints"
        self.stopping = stopping
        self.history = History()
        self.is_finished = False
        self._stopping_state: dict[str, Any] = {}
        self._last_time = time.monotonic()

    def restore(self, model: keras.Model) -> int:
        """Loads the newest intact checkpoint into `model`.

        Returns:
            Index of the next epoch to train, counted from 0; 0 if there is no checkpoint.

        Raises:
            SuiteError: the checkpoint belongs to a different model.
        """
        for path in sorted(self.folder.glob("epoch-*.npz"), reverse=True):
            try:
                return self._load(model, path)
            except (zipfile.BadZipFile, EOFError, ValueError, KeyError) as error:
                logging.getLogger(__name__).warning(
                    "%s is damaged (%s). Training resumes from the previous checkpoint.", path, error
                )
        return 0

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        for name, value in self._stopping_state.items():  # early stopping resets itself when training begins
            setattr(self.stopping, name, value)
        self._last_time = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        now = time.monotonic()
        self.history.seconds += now - self._last_time
        self._last_time = now
        self.history.epochs.append({name: float(value) for name, value in (logs or {}).items()})
        self._save(epoch)

    def _save(self, epoch: int) -> None:
        stopping_state = {
            name: getattr(self.stopping, name) for name in ("wait", "best", "best_epoch", "stopped_epoch")
        }
        metadata = {
            "epoch": epoch,
            "finished": bool(self.model.stop_training) or epoch + 1 == self.params["epochs"],
            "stopping": {k: None if v is None else float(v) for k, v in stopping_state.items()},
            "history": dataclasses.asdict(self.history),
            "names": [variable.path for variable in _state_variables(self.model)],
        }
        arrays = {f"state_{k}": np.asarray(variable) for k, variable in enumerate(_state_variables(self.model))}
        arrays |= {f"best_{k}": value for k, value in enumerate(self.stopping.best_weights or [])}
        self.folder.mkdir(parents=True, exist_ok=True)
        target = self.folder / f"epoch-{epoch + 1:04d}.npz"
        staging = target.with_suffix(".tmp")
        with staging.open("wb") as file:
            np.savez(file, metadata=np.frombuffer(json.dumps(metadata).encode(), np.uint8), **arrays)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        staging.replace(target)
        for outdated in sorted(self.folder.glob("epoch-*.npz"))[:-MAX_CHECKPOINTS]:
            outdated.unlink()

    def _load(self, model: keras.Model, path: Path) -> int:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            metadata = json.loads(arrays["metadata"].tobytes())
            state = [arrays[f"state_{k}"] for k in range(len(metadata["names"]))]
            best = [arrays[name] for name in sorted((n for n in arrays.files if n.startswith("best_")), key=_index)]
        variables = _state_variables(model)
        if [variable.shape for variable in variables] != [tuple(value.shape) for value in state]:
            raise SuiteError(
                f"{path} is a checkpoint of a model with different weight shapes. Move its folder away, or train with --no-resume."
            )
        for variable, value in zip(variables, state, strict=True):
            variable.assign(value)
        self.history = History(**metadata["history"])
        self.is_finished = metadata["finished"]
        self._stopping_state = {k: v if k == "best" or v is None else int(v) for k, v in metadata["stopping"].items()}
        self._stopping_state["best_weights"] = best or None
        for name, value in self._stopping_state.items():
            setattr(self.stopping, name, value)
        return int(metadata["epoch"]) + 1


class _CSVLog(keras.callbacks.Callback):
    """Writes a CSV file with one line per epoch; after a resume the file still has each epoch once."""

    def __init__(self, path: Path, checkpoints: Checkpoints) -> None:
        super().__init__()
        self.path = path
        self.checkpoints = checkpoints

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        rows = self.checkpoints.history.epochs
        names = list(rows[0])
        lines = [",".join(["epoch", *names])]
        lines += [",".join([str(k + 1), *(f"{row[name]:.6g}" for name in names)]) for k, row in enumerate(rows)]
        self.path.write_text("\n".join(lines) + "\n")


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


def _state_variables(model: keras.Model) -> list[Any]:
    """Returns all variables that influence further training, random states included, in a fixed order."""
    return [*model.variables, *model.optimizer.variables]


def _index(name: str) -> int:
    """Returns the index at the end of an array name, such as 3 of `best_3`."""
    return int(name.rsplit("_", 1)[1])
