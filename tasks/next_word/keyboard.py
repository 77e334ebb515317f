"""How useful suggestions are for typing: accuracy among the first few words, and keystrokes saved."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np

from tasks.next_word.tokenization import FIRST_WORD_ID

BAR_SIZE = 3
"""Words in the suggestion bar."""
TOP_K = (1, 3, 5)


class Keyboard:
    """Ranks a word among all words that begin with the same letters.

    Args:
        vocabulary: words by token id; ids below `FIRST_WORD_ID` are special tokens, which are not suggested.
    """

    def __init__(self, vocabulary: Sequence[str]) -> None:
        self.vocabulary = list(vocabulary)
        order = sorted(range(FIRST_WORD_ID, len(vocabulary)), key=lambda k: vocabulary[k])
        self.order = np.array(order, np.int64)
        self._sorted = [vocabulary[k] for k in order]
        self._ranges: dict[str, tuple[int, int]] = {}

    def ranks(self, scores: np.ndarray, target: int) -> list[int]:
        """Returns the rank of a word, from 0, after 0, 1, 2 … typed letters, up to the first rank of 0.

        Args:
            scores: probability or log-probability of every word, `(vocabulary_size,)`.
            target: token id of the word.
        """
        word = self.vocabulary[target]
        ranks = []
        for typed in range(len(word)):
            start, end = self._find_range(word[:typed])
            candidates = self.order[start:end]
            is_ahead = scores[candidates] > scores[target]
            is_ahead |= (scores[candidates] == scores[target]) & (candidates < target)  # ties: the more frequent word
            ranks.append(int(np.sum(is_ahead)))
            if not ranks[-1]:
                break
        return ranks

    def keystrokes(self, ranks: Sequence[int], target: int) -> tuple[int, int]:
        """Returns the number of keystrokes for a word with and without the suggestion bar.

        Without it, a word costs its letters and a space; with it, the letters typed so far and one tap, which also writes the space.
        """
        without_bar = len(self.vocabulary[target]) + 1
        for typed, rank in enumerate(ranks):
            if rank < BAR_SIZE:
                return min(typed + 1, without_bar), without_bar
        return without_bar, without_bar

    def _find_range(self, prefix: str) -> tuple[int, int]:
        """Returns the range of the sorted words that begin with `prefix`."""
        if prefix not in self._ranges:
            start = bisect_left(self._sorted, prefix)
            end = bisect_left(self._sorted, prefix + chr(0x10FFFF)) if prefix else len(self._sorted)
            self._ranges[prefix] = start, end
        return self._ranges[prefix]


def typing_statistics(scores: np.ndarray, targets: np.ndarray, keyboard: Keyboard) -> np.ndarray:
    """Returns one row of statistics per word, float64 `(words, 6)`.

    The columns are: whether the word is among the first 1, 3 and 5 suggestions; its keystrokes with and without the bar; and 1.
    The rows of the unknown word and of the end of a line are 0.

    Args:
        scores: probability or log-probability of every word at each position, `(words, vocabulary_size)`.
        targets: token ids of the words, int `(words,)`.
        keyboard: keyboard with the same vocabulary.
    """
    result = np.zeros((len(targets), len(TOP_K) + 3))
    for row, word_scores, target in zip(result, scores, targets, strict=True):
        if target < FIRST_WORD_ID:
            continue
        ranks = keyboard.ranks(word_scores, int(target))
        row[: len(TOP_K)] = [ranks[0] < k for k in TOP_K]
        row[len(TOP_K) :] = *keyboard.keystrokes(ranks, int(target)), 1
    return result
