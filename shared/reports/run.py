"""A training run, as the reports describe it."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.data.sources import Splits
from shared.task import EXPORTED, Evaluation, Task, TrainedModel


@dataclass(frozen=True)
class Run:
    """Everything about a training run that the report shows."""

    task: Task
    config: Any
    splits: Splits
    trained_model: TrainedModel
    evaluation: Evaluation
    command: str
    """Command line that repeats the run."""

    @property
    def minutes(self) -> float:
        """Training time in minutes, until the model was trained; of an interrupted run, the completed epochs count."""
        return self.trained_model.history.seconds / 60

    @property
    def own_models(self) -> tuple[str, ...]:
        """Names of the scores that belong to the trained model and its components, not to a baseline."""
        return (EXPORTED, *self.evaluation.components)

    @property
    def primary_metric(self) -> str:
        """Name of the most important metric."""
        return self.evaluation.primary_metric or self.task.primary_metric

    @property
    def notices(self) -> list[str]:
        """What was noticed about the data, one sentence or more for each notice."""
        return list(map(str, self.splits.notices))

    @property
    def notes(self) -> dict[str, Any]:
        """Further values of the training and the evaluation."""
        note = self.trained_model.export_note
        exported = {"exported model": note} if note else {}
        return {**exported, **self.trained_model.notes, **self.evaluation.description.notes}


def machine() -> str:
    """Returns the kind of the machine, without its name."""
    return f"{os.cpu_count()} cores, {_processor()}, {platform.system()} {platform.machine()}, Python {platform.python_version()}"


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown processor"
