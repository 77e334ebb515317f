"""The times of the words of a known transcript, by forced alignment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shared.decoding import ctc_alignment
from tasks.speech.timing import SAMPLE_RATE, STEP_LENGTH


@dataclass(frozen=True)
class Word:
    """A word and its time."""

    text: str
    start: float
    """Start of the step of its first character, in seconds."""
    end: float
    """End of the step of its last character, in seconds."""


def align_words(log_probabilities: np.ndarray, text: str, alphabet: str) -> list[Word]:
    """Returns the words of a text with their times on the most probable path (see `shared.decoding.ctc_alignment.align_words`).

    Args:
        log_probabilities: of the symbols, `(steps, symbols)`; the first one is `BLANK_ID`.
        text: text of the recording, with one space between two words.
        alphabet: characters of the model; the character at index k has the symbol id k + 1.

    Raises:
        ValueError: the text is empty, has spaces at its ends or several in a row, has a character outside the alphabet, or needs more
            steps.
    """
    words = ctc_alignment.align_words(log_probabilities, text, alphabet)
    return [Word(word.text, _to_seconds(word.start_step), _to_seconds(word.end_step)) for word in words]


def _to_seconds(step: int) -> float:
    return step * STEP_LENGTH / SAMPLE_RATE
