"""Interpolated modified Kneser–Ney n-grams (Chen & Goodman, 1999, section 3): what an LSTM has to beat, and gains by.

An n-gram is known by the number of its first n - 1 words' n-gram and its last word, so that any length fits into 64
bits. No context reaches over the end of a line, which also stands for the beginning of the next. All counts are kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

NONE = -1  # number of an n-gram that is not known, or reaches over the beginning of a line


@dataclass(frozen=True)
class _Order:
    """The n-grams of one length: `keys` sorted, and what is known of each, or of each context by its own number."""

    keys: np.ndarray
    discounted: np.ndarray
    """What is left of an n-gram's share of its context, after discounting, `(n-grams,)`."""
    backoff: np.ndarray
    """What the context leaves to the shorter n-grams, `(contexts,)`; 1 where it was never followed."""


class KneserNey:
    """Learns from one stream of word numbers, and tells the probability of each word of another.

    Args:
        stream: integers `(words,)`, in which `end` parts the lines; the first is `end`.
        size: of the vocabulary; numbers are below it.
        end: number of the end of a line.
        order: words of the longest n-gram, context included.
        never: number of a word that never comes, such as padding; it gets nothing.
    """

    def __init__(self, stream: np.ndarray, size: int, end: int, order: int = 5, never: int = 0) -> None:
        self.size, self.end, self.order, self.never = size, end, order, never
        self._tables: list[np.ndarray] = []  # sorted keys of each length
        ids = self._numbered(stream, learn=True)
        self.orders = [self._order(n, stream, ids) for n in range(1, order + 1)]

    def probabilities(self, stream: np.ndarray) -> np.ndarray:
        """Returns the probability of each word of a stream but the first, given those before it, float64 `(words - 1,)`."""
        ids = self._numbered(stream, learn=False)
        found = np.full(len(stream), 1.0 / (self.size - 1))
        for n, level in enumerate(self.orders, 1):
            context = np.zeros(len(stream), np.int64) if n == 1 else np.r_[NONE, ids[n - 1][:-1]]
            context = np.where(self._may_follow(stream, n), context, NONE)
            known = context != NONE
            backoff = np.where(known, level.backoff[np.where(known, context, 0)], 1.0)
            mine = ids[n] != NONE
            share = np.where(mine, level.discounted[np.where(mine, ids[n], 0)], 0.0)
            found = share + backoff * found
        return found[1:]

    def distributions(self, stream: np.ndarray, part: int = 256) -> Iterator[np.ndarray]:
        """Yields the probabilities of all words after each word of a stream but the last, float64 `(part, size)` at a time."""
        ids = self._numbered(stream, learn=False)
        first = self._filled(0, self.orders[0].backoff[0] * np.full(self.size, 1.0 / (self.size - 1)), 1)
        first[self.never] = 0.0
        for start in range(0, len(stream) - 1, part):
            rows = np.arange(start, min(start + part, len(stream) - 1))
            found = np.tile(first, (len(rows), 1))
            for row, place in zip(found, rows, strict=True):
                for n in range(2, self.order + 1):
                    context = ids[n - 1][place]
                    if context == NONE or (n > 2 and stream[place] == self.end):
                        break
                    row *= self.orders[n - 1].backoff[context]
                    self._filled(context, row, n)
            yield found

    def _filled(self, context: int, row: np.ndarray, n: int) -> np.ndarray:
        """Adds to a row what the n-grams of a context have by themselves."""
        level = self.orders[n - 1]
        begin, end = np.searchsorted(level.keys, [context * self.size, (context + 1) * self.size])
        row[level.keys[begin:end] - context * self.size] += level.discounted[begin:end]
        return row

    def _numbered(self, stream: np.ndarray, learn: bool) -> list[np.ndarray]:
        """Returns, for each length from 0 on, the number of the n-gram that ends at each word."""
        ids = [np.zeros(len(stream), np.int64)]
        for n in range(1, self.order + 1):
            before = np.zeros(len(stream), np.int64) if n == 1 else np.r_[NONE, ids[n - 1][:-1]]
            fine = (before != NONE) & self._may_follow(stream, n)
            keys = np.where(fine, before * self.size + stream, NONE)
            if learn:
                self._tables.append(np.unique(keys[fine]))
            table = self._tables[n - 1]
            place = np.minimum(np.searchsorted(table, keys), max(0, len(table) - 1))
            hit = fine & (table[place] == keys) if len(table) else np.zeros(len(stream), bool)
            ids.append(np.where(hit, place, NONE))
        return ids

    def _may_follow(self, stream: np.ndarray, n: int) -> np.ndarray:
        """Tells where an n-gram may end: no line ends inside it. Its first word may be the beginning of a line."""
        fine = np.arange(len(stream)) >= n - 1
        for back in range(1, n - 1):
            fine &= np.r_[np.zeros(back, bool), stream[:-back] != self.end]
        return fine

    def _order(self, n: int, stream: np.ndarray, ids: list[np.ndarray]) -> _Order:
        counts = self._counts(n, stream, ids)
        keys = self._tables[n - 1]
        context = keys // self.size
        discount = self._discounts(counts)
        if n == 1:
            counts = np.where(keys == self.never, 0, counts)
        taken = discount[np.minimum(counts, 3)]
        contexts = 1 if n == 1 else len(self._tables[n - 2])
        total = np.maximum(np.bincount(context, counts, contexts), 1e-12)
        left = np.bincount(context, taken, contexts) / total
        left = np.where(np.bincount(context, minlength=contexts) > 0, left, 1.0)
        return _Order(keys, (counts - taken) / total[context], left)

    def _counts(self, n: int, stream: np.ndarray, ids: list[np.ndarray]) -> np.ndarray:
        """Returns how often each n-gram came, if it is of the longest or begins a line; else after how many words it came."""
        kinds = len(self._tables[n - 1])
        mine = ids[n] != NONE
        often = np.bincount(ids[n][mine], minlength=kinds)
        if n == self.order:
            return often
        longer = ids[n + 1]
        ends = np.flatnonzero(longer != NONE)
        _, first = np.unique(longer[ends], return_index=True)
        after = np.bincount(ids[n][ends[first]], minlength=kinds)
        begins = np.zeros(kinds, bool)
        if n > 1:
            places = np.flatnonzero(mine)
            begins[ids[n][places[stream[places - n + 1] == self.end]]] = True
        return np.where(begins | (after == 0), often, after)

    @staticmethod
    def _discounts(counts: np.ndarray) -> np.ndarray:
        """Returns what is taken from n-grams of count 0, 1, 2, and 3 or more."""
        few = [max(1, int(np.sum(counts == k))) for k in (1, 2, 3, 4)]
        share = few[0] / (few[0] + 2 * few[1])
        taken = [k - (k + 1) * share * few[k] / few[k - 1] for k in (1, 2, 3)]
        return np.array([0.0, *(float(np.clip(value, 0.0, k)) for k, value in enumerate(taken, 1))])
