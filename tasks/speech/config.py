"""Settings of the speech task and its presets. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from shared.config import LSTMConfig, TaskConfig, TrainingConfig, require_at_least, require_fraction

SUMMARY = "Sound in, the words that were spoken out, whole or while they are being spoken."


@dataclass(frozen=True)
class AudioConfig:
    """Where the recordings are and what was said in them."""

    file: str = "file"
    """Column of the recordings' names in a manifest."""
    text: str = "text"
    """Column of what was said."""
    speaker: str | None = "speaker"
    """Column of who said it, where there is one: a speaker never stands on both sides of a split."""
    recordings: str | None = None
    """Folder or .zip file in which the names are found; by default the .zip file of the manifest's name beside it, and else
    the manifest's own folder."""
    names: str | None = None
    """Of a folder or .zip file without a manifest: what the files' names say, such as {text}_{speaker}_{take}."""
    test_speakers: tuple[str, ...] = ()
    """Speakers who judge, all others train; by default, `test_fraction` of the speakers, or of the recordings."""
    test_names: str | None = None
    """Recordings that judge by their names, as a shell matches them, such as *_[0-4].flac; all others train. Where speakers are
    known too, theirs may then stand on both sides."""
    longest: float = 30.0
    """Seconds; longer recordings do not train."""

    def __post_init__(self) -> None:
        if self.longest <= 0:
            raise ValueError(f"Expected `longest` above 0 seconds. Received: longest={self.longest}")
        if self.test_names and self.test_speakers:
            raise ValueError(
                "Expected `test_names` or `test_speakers`, not both. Received: "
                f"test_names={self.test_names}, test_speakers={self.test_speakers}"
            )
        if self.names is not None and "{text}" not in self.names:
            raise ValueError(f"Expected `names` to hold {{text}}. Received: names={self.names}")
        named = [part.split("}")[0] for part in (self.names or "").split("{")[1:]]
        if len(named) != len(set(named)):
            raise ValueError(f"Expected each part of `names` once. Received: names={self.names}")


@dataclass(frozen=True)
class FeatureConfig:
    """What the model hears: the logarithm of the power in mel bands, 100 times a second."""

    mels: int = 80
    """Bands."""
    lowest: float = 20.0
    """Lower end of the lowest band, Hz."""
    highest: float = 7600.0
    """Upper end of the highest band, Hz, at most 8000."""
    normalization: Literal["utterance", "level", "training"] = "utterance"
    """Mean 0 and deviation 1 of each band: over the whole utterance; by statistics of the training split, once the whole
    utterance's samples have been brought to mean 0 and root mean square 0.1; or by those statistics alone, which needs no end and
    so can stream."""

    def __post_init__(self) -> None:
        require_at_least(self, 8, "mels")
        if not 0 <= self.lowest < self.highest <= 8000:
            raise ValueError(
                f"Expected 0 <= lowest < highest <= 8000. Received: lowest={self.lowest}, highest={self.highest}"
            )


@dataclass(frozen=True)
class AugmentConfig:
    """How recordings are changed in training, otherwise each epoch."""

    speed: float = 0.2
    """Most by which a recording is played slower or faster, in [0, 1); voices grow deeper or higher with it (Ko et al., 2015)."""
    volume: float = 6.0
    """Louder or softer by up to so many decibels."""
    noise: float = 0.4
    """Share of the recordings that noise is added to, in [0, 1)."""
    quietest: float = 15.0
    """Least ratio of speech to that noise, decibels; the greatest is 30 more."""
    warp: float = 0.1
    """Most by which the bands are pushed together or drawn apart, as by a longer or a shorter vocal tract, in [0, 1) (Jaitly &
    Hinton, 2013)."""
    equalizer: float = 0.0
    """Standard deviation of a gain drawn for each octave, decibels, as of another microphone or room; at least 0, for none."""
    time_masks: int = 2
    """Stretches of time that are blanked out (SpecAugment; Park et al., 2019)."""
    time_width: int = 12
    """Most frames of 10 ms in each, and no more than a tenth of the recording."""
    frequency_masks: int = 2
    """Ranges of bands that are blanked out."""
    frequency_width: int = 20
    """Most bands in each."""

    def __post_init__(self) -> None:
        require_fraction(self, "speed", "noise", "warp")
        require_at_least(
            self, 0, "volume", "equalizer", "time_masks", "time_width", "frequency_masks", "frequency_width"
        )


@dataclass(frozen=True)
class SpeechModelConfig:
    """What stands before and behind the LSTM stack, and what training begins with."""

    filters: int = 32
    """Of each of the two convolutions that halve time and frequency."""
    input_dropout: float = 0.15
    """Share of what the stack reads set to zero, in [0, 1)."""
    output_dropout: float = 0.4
    """Share of the stack's outputs set to zero, in [0, 1)."""
    start: str | None = None
    """Folder of an exported version, of the same bands and sizes, whose weights training begins with; by default it begins anew."""

    def __post_init__(self) -> None:
        require_at_least(self, 1, "filters")
        require_fraction(self, "input_dropout", "output_dropout")


@dataclass(frozen=True)
class DecodingConfig:
    """How a text is found with a language model besides; the exported model by itself takes the likeliest symbols."""

    language_model: str | None = None
    """Folder of an exported next-word version that is heard; by default n-grams of the training transcripts are."""
    order: int = 3
    """Words of the longest n-gram."""
    beam: int = 32
    """Beginnings that are followed at once."""
    weights: tuple[float, ...] = (0.25, 0.5, 1.0, 1.5)
    """Of the language model beside the sound, in natural logarithms; validation chooses."""
    bonuses: tuple[float, ...] = (0.0, 1.5, 3.0)
    """For each word, since a language model likes few; validation chooses."""
    words: Literal["any", "known", "chosen"] = "chosen"
    """Which may be found: any, those alone that the language model knows, or what validation prefers of the two."""

    def __post_init__(self) -> None:
        require_at_least(self, 1, "order", "beam")
        if not self.weights or not self.bonuses:
            raise ValueError("Expected at least one of `weights` and of `bonuses`.")


@dataclass(frozen=True)
class SpeechConfig(TaskConfig):
    """Settings of the speech task."""

    lstm: LSTMConfig = field(default_factory=lambda: LSTMConfig(units=(192, 192), bidirectional=True, dropout=0.4))
    audio: AudioConfig = field(default_factory=AudioConfig)
    features: FeatureConfig = field(default_factory=FeatureConfig)
    model: SpeechModelConfig = field(default_factory=SpeechModelConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    decoding: DecodingConfig = field(default_factory=DecodingConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.group_column:
            raise ValueError(f"Speakers are kept apart by --audio.speaker. Received: group_column={self.group_column}")
        if not self.lstm.bidirectional and self.features.normalization != "training":
            raise ValueError(
                "Statistics of a whole utterance are not known while it is being spoken: a stack of one direction takes "
                f"--features.normalization training. Received: normalization={self.features.normalization}, "
                "bidirectional=False"
            )


_FIT = TrainingConfig(
    epochs=100, batch_size=16, learning_rate=2e-3, weight_decay=1e-3, gradient_clip=5.0, patience=100, averaging=0.998
)

PRESETS = {
    "sample": SpeechConfig(
        lstm=LSTMConfig(units=(64,), bidirectional=True),
        training=TrainingConfig(epochs=40, batch_size=16, learning_rate=3e-3, weight_decay=1e-3, gradient_clip=5.0, patience=40),
        features=FeatureConfig(mels=40),
        augment=AugmentConfig(
            speed=0.1, noise=0.3, warp=0.0, frequency_width=10
        ),  # it has few recordings, and little time
        model=SpeechModelConfig(filters=8, input_dropout=0.1, output_dropout=0.3),
        decoding=DecodingConfig(beam=8, weights=(0.5, 1.0), bonuses=(0.0, 1.5), words="any"),
    ),
    "default": SpeechConfig(
        data="spoken_digit",
        lstm=LSTMConfig(units=(192, 192), bidirectional=True, dropout=0.4),
        training=_FIT,
    ),
    "streaming": SpeechConfig(
        data="spoken_digit",
        lstm=LSTMConfig(units=(320, 320), dropout=0.4),
        training=_FIT,
        features=FeatureConfig(normalization="training"),
    ),
    "large": SpeechConfig(
        data="librispeech",
        lstm=LSTMConfig(units=(512, 512, 512, 512), bidirectional=True, dropout=0.3),
        training=TrainingConfig(
            epochs=40,
            batch_size=64,
            learning_rate=1e-3,
            weight_decay=1e-3,
            gradient_clip=5.0,
            patience=5,
            averaging=0.9995,
        ),
    ),
}
