"""Forced alignment: the steps of each word of a known text, from the most probable path through its symbols."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shared.decoding.ctc_symbols import BLANK_ID, SPACE, count_min_steps, encode_text


@dataclass(frozen=True)
class AlignedWord:
    """A word and its steps, counted from 0."""

    text: str
    start_step: int
    """First step of its first character."""
    end_step: int
    """Step after the last step of its last character."""
    log_probability: float
    """Mean of the log-probabilities of its characters, each at the first of its steps."""


def align_words(log_probabilities: np.ndarray, text: str, alphabet: str) -> list[AlignedWord]:
    """Returns the words of a text with their steps on the most probable path.

    Args:
        log_probabilities: natural logarithms of the probabilities of the symbols, float `(steps, symbols)`; the first one is
            `BLANK_ID`.
        text: text of the sequence, with one space between two words.
        alphabet: characters of the model; the character at index k has the symbol id k + 1.

    Raises:
        ValueError: the text is empty, has spaces at its ends or several in a row, has a character outside the alphabet, or needs more
            steps.
    """
    if not all(text.split(SPACE)):
        raise ValueError(f"Expected words with one space between them. Received: text={text!r}")
    unknown = sorted(set(text) - set(alphabet))
    if unknown:
        raise ValueError(f"Expected only characters of the alphabet. Received: {unknown} in {text!r}")
    labels, words, first = encode_text(text, alphabet), list[AlignedWord](), 0
    steps = align_symbols(log_probabilities, labels)
    scores = log_probabilities[steps[:, 0], labels]
    for word in text.split(SPACE):
        last = first + len(word) - 1
        score = float(np.mean(scores[first : last + 1]))
        words.append(AlignedWord(word, int(steps[first, 0]), int(steps[last, 1]) + 1, score))
        first = last + 2  # after the space
    return words


def align_symbols(log_probabilities: np.ndarray, labels: Sequence[int] | np.ndarray) -> np.ndarray:
    """Returns the first and the last step of each symbol on the Viterbi path, int64 `(labels, 2)`.

    The states are those of CTC: the symbols, and `BLANK_ID` before, between and after them. A state may last for several steps; the
    path may skip `BLANK_ID` between two different symbols (Graves et al., 2006).

    Args:
        log_probabilities: natural logarithms of the probabilities of the symbols, float `(steps, symbols)`; the first one is
            `BLANK_ID`.
        labels: symbol ids of the text, from 1 on, at least one.

    Raises:
        ValueError: the labels need more steps, or are not ids of characters.
    """
    labels = np.asarray(labels)
    symbols = log_probabilities.shape[1]
    if not len(labels) or labels.min() <= BLANK_ID or labels.max() >= symbols:
        raise ValueError(f"Expected symbol ids from 1 to {symbols - 1}. Received: labels={labels.tolist()}")
    min_steps = count_min_steps(labels.tolist())
    steps = len(log_probabilities)
    if min_steps > steps:
        raise ValueError(f"Expected at least {min_steps} steps for {len(labels)} symbols. Received: {steps}")
    path = _viterbi_path(log_probabilities, labels)
    symbol_steps = [np.flatnonzero(path == 2 * k + 1) for k in range(len(labels))]
    return np.array([(indices[0], indices[-1]) for indices in symbol_steps])


def _viterbi_path(log_probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns the index of the state at each step of the most probable path, int64 `(steps,)`; label k is the state 2k + 1."""
    steps = len(log_probabilities)
    states = np.full(2 * len(labels) + 1, BLANK_ID)
    states[1::2] = labels
    may_skip_blank = np.zeros(len(states), bool)
    may_skip_blank[3::2] = states[3::2] != states[1:-2:2]
    best = np.full(len(states), -np.inf)
    best[:2] = log_probabilities[0, states[:2]]
    moves = np.zeros((steps, len(states)), np.int64)  # number of states that the best path to each state advanced by
    for step in range(1, steps):
        candidates = np.full((3, len(states)), -np.inf)
        candidates[0], candidates[1, 1:] = best, best[:-1]
        candidates[2, 2:] = np.where(may_skip_blank[2:], best[:-2], -np.inf)
        moves[step] = candidates.argmax(axis=0)
        best = candidates.max(axis=0) + log_probabilities[step, states]
    state = len(states) - (1 if best[-1] >= best[-2] else 2)
    path = np.zeros(steps, np.int64)
    for step in reversed(range(steps)):
        path[step] = state
        state -= moves[step, state]
    return path
