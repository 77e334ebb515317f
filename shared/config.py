"""The frozen settings that all tasks share.

The command line is generated from these dataclasses: a field is an option, its docstring is the help text. Each section of
options is one dataclass, and every task has the same sections in the same order: the top level, `columns`, `audio`, `split`, then
`text`, `features`, `augment` or `forecast`, then `model`, `lstm`, `training`, `decoding`, `evaluation`. This module imports nothing heavy,
so that help appears immediately. It is long because the sections stand beside the checks that they use.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

T = TypeVar("T", bound=Any)

SECTIONS = (
    *("columns", "audio", "split", "text", "features", "augment", "forecast"),
    *("model", "lstm", "training", "decoding", "evaluation"),
)
"""Names of the sections, in the order of every task."""


class DefaultInt(int):
    """A default number that `load` may replace by one that fits the data; a number that the user chose is a plain `int`."""


class DefaultStr(str):
    """A default name that `load` may replace by one that the data have; a name that the user chose is a plain `str`."""


def is_default(value: Any) -> bool:
    """Returns True for a default that the data may replace, or for a tuple of such defaults; the user did not choose the value."""
    values = value if isinstance(value, tuple) else (value,)
    return bool(values) and all(isinstance(one, (DefaultInt, DefaultStr)) for one in values)


class Section:
    """Base class of a section of options.

    Attributes:
        SECTION: name of the section, as in `--training.epochs`; "" for options of the top level.
        EVALUATION_FIELDS: fields of the section `split` that choose what `evaluate` scores of a file.
    """

    SECTION: ClassVar[str] = ""
    EVALUATION_FIELDS: ClassVar[frozenset[str]] = frozenset()


@dataclass(frozen=True)
class LSTMConfig(Section):
    """Shape and regularization of the stack of LSTM layers."""

    SECTION: ClassVar[str] = "lstm"

    units: tuple[int, ...] = (128,)
    """Units of each layer, first layer first."""
    dropout: float = 0.0
    """Dropout rate between two layers of the stack, in [0, 1)."""
    recurrent_dropout: float = 0.0
    """Dropout rate of the recurrent state, one mask per sequence, in [0, 1) (Gal & Ghahramani, 2016)."""
    layer_normalization: bool = False
    """Normalize the output of each layer over its units (Ba et al., 2016)."""
    residual: bool = False
    """Add the input of each layer to its output, from the second layer on; all layers need the same number of units."""

    def __post_init__(self) -> None:
        if not self.units or any(units < 1 for units in self.units):
            raise ValueError(
                f"{option(self, 'units')} must have one positive number per layer. Received: {as_typed(self.units)}"
            )
        require_fraction(self, "dropout", "recurrent_dropout")
        if self.residual and len(set(self.units)) > 1:
            raise ValueError(
                f"{option(self, 'residual')} needs the same number of units in every layer. "
                f"Received: {option(self, 'units')} {as_typed(self.units)}"
            )

    @property
    def is_bidirectional(self) -> bool:
        """True if the layers read the sequence in both directions."""
        return False


@dataclass(frozen=True)
class BidirectionalLSTMConfig(LSTMConfig):
    """Shape and regularization of the stack of LSTM layers."""

    bidirectional: bool = False
    """Read the sequence in both directions, with `units` units in each. The layer then needs the whole sequence and cannot run
    step by step."""

    @property
    def is_bidirectional(self) -> bool:
        """True if the layers read the sequence in both directions."""
        return self.bidirectional


@dataclass(frozen=True)
class TrainingConfig(Section):
    """Optimizer, epochs and random seed."""

    SECTION: ClassVar[str] = "training"

    epochs: int = 5
    """Maximum number of passes over the training split; early stopping may end training sooner."""
    min_steps: int = 0
    """Minimum number of gradient steps in all epochs: on small data, each epoch passes over the training split several times."""
    batch_size: int = 64
    """Examples per gradient step."""
    learning_rate: float = 1e-3
    """Maximum learning rate: a short linear warm-up leads to it, then a cosine decay to 1/50 of it."""
    weight_decay: float = 0.01
    """Decoupled weight decay (AdamW; Loshchilov & Hutter, 2019)."""
    gradient_clip: float = 1.0
    """Maximum L2 norm of the gradient of all weights together."""
    patience: int = 2
    """Epochs without improvement on the validation split before training stops and restores the best weights."""
    ema_decay: float = 0.0
    """Decay per step of an exponential moving average of the weights (Polyak & Juditsky, 1992), in [0, 1). The average replaces
    the weights of the best epoch if it is at least as good on the validation split; 0 disables it."""
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    """Number format used in training; the exported model is always float32."""
    seed: int = 1
    """Random seed of the initial weights, the dropout masks and the order of the data."""

    def __post_init__(self) -> None:
        require_at_least(self, 1, "epochs", "batch_size", "patience")
        require_fraction(self, "ema_decay")
        require_positive(self, "learning_rate", "gradient_clip")
        require_at_least(self, 0, "weight_decay", "min_steps")


@dataclass(frozen=True)
class SplitConfig(Section):
    """How the data are divided into training, validation and test split."""

    SECTION: ClassVar[str] = "split"

    test_fraction: float = 0.2
    """Fraction of the data in the test split, in (0, 1), where the data have no test split of their own."""
    validation_fraction: float = 0.1
    """Fraction of the remaining data in the validation split, in (0, 1), where the data have no validation split of their own."""

    def __post_init__(self) -> None:
        for name in ("validation_fraction", "test_fraction"):
            value = getattr(self, name)
            if not 0.0 < value < 1.0:
                raise ValueError(f"{option(self, name)} must be in (0, 1). Received: {value}")


@dataclass(frozen=True)
class DataConfig(Section):
    """Where the data come from."""

    data: str = ""
    """A file, another source that the README of the task names, a data set of TensorFlow Datasets, or `sample`."""
    data_name: str | None = None
    """Name of the data set in the report; without it, the name of the folder of the file, or of the source."""


@dataclass(frozen=True)
class SplitFilesConfig(DataConfig):
    """Where the data come from, with separate files for validation and test."""

    validation_data: str | None = None
    """File with the validation split; without it, a fraction of the training data is held out."""
    test_data: str | None = None
    """File with the test split; without it, a fraction of the data is held out."""


@dataclass(frozen=True)
class OutputConfig(Section):
    """Where the results go."""

    output: str = "saved_models"
    """Folder for the results: exported versions go to OUTPUT/TASK/VERSION, logs and checkpoints to OUTPUT/TASK/runs."""
    resume: bool = True
    """Continue an interrupted run of the same settings, data and code, if there is one."""


@dataclass(frozen=True)
class TaskConfig(OutputConfig, DataConfig):
    """Settings that all tasks have; each task adds its sections in the order of `SECTIONS`.

    Every subclass has the sections `columns`, `lstm` and `training`; it lists them itself, so that they stand in their place.

    Attributes:
        DOWNLOAD_FIELDS: options of the top level for downloads; commands that read only files do not have them.
    """

    DOWNLOAD_FIELDS: ClassVar[frozenset[str]] = frozenset()


@dataclass(frozen=True)
class SplitFilesTaskConfig(TaskConfig, SplitFilesConfig):
    """Settings of a task whose validation and test split may be separate files."""


PREDICTION_FORMATS = (".csv", ".csv.gz", ".jsonl", ".jsonl.gz", ".parquet", ".html")
"""Suffixes of the files that `predict` can write."""


@dataclass(frozen=True)
class PredictOptions(Section):
    """Options of `predict`, at the top level. A task adds its own in a subclass of the same name in its `config.py`."""

    to: Path | None = None
    """File for the predictions: the columns of the input and those of the predictions. Its name ends in .csv, .jsonl, .parquet
    or .html, or for a compressed text in .csv.gz or .jsonl.gz. Without it, the predictions are printed."""
    on_error: Literal["stop", "skip"] = "stop"
    """What happens at a record that cannot be read: `stop` ends the command and names the row; `skip` leaves its predictions empty
    and adds the column `error`, which says what is wrong."""

    def __post_init__(self) -> None:
        if (
            self.document_suffix is None
            and self.to is not None
            and not self.to.name.lower().endswith(PREDICTION_FORMATS)
        ):
            formats = ", ".join(PREDICTION_FORMATS)
            raise ValueError(f"{option(self, 'to')} must name a file that ends in {formats}. Received: {self.to}")

    @property
    def needs_explanation(self) -> bool:
        """True if the options ask for columns that explain the predictions (`Task.explain`)."""
        return False

    @property
    def needs_plot(self) -> bool:
        """True if the options ask for a plot of the predictions (`Task.plot`)."""
        return False

    @property
    def document_suffix(self) -> str | None:
        """Suffix of the files if the command writes one document per row, from the column `document_column`; None for a table."""
        return None

    @property
    def document_column(self) -> str | None:
        """Column of the predictions that holds the documents; None for a table."""
        return None if self.document_suffix is None else "document"

    @property
    def output_files(self) -> dict[str, Path]:
        """Files that the command writes, by option."""
        return {} if self.to is None or self.document_suffix else {option(self, "to"): self.to}

    @property
    def skips_errors(self) -> bool:
        """True if a record that cannot be read does not end the command."""
        return self.on_error == "skip"


def option(config: Any, name: str) -> str:
    """Returns a field of a section as it is typed on the command line, such as `--training.batch-size`."""
    section = getattr(config, "SECTION", "")
    return f"--{section}.{name}".replace("--.", "--").replace("_", "-")


def as_typed(values: tuple[Any, ...]) -> str:
    """Returns the values of an option as they are typed on the command line."""
    return " ".join(map(str, values)) or "nothing"


def require_different(config: Any, *names: str) -> None:
    """Checks that fields of a section, each a value or a tuple of values, hold no value twice; None and empty values pass.

    Raises:
        ValueError: two fields hold the same value; the message names their options.
    """
    options: dict[str, list[str]] = {}
    for name in names:
        value = getattr(config, name)
        for one in value if isinstance(value, tuple) else (value,):
            options.setdefault(one or "", []).append(option(config, name))
    for value, duplicates in options.items():
        if value and len(duplicates) > 1:
            raise ValueError(
                f"{' and '.join(dict.fromkeys(duplicates))} must not name one column twice. Received: {value}"
            )


def require_at_least(config: Any, minimum: float, *names: str) -> None:
    """Checks that fields of a section are at least `minimum`; None passes.

    Raises:
        ValueError: a field is smaller; the message names the option.
    """
    for name in names:
        value = getattr(config, name)
        if value is not None and value < minimum:
            raise ValueError(f"{option(config, name)} must be at least {minimum}. Received: {value}")


def require_at_most(config: Any, maximum: float, *names: str) -> None:
    """Checks that fields of a section are at most `maximum`; None passes.

    Raises:
        ValueError: a field is larger; the message names the option.
    """
    for name in names:
        value = getattr(config, name)
        if value is not None and value > maximum:
            raise ValueError(f"{option(config, name)} must be at most {maximum}. Received: {value}")


def require_positive(config: Any, *names: str) -> None:
    """Checks that fields of a section are greater than 0.

    Raises:
        ValueError: a field is 0, negative or NaN; the message names the option.
    """
    for name in names:
        value = getattr(config, name)
        if not value > 0:
            raise ValueError(f"{option(config, name)} must be greater than 0. Received: {value}")


def require_fraction(config: Any, *names: str) -> None:
    """Checks that fields of a section are in [0, 1).

    Raises:
        ValueError: a field is outside; the message names the option.
    """
    for name in names:
        value = getattr(config, name)
        if not 0.0 <= value < 1.0:
            raise ValueError(f"{option(config, name)} must be in [0, 1). Received: {value}")


def require_time_format(config: Any, *names: str) -> None:
    """Checks that fields of a section are formats of `time.strptime`, such as %d/%m/%Y; None passes.

    Raises:
        ValueError: a field has an unknown directive or no directive; the message names the option.
    """
    for name in names:
        value = getattr(config, name)
        if value is None:
            continue
        try:
            time.strptime("", value)
        except ValueError as error:
            is_valid = "bad directive" not in str(error) and "stray" not in str(error) and "%" in value
        else:
            is_valid = False  # an empty format
        if not is_valid:
            raise ValueError(
                f"{option(config, name)} must be a format such as %d/%m/%Y or %Y-%m-%d %H:%M. Received: {value}"
            )


def restore_section(section: T, trained: Mapping[str, Any]) -> T:
    """Returns a section with the values that it had in training.

    Args:
        section: a section of options.
        trained: the fields of the same section as JSON-ready values, from the metadata of a model.

    Raises:
        TypeError: the section has no such field.
    """
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in trained.items()}
    return dataclasses.replace(section, **values)


def as_dict(config: Any) -> dict[str, Any]:
    """Returns a configuration as JSON-ready values; a date becomes its ISO 8601 text."""
    return json.loads(json.dumps(dataclasses.asdict(config), default=str))


def fingerprint(*values: Any) -> str:
    """Returns 16 hexadecimal digits that change when any of the JSON-ready `values` changes."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]
