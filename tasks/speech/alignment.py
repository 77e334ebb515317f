"""When each word of a known text is said: forced alignment, by the likeliest path that spells it out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tasks.speech.features import RATE
from tasks.speech.model import BLANK, STEP
from tasks.speech.symbols import SPACE, labels_of


@dataclass(frozen=True)
class Word:
    """A word and its time."""

    text: str
    start: float
    """Of the step that says its first letter, seconds."""
    end: float
    """Behind the step that says its last letter, seconds."""


def words_in_time(logs: np.ndarray, text: str, alphabet: str) -> list[Word]:
    """Returns the words of a text, with their times on the likeliest path.

    Args:
        logs: log-probabilities of symbols, the blank first, `(steps, symbols)`.
        text: what is said, words parted by one space each.
        alphabet: characters by number, from 1.

    Raises:
        ValueError: the text has no word or more spaces than one, or a character that is not in the alphabet; or it does not
            fit into the steps.
    """
    if not text or text != SPACE.join(text.split()):
        raise ValueError(f"Expected words parted by one space each. Received: text={text!r}")
    unknown = sorted(set(text) - set(alphabet))
    if unknown:
        raise ValueError(f"Expected the characters of the alphabet. Received: {unknown} in {text!r}")
    steps, found, first = aligned(logs, labels_of(text, alphabet)), [], 0
    for word in text.split(SPACE):
        start, end = steps[first, 0], steps[first + len(word) - 1, 1] + 1
        found.append(Word(word, float(start * STEP / RATE), float(end * STEP / RATE)))
        first += len(word) + 1
    return found


def aligned(logs: np.ndarray, labels: Sequence[int] | np.ndarray) -> np.ndarray:
    """Returns the first and the last step at which each symbol is said on the Viterbi path, int64 `(labels, 2)`.

    The states are those of connectionist temporal classification: the symbols, and a blank before, between and behind them.
    Each may last, and a blank may be left out where its neighbours differ (Graves et al., 2006).

    Args:
        logs: log-probabilities of symbols, the blank first, `(steps, symbols)`.
        labels: numbers of what is said, from 1, at least one.

    Raises:
        ValueError: they do not fit into the steps, or have a number that is no symbol's.
    """
    labels = np.asarray(labels)
    if not len(labels) or labels.min() <= BLANK or labels.max() >= logs.shape[1]:
        raise ValueError(f"Expected numbers from 1 to {logs.shape[1] - 1}. Received: labels={labels.tolist()}")
    needed = len(labels) + int(np.sum(labels[1:] == labels[:-1]))
    if needed > len(logs):
        raise ValueError(f"Expected {needed} steps or more for {len(labels)} symbols. Received: {len(logs)}")
    states = np.full(2 * len(labels) + 1, BLANK)
    states[1::2] = labels
    skips = np.zeros(len(states), bool)
    skips[3::2] = states[3::2] != states[1:-2:2]
    best = np.full(len(states), -np.inf)
    best[:2] = logs[0, states[:2]]
    back = np.zeros((len(logs), len(states)), np.int64)  # states from which the likeliest path came
    for step in range(1, len(logs)):
        ways = np.full((3, len(states)), -np.inf)
        ways[0], ways[1, 1:], ways[2, 2:] = best, best[:-1], np.where(skips[2:], best[:-2], -np.inf)
        back[step] = ways.argmax(axis=0)
        best = ways.max(axis=0) + logs[step, states]
    state = len(states) - (1 if best[-1] >= best[-2] else 2)
    path = np.zeros(len(logs), np.int64)
    for step in reversed(range(len(logs))):
        path[step] = state
        state -= back[step, state]
    said = [np.flatnonzero(path == 2 * k + 1) for k in range(len(labels))]
    return np.array([(steps[0], steps[-1]) for steps in said])
