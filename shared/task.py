"""The contract a task fulfils: a few functions and plain records, collected in one `Task`.

The suite finds tasks by listing the folder `tasks/`. Each has `config.py` with `SUMMARY` and `PRESETS` (light, for the
command line) and `train.py` with `TASK`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.config import TaskConfig
from shared.errors import SuiteError

if TYPE_CHECKING:  # the command line asks for presets before anything heavy is loaded
    import numpy as np

    from shared.evaluation import Score
    from shared.sources import Splits
    from shared.training import History


Predictor = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""From a request, arrays by the input's name, to an exported model's answers, arrays by the output's name."""


@dataclass(frozen=True)
class TrainedModel:
    """A trained model and what is known of it."""

    model: Any
    """Keras model from raw inputs to answers; what `model.keras` holds."""
    metadata: dict[str, Any]
    """JSON-ready values that decoding needs, such as the labels; kept beside the model."""
    history: History
    components: Mapping[str, Any] = field(default_factory=dict)
    """Submodels that are judged by themselves, by their names in the results."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """JSON-ready values for the model card."""


@dataclass(frozen=True)
class Evaluation:
    """How a model and its baselines do on the test split."""

    scores: list[Score]
    """Of the exported model, which is called `exported`, its parts and the baselines."""
    output_description: str
    """A line for the card that says what the outputs mean."""
    plots: Mapping[str, Callable[[Path], None]] = field(default_factory=dict)
    """File names, such as "reliability.png", and what draws them to a path."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """JSON-ready values for the model card."""


@dataclass(frozen=True)
class Signature:
    """One signature of a SavedModel."""

    function: Callable[..., dict[str, Any]]
    """From tensors to named outputs, in TensorFlow operations and the Keras model."""
    inputs: Mapping[str, Any]
    """`tf.TensorSpec` of each argument, by name."""
    example_request: Mapping[str, np.ndarray]
    """A request that shows the form; recorded as warm-up and used to verify the export."""


@dataclass(frozen=True)
class ExportSpec:
    """What the exporter writes. The first signature is `serving_default`."""

    model: Any
    signatures: Mapping[str, Signature]
    metadata: dict[str, Any]


@dataclass(frozen=True)
class Task:
    """A task of the suite."""

    name: str
    load: Callable[[Any], Splits]
    """Raw records of a configuration's data, in three splits."""
    train: Callable[[Any, Splits, Path], TrainedModel]
    """Trains on the training and validation splits; logs and checkpoints go to the folder."""
    evaluate: Callable[[TrainedModel, Splits, Any], Evaluation]
    """Judges the exported model, its parts and the baselines on the test split."""
    export_spec: Callable[[Any, dict[str, Any]], ExportSpec]
    """From the Keras model and its metadata to signatures."""
    score_file: Callable[[Any, str, dict[str, Any], Predictor], list[Score]]
    """Scores an exported model, by its metadata and its answers, on the labelled records of a file."""
    predict: Callable[[Sequence[str], dict[str, Any], Predictor], Mapping[str, np.ndarray]]
    """Answers lines of a user's input by an exported model: outputs by name, one value or row a line."""
    primary_metric: str
    """The metric of the headline."""
    example_inputs: Sequence[str]
    """Inputs that a demonstration answers."""
    limitations: str
    """What the model is not for; printed on its card."""
    evaluation_signature: str = "serving_default"
    """The signature that `judge` asks."""
    recalibrate: Callable[[Any, Any, dict[str, Any]], tuple[Any, dict[str, Any], dict[str, Any]]] | None = None
    """From a configuration whose `data` hold answers that came in since, the Keras model and its metadata to both calibrated anew,
    and what changed, to be told; None where the task has no such thing."""


def list_task_names() -> list[str]:
    """Returns the names of all tasks, without loading them."""
    import tasks

    return sorted(module.name for module in pkgutil.iter_modules(tasks.__path__) if module.ispkg)


def load_presets(name: str) -> Mapping[str, TaskConfig]:
    """Returns a task's configurations by the presets' names, without loading TensorFlow."""
    return _module(name, "config").PRESETS


def load_summary(name: str) -> str:
    """Returns one line that says what a task does."""
    return _module(name, "config").SUMMARY


def load_task(name: str) -> Task:
    """Loads a task.

    Raises:
        SuiteError: there is no such task.
    """
    return _module(name, "train").TASK


def _module(name: str, part: str) -> Any:
    if name not in list_task_names():
        raise SuiteError(f'There is no task "{name}". Choose one of {", ".join(list_task_names())}.')
    return importlib.import_module(f"tasks.{name}.{part}")
