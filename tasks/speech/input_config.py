"""Options of how recordings and transcripts are read. Imports nothing heavy."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Literal

from shared.config import Section, option

MEAN_CHANNEL = "mean"


@dataclass(frozen=True)
class AudioConfig(Section):
    """How a recording becomes one channel of sound."""

    SECTION: ClassVar[str] = "audio"

    channel: str = MEAN_CHANNEL
    """Channel of recordings with several channels: `mean` for the mean of all, or the index of a channel, 0 for the left one. A
    recording with one channel is used as it is."""

    def __post_init__(self) -> None:
        if self.channel != MEAN_CHANNEL and not (self.channel.isascii() and self.channel.isdecimal()):
            raise ValueError(
                f"{option(self, 'channel')} must be mean or the index of a channel, counted from 0. Received: {self.channel}"
            )


@dataclass(frozen=True)
class TextConfig(Section):
    """How a text becomes token ids. The tokens are the characters of the transcripts, in Unicode's form NFC."""

    SECTION: ClassVar[str] = "text"

    normalize: tuple[Literal["lower", "digits", "punctuation", "brackets"], ...] = ()
    """Changes of the transcripts, for training and evaluation: `lower` writes small letters, `digits` spells numbers, `punctuation`
    drops punctuation except apostrophes inside words, `brackets` drops marks such as [noise], (laughs) and <unk>."""
    language: str = "en"
    """Language in which `digits` spells numbers, as a code such as en, de or pt-BR."""
    max_empty: float = 0.1
    """Maximum fraction of the recordings of a file that have an empty text, in [0, 1]. The model learns them as sound without
    speech; more are an error, because texts are probably missing."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.max_empty <= 1.0:
            raise ValueError(f"{option(self, 'max_empty')} must be in [0, 1]. Received: {self.max_empty}")
        if not re.fullmatch(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]+)*", self.language):
            raise ValueError(
                f"{option(self, 'language')} must be the code of a language, such as en. Received: {self.language}"
            )
