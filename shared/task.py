"""The contract of a task: a few functions and frozen records, collected in one `Task`.

The suite finds tasks by listing the folder `tasks/`. Each task has `config.py` with `SUMMARY`, `INPUT`, `OUTPUT`, `EXAMPLE_DATA`,
`DATA_HELP` and `PRESETS`, which imports nothing heavy, `data.py` with `load`, `inputs.py` with `READERS`, and `train.py` with `TASK`.
Only `train.py` imports TensorFlow. The module is long because the whole contract stands in one place.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import pkgutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.config import SECTIONS, PredictOptions, TaskConfig, restore_section
from shared.errors import ExportError, SuiteError

if TYPE_CHECKING:  # the command line reads presets before anything heavy is imported
    import numpy as np
    import pandas as pd

    from shared.data.sources import Splits
    from shared.evaluation.metric import Metric, Score
    from shared.state.store import StateOptions, StateStore
    from shared.streams import Predictors, Stream, VersionPredictor
    from shared.training.checkpoints import History


Predictor = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Function from a request, arrays by input name, to the outputs of an exported model, arrays by output name."""
Predictions = Mapping[str, Any]
"""Predictions of any model for records, arrays by output name; the first axis is that of the records."""
EXPORTED = "exported"
"""Name of the exported model in the results."""


@dataclass(frozen=True)
class TrainedModel:
    """A trained model with its metadata and the history of its training."""

    model: Any
    """Keras model from raw inputs to outputs; `model.keras` holds it."""
    metadata: dict[str, Any]
    """JSON-ready values that decoding needs, such as the labels; `task.json` holds them."""
    history: History
    components: Mapping[str, Any] = field(default_factory=dict)
    """Components of the model that `EvaluationPlan.components` evaluates separately, by their names in the results."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """JSON-ready values for the report."""
    export_note: str = ""
    """What the card says about the training data of the exported model, if they are not those of the evaluated model."""


@dataclass(frozen=True)
class Description:
    """What the report shows of an evaluation beside the scores."""

    output_description: str
    """One sentence for the model card that explains the outputs."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """JSON-ready values for the report."""
    plots: Mapping[str, Callable[[Path], None]] = field(default_factory=dict)
    """File names, such as "reliability.png", with functions that draw the plot to a path."""


@dataclass(frozen=True)
class EvaluationPlan:
    """What is evaluated on the test split beside the exported model. Each function is called once; the baselines come first."""

    describe: Callable[[Mapping[str, Predictions], Sequence[Score]], Description]
    """Describes the evaluation, from the predictions by model and all scores."""
    components: Mapping[str, Callable[[], Predictions]] = field(default_factory=dict)
    """Functions that return the predictions of each component of the model, by its name in the results."""
    baselines: Mapping[str, Callable[[], Predictions]] = field(default_factory=dict)
    """Functions that fit a baseline to the training split and return its predictions, by its name in the results."""
    exact_predictions: Callable[[], Predictions] | None = None
    """Predictions of the exported model with what its signatures cannot give, such as the density of the outcome or a state that
    continues through a long text. None if the signature `Task.evaluation_signature` predicts the test split."""
    primary_metric: str | None = None
    """Name of the most important metric, if it is not that of the task, because models of the task may have different outputs."""
    extra_scores: Callable[[Mapping[str, Predictions]], list[Score]] | None = None
    """Scores that `Task.score` cannot give for a file, from the predictions by model, such as those of an adaptive cache."""


@dataclass(frozen=True)
class Evaluation:
    """Scores of a model, its components and its baselines on the test split."""

    scores: list[Score]
    """Scores of the exported model, which is called `EXPORTED`, of its components, and of the baselines."""
    description: Description
    components: tuple[str, ...] = ()
    """Names of the scores that belong to components of the model, not to baselines."""
    primary_metric: str | None = None
    """From `EvaluationPlan.primary_metric`."""


@dataclass(frozen=True)
class Signature:
    """One signature of a SavedModel."""

    function: Callable[..., dict[str, Any]]
    """Function from tensors to named outputs, made of TensorFlow operations and the Keras model."""
    inputs: Mapping[str, Any]
    """`tf.TensorSpec` of each argument, by name."""
    example_request: Mapping[str, np.ndarray]
    """Example request; it becomes the warm-up request and verifies the export."""


@dataclass(frozen=True)
class ExportSpec:
    """Everything that the exporter writes. The first signature is `serving_default`."""

    model: Any
    signatures: Mapping[str, Signature]
    metadata: dict[str, Any]


INPUT_COLUMN = "input"
"""Name of the only column of typed inputs, and of the lines of a file."""


@dataclass(frozen=True)
class Inputs:
    """Rows of the user, and the records that the model predicts for them."""

    rows: pd.DataFrame
    """The rows with the names and values of their columns as read, in the order of the user, with the index 0, 1, …; or one column
    `INPUT_COLUMN`. The output repeats them."""
    records: Any
    """What `Task.predict` takes, such as a list of texts or a table. The predictions have one row per position of `positions`."""
    positions: np.ndarray | None = None
    """Positions in `rows` that get a prediction, int64, in the order of the predictions; the other rows stay empty. None for all."""
    errors: Mapping[int, str] = field(default_factory=dict)
    """What is wrong with the rows that were skipped, by position in `rows`."""
    progress: float | None = 1.0
    """Fraction of the source that was read up to the end of these rows; None if it is unknown."""
    on_written: Callable[[], None] | None = None
    """Called after the predictions of these rows were printed or written, for example to update the states of a store."""

    @property
    def predicted_positions(self) -> np.ndarray:
        """Positions in `rows` that get a prediction, int64."""
        import numpy as np

        return np.arange(len(self.rows)) if self.positions is None else self.positions


def line_table(lines: Sequence[str]) -> pd.DataFrame:
    """Returns typed inputs, or the lines of a file, as a table with the column `INPUT_COLUMN`."""
    import pandas as pd

    return pd.DataFrame({INPUT_COLUMN: list(lines)}, dtype=object)  # surrogate escapes stay as they are


def text_inputs(config: Any, lines: Sequence[str], metadata: Mapping[str, Any], options: PredictOptions) -> Inputs:
    """Returns lines that the model takes as they are."""
    return Inputs(line_table(lines), list(lines))


@dataclass(frozen=True)
class Readers:
    """Functions that read what the commands for an exported model need. They do not import TensorFlow, so that a mistake in a file is
    reported immediately; `READERS` in the task's `inputs.py` holds them."""

    read_inputs: Callable[[Any, str, dict[str, Any], Any], Iterable[Inputs]]
    """Reads the inputs of `predict` from a file, with the columns of the configuration, the metadata of the model and the task's
    `PredictOptions`. Independent records come in chunks, so that memory does not grow with the file; records that depend on each
    other come in one piece."""
    read_records: Callable[[Any, str, dict[str, Any]], Any]
    """Reads a file of labelled records, with the columns of the configuration, into the form of the test split."""
    parse_inputs: Callable[[Any, Sequence[str], dict[str, Any], Any], Inputs] = text_inputs
    """Converts lines that the user typed to the inputs of `predict`, with the same arguments as `read_inputs`."""
    read_newer: Callable[[Any, dict[str, Any]], Any] | None = None
    """Reads the records for `Task.recalibrate` from the source of a configuration. None for a task without it."""
    read_state: Callable[[Any, dict[str, Any], StateOptions], Any] | None = None
    """Reads the records for `StateCommands` from the file of a configuration. None for a task without states."""


@dataclass(frozen=True)
class PredictionCommand:
    """A command that predicts by another signature than `serving_default`, such as `lstm-suite generate`.

    `COMMANDS` in the task's `config.py` names it, with the class of its options.
    """

    signature: str
    """Signature that the predictor calls."""
    predict: Callable[[Any, dict[str, Any], Predictor, Any], Predictions]
    """As `Task.predict`."""
    prediction_table: Callable[[Inputs, Predictions, dict[str, Any], Any], pd.DataFrame]
    """As `Task.prediction_table`."""
    printed_column: str | None = None
    """Column of texts that the terminal shows as they are, instead of a table of all columns."""


@dataclass(frozen=True)
class StateCommands:
    """Functions that keep the states of a model up to date in a state store (`lstm-suite state`).

    `update` and `label` take the records from `Readers.read_state`, the metadata of the model, its predictor, the store and the
    `shared.state.store.StateOptions`, and return what changed, JSON-ready values by description.
    """

    update: Callable[[Any, dict[str, Any], VersionPredictor, StateStore, StateOptions], Mapping[str, Any]]
    """Adds new records to the states; the same file again changes nothing."""
    label: Callable[[Any, dict[str, Any], VersionPredictor, StateStore, StateOptions], Mapping[str, Any]]
    """Adds labels that became known later; the same labels again change nothing."""
    show: Callable[[StateStore], Mapping[str, Any]]
    """Describes the content of a store."""


@dataclass(frozen=True)
class Task:
    """A task of the suite."""

    name: str
    train: Callable[[Any, Splits, Path], TrainedModel]
    """Trains on the training and validation splits; logs and checkpoints go to the folder."""
    export_spec: Callable[[Any, dict[str, Any]], ExportSpec]
    """Builds the signatures from the Keras model and its metadata."""
    predict: Callable[[Any, dict[str, Any], Predictor, Any], Predictions]
    """Computes the predictions of an exported model for `Inputs.records`, with the task's `PredictOptions`: outputs by name, one value
    or row per predicted row."""
    prediction_table: Callable[[Inputs, Predictions, dict[str, Any], Any], pd.DataFrame]
    """Returns the predictions as the columns that the user sees, from inputs, predictions, metadata and `PredictOptions`: one row per
    predicted row, one value per column, names and order that depend only on the model and the options."""
    predict_labelled: Callable[[Any, dict[str, Any], Predictor], Predictions]
    """Computes the predictions that `score` takes for labelled records, such as the test split, by `evaluation_signature`."""
    score: Callable[[Any, Predictions, dict[str, Any]], list[Score]]
    """Scores predictions for labelled records, such as the test split, with the metadata of the model. The predictions are those of the
    exported model, of a component or of a baseline; the scores carry the name `EXPORTED`."""
    plan_evaluation: Callable[[TrainedModel, Splits, Any], EvaluationPlan]
    """Says which components and baselines are evaluated beside the exported model, and how the report describes them."""
    metrics: Sequence[Metric]
    """All metrics of the scores; a name may have placeholders, as for horizons."""
    primary_metric: str
    """Name of the most important metric."""
    example_inputs: Sequence[str]
    """Inputs for a demonstration."""
    limitations: str
    """What the model is not suitable for; the model card prints it."""
    refit: Callable[[Any, Splits, TrainedModel, Path], TrainedModel | None] | None = None
    """Trains the model for the export on all splits, after the evaluation of the model from `train`, which is passed with a new folder
    for logs and checkpoints. It may return None, like a task without the function: the evaluated model is then exported."""
    explain: Callable[[Inputs, Any, dict[str, Any], Any], pd.DataFrame] | None = None
    """Returns further columns that explain the predictions, one row per predicted row, from inputs, Keras model, metadata and
    `PredictOptions`. It is called if `PredictOptions.needs_explanation` is True."""
    plot: Callable[[Inputs, Predictions, dict[str, Any], Any], None] | None = None
    """Draws the predictions to the file that the `PredictOptions` name, with the arguments of `prediction_table`. It is called if
    `PredictOptions.needs_plot` is True, once per chunk; a task whose inputs come in one piece can have it."""
    prediction_signature: str = "serving_default"
    """Signature whose outputs `predict` takes."""
    evaluation_signature: str = "serving_default"
    """Signature that computes the predictions for labelled records."""
    commands: Mapping[str, PredictionCommand] = field(default_factory=dict)
    """Further commands that predict, by name."""
    stream: Callable[[Predictors, dict[str, Any]], Stream] | None = None
    """Builds a stream from the exported signatures and the metadata, which proves that `step` equals the whole sequence. None if no
    model of the task has `step`."""
    recalibrate: Callable[[Any, Any, dict[str, Any]], tuple[Any, dict[str, Any], dict[str, Any]]] | None = None
    """Calibrates a model on newer data: takes the records from `Readers.read_newer`, the Keras model and its metadata; returns the new model, the new metadata, and a description of what changed. None if the task has no calibration that
    needs updates."""
    state: StateCommands | None = None
    """Commands for the states between the calls of `step`. None if the task has no `state.py`."""

    def metric(self, name: str) -> Metric:
        """Returns a metric by its name.

        Raises:
            ValueError: the task has no such metric.
        """
        from shared.evaluation.metric import find_metric

        return find_metric(self.metrics, name)


def list_task_names() -> list[str]:
    """Returns the names of all tasks without importing them."""
    tasks = importlib.import_module("tasks")
    return sorted(module.name for module in pkgutil.iter_modules(tasks.__path__) if module.ispkg)


def load_presets(name: str) -> Mapping[str, TaskConfig]:
    """Returns the configurations of a task by preset name, without importing TensorFlow."""
    return _import_module(name, "config").PRESETS


def trained_config(metadata: Mapping[str, Any], version: Path | None = None) -> TaskConfig:
    """Returns the default configuration of a task with the sections that the metadata of a model hold, such as its columns.

    Args:
        metadata: metadata of an exported model.
        version: folder of the model, for the error message.

    Raises:
        ExportError: the metadata are of another version of the suite.
    """
    config = load_presets(metadata["task"])["default"]
    names = [name for name in SECTIONS if name in metadata and hasattr(config, name)]
    try:
        sections = {name: restore_section(getattr(config, name), metadata[name]) for name in names}
        return dataclasses.replace(config, **sections)
    except (AttributeError, TypeError, ValueError) as error:
        place = "task.json" if version is None else version / "task.json"
        raise ExportError(
            f"{place}: the settings of the model cannot be used ({error}). Another version of the suite wrote them; train the model "
            "again."
        ) from error


def require_recalibration(name: str) -> None:
    """Raises a `SuiteError` if a task cannot calibrate a model on newer data."""
    if not has_recalibration(name):
        raise SuiteError(f"{name}: this task has no recalibration. Train it again on newer data.")


def has_recalibration(name: str) -> bool:
    """Returns True if a task can calibrate a model on newer data: its folder then has `recalibration.py`.

    Raises:
        SuiteError: there is no such task.
    """
    load_presets(name)  # reports an unknown name
    return importlib.util.find_spec(f"tasks.{name}.recalibration") is not None


def has_state(name: str) -> bool:
    """Returns True if a task keeps states in a store: its folder then has `state.py`.

    Raises:
        SuiteError: there is no such task.
    """
    load_presets(name)  # reports an unknown name
    return importlib.util.find_spec(f"tasks.{name}.state") is not None


def load_predict_options(name: str, command: str = "predict") -> type[PredictOptions]:
    """Returns the options of `predict`, the class `PredictOptions` of the task's `config.py` or else the shared one; or those of another
    command that predicts.

    Raises:
        SuiteError: there is no such task, or the task has no such command.
    """
    config = _import_module(name, "config")
    if command == "predict":
        return getattr(config, "PredictOptions", PredictOptions)
    if not has_command(name, command):
        raise SuiteError(f"{name}: this task has no command {command}. Its predictions are those of predict.")
    return config.COMMANDS[command]


def has_command(name: str, command: str) -> bool:
    """Returns True if a task has a further command that predicts (see `PredictionCommand`)."""
    return command in getattr(_import_module(name, "config"), "COMMANDS", {})


def load_media(name: str) -> Any:
    """Returns the module of a task that responds to a file in the body of a request, `media.py`; None if the task has none.

    It has `MEDIA_TYPES`, a tuple with the beginnings of the content types, and `respond(call, metadata, body, options)`, which returns the
    body and the content type of the response. `call` is a function from the name of a signature and a request to the outputs; `options`
    are texts by name. `respond` raises a `SuiteError` for an invalid file or option.
    """
    if name not in list_task_names() or importlib.util.find_spec(f"tasks.{name}.media") is None:
        return None
    return _import_module(name, "media")


def load_summary(name: str) -> str:
    """Returns one sentence that describes a task."""
    return _import_module(name, "config").SUMMARY


def load_example_data(name: str) -> str:
    """Returns a value for `--data` that shows which data a task takes."""
    return _import_module(name, "config").EXAMPLE_DATA


def load_data_help(name: str) -> str:
    """Returns the help text of `--data`, which names the sources that a task reads."""
    return _import_module(name, "config").DATA_HELP


def load_input_and_output(name: str) -> tuple[str, str]:
    """Returns short descriptions of the input and of the output of a task."""
    config = _import_module(name, "config")
    return config.INPUT, config.OUTPUT


def load_splits(name: str, config: TaskConfig) -> Splits:
    """Reads the data of a configuration, with what was noticed about them, by the function `load` in the task's `data.py`.

    It does not import TensorFlow, so that a mistake in a file is reported immediately.

    Raises:
        SuiteError: there is no such task, or the data cannot be used.
    """
    from shared.data.notices import collect_notices

    with collect_notices() as notices:
        splits = _import_module(name, "data").load(config)
    origin = dataclasses.replace(splits.origin, name=config.data_name or splits.origin.name)
    return dataclasses.replace(splits, origin=origin, notices=tuple(notices))


def load_readers(name: str) -> Readers:
    """Returns the functions that read the files of a task for an exported model, without importing TensorFlow.

    Raises:
        SuiteError: there is no such task.
    """
    return _import_module(name, "inputs").READERS


def load_task(name: str) -> Task:
    """Imports a task.

    Raises:
        SuiteError: there is no such task.
    """
    return _import_module(name, "train").TASK


def _import_module(name: str, module: str) -> Any:
    if name not in list_task_names() and f"tasks.{name}" not in sys.modules:
        raise SuiteError(f'There is no task "{name}". Choose one of {", ".join(list_task_names())}.')
    return importlib.import_module(f"tasks.{name}.{module}")
