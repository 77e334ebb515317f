"""Options and presets of the sentiment task. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from shared.config import (
    BidirectionalLSTMConfig,
    Section,
    SplitConfig,
    SplitFilesTaskConfig,
    TrainingConfig,
    as_typed,
    option,
    require_at_least,
    require_different,
    require_fraction,
    require_positive,
)
from shared.config import (
    PredictOptions as SharedPredictOptions,
)

SUMMARY = "Classifies texts of any kind and gives each label a calibrated probability."
INPUT = "text"
OUTPUT = "label, or several labels, with calibrated probability"
EXAMPLE_DATA = "imdb_reviews"
DATA_HELP = "Table of texts and labels, a folder of text files per class, a fastText file, a data set of TensorFlow Datasets such as imdb_reviews, or sample."

MAX_NGRAM_ORDER = 3


@dataclass(frozen=True)
class ColumnsConfig(Section):
    """Names of the columns in the data. Positions such as 0 and 1 name the columns of a .csv or .tsv file without a header."""

    SECTION: ClassVar[str] = "columns"

    text: str = "text"
    """Column with the text."""
    label: tuple[str, ...] = ("label",)
    """Column with the label. Several columns of 0 and 1 are one label each, with the name of the column, and a text may have any
    number of labels."""
    label_separator: str | None = None
    """Text between the labels of a field that holds several, such as a comma: each label is then predicted by itself, and an empty field
    means no label. Arrays of JSON and several label columns do not need it."""
    label_matching: Literal["exact", "trimmed", "caseless"] = "exact"
    """Which labels are one class: equal ones; "trimmed" ignores whitespace around and in them; "caseless" also upper and lower case."""

    def __post_init__(self) -> None:
        if isinstance(self.label, str):  # a program, or a model of an earlier version, names one column
            object.__setattr__(self, "label", (self.label,))
        require_different(self, "text", "label")
        if not self.label:
            raise ValueError(f"{option(self, 'label')} must name at least one column. Received: nothing")
        if self.label_separator == "":
            raise ValueError(f"{option(self, 'label_separator')} must not be empty. Remove it for one label per text.")


@dataclass(frozen=True)
class SentimentSplitConfig(SplitConfig):
    """How the data are divided into training, validation and test split."""

    group: str | None = None
    """Column with a group, such as a film or a customer; all rows of a group are in the same split."""


@dataclass(frozen=True)
class TextConfig(Section):
    """How a text becomes token ids. The LSTM and the n-grams have their own vocabularies."""

    SECTION: ClassVar[str] = "text"

    vocabulary_size: int = 30_000
    """Maximum number of tokens in the vocabulary; the rarest tokens of the training split are left out first."""
    sequence_length: int = 400
    """Maximum number of words that the LSTM reads: of a longer text, half from its beginning and half from its end."""
    ngram_vocabulary_size: int = 100_000
    """Maximum number of words that n-grams consist of; the rarest words of the training split are left out first."""
    ngram_sequence_length: int = 4096
    """Maximum number of words that the n-grams come from: of a longer text, half from its beginning and half from its end."""

    def __post_init__(self) -> None:
        require_at_least(self, 3, "vocabulary_size", "ngram_vocabulary_size")
        require_at_least(self, 1, "sequence_length", "ngram_sequence_length")


@dataclass(frozen=True)
class AugmentConfig(Section):
    """Random changes of the training data, new ones in every epoch."""

    SECTION: ClassVar[str] = "augment"

    crop_length: int | None = None
    """Number of words of a random crop of each training text; without it, the LSTM reads the beginning and the end."""
    unknown_word_rate: float = 0.05
    """Probability that a word is replaced with the unknown word, in [0, 1)."""

    def __post_init__(self) -> None:
        require_at_least(self, 1, "crop_length")
        require_fraction(self, "unknown_word_rate")


@dataclass(frozen=True)
class ModelConfig(Section):
    """The layers around the LSTM stack. The n-gram model is in the same graph."""

    SECTION: ClassVar[str] = "model"

    embedding_size: int = 128
    """Size of each embedding vector."""
    pretrained_embeddings: bool = True
    """Start from word vectors that are factorized from the training texts, instead of random vectors."""
    input_dropout: float = 0.3
    """Dropout rate of the inputs of the LSTM stack, in [0, 1)."""
    output_dropout: float = 0.5
    """Dropout rate of the outputs of the LSTM stack, in [0, 1)."""
    ngram_order: int = 3
    """Maximum number of words in an n-gram, from 0 to 3; 0 disables the n-gram model."""
    ngram_buckets: int = 8_388_593
    """Number of n-gram weights of all classes together. N-grams are hashed; more weights mean fewer collisions. With more than 10 classes
    or several labels per text, each label has this number, up to 8,388,593 together."""

    def __post_init__(self) -> None:
        require_at_least(self, 1, "embedding_size")
        require_fraction(self, "input_dropout", "output_dropout")
        require_at_least(self, 0, "ngram_order")
        require_at_least(self, 2, "ngram_buckets")
        if self.ngram_order > MAX_NGRAM_ORDER:
            raise ValueError(
                f"{option(self, 'ngram_order')} must be at most {MAX_NGRAM_ORDER}. Received: {self.ngram_order}"
            )


@dataclass(frozen=True)
class SentimentTrainingConfig(TrainingConfig):
    """Optimizer, epochs and random seed. Pre-training and adversarial training are included."""

    pretraining_epochs: int = 0
    """Passes over the training texts as a language model, before the labels are used; a bidirectional LSTM then needs a single
    layer."""
    pretraining_learning_rate: float = 5e-3
    """Maximum learning rate of the pre-training."""
    adversarial_epsilon: float = 0.02
    """Norm of the adversarial perturbation as a fraction of the norm of the embedding vectors of a text; 0 disables adversarial
    training."""
    class_weights: Literal["none", "balanced"] = "none"
    """Weights of the labels in the loss; "balanced" gives every label the same total weight, which finds more of rare labels but makes
    their probabilities too high. With several labels per text, it gives the texts with and without a label the same total weight."""
    focal_gamma: float = 0.0
    """Exponent of the focal loss of the LSTM (Lin et al., 2017): larger values count texts less that it already classifies well; 0 is
    the cross-entropy."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(self, 0, "pretraining_epochs", "adversarial_epsilon", "focal_gamma")
        require_positive(self, "pretraining_learning_rate")


@dataclass(frozen=True)
class SentimentConfig(SplitFilesTaskConfig):
    """All options of the sentiment task."""

    columns: ColumnsConfig = field(default_factory=ColumnsConfig)
    split: SentimentSplitConfig = field(default_factory=SentimentSplitConfig)
    text: TextConfig = field(default_factory=TextConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    lstm: BidirectionalLSTMConfig = field(default_factory=BidirectionalLSTMConfig)
    training: SentimentTrainingConfig = field(default_factory=SentimentTrainingConfig)

    def __post_init__(self) -> None:
        if self.training.pretraining_epochs and self.lstm.bidirectional and len(self.lstm.units) > 1:
            raise ValueError(
                "Pre-training of a bidirectional LSTM needs a single layer, because a second layer would see the word to "
                f"predict. Received: {option(self.lstm, 'units')} {as_typed(self.lstm.units)}. Add "
                f"{option(self.training, 'pretraining_epochs')} 0."
            )


@dataclass(frozen=True)
class PredictOptions(SharedPredictOptions):
    """Options of `predict`, at the top level."""

    explain: bool = False
    """Show how much each word contributed to the predicted label; the terminal and an .html file mark the words."""

    @property
    def needs_explanation(self) -> bool:
        """True if the options ask for columns that explain the predictions (`Task.explain`)."""
        return self.explain


PRESETS = {
    "sample": SentimentConfig(
        data="sample",
        augment=AugmentConfig(unknown_word_rate=0.0),
        model=ModelConfig(
            embedding_size=32,
            pretrained_embeddings=False,
            input_dropout=0.1,
            output_dropout=0.2,
            ngram_buckets=65_521,
        ),
        lstm=BidirectionalLSTMConfig(units=(32,), bidirectional=True),
        training=SentimentTrainingConfig(
            epochs=5, batch_size=32, learning_rate=5e-3, weight_decay=0.0, patience=5, adversarial_epsilon=0.0
        ),
    ),
    "default": SentimentConfig(
        split=SentimentSplitConfig(validation_fraction=0.06),
        lstm=BidirectionalLSTMConfig(units=(128,), bidirectional=True),
        training=SentimentTrainingConfig(epochs=5, weight_decay=0.05, pretraining_epochs=3),
    ),
    "large": SentimentConfig(
        split=SentimentSplitConfig(validation_fraction=0.06),
        model=ModelConfig(embedding_size=256),
        lstm=BidirectionalLSTMConfig(units=(512,), bidirectional=True),
        training=SentimentTrainingConfig(
            epochs=8, weight_decay=0.05, precision="mixed_bfloat16", pretraining_epochs=20
        ),
    ),
}
