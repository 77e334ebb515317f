"""The frozen settings every task shares. Imports nothing heavy, so that the command line can show them at once."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

T = TypeVar("T", bound=Any)


@dataclass(frozen=True)
class LSTMConfig:
    """Shape and regularisation of a stack of LSTM layers."""

    units: tuple[int, ...] = (128,)
    """Units of each layer, lowest first; a bidirectional layer has this many in each direction."""
    bidirectional: bool = False
    """Read the sequence from both ends. Needs the whole sequence, so such a stack cannot run step by step."""
    dropout: float = 0.0
    """Share of a layer's outputs set to zero on their way to the next layer, in [0, 1)."""
    recurrent_dropout: float = 0.0
    """Share of the recurrent state set to zero, one mask a sequence, in [0, 1) (Gal & Ghahramani, 2016)."""
    layer_normalization: bool = False
    """Normalise each layer's output over its units (Ba et al., 2016)."""
    residual: bool = False
    """Add each layer's input to its output from the second layer on; all layers need the same units."""

    def __post_init__(self) -> None:
        if not self.units or any(units < 1 for units in self.units):
            raise ValueError(f"Expected `units` to hold one positive number a layer. Received: units={self.units}")
        require_share(self, "dropout", "recurrent_dropout")
        if self.residual and len(set(self.units)) > 1:
            raise ValueError(f"Residual connections need equal units in every layer. Received: units={self.units}")


@dataclass(frozen=True)
class FitConfig:
    """How a model is trained."""

    epochs: int = 5
    """Most passes over the training split; early stopping may end sooner."""
    batch_size: int = 64
    """Examples in one gradient step."""
    learning_rate: float = 1e-3
    """Peak of the learning rate: a short linear warm-up, then a cosine down to a fiftieth of it."""
    weight_decay: float = 0.01
    """Decoupled weight decay (AdamW; Loshchilov & Hutter, 2019)."""
    gradient_clip: float = 1.0
    """Largest L2 norm of the whole gradient."""
    patience: int = 2
    """Epochs that are no better on validation before training stops and the best weights come back."""
    averaging: float = 0.0
    """Decay a step of a moving average of the weights (Polyak & Juditsky, 1992), in [0, 1): at the end it takes the best
    epoch's place if validation is no worse by it; 0 keeps none."""
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    """Arithmetic in training; what is exported is always float32."""
    seed: int = 1
    """Seeds the weights, the dropout masks and the order of the data."""

    def __post_init__(self) -> None:
        require_at_least(self, 1, "epochs", "batch_size", "patience")
        require_share(self, "averaging")
        for name in ("learning_rate", "gradient_clip"):
            if not getattr(self, name) > 0:
                raise ValueError(f"Expected `{name}` above 0. Received: {name}={getattr(self, name)}")


@dataclass(frozen=True)
class TaskConfig:
    """What the settings of all tasks have in common; a task adds its own fields."""

    data: str = "sample"
    """`sample`, a file (.csv .tsv .jsonl .parquet, also .gz or .xz), or the name of a TensorFlow data set; for fraud
    `openml:NAME` too, for stock `yahoo:TICKER,TICKER`."""
    validation_data: str | None = None
    """A file that holds the validation split; without it a part of the training rows is kept back."""
    test_data: str | None = None
    """A file that holds the test split; without it a part of the rows is kept back."""
    validation_fraction: float = 0.1
    """Share of the training rows kept back for validation, in (0, 1)."""
    test_fraction: float = 0.2
    """Share of the rows kept back as test, in (0, 1)."""
    group_column: str | None = None
    """Rows with the same value here (a film, a customer) never stand on both sides of a split."""
    output: str = "saved_models"
    """Models go to OUTPUT/TASK/VERSION, runs in progress to OUTPUT/TASK/runs."""
    resume: bool = True
    """Go on with an interrupted run of the very same settings, data and code where there is one."""
    lstm: LSTMConfig = field(default_factory=LSTMConfig)
    fit: FitConfig = field(default_factory=FitConfig)

    def __post_init__(self) -> None:
        for name in ("validation_fraction", "test_fraction"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise ValueError(f"Expected `{name}` in (0, 1). Received: {name}={getattr(self, name)}")


def require_at_least(config: Any, least: float, *names: str) -> None:
    """Raises a `ValueError` that names the first of a configuration's fields to lie below `least`; None passes."""
    for name in names:
        value = getattr(config, name)
        if value is not None and value < least:
            raise ValueError(f"Expected `{name}` of at least {least}. Received: {name}={value}")


def require_share(config: Any, *names: str) -> None:
    """Raises a `ValueError` that names the first of a configuration's fields to lie outside [0, 1)."""
    for name in names:
        value = getattr(config, name)
        if not 0.0 <= value < 1.0:
            raise ValueError(f"Expected `{name}` in [0, 1). Received: {name}={value}")


def as_trained(asked: T, trained: Mapping[str, Any]) -> T:
    """Returns settings of which each is what was asked for where that is not the default, and else the trained model's.

    Args:
        asked: a configuration.
        trained: the same as JSON-ready values, as a model's facts hold them.
    """
    plain = type(asked)()
    own = {f.name: getattr(asked, f.name) for f in dataclasses.fields(asked)}
    other = {name: value for name, value in own.items() if value != getattr(plain, name)}
    kept = {name: tuple(value) if isinstance(value, list) else value for name, value in trained.items()}
    return type(asked)(**{**kept, **other})


def as_dict(config: Any) -> dict[str, Any]:
    """Returns a configuration as plain, JSON-ready values; a date is its text."""
    return json.loads(json.dumps(dataclasses.asdict(config), default=str))


def fingerprint(*parts: Any) -> str:
    """Returns 16 hexadecimal digits that change when any of the JSON-ready `parts` changes."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
