"""Settings of the next-word task and its presets. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from shared.config import LSTMConfig, TaskConfig, TrainingConfig, require_at_least, require_fraction

SUMMARY = "Text in; the most likely next words, more text, or the probability of each of its words out."


@dataclass(frozen=True)
class TextConfig:
    """What a text is made of."""

    unit: Literal["word", "character"] = "word"
    """What is predicted; what is said here of words holds of characters too."""
    pretokenized: bool = False
    """Take what stands between blanks for a word, as benchmarks have it; otherwise marks are words of their own."""
    column: str = "text"
    """Column or field of the text in a .jsonl, .csv, .tsv or .parquet file, or feature of a TensorFlow data set."""
    vocabulary_size: int = 50_000
    """Most words known; the rarest are left out first."""
    fewest: int = 2
    """Times that a word must occur in training to be known; once is enough in a text that marks unknown words itself, as
    benchmarks do: `<unk>`."""

    def __post_init__(self) -> None:
        require_at_least(self, 1, "vocabulary_size", "fewest")


@dataclass(frozen=True)
class ModelConfig:
    """What stands below and above the LSTM stack, and how it is kept from learning by heart."""

    embedding_size: int = 256
    """Width of a word's vector, which is its output vector too (Press & Wolf, 2017)."""
    input_dropout: float = 0.3
    """Share of the vectors' columns set to zero over a whole stretch (Gal & Ghahramani, 2016), in [0, 1)."""
    output_dropout: float = 0.3
    """The same of the stack's outputs, in [0, 1)."""
    word_dropout: float = 0.0
    """Share of the words whose vector is zero throughout a stretch (Gal & Ghahramani, 2016), in [0, 1)."""
    stretch: int = 35
    """Words through which a gradient goes back; the state is carried on."""
    negatives: int = 2048
    """Words drawn as wrong answers in training, the same for a batch; 0 takes all of the vocabulary. Judged is always
    by all."""

    def __post_init__(self) -> None:
        require_at_least(self, 2, "embedding_size")
        require_at_least(self, 1, "stretch")
        require_at_least(self, 0, "negatives")
        require_fraction(self, "input_dropout", "output_dropout", "word_dropout")


@dataclass(frozen=True)
class NextWordConfig(TaskConfig):
    """Settings of the next-word task."""

    test_fraction: float = 0.1
    """Share of the text kept back as test, in (0, 1): the end of a file, or whole documents of several."""
    text: TextConfig = field(default_factory=TextConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    dynamic_evaluation: bool = False
    """Judge the model besides while it goes on learning from the test text (Krause et al., 2018); takes
    minutes. Part of a training run's report."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lstm.bidirectional:
            raise ValueError("A next word is told by those before it. Received: bidirectional=True")
        if self.group_column:
            raise ValueError(f"Texts are split by files or blocks. Received: group_column={self.group_column}")


PRESETS = {
    "sample": NextWordConfig(
        lstm=LSTMConfig(units=(96,)),
        training=TrainingConfig(epochs=8, batch_size=16, learning_rate=1e-2, weight_decay=0.0, patience=2),
        model=ModelConfig(embedding_size=96, input_dropout=0.2, output_dropout=0.3, negatives=512),
    ),
    "default": NextWordConfig(
        data="tiny_shakespeare",
        lstm=LSTMConfig(units=(400, 400), dropout=0.4),
        training=TrainingConfig(
            epochs=25,
            batch_size=64,
            learning_rate=3e-3,
            weight_decay=0.0,
            gradient_clip=0.5,
            patience=3,
            averaging=0.999,
        ),
        model=ModelConfig(embedding_size=400, input_dropout=0.5, output_dropout=0.5, word_dropout=0.1),
    ),
    "large": NextWordConfig(
        data="tiny_shakespeare",
        lstm=LSTMConfig(units=(1150, 1150, 400), dropout=0.25, recurrent_dropout=0.4),
        training=TrainingConfig(
            epochs=200,
            batch_size=40,
            learning_rate=2e-3,
            weight_decay=0.0,
            gradient_clip=0.25,
            patience=15,
            averaging=0.999,
        ),
        model=ModelConfig(
            embedding_size=400, input_dropout=0.5, output_dropout=0.4, word_dropout=0.1, stretch=70, negatives=0
        ),
    ),
}
