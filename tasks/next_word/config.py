"""Options and presets of the next-word task. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from shared.config import (
    LSTMConfig,
    PredictOptions,
    Section,
    SplitConfig,
    SplitFilesTaskConfig,
    TrainingConfig,
    require_at_least,
    require_at_most,
    require_fraction,
    require_positive,
)

SUMMARY = (
    "Suggests the most probable next words, continues a text, and computes the probability of each word of a text."
)
INPUT = "text"
OUTPUT = "next words, generated text, probability of each word"
EXAMPLE_DATA = "tiny_shakespeare"
DATA_HELP = (
    "Text file, folder of text files, table, data set of TensorFlow Datasets such as tiny_shakespeare, or sample."
)


@dataclass(frozen=True)
class ColumnsConfig(Section):
    """Names of the columns in the data."""

    SECTION: ClassVar[str] = "columns"

    text: str = "text"
    """Column with the text."""


@dataclass(frozen=True)
class TextConfig(Section):
    """How a text becomes token ids."""

    SECTION: ClassVar[str] = "text"

    unit: Literal["word", "character"] = "word"
    """Unit that is a token; with "character", options for words apply to characters."""
    pretokenized: bool = False
    """Split the text only at whitespace, as benchmark files expect; otherwise punctuation marks are words of their own."""
    join_lines: bool = False
    """Join the lines of a hard-wrapped text, such as a book of Project Gutenberg, to paragraphs; the other commands then read files so."""
    vocabulary_size: int = 50_000
    """Maximum number of tokens in the vocabulary; the rarest tokens of the training split are left out first."""
    min_count: int = 2
    """Minimum count of a word in the training split to be in the vocabulary; 1 for a text that marks unknown words as `<unk>`."""

    def __post_init__(self) -> None:
        require_at_least(self, 1, "vocabulary_size", "min_count")


@dataclass(frozen=True)
class ModelConfig(Section):
    """The layers around the LSTM stack. Some options set how training computes the loss."""

    SECTION: ClassVar[str] = "model"

    embedding_size: int = 256
    """Size of each embedding vector."""
    input_dropout: float = 0.3
    """Dropout rate of the inputs of the LSTM stack, in [0, 1)."""
    output_dropout: float = 0.3
    """Dropout rate of the outputs of the LSTM stack, in [0, 1)."""
    word_dropout: float = 0.0
    """Probability that all occurrences of a word in a segment have a zero vector, in [0, 1) (Gal & Ghahramani, 2016)."""
    bptt_length: int = 35
    """Words per training segment: gradients stop at its start, and the state continues from the segment before."""
    negative_samples: int = 2048
    """Negative words to sample per batch for the training loss; 0 uses the whole vocabulary, as evaluation always does."""

    def __post_init__(self) -> None:
        require_at_least(self, 2, "embedding_size")
        require_at_least(self, 1, "bptt_length")
        require_at_least(self, 0, "negative_samples")
        require_fraction(self, "input_dropout", "output_dropout", "word_dropout")


@dataclass(frozen=True)
class GenerateOptions(PredictOptions):
    """Options of `generate`, at the top level."""

    length: int = 100
    """Number of words to add to the prompt, or characters with a model of characters, from 1 to 1,000."""
    temperature: float = 1.0
    """Divisor of the log-probabilities, from 0, which always selects the most probable word, to 100."""
    top_k: int = 0
    """Number of most probable words to sample from; 0 for all words (Fan et al., 2018)."""
    top_p: float = 1.0
    """Total probability of the words to sample from, in (0, 1] (Holtzman et al., 2020)."""
    repetition_penalty: float = 1.0
    """Factor of the log-probabilities of words that already occur in the text, from 1, no penalty, to 100 (Keskar et al., 2019)."""
    seed: int = 1
    """Random seed; the same seed gives the same text. The second prompt uses the next seed, and so on."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(self, 1, "length", "repetition_penalty")
        require_at_least(self, 0, "temperature", "top_k", "seed")
        require_at_most(self, 1000, "length")
        require_at_most(self, 100, "temperature", "repetition_penalty")
        require_positive(self, "top_p")
        require_at_most(self, 1, "top_p")


@dataclass(frozen=True)
class EvaluationConfig(Section):
    """What the report scores."""

    SECTION: ClassVar[str] = "evaluation"

    dynamic: bool = False
    """Also evaluate a copy of the model that continues to train on the test split (Krause et al., 2018); takes minutes."""


@dataclass(frozen=True)
class NextWordConfig(SplitFilesTaskConfig):
    """All options of the next-word task.

    The test split of a file is its last tenth; of several documents, a tenth of the documents.
    """

    columns: ColumnsConfig = field(default_factory=ColumnsConfig)
    split: SplitConfig = field(default_factory=lambda: SplitConfig(test_fraction=0.1))
    text: TextConfig = field(default_factory=TextConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    lstm: LSTMConfig = field(default_factory=LSTMConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)


COMMANDS: dict[str, type[PredictOptions]] = {
    "generate": GenerateOptions,
    "complete": PredictOptions,
    "score": PredictOptions,
}
"""Further commands that predict, with their options."""
PRESETS = {
    "sample": NextWordConfig(
        data="sample",
        model=ModelConfig(embedding_size=96, input_dropout=0.2, output_dropout=0.3, negative_samples=512),
        lstm=LSTMConfig(units=(96,)),
        training=TrainingConfig(epochs=8, batch_size=16, learning_rate=1e-2, weight_decay=0.0, patience=2),
    ),
    "default": NextWordConfig(
        model=ModelConfig(embedding_size=400, input_dropout=0.5, output_dropout=0.5, word_dropout=0.1),
        lstm=LSTMConfig(units=(400, 400), dropout=0.4),
        training=TrainingConfig(
            epochs=25,
            batch_size=64,
            learning_rate=3e-3,
            weight_decay=0.0,
            gradient_clip=0.5,
            patience=3,
            ema_decay=0.999,
        ),
    ),
    "large": NextWordConfig(
        model=ModelConfig(
            embedding_size=400,
            input_dropout=0.5,
            output_dropout=0.4,
            word_dropout=0.1,
            bptt_length=70,
            negative_samples=0,
        ),
        lstm=LSTMConfig(units=(1150, 1150, 400), dropout=0.25, recurrent_dropout=0.4),
        training=TrainingConfig(
            epochs=200,
            batch_size=40,
            learning_rate=2e-3,
            weight_decay=0.0,
            gradient_clip=0.25,
            patience=15,
            ema_decay=0.999,
        ),
    ),
}
