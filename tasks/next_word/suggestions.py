"""How useful suggestions are to one who types: is the word among the first few, and how many keystrokes are saved."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np

from tasks.next_word.words import FIRST_WORD

SHOWN = 3  # words of a suggestion bar
TOP = (1, 3, 5)


class Keyboard:
    """Ranks the word that came among those that begin with the same letters.

    Args:
        vocabulary: words by number; those below `FIRST_WORD` are none.
    """

    def __init__(self, vocabulary: Sequence[str]) -> None:
        self.vocabulary = list(vocabulary)
        order = sorted(range(FIRST_WORD, len(vocabulary)), key=lambda k: vocabulary[k])
        self.order = np.array(order, np.int64)
        self._sorted = [vocabulary[k] for k in order]
        self._spans: dict[str, tuple[int, int]] = {}

    def ranks(self, likelihood: np.ndarray, target: int) -> list[int]:
        """Returns, after each number of typed letters from 0 on, how many words with that beginning stand before it.

        Args:
            likelihood: of all words, in any unit that grows with it, `(vocabulary,)`.
            target: number of the word.
        """
        word = self.vocabulary[target]
        found = []
        for typed in range(len(word)):
            begin, end = self._span(word[:typed])
            others = self.order[begin:end]
            ahead = likelihood[others] > likelihood[target]
            ahead |= (likelihood[others] == likelihood[target]) & (others < target)  # of two alike, the more frequent
            found.append(int(np.sum(ahead)))
            if not found[-1]:
                break
        return found

    def keystrokes(self, ranks: Sequence[int], target: int) -> tuple[int, int]:
        """Returns how many keys a word takes with the bar, and without: letters and a blank; a tap writes both."""
        plain = len(self.vocabulary[target]) + 1
        for typed, rank in enumerate(ranks):
            if rank < SHOWN:
                return min(typed + 1, plain), plain
        return plain, plain

    def _span(self, beginning: str) -> tuple[int, int]:
        if beginning not in self._spans:
            begin = bisect_left(self._sorted, beginning)
            end = bisect_left(self._sorted, beginning + chr(0x10FFFF)) if beginning else len(self._sorted)
            self._spans[beginning] = begin, end
        return self._spans[beginning]


def judged(likelihoods: np.ndarray, targets: np.ndarray, keyboard: Keyboard) -> np.ndarray:
    """Returns for each word whether it is among the first 1, 3 and 5, its keystrokes with the bar and without, and 1 for a
    word that counts, `(words, 6)`; 0 throughout for the unknown word and the end of a line.

    Args:
        likelihoods: of all words before each, `(words, vocabulary)`.
        targets: token_ids of the words that came.
        keyboard: of the vocabulary.
    """
    found = np.zeros((len(targets), len(TOP) + 3))
    for row, likelihood, target in zip(found, likelihoods, targets, strict=True):
        if target < FIRST_WORD:
            continue
        ranks = keyboard.ranks(likelihood, int(target))
        row[: len(TOP)] = [ranks[0] < k for k in TOP]
        row[len(TOP) :] = *keyboard.keystrokes(ranks, int(target)), 1
    return found
