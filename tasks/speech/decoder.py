"""From the log-probabilities of the symbols to a transcript: text, words with their times and confidences."""

from __future__ import annotations

import base64
import dataclasses
import gzip
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from shared.decoding import arpa
from shared.decoding.ctc_alignment import align_words
from shared.decoding.ctc_beam_search import BeamSearch
from shared.decoding.ctc_greedy import decode_greedily
from shared.decoding.ctc_symbols import BLANK_ID, SPACE
from shared.decoding.language_model_fusion import NO_FUSION, Fusion, LanguageModelScore
from shared.errors import DataError
from tasks.speech.timing import SAMPLE_RATE, STEP_LENGTH

STEP_SECONDS = STEP_LENGTH / SAMPLE_RATE

NO_CALIBRATION = (1.0, 0.0)
"""Slope and intercept of a confidence that is the geometric mean of the probabilities of a word's letters."""
MIN_PROBABILITY = 1e-6
MAX_CACHED_MODELS = 4  # language models that a server keeps unpacked
FUSION_SETTINGS = ("ngrams", "source", "weight", "word_bonus", "is_closed")
NO_WORDS: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True)
class Word:
    """A word with its time and confidence."""

    text: str
    start: float
    """Start of the step of its first character, in seconds."""
    end: float
    """End of the step of its last character, in seconds."""
    confidence: float
    """Estimated probability that the word was spoken, in [0, 1]."""


@dataclass(frozen=True)
class Transcript:
    """The words of a recording, or of a part of it."""

    words: tuple[Word, ...]
    silence: float
    """Geometric mean of the probability that a step writes nothing, in [0, 1]."""

    @property
    def text(self) -> str:
        """The words with one space between them."""
        return SPACE.join(word.text for word in self.words)

    @property
    def confidence(self) -> float:
        """Geometric mean of the confidences of the words; without words, the probability of silence."""
        return mean_confidence(self.words, self.silence)


@dataclass(frozen=True)
class Decoder:
    """Writes the text of one recording, greedily or with a language model.

    Args:
        alphabet: characters of the model; the character at index k has the symbol id k + 1.
        fusion: the language model; None for greedy decoding.
        beam_width: maximum number of texts that the beam search keeps after each step.
        calibration: slope and intercept of the confidence of a word (see `word_confidence`).
        min_confidence: transcripts with a lower confidence have no words, as for noise.
    """

    alphabet: str
    fusion: Fusion | None = None
    beam_width: int = 32
    calibration: tuple[float, float] = NO_CALIBRATION
    min_confidence: float = 0.0

    def decode(self, log_probabilities: np.ndarray, offset: float = 0.0) -> Transcript:
        """Returns the transcript of a recording.

        Args:
            log_probabilities: natural logarithms of the probabilities of the symbols, float `(steps, symbols)`; the first one is
                `BLANK_ID`.
            offset: time of the first step, in seconds.
        """
        silence = float(np.exp(log_probabilities[:, BLANK_ID].mean())) if len(log_probabilities) else 1.0
        words = self.align(log_probabilities, self.text(log_probabilities), offset)
        transcript = Transcript(tuple(words), silence)
        return transcript if transcript.confidence >= self.min_confidence else Transcript((), silence)

    def text(self, log_probabilities: np.ndarray) -> str:
        """Returns the text of a recording (see `decode`)."""
        if self.fusion is None:
            return decode_greedily(log_probabilities, self.alphabet)
        search = self.stream()
        search.advance(log_probabilities)
        return search.text()

    def stream(self) -> BeamSearch:
        """Returns a beam search for a recording that arrives in chunks.

        Raises:
            ValueError: decoding is greedy.
        """
        if self.fusion is None:
            raise ValueError("A stream needs a language model here; the signature `step` decodes greedily.")
        return BeamSearch(self.alphabet, self.beam_width, self.fusion)

    def align(self, log_probabilities: np.ndarray, text: str, offset: float = 0.0) -> list[Word]:
        """Returns the words of a text with their times on the most probable path, and their confidences.

        Args:
            log_probabilities: as in `decode`.
            text: text of the recording, with one space between two words, or empty.
            offset: time of the first step, in seconds.

        Raises:
            ValueError: as in `shared.decoding.ctc_alignment.align_words`.
        """
        words = align_words(log_probabilities, text, self.alphabet) if text else []
        return [
            Word(
                word.text,
                offset + word.start_step * STEP_SECONDS,
                offset + word.end_step * STEP_SECONDS,
                word_confidence(word.log_probability, self.calibration),
            )
            for word in words
        ]


def mean_confidence(words: Sequence[Word], silence: float) -> float:
    """Returns the geometric mean of the confidences of words; without words, `silence`."""
    if not words:
        return silence
    return float(np.exp(np.mean(np.log([max(word.confidence, MIN_PROBABILITY) for word in words]))))


def word_confidence(log_probability: float, calibration: tuple[float, float]) -> float:
    """Returns the estimated probability that a word was spoken: the sigmoid of `slope * logit(p) + intercept`.

    Args:
        log_probability: mean log-probability of its letters, the logarithm of p.
        calibration: slope and intercept.
    """
    slope, intercept = calibration
    value = slope * letters_logit(log_probability) + intercept
    return float(1 / (1 + np.exp(-value)))


def letters_logit(log_probability: float) -> float:
    """Returns the logit of a probability from its logarithm, which is limited to [1e-6, 1 - 1e-6]."""
    probability = float(np.clip(np.exp(log_probability), MIN_PROBABILITY, 1 - MIN_PROBABILITY))
    return float(np.log(probability / (1 - probability)))


def pack_language_model(model: arpa.NGramModel) -> str:
    """Returns an n-gram model as text for the metadata: its ARPA file, compressed by gzip, in base64."""
    return base64.b64encode(gzip.compress(arpa.format_model(model).encode(), mtime=0)).decode("ascii")


def unpack_language_model(text: str) -> arpa.NGramModel:
    """Returns the n-gram model of `pack_language_model`."""
    lines = gzip.decompress(base64.b64decode(text)).decode().splitlines()
    return arpa.parse_model(lines, "the language model of the exported version")


def load_decoder(
    metadata: Mapping[str, Any], uses_language_model: bool = True, hot_words: Mapping[str, float] = NO_WORDS
) -> Decoder:
    """Returns the decoder of an exported version.

    Args:
        metadata: metadata of the model.
        uses_language_model: False for greedy decoding, unless there are hot words.
        hot_words: additions for words that are expected, in nats.

    Raises:
        DataError: a hot word has a character that the model cannot write, or the language model cannot be read.
    """
    alphabet, settings = str(metadata["alphabet"]), metadata.get("language_model")
    _require_writable(hot_words, alphabet)
    if settings is None or not uses_language_model:
        fusion = dataclasses.replace(NO_FUSION, hot_words=hot_words) if hot_words else None
        return Decoder(alphabet, fusion, **confidence_settings(metadata, "greedy"))
    fusion = _load_fusion(**{name: settings.get(name) for name in FUSION_SETTINGS})
    fusion = dataclasses.replace(fusion, hot_words=hot_words) if hot_words else fusion
    return Decoder(alphabet, fusion, settings["beam_width"], **confidence_settings(metadata, "language_model"))


@lru_cache(maxsize=MAX_CACHED_MODELS)
def _load_fusion(ngrams: str | None, source: str | None, weight: float, word_bonus: float, is_closed: bool) -> Fusion:
    """Returns the language model of the metadata with its weights; a server needs it for each request."""
    score, vocabulary = load_language_model({"source": source} if ngrams is None else {"ngrams": ngrams})
    return Fusion(score, weight, word_bonus, vocabulary if is_closed else None)


def confidence_settings(metadata: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Returns `calibration` and `min_confidence` of a model: `greedy`, or with the `language_model`."""
    settings = metadata.get("confidence", {}).get(name, {"calibration": NO_CALIBRATION, "minimum": 0.0})
    return {"calibration": tuple(settings["calibration"]), "min_confidence": settings["minimum"]}


def _require_writable(hot_words: Iterable[str], alphabet: str) -> None:
    for word in hot_words:
        unknown = [character for character in word if character not in alphabet or character == SPACE]
        if not word or unknown:
            raise DataError(
                f'--hot-words: the model cannot write "{word}". Give single words with the characters "{alphabet.strip()}".'
            )


def load_language_model(settings: Mapping[str, Any]) -> tuple[LanguageModelScore, frozenset[str]]:
    """Returns the score function and the vocabulary of the language model in the metadata."""
    if "ngrams" in settings:
        model = unpack_language_model(settings["ngrams"])
        return model.log_probability, model.vocabulary
    return open_language_model(settings["source"])


def open_language_model(source: str) -> tuple[LanguageModelScore, frozenset[str]]:
    """Returns the score function and the vocabulary of the language model that `--decoding.language-model` names.

    Raises:
        DataError: it is neither an ARPA file nor an exported next-word model of words.
    """
    path = Path(source).expanduser()
    if is_arpa_file(source):
        model = arpa.read_model(path)
        return model.log_probability, model.vocabulary
    from shared.decoding.word_language_models import load_exported_model

    return load_exported_model(path, task="next_word")


def is_arpa_file(source: str) -> bool:
    """Returns whether `--decoding.language-model` names a file, not an exported version."""
    return Path(source).expanduser().is_file() or source.endswith(arpa.SUFFIXES)
