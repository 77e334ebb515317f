"""Settings of the fraud task and its presets. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from shared.config import LSTMConfig, TaskConfig, TrainingConfig, require_at_least, require_fraction

SUMMARY = "Card transactions in, the probability of fraud for each out, as it comes."

RESERVED = (
    *("card", "terminal", "time", "amount", "fraud", "learned", "judged", "length", "position"),
    *("card_state", "card_time"),
)


@dataclass(frozen=True)
class ColumnsConfig:
    """What the columns of a table are called."""

    card: str | None = "CUSTOMER_ID"
    """Whose transactions make a sequence: a card, a customer, an account; `None` makes all rows one sequence."""
    time: str = "TX_DATETIME"
    """When: a date and time, or seconds since 1970; one time zone, or offsets, throughout."""
    time_format: str | None = None
    """How the times are written where it is not as in 2018-07-25 13:45:00, such as "%d/%m/%Y %H:%M"."""
    amount: str = "TX_AMOUNT"
    """How much; refunds are negative."""
    label: str = "TX_FRAUD"
    """0 genuine, 1 fraud."""
    terminal: str | None = "TERMINAL_ID"
    """Where: a terminal, a shop, a payee, whose confirmed frauds warn of more; `None` where there is no such column."""
    numeric: tuple[str, ...] = ()
    """Further columns of numbers; empty cells count as the mean."""
    categorical: tuple[str, ...] = ()
    """Further columns of categories; those seldom or never seen in training, and empty cells, are one category of their own."""

    def __post_init__(self) -> None:
        further = (*self.numeric, *self.categorical)
        named = [name for name in (self.card, self.time, self.amount, self.label, self.terminal) if name]
        twice = {name for name in (*named, *further) if (*named, *further).count(name) > 1}
        if twice:
            raise ValueError(f"Each column has one meaning. Received: {', '.join(sorted(twice))} twice")
        wrong = [name for name in further if name in RESERVED or name.startswith("terminal_") or "/" in name]
        if wrong:
            raise ValueError(
                f"The model uses this name itself; rename the column in the file. Received: {', '.join(wrong)}"
            )


@dataclass(frozen=True)
class ProtocolConfig:
    """Which days train and which judge (Le Borgne et al., Fraud Detection Handbook, 2022, chapter 5)."""

    first_day: date | None = None
    """First day of training, such as 2018-07-25; by default, training and test are the last days of the data."""
    training_days: int = 7
    """Days whose transactions train the exported model."""
    delay_days: int = 7
    """Days until it is known whether a transaction was fraud: no label is used before."""
    test_days: int = 7
    """Days that judge, after training and delay; validation has as many, a delay and a test earlier."""

    def __post_init__(self) -> None:
        require_at_least(self, 1, "training_days", "delay_days", "test_days")


@dataclass(frozen=True)
class MemoryConfig:
    """What a transaction is judged by, beside itself."""

    history: int = 64
    """Transactions of the card that lead up to a window in training: they set the state it starts from."""
    window: int = 32
    """Most transactions of a card that one training example scores."""
    reports: int = 32
    """Confirmed transactions of the terminal, the newest, that are read."""
    terminal_units: tuple[int, ...] = (32,)
    """Units of the LSTM layers that read them."""
    hidden_units: int = 32
    """Units of the layer between an LSTM and its logit."""
    dropout: float = 0.2
    """Share of these set to zero in training, in [0, 1)."""

    def __post_init__(self) -> None:
        require_at_least(self, 0, "history")
        require_at_least(self, 1, "window", "reports", "hidden_units")
        require_fraction(self, "dropout")


@dataclass(frozen=True)
class AlertsConfig:
    """How many alerts can be looked into."""

    per_day: int = 100
    """Cards a day: the exported threshold is that which raised so many on validation, and k of card precision@k."""

    def __post_init__(self) -> None:
        require_at_least(self, 1, "per_day")


@dataclass(frozen=True)
class FraudConfig(TaskConfig):
    """Settings of the fraud task."""

    columns: ColumnsConfig = field(default_factory=ColumnsConfig)
    protocol: ProtocolConfig = field(default_factory=ProtocolConfig)
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    alerts: AlertsConfig = field(default_factory=AlertsConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lstm.bidirectional:
            raise ValueError("A transaction is scored as it comes. Received: bidirectional=True")


PRESETS = {
    "sample": FraudConfig(
        lstm=LSTMConfig(units=(16,)),
        training=TrainingConfig(epochs=8, batch_size=32, learning_rate=1e-2, patience=3),
        protocol=ProtocolConfig(training_days=14),
        memory=MemoryConfig(history=16, reports=16, terminal_units=(16,), hidden_units=16),
        alerts=AlertsConfig(per_day=5),
    ),
    "default": FraudConfig(
        lstm=LSTMConfig(units=(64,)),
        training=TrainingConfig(epochs=10, learning_rate=3e-3, patience=3),
    ),
    "large": FraudConfig(
        lstm=LSTMConfig(units=(128, 128), dropout=0.2),
        training=TrainingConfig(epochs=10, learning_rate=2e-3, patience=3),
        protocol=ProtocolConfig(training_days=60),
        memory=MemoryConfig(history=128, window=64, reports=64, terminal_units=(64,), hidden_units=64),
    ),
}
