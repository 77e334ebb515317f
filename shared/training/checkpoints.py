"""Checkpoints of a training run: all that later epochs depend on, in one file that is written completely or not at all."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import time
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from shared.errors import SuiteError

FOLDER = "checkpoints"
DAMAGES = (zipfile.BadZipFile, EOFError, ValueError, KeyError)
"""Exceptions of reading a damaged checkpoint."""
MAX_CHECKPOINTS = 2
"""Number of checkpoints that remain on disk; the older one is used if the newer one is damaged."""


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

    @property
    def weights(self) -> str:
        """Which weights the model has, for the report."""
        return "moving average" if self.is_average else f"epoch {self.best_epoch}"


class Checkpoints(keras.callbacks.Callback):
    """Saves a checkpoint at the end of each epoch and deletes all but the newest `MAX_CHECKPOINTS`.

    Args:
        folder: folder of the run; the files are FOLDER/checkpoints/epoch-0001.npz and so on.
        stopping: the early stopping callback, whose state is part of a checkpoint. List it before this callback, so that it is
            up to date when the checkpoint is saved.
    """

    def __init__(self, folder: Path, stopping: keras.callbacks.EarlyStopping) -> None:
        super().__init__()
        self.folder = folder / FOLDER
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
        for path in _newest_first(self.folder):
            try:
                return self._load(model, path)
            except DAMAGES as error:
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
        for outdated in _newest_first(self.folder)[MAX_CHECKPOINTS:]:
            outdated.unlink()

    def _load(self, model: keras.Model, path: Path) -> int:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            metadata = _read_metadata(arrays)
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


class CSVLog(keras.callbacks.Callback):
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


def completed_seconds(run_folder: Path) -> float:
    """Returns the training time of all epochs in the checkpoints of a run, in seconds; 0 for a new run.

    Args:
        run_folder: folder of a run, whose subfolders may hold the checkpoints of several trainings.
    """
    return sum(_completed_seconds(folder) for folder in run_folder.rglob(FOLDER))


def _completed_seconds(folder: Path) -> float:
    for path in _newest_first(folder):
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return float(_read_metadata(arrays)["history"]["seconds"])
        except DAMAGES:  # `Checkpoints.restore` reports it and uses the previous one, as here
            continue
    return 0.0


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("epoch-*.npz"), reverse=True)


def _read_metadata(arrays: Any) -> dict[str, Any]:
    return json.loads(arrays["metadata"].tobytes())


def _state_variables(model: keras.Model) -> list[Any]:
    """Returns all variables that influence further training, random states included, in a fixed order."""
    return [*model.variables, *model.optimizer.variables]


def _index(name: str) -> int:
    """Returns the index at the end of an array name, such as 3 of `best_3`."""
    return int(name.rsplit("_", 1)[1])
