"""Options and presets of the speech task. Imports nothing heavy."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from shared.config import (
    BidirectionalLSTMConfig,
    Section,
    SplitConfig,
    SplitFilesTaskConfig,
    TrainingConfig,
    option,
    require_at_least,
    require_different,
    require_fraction,
    require_positive,
)
from shared.config import (
    PredictOptions as SharedPredictOptions,
)
from tasks.speech.input_config import AudioConfig, TextConfig

SUMMARY = "Transcribes speech and gives the time of each word, for whole recordings or live audio."
INPUT = "audio"
OUTPUT = "text with the time of each word"
EXAMPLE_DATA = "spoken_digit"
DATA_HELP = "Table, folder or .zip file of recordings, data set of TensorFlow Datasets such as spoken_digit, or sample."

MAX_HOT_WORD_WEIGHT = 100
NYQUIST_FREQUENCY = 8000  # Hz, half the sample rate


@dataclass(frozen=True)
class ColumnsConfig(Section):
    """Names of the columns in the data. The manifest is the table that lists the recordings."""

    SECTION: ClassVar[str] = "columns"

    file: str = "file"
    """Column with the path of the recording."""
    text: str = "text"
    """Column with the text."""
    speaker: str | None = "speaker"
    """Column with the speaker, if there is one; all recordings of a speaker are in the same split."""
    file_pattern: str | None = None
    """Pattern of the file names in a folder or .zip file without a manifest, such as {text}_{speaker}_{take}; it must contain
    {text}."""

    def __post_init__(self) -> None:
        require_different(self, "file", "text", "speaker")
        if self.file_pattern is None:
            return
        if "{text}" not in self.file_pattern:
            raise ValueError(f"{option(self, 'file_pattern')} must contain {{text}}. Received: {self.file_pattern}")
        names = re.findall(r"\{(\w+)", self.file_pattern)
        if len(names) != len(set(names)):
            raise ValueError(
                f"{option(self, 'file_pattern')} must contain each name only once. Received: {self.file_pattern}"
            )


@dataclass(frozen=True)
class SpeechSplitConfig(SplitConfig):
    """How the data are divided into training, validation and test split."""

    test_speakers: tuple[str, ...] = ()
    """Speakers of the test split; without them, it has a fraction of the speakers, or of the recordings if the speakers are
    unknown."""
    test_files: str | None = None
    """Pattern of the file names in the test split, with the wildcards of a shell, such as *_[0-4].flac. The recordings of a
    speaker may then be in two splits."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.test_files and self.test_speakers:
            raise ValueError(
                f"{option(self, 'test_files')} and {option(self, 'test_speakers')} exclude each other. Received: "
                f"{self.test_files} and {' '.join(self.test_speakers)}"
            )


@dataclass(frozen=True)
class FeaturesConfig(Section):
    """What the model reads. Log-mel features: the logarithm of the power in each mel band, 100 times per second."""

    SECTION: ClassVar[str] = "features"

    mel_bands: int = 80
    """Number of mel bands, at least 8."""
    min_frequency: float = 20.0
    """Lower limit of the lowest mel band, in Hz."""
    max_frequency: float = 7600.0
    """Upper limit of the highest mel band, in Hz, at most 8000."""
    normalization: Literal["utterance", "rms", "training"] = "utterance"
    """Statistics that give each band mean 0 and standard deviation 1: `utterance` those of the whole recording; `training` those
    of the training split, as a stream needs them; `rms` also those of the training split, after the samples of the whole
    recording were brought to mean 0 and root mean square 0.1."""
    max_seconds: float = 30.0
    """Maximum length of a recording in the training and validation split, in seconds; longer recordings are left out."""

    def __post_init__(self) -> None:
        require_at_least(self, 8, "mel_bands")
        require_positive(self, "max_seconds")
        if not 0 <= self.min_frequency < self.max_frequency <= NYQUIST_FREQUENCY:
            raise ValueError(
                f"{option(self, 'min_frequency')} must be at least 0 and less than {option(self, 'max_frequency')}, which must be "
                f"at most {NYQUIST_FREQUENCY}. Received: {self.min_frequency} and {self.max_frequency}"
            )


@dataclass(frozen=True)
class AugmentConfig(Section):
    """Random changes of the training data, new ones in every epoch."""

    SECTION: ClassVar[str] = "augment"

    speed: float = 0.2
    """Maximum relative change of the speed, in [0, 1); the pitch changes with it (Ko et al., 2015)."""
    volume_range: float = 6.0
    """Maximum change of the volume, up or down, in decibels."""
    noise_rate: float = 0.4
    """Fraction of the recordings to which noise is added, in [0, 1)."""
    min_snr: float = 15.0
    """Minimum signal-to-noise ratio of the added noise, in decibels; the maximum is 30 decibels higher."""
    silence_rate: float = 0.4
    """Fraction of the recordings that are placed in longer silence or quiet noise, in [0, 1)."""
    max_silence: float = 1.0
    """Maximum length of this silence before and after the recording, in seconds."""
    reverberation_rate: float = 0.2
    """Fraction of the recordings that sound as in a room, in [0, 1)."""
    noise_only_rate: float = 0.08
    """Fraction of the recordings that are replaced by silence, noise, hum or babble with an empty text, in [0, 1)."""
    vocal_tract_warp: float = 0.1
    """Maximum relative change of the frequency axis, as by a longer or shorter vocal tract, in [0, 1) (Jaitly & Hinton, 2013)."""
    equalizer: float = 0.0
    """Standard deviation of the random gain of each octave, in decibels, as by another microphone or room; 0 disables it."""
    time_masks: int = 2
    """Number of time masks: time spans whose features are set to 0 (SpecAugment; Park et al., 2019)."""
    time_mask_width: int = 12
    """Maximum width of a time mask, in frames of 10 ms; it is also at most a tenth of the recording."""
    frequency_masks: int = 2
    """Number of frequency masks: ranges of mel bands whose features are set to 0."""
    frequency_mask_width: int = 20
    """Maximum width of a frequency mask, in mel bands."""

    def __post_init__(self) -> None:
        require_fraction(
            self, "speed", "noise_rate", "silence_rate", "reverberation_rate", "noise_only_rate", "vocal_tract_warp"
        )
        require_at_least(
            self,
            0,
            *(
                "volume_range",
                "max_silence",
                "equalizer",
                "time_masks",
                "time_mask_width",
                "frequency_masks",
                "frequency_mask_width",
            ),
        )


@dataclass(frozen=True)
class ModelConfig(Section):
    """The layers around the LSTM stack."""

    SECTION: ClassVar[str] = "model"

    filters: int = 32
    """Number of filters of each of the two convolutions, which halve time and frequency."""
    input_dropout: float = 0.15
    """Dropout rate of the inputs of the LSTM stack, in [0, 1)."""
    output_dropout: float = 0.4
    """Dropout rate of the outputs of the LSTM stack, in [0, 1)."""

    def __post_init__(self) -> None:
        require_at_least(self, 1, "filters")
        require_fraction(self, "input_dropout", "output_dropout")


@dataclass(frozen=True)
class SpeechTrainingConfig(TrainingConfig):
    """Optimizer, epochs and random seed. Training can start from the weights of another model."""

    warm_start: str | None = None
    """Folder of an exported version of the speech task whose weights training starts from. It must have the same mel bands, units
    and filters; its alphabet may differ."""


@dataclass(frozen=True)
class DecodingConfig(Section):
    """The beam search with a language model, which `predict`, `evaluate` and the report use. `serving_default` decodes without it."""

    SECTION: ClassVar[str] = "decoding"

    language_model: str | None = None
    """File in the ARPA format, or folder of an exported version of the next_word task; without it, n-grams of the training
    transcripts are used and exported with the model."""
    language_model_order: int = 3
    """Maximum number of words in an n-gram, at least 1."""
    beam_width: int = 32
    """Maximum number of prefixes that the beam search keeps after each step."""
    language_model_weights: tuple[float, ...] = (0.25, 0.5, 1.0, 1.5)
    """Candidate weights of the language model's log-probabilities; the validation split selects one."""
    word_bonuses: tuple[float, ...] = (0.0, 1.5, 3.0)
    """Candidate additions to the log-probability for each word, because a language model prefers few words; the validation split
    selects one."""
    vocabulary: Literal["open", "closed", "auto"] = "auto"
    """Words that the beam search may write: `open` any word; `closed` only words that the language model knows; `auto` the one of
    the two with fewer errors on the validation split."""

    def __post_init__(self) -> None:
        require_at_least(self, 1, "language_model_order", "beam_width")
        for name in ("language_model_weights", "word_bonuses"):
            if not getattr(self, name):
                raise ValueError(f"{option(self, name)} must have at least one value. Received: nothing")


@dataclass(frozen=True)
class SpeechConfig(SplitFilesTaskConfig):
    """All options of the speech task."""

    recordings: str | None = None
    """Folder or .zip file with the recordings of the manifest; without it, the .zip file with the manifest's name in the same
    folder if it exists, else the folder of the manifest."""
    columns: ColumnsConfig = field(default_factory=ColumnsConfig)
    audio: AudioConfig = field(default_factory=AudioConfig)
    split: SpeechSplitConfig = field(default_factory=SpeechSplitConfig)
    text: TextConfig = field(default_factory=TextConfig)
    features: FeaturesConfig = field(default_factory=FeaturesConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    lstm: BidirectionalLSTMConfig = field(
        default_factory=lambda: BidirectionalLSTMConfig(units=(192, 192), bidirectional=True, dropout=0.4)
    )
    training: SpeechTrainingConfig = field(default_factory=SpeechTrainingConfig)
    decoding: DecodingConfig = field(default_factory=DecodingConfig)

    def __post_init__(self) -> None:
        if not self.lstm.bidirectional and self.features.normalization != "training":
            raise ValueError(
                "A unidirectional LSTM transcribes a stream, for which the statistics of the whole recording are unknown. Add "
                f"{option(self.features, 'normalization')} training, or {option(self.lstm, 'bidirectional')}. Received: "
                f"{self.features.normalization}"
            )


@dataclass(frozen=True)
class PredictOptions(SharedPredictOptions):
    """Options of `predict`, at the top level."""

    format: Literal["table", "txt", "srt", "vtt", "json"] = "table"
    """`table` gives a row per recording; the others give a document per recording: the text, subtitles, or JSON with the time and
    confidence of each word. `--to` then names a folder, or the file of a single recording."""
    language_model: bool = True
    """Decode with the language model that training chose; without it, decoding is greedy."""
    hot_words: tuple[str, ...] = ()
    """Words that are expected, such as names; they may be words that the language model does not know."""
    hot_word_weight: float = 5.0
    """Addition to the score of each of these words, in nats, from 0 to 100; with more, they are written more often."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.hot_word_weight <= MAX_HOT_WORD_WEIGHT:
            raise ValueError(
                f"{option(self, 'hot_word_weight')} must be from 0 to {MAX_HOT_WORD_WEIGHT}. Received: {self.hot_word_weight}"
            )

    @property
    def document_suffix(self) -> str | None:
        """Suffix of the documents; None for a table."""
        return None if self.format == "table" else f".{self.format}"


_TRAINING = SpeechTrainingConfig(
    epochs=100, batch_size=16, learning_rate=2e-3, weight_decay=1e-3, gradient_clip=5.0, patience=100, ema_decay=0.998
)

PRESETS = {
    "sample": SpeechConfig(
        data="sample",
        features=FeaturesConfig(mel_bands=40),
        augment=AugmentConfig(  # weaker than the defaults, because the sample is small and the training short
            speed=0.1,
            noise_rate=0.3,
            vocal_tract_warp=0.0,
            frequency_mask_width=10,
            silence_rate=0.25,
            max_silence=0.6,
            reverberation_rate=0.0,
        ),
        model=ModelConfig(filters=8, input_dropout=0.1, output_dropout=0.3),
        lstm=BidirectionalLSTMConfig(units=(64,), bidirectional=True),
        training=SpeechTrainingConfig(
            epochs=60, batch_size=16, learning_rate=3e-3, weight_decay=1e-3, gradient_clip=5.0, patience=60
        ),
        decoding=DecodingConfig(
            beam_width=8, language_model_weights=(0.5, 1.0), word_bonuses=(0.0, 1.5), vocabulary="open"
        ),
    ),
    "default": SpeechConfig(
        lstm=BidirectionalLSTMConfig(units=(192, 192), bidirectional=True, dropout=0.4),
        training=_TRAINING,
    ),
    "streaming": SpeechConfig(
        features=FeaturesConfig(normalization="training"),
        lstm=BidirectionalLSTMConfig(units=(320, 320), dropout=0.4),
        training=_TRAINING,
    ),
    "large": SpeechConfig(
        lstm=BidirectionalLSTMConfig(units=(512, 512, 512, 512), bidirectional=True, dropout=0.3),
        training=SpeechTrainingConfig(
            epochs=40,
            batch_size=64,
            learning_rate=1e-3,
            weight_decay=1e-3,
            gradient_clip=5.0,
            patience=5,
            ema_decay=0.9995,
        ),
    ),
}
