"""Settings of the fraud task and its presets. Imports nothing heavy."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from typing import ClassVar, Literal

from shared import config as shared_config
from shared.config import (
    DefaultInt,
    DefaultStr,
    LSTMConfig,
    Section,
    TaskConfig,
    TrainingConfig,
    as_typed,
    option,
    require_at_least,
    require_different,
    require_fraction,
    require_positive,
    require_time_format,
)

SUMMARY = "Scores card transactions in real time with a calibrated probability of fraud."
INPUT = "card transactions"
OUTPUT = "calibrated probability of fraud, and an alert"
EXAMPLE_DATA = "transactions.parquet"
DATA_HELP = (
    "Table of transactions, a data set of OpenML such as openml:creditcard or of TensorFlow Datasets, or sample."
)

RESERVED_NAMES = (
    *("card", "terminal", "time", "amount", "fraud", "is_training_row", "is_scored_row", "length", "position"),
    *("card_state", "card_time"),
)
"""Names that the model uses itself, so that no further column can have them."""


INVALID_IN_NAMES = re.compile(r"[^A-Za-z0-9_.]")
TimeUnit = Literal["seconds", "milliseconds", "microseconds", "minutes", "hours", "days"]


@dataclass(frozen=True)
class ColumnsConfig(Section):
    """Names of the columns in the data. Those of the Fraud Detection Handbook are the defaults for training; the columns of other
    well-known data sets are recognized if no column is named."""

    SECTION: ClassVar[str] = "columns"

    card: tuple[str, ...] | None = (DefaultStr("CUSTOMER_ID"),)
    """Column with the card, customer or account whose transactions form a sequence, or several columns that identify it together;
    `None` makes all rows one sequence."""
    time: tuple[str, ...] = (DefaultStr("TX_DATETIME"),)
    """Column with the time, date, or number of seconds; or several columns, such as date and time, or year, month, day and time."""
    time_format: str | None = None
    """Format of the times or dates, such as %d/%m/%Y %H:%M; by default, the whole column shows it."""
    time_unit: TimeUnit | None = None
    """Unit of times that are numbers; they count from 0, the start of day 0. By default, numbers count from 1970, and their size shows
    the unit."""
    amount: str = DefaultStr("TX_AMOUNT")
    """Column with the amount; refunds are negative."""
    label: str = DefaultStr("TX_FRAUD")
    """Column with the label, such as 1 for fraud and 0 for genuine; a row with an empty label is only history."""
    positive_label: tuple[str, ...] = ()
    """Labels of fraud, where they are not 1, true, yes or fraud; all other labels are genuine."""
    unlabelled: tuple[str, ...] = ()
    """Values of the label column that mean that the label is not known, like an empty cell."""
    terminal: tuple[str, ...] | None = (DefaultStr("TERMINAL_ID"),)
    """Column with the terminal, shop or payee, whose earlier frauds are evidence, or several columns that identify it together;
    `None` if there is none."""
    numeric: tuple[str, ...] = ()
    """Further columns with numbers; an empty cell counts as the mean."""
    categorical: tuple[str, ...] = ()
    """Further columns with categories; rare, unknown and empty values form one category."""

    def __post_init__(self) -> None:
        require_time_format(self, "time_format")
        for name in ("card", "time", "terminal"):  # one name may be given without a tuple, as older models do
            if isinstance(value := getattr(self, name), str):
                object.__setattr__(self, name, (value,))
        if not self.time or self.card == ():
            raise ValueError(f"{option(self, 'time' if not self.time else 'card')} must name at least one column.")
        if self.terminal == ():
            object.__setattr__(self, "terminal", None)
        require_different(self, "card", "time", "amount", "label", "terminal", "numeric", "categorical")
        further = dict(
            zip((*self.numeric, *self.categorical), (*self.numeric_fields, *self.categorical_fields), strict=True)
        )
        fields = list(further.values())
        invalid = [
            column
            for column, name in further.items()
            if name in RESERVED_NAMES or name.startswith("terminal_") or "/" in column or fields.count(name) > 1
        ]
        if invalid:
            raise ValueError(
                f"{option(self, 'numeric')} and {option(self, 'categorical')} must not use names of the model, or one name twice. "
                f"Rename the column in the file. Received: {', '.join(invalid)}"
            )

    @property
    def numeric_fields(self) -> tuple[str, ...]:
        """Names that the model has for the columns in `numeric`."""
        return tuple(map(field_name, self.numeric))

    @property
    def categorical_fields(self) -> tuple[str, ...]:
        """Names that the model has for the columns in `categorical`."""
        return tuple(map(field_name, self.categorical))


def field_name(column: str) -> str:
    """Returns the name that the model has for a column: a space becomes "_", another character that TensorFlow does not allow in
    names becomes its code, as in "x3f" for "?"."""
    name = INVALID_IN_NAMES.sub(lambda match: f"x{ord(match[0]):x}", column.replace(" ", "_"))
    return f"x{name}" if name.startswith("_") else name


@dataclass(frozen=True)
class FraudSplitConfig(Section):
    """How the data are divided into training, validation and test split. The splits are consecutive days (Fraud Detection
    Handbook, 2022, chapter 5), by default the last ones."""

    EVALUATION_FIELDS: ClassVar[frozenset[str]] = frozenset({"test_from", "test_days"})

    SECTION: ClassVar[str] = "split"

    training_from: date | int | None = None
    """First day of the training split, such as 2018-07-25; a number such as 12 where times count from day 0."""
    training_days: float = DefaultInt(7)
    """Days of transactions that train the exported model; like the other lengths fewer by default if the data cover few days."""
    label_delay_days: float = DefaultInt(7)
    """Days until the label of a transaction is known; no label is used before."""
    test_days: float = DefaultInt(7)
    """Days of the test split, after the training days and the label delay; the validation split has the same length."""
    test_from: date | int | None = None
    """First day of the test split, instead of that of the training split; a number such as 33 where times count from day 0."""

    def __post_init__(self) -> None:
        require_positive(self, "training_days", "label_delay_days", "test_days")
        if self.training_from is not None and self.test_from is not None:
            raise ValueError(
                f"Give {option(self, 'training_from')} or {option(self, 'test_from')}; the other one follows from the lengths. "
                f"Received: {self.training_from} and {self.test_from}"
            )
        for name in ("training_days", "label_delay_days", "test_days"):
            hours = getattr(self, name) * 24
            if abs(hours - round(hours)) > 0.01:
                raise ValueError(
                    f"{option(self, name)} must be a number of days, or of whole hours divided by 24. Received: {getattr(self, name)}"
                )


@dataclass(frozen=True)
class FeaturesConfig(Section):
    """What the model reads. Each transaction is a time step."""

    SECTION: ClassVar[str] = "features"

    burn_in: int = 64
    """Time steps before each training window that set the initial LSTM state; they add nothing to the loss."""
    window_length: int = 32
    """Maximum number of time steps per training window that count in the loss."""
    terminal_history_length: int = 32
    """Number of labelled transactions of the terminal, the newest ones, that the model reads."""
    recent_transactions: int = 32
    """Number of transactions of the card, the newest ones, whose times and amounts the boosted trees read."""

    def __post_init__(self) -> None:
        require_at_least(self, 0, "burn_in")
        require_at_least(self, 1, "window_length", "terminal_history_length", "recent_transactions")


@dataclass(frozen=True)
class ModelConfig(Section):
    """The layers around the LSTM stack. The stack reads the transactions of the card."""

    SECTION: ClassVar[str] = "model"

    terminal_units: tuple[int, ...] = (32,)
    """Units of the LSTM layers that read the labelled history of the terminal."""
    hidden_units: int = 32
    """Units of the hidden layer between the LSTM and the outputs."""
    hidden_dropout: float = 0.2
    """Dropout rate of the hidden layer, in [0, 1)."""
    max_trees: int = 300
    """Maximum number of gradient-boosted trees, which are mixed with the LSTM; the validation split chooses how many. 0 disables
    them."""

    def __post_init__(self) -> None:
        require_at_least(self, 1, "hidden_units")
        require_at_least(self, 0, "max_trees")
        require_fraction(self, "hidden_dropout")
        if not self.terminal_units or min(self.terminal_units) < 1:
            raise ValueError(
                f"{option(self, 'terminal_units')} must have one positive number per layer. Received: "
                f"{as_typed(self.terminal_units)}"
            )


@dataclass(frozen=True)
class EvaluationConfig(Section):
    """What the report scores. It depends on how many alerts can be investigated."""

    SECTION: ClassVar[str] = "evaluation"

    alerts_per_day: int = DefaultInt(100)
    """Cards per day that can be investigated: sets the exported threshold on the validation split, and k of card precision@k; by
    default fewer if the data have few cards per day."""

    def __post_init__(self) -> None:
        require_at_least(self, 1, "alerts_per_day")


@dataclass(frozen=True)
class FraudConfig(TaskConfig):
    """Settings of the fraud task."""

    columns: ColumnsConfig = field(default_factory=ColumnsConfig)
    split: FraudSplitConfig = field(default_factory=FraudSplitConfig)
    features: FeaturesConfig = field(default_factory=FeaturesConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    lstm: LSTMConfig = field(default_factory=LSTMConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)


@dataclass(frozen=True)
class PredictOptions(shared_config.PredictOptions):
    """Options of `predict`: the past of the cards and terminals, and the reasons for a score."""

    history: tuple[str, ...] = ()
    """Files with the earlier transactions of the cards, in the format and with the columns of the data; they are not scored."""
    store: str | None = None
    """State store with the earlier transactions, from `lstm-suite state fraud update`: path of its SQLite file, or a URL such as
    redis://localhost:6379. It stays unchanged without `--update`."""
    update: bool = False
    """Add the transactions to the state store after they are scored."""
    reasons: bool = False
    """Add the three inputs that raise the score the most, each with its contribution to the log-odds of fraud, compared with an
    ordinary transaction."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.history and self.store is not None:
            raise ValueError(
                f"{option(self, 'history')} and {option(self, 'store')} exclude each other. Give one of them."
            )
        if self.update and self.store is None:
            raise ValueError(f"{option(self, 'update')} needs the state store. Name it with {option(self, 'store')}.")


PRESETS = {
    "sample": FraudConfig(
        data="sample",
        split=FraudSplitConfig(training_days=DefaultInt(14)),
        features=FeaturesConfig(burn_in=16, terminal_history_length=16, recent_transactions=16),
        model=ModelConfig(terminal_units=(16,), hidden_units=16, max_trees=100),
        lstm=LSTMConfig(units=(16,)),
        training=TrainingConfig(epochs=8, batch_size=32, learning_rate=1e-2, patience=3),
        evaluation=EvaluationConfig(alerts_per_day=DefaultInt(5)),
    ),
    "default": FraudConfig(
        lstm=LSTMConfig(units=(64,)),
        training=TrainingConfig(epochs=10, min_steps=500, learning_rate=3e-3, patience=3),
    ),
    "large": FraudConfig(
        split=FraudSplitConfig(training_days=DefaultInt(60)),
        features=FeaturesConfig(burn_in=128, window_length=64, terminal_history_length=64),
        model=ModelConfig(terminal_units=(64,), hidden_units=64),
        lstm=LSTMConfig(units=(128, 128), dropout=0.2),
        training=TrainingConfig(epochs=10, min_steps=500, learning_rate=2e-3, patience=3),
    ),
}
