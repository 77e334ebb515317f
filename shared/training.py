"""The one training loop: seeded, logged, stopped early at the best weights, and resumed after a kill.

A run writes a checkpoint at the end of each epoch: weights, optimizer, random states, the callbacks' memory and the
epoch, in one file that appears whole or not at all. With batches that depend on (seed, epoch) alone, a resumed run
reaches the weights of an uninterrupted one.
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

KEPT_CHECKPOINTS = 2


class Batches(Protocol):
    """What `fit` asks of a training pipeline (see `shared.pipelines.SequenceBatches`)."""

    @property
    def steps(self) -> int: ...
    def epochs(self, first: int) -> Any: ...


@dataclass
class History:
    """What happened in a run."""

    epochs: list[dict[str, float]] = field(default_factory=list)
    """Losses and metrics of each epoch, by Keras's names."""
    seconds: float = 0.0
    """Time spent in training, whole epochs before an interruption included."""
    best_epoch: int = 0
    """Epoch, counted from 1, whose weights were kept."""
    averaged: bool = False
    """Whether the average of the weights took their place."""


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
    """Trains `model` in place and leaves it at the weights of its best epoch on validation.

    Args:
        model: a Keras model, not compiled.
        batches: the training pipeline.
        validation: batches, as a `tf.data.Dataset`; None where the epochs were chosen before, and then the
            training loss takes its place.
        config: settings of the training.
        folder: the run's folder; logs and checkpoints live here, and a run found here is taken up.
        loss: a Keras loss.
        metrics: Keras metrics; a fresh list for every call.
        monitored_metric: what is least in the best epoch, the loss or a metric.

    Raises:
        SuiteError: the loss became infinite or not a number.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model.compile(optimizer=_optimizer(config, batches.steps), loss=loss, metrics=list(metrics))
    model.optimizer.build(model.trainable_variables)
    monitor, patience = (f"val_{monitored_metric}", config.patience) if validation is not None else ("loss", config.epochs)
    stopping = keras.callbacks.EarlyStopping(monitor, patience=patience, restore_best_weights=True, mode="min")
    checkpoints = Checkpoints(folder, stopping)
    first = checkpoints.restore(model)
    if not checkpoints.finished:
        model.fit(
            batches.epochs(first),
            shuffle=False,  # the pipeline shuffles
            steps_per_epoch=batches.steps,
            initial_epoch=first,
            epochs=config.epochs,
            validation_data=validation,
            verbose=1 if sys.stdout.isatty() else 2,  # a bar on a screen, a line an epoch in a log
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
        history.averaged = _average_is_better(model, validation, monitored_metric, float(stopping.best))
    return history


def _average_is_better(model: keras.Model, validation: Any, monitored_metric: str, best: float) -> bool:
    """Gives `model` the average of its weights if it is no worse than `best` on validation, and else leaves it as it is."""
    kept = model.get_weights()
    model.optimizer.finalize_variable_values(model.trainable_variables)
    if model.evaluate(validation, verbose=0, return_dict=True)[monitored_metric] <= best:
        return True
    model.set_weights(kept)
    return False


def identity_loss(targets: Any, losses: Any) -> Any:
    """Is the loss of a model whose outputs are its losses."""
    return losses


@contextlib.contextmanager
def precision(policy: str) -> Iterator[None]:
    """Layers made inside compute in this Keras dtype policy, such as "mixed_bfloat16"."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def rebuild_in_float32(trained: keras.Model, build: Callable[[], keras.Model]) -> keras.Model:
    """Returns a model that computes in float32 throughout, with the weights of one trained in mixed precision."""
    with precision("float32"):
        model = build()
    model.set_weights(trained.get_weights())
    return model


class Checkpoints(keras.callbacks.Callback):
    """Saves everything a run needs to go on, at the end of each epoch; two are kept.

    Args:
        folder: the run's folder; files are FOLDER/checkpoints/epoch-0001.npz and so on.
        stopping: the early stopping whose memory belongs to the run. Place it before this callback.
    """

    def __init__(self, folder: Path, stopping: keras.callbacks.EarlyStopping) -> None:
        super().__init__()
        self.folder = folder / "checkpoints"
        self.stopping = stopping
        self.history = History()
        self.finished = False
        self._remembered: dict[str, Any] = {}
        self._since = time.monotonic()

    def restore(self, model: keras.Model) -> int:
        """Loads the newest whole checkpoint into `model` and returns the epoch to go on with, 0 where there is none."""
        for path in sorted(self.folder.glob("epoch-*.npz"), reverse=True):
            try:
                return self._load(model, path)
            except (zipfile.BadZipFile, EOFError, ValueError, KeyError) as error:
                logging.getLogger(__name__).warning("%s is damaged (%s): going on from the one before.", path, error)
        return 0

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        for name, value in self._remembered.items():  # early stopping has just forgotten them
            setattr(self.stopping, name, value)
        self._since = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        now = time.monotonic()
        self.history.seconds += now - self._since
        self._since = now
        self.history.epochs.append({name: float(value) for name, value in (logs or {}).items()})
        self._save(epoch)

    def _save(self, epoch: int) -> None:
        memory = {name: getattr(self.stopping, name) for name in ("wait", "best", "best_epoch", "stopped_epoch")}
        metadata = {
            "epoch": epoch,
            "finished": bool(self.model.stop_training) or epoch + 1 == self.params["epochs"],
            "stopping": {k: None if v is None else float(v) for k, v in memory.items()},
            "history": dataclasses.asdict(self.history),
            "names": [variable.path for variable in _state(self.model)],
        }
        arrays = {f"state_{k}": np.asarray(variable) for k, variable in enumerate(_state(self.model))}
        arrays |= {f"best_{k}": value for k, value in enumerate(self.stopping.best_weights or [])}
        self.folder.mkdir(parents=True, exist_ok=True)
        target = self.folder / f"epoch-{epoch + 1:04d}.npz"
        staging = target.with_suffix(".tmp")
        with staging.open("wb") as file:
            np.savez(file, metadata=np.frombuffer(json.dumps(metadata).encode(), np.uint8), **arrays)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        staging.replace(target)
        for old in sorted(self.folder.glob("epoch-*.npz"))[:-KEPT_CHECKPOINTS]:
            old.unlink()

    def _load(self, model: keras.Model, path: Path) -> int:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as saved:
            metadata = json.loads(saved["metadata"].tobytes())
            state = [saved[f"state_{k}"] for k in range(len(metadata["names"]))]
            best = [saved[name] for name in sorted((n for n in saved.files if n.startswith("best_")), key=_number)]
        variables = _state(model)
        if [variable.shape for variable in variables] != [tuple(value.shape) for value in state]:
            raise SuiteError(f"{path}: belongs to another model. Move the folder away, or train with --no-resume.")
        for variable, value in zip(variables, state, strict=True):
            variable.assign(value)
        self.history = History(**metadata["history"])
        self.finished = metadata["finished"]
        self._remembered = {k: v if k == "best" or v is None else int(v) for k, v in metadata["stopping"].items()}
        self._remembered["best_weights"] = best or None
        for name, value in self._remembered.items():
            setattr(self.stopping, name, value)
        return int(metadata["epoch"]) + 1


class _CSVLog(keras.callbacks.Callback):
    """Writes one line an epoch; after a resumption the file still holds each epoch once."""

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
    """Ends the run after an epoch whose loss is no number, before a checkpoint keeps it."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if not np.isfinite((logs or {}).get("loss", 0.0)):
            raise SuiteError(
                f"Training diverged in epoch {epoch + 1}: the loss is not a number. Lower the learning rate "
                "(--training.learning-rate) or --training.gradient-clip, or train with --training.precision float32."
            )


def _optimizer(config: TrainingConfig, steps: int) -> keras.optimizers.Optimizer:
    total = steps * config.epochs
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=config.learning_rate / 50,
        warmup_target=config.learning_rate,
        warmup_steps=max(1, min(200, total // 10)),
        decay_steps=total,
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


def _state(model: keras.Model) -> list[Any]:
    """Returns every variable that decides how training goes on, in a fixed order, random states included."""
    return [*model.variables, *model.optimizer.variables]


def _number(name: str) -> int:
    return int(name.rsplit("_", 1)[1])
