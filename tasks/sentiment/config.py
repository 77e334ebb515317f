"""Settings of the sentiment task and its presets. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, field

from shared.config import LSTMConfig, TaskConfig, TrainingConfig, require_at_least, require_fraction

SUMMARY = "Text in, a label and its calibrated probability out."


@dataclass(frozen=True)
class TextConfig:
    """How a text becomes a sequence of words."""

    vocabulary_size: int = 30_000
    """The most frequent words of the training split, which the LSTM tells apart."""
    sequence_length: int = 400
    """Words the LSTM reads of a longer text: half from its beginning, half from its end."""
    crop: int | None = None
    """In training, the LSTM sees a random stretch of at most so many words of a text, another each epoch."""

    def __post_init__(self) -> None:
        require_at_least(self, 3, "vocabulary_size")
        require_at_least(self, 1, "sequence_length", "crop")


@dataclass(frozen=True)
class HeadConfig:
    """What stands below and above the LSTM stack."""

    embedding_size: int = 128
    """Width of a word's vector."""
    pretrained: bool = True
    """Start from word vectors factorised from the training texts; otherwise from random ones."""
    pretraining_epochs: int = 0
    """Passes over the training texts as a language model, before the labels are looked at; needs one layer."""
    pretraining_learning_rate: float = 5e-3
    """Peak of the learning rate in these."""
    adversarial: float = 0.02
    """Adversarial training: length of the disturbance as a share of the word vectors' length; 0 leaves it out."""
    embedding_dropout: float = 0.3
    """Share of the vectors' columns set to zero over a whole text, in [0, 1)."""
    word_dropout: float = 0.05
    """Share of words replaced by the unknown word in training, in [0, 1)."""
    dropout: float = 0.5
    """Share of the pooled LSTM outputs set to zero, in [0, 1)."""

    def __post_init__(self) -> None:
        require_fraction(self, "embedding_dropout", "word_dropout", "dropout")
        require_at_least(self, 0, "pretraining_epochs", "adversarial")
        require_at_least(self, 1, "embedding_size")
        if not self.pretraining_learning_rate > 0:
            raise ValueError(
                "Expected `pretraining_learning_rate` above 0. Received: "
                f"pretraining_learning_rate={self.pretraining_learning_rate}"
            )


@dataclass(frozen=True)
class WideConfig:
    """The wide part: a linear model over n-grams, in the same graph as the LSTM."""

    ngrams: int = 3
    """Longest n-gram, up to 3; 0 leaves the wide part out."""
    buckets: int = 8_388_593
    """Weights that n-grams are hashed into; many keep unseen n-grams off the seen ones. Shared out among the classes."""
    vocabulary_size: int = 100_000
    """The most frequent words of the training split, of which n-grams are made."""
    words: int = 4096
    """Words read of a longer text: half from its beginning, half from its end."""

    def __post_init__(self) -> None:
        require_at_least(self, 0, "ngrams")
        require_at_least(self, 2, "buckets")
        require_at_least(self, 3, "vocabulary_size")
        require_at_least(self, 1, "words")
        if self.ngrams > 3:
            raise ValueError(f"Expected `ngrams` of at most 3. Received: ngrams={self.ngrams}")


@dataclass(frozen=True)
class SentimentConfig(TaskConfig):
    """Settings of the sentiment task."""

    text_column: str = "text"
    """Column of the text; a position such as 0 for a .csv or .tsv file without a header."""
    label_column: str = "label"
    """Column of the label, any names; two classes or more."""
    text: TextConfig = field(default_factory=TextConfig)
    head: HeadConfig = field(default_factory=HeadConfig)
    wide: WideConfig = field(default_factory=WideConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.head.pretraining_epochs and self.lstm.bidirectional and len(self.lstm.units) > 1:
            raise ValueError(
                "Pre-training needs a single bidirectional layer, as a second would see the word to predict. Received: "
                f"units={self.lstm.units}; add --head.pretraining-epochs 0"
            )


PRESETS = {
    "sample": SentimentConfig(
        lstm=LSTMConfig(units=(32,), bidirectional=True),
        training=TrainingConfig(epochs=5, batch_size=32, learning_rate=5e-3, weight_decay=0.0, patience=5),
        head=HeadConfig(
            embedding_size=32, pretrained=False, adversarial=0.0, embedding_dropout=0.1, word_dropout=0.0, dropout=0.2
        ),
        wide=WideConfig(buckets=65_521),
    ),
    "default": SentimentConfig(
        data="imdb_reviews",
        validation_fraction=0.06,
        lstm=LSTMConfig(units=(128,), bidirectional=True),
        training=TrainingConfig(epochs=5, weight_decay=0.05),
        head=HeadConfig(pretraining_epochs=3),
    ),
    "large": SentimentConfig(
        data="imdb_reviews",
        validation_fraction=0.06,
        lstm=LSTMConfig(units=(512,), bidirectional=True),
        training=TrainingConfig(epochs=8, weight_decay=0.05, precision="mixed_bfloat16"),
        head=HeadConfig(embedding_size=256, pretraining_epochs=20),
    ),
}
