"""Interpolated modified Kneser–Ney n-grams (Chen & Goodman, 1999, section 3): a baseline, also mixed with an LSTM.

An n-gram is identified by the index of its first n - 1 tokens, an (n-1)-gram, and by its last token id, so that an n-gram of any
length has a 64-bit key. A context never contains the end of a line, except as its first token: there it marks the beginning
of the next line. All n-grams of the training stream are stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

UNSEEN = -1
"""Index of an n-gram that does not occur in training, or that has the end of a line between its first and last token."""


@dataclass(frozen=True)
class _Order:
    """The n-grams of one length, and the distributions of their contexts.

    A context is the (n-1)-gram before the last token.
    """

    keys: np.ndarray
    """Context index x vocabulary size + token id of each n-gram, int64 `(n-grams,)`, sorted."""
    discounted: np.ndarray
    """Probability of the last token of each n-gram given its context, after discounting, float64 `(n-grams,)`."""
    backoff: np.ndarray
    """Weight of the shorter n-grams after each context, float64 `(contexts,)`; 1 if training has nothing after the context."""


class KneserNey:
    """Learns n-gram probabilities from one stream of token ids.

    Args:
        stream: token ids, int `(tokens,)`, with `end_id` between the lines; the first one is `end_id`.
        vocabulary_size: number of token ids; each id is in [0, vocabulary_size).
        end_id: token id of the end of a line.
        order: number of tokens in the longest n-gram, the predicted token included, at least 1.
        excluded_id: token id that never occurs, such as padding; its probability is 0.
    """

    def __init__(
        self, stream: np.ndarray, vocabulary_size: int, end_id: int, order: int = 5, excluded_id: int = 0
    ) -> None:
        self.vocabulary_size, self.end_id, self.order, self.excluded_id = vocabulary_size, end_id, order, excluded_id
        self._tables: list[np.ndarray] = []  # sorted keys of the n-grams of each length, from 1 on
        indices = self._ngram_indices(stream, learn=True)
        self.orders = [self._estimate_order(n, stream, indices) for n in range(1, order + 1)]

    def probabilities(self, stream: np.ndarray) -> np.ndarray:
        """Returns the probability of each token of a stream given the tokens before it.

        Args:
            stream: token ids, int `(tokens,)`; the first one is context only.

        Returns:
            float64 array `(tokens - 1,)`, in [0, 1].
        """
        indices = self._ngram_indices(stream, learn=False)
        result = np.full(len(stream), 1.0 / (self.vocabulary_size - 1))
        for n, level in enumerate(self.orders, 1):
            context = np.zeros(len(stream), np.int64) if n == 1 else np.r_[UNSEEN, indices[n - 1][:-1]]
            context = np.where(self._is_within_line(stream, n), context, UNSEEN)
            has_context = context != UNSEEN
            backoff = np.where(has_context, level.backoff[np.where(has_context, context, 0)], 1.0)
            is_seen = indices[n] != UNSEEN
            discounted = np.where(is_seen, level.discounted[np.where(is_seen, indices[n], 0)], 0.0)
            result = discounted + backoff * result
        return result[1:]

    def distributions(self, stream: np.ndarray, chunk_size: int = 256) -> Iterator[np.ndarray]:
        """Yields the probabilities of all tokens of the vocabulary after each position of a stream but the last.

        Args:
            stream: token ids, int `(tokens,)`.
            chunk_size: positions per yielded array, at least 1; the last array may have fewer.

        Yields:
            float64 arrays `(positions, vocabulary_size)`; each row sums to 1.
        """
        indices = self._ngram_indices(stream, learn=False)
        uniform = np.full(self.vocabulary_size, 1.0 / (self.vocabulary_size - 1))
        unigram = self._add_discounted(0, self.orders[0].backoff[0] * uniform, 1)
        unigram[self.excluded_id] = 0.0
        for start in range(0, len(stream) - 1, chunk_size):
            positions = np.arange(start, min(start + chunk_size, len(stream) - 1))
            rows = np.tile(unigram, (len(positions), 1))
            for row, position in zip(rows, positions, strict=True):
                for n in range(2, self.order + 1):
                    context = indices[n - 1][position]
                    if context == UNSEEN or (n > 2 and stream[position] == self.end_id):
                        break
                    row *= self.orders[n - 1].backoff[context]
                    self._add_discounted(context, row, n)
            yield rows

    def ngrams(self) -> Iterator[tuple[tuple[int, ...], float, float | None]]:
        """Yields the n-grams of the training stream, shortest first, and the token ids that training lacks.

        Yields:
            Token ids; the probability of the last one after the others; and the weight of the shorter n-grams after this n-gram as a
            context, None for the longest n-grams. An n-gram whose first token is `end_id` begins a line.
        """
        uniform = 1.0 / (self.vocabulary_size - 1)
        shorter = {(): uniform}
        tokens: list[tuple[int, ...]] = [()]
        for n, level in enumerate(self.orders, 1):
            contexts, last = np.divmod(level.keys, self.vocabulary_size)
            ngrams = [(*tokens[context], int(token)) for context, token in zip(contexts, last, strict=True)]
            backoffs = self.orders[n].backoff if n < self.order else None
            current = {}
            for k, ngram in enumerate(ngrams):
                rest = shorter[()] if n == 1 else shorter[ngram[1:]]
                current[ngram] = float(level.discounted[k] + level.backoff[contexts[k]] * rest)
                yield ngram, current[ngram], None if backoffs is None else float(backoffs[k])
            if n == 1:
                unseen = set(range(self.vocabulary_size)) - {ngram[0] for ngram in ngrams} - {self.excluded_id}
                for token in sorted(unseen):
                    yield (token,), float(level.backoff[0] * uniform), None
            shorter, tokens = current, ngrams

    def _add_discounted(self, context: int, row: np.ndarray, n: int) -> np.ndarray:
        """Adds the discounted probabilities of the n-grams of a context to a row `(vocabulary_size,)`, in place."""
        level = self.orders[n - 1]
        first, last = np.searchsorted(
            level.keys, [context * self.vocabulary_size, (context + 1) * self.vocabulary_size]
        )
        row[level.keys[first:last] - context * self.vocabulary_size] += level.discounted[first:last]
        return row

    def _ngram_indices(self, stream: np.ndarray, learn: bool) -> list[np.ndarray]:
        """Returns, for each length n from 0 on, the index of the n-gram that ends at each token, `UNSEEN` for none.

        With `learn`, first adds the n-grams of the stream to the tables.
        """
        indices = [np.zeros(len(stream), np.int64)]
        for n in range(1, self.order + 1):
            context = np.zeros(len(stream), np.int64) if n == 1 else np.r_[UNSEEN, indices[n - 1][:-1]]
            is_valid = (context != UNSEEN) & self._is_within_line(stream, n)
            keys = np.where(is_valid, context * self.vocabulary_size + stream, UNSEEN)
            if learn:
                self._tables.append(np.unique(keys[is_valid]))
            table = self._tables[n - 1]
            index = np.minimum(np.searchsorted(table, keys), max(0, len(table) - 1))
            is_seen = is_valid & (table[index] == keys) if len(table) else np.zeros(len(stream), bool)
            indices.append(np.where(is_seen, index, UNSEEN))
        return indices

    def _is_within_line(self, stream: np.ndarray, n: int) -> np.ndarray:
        """Returns where an n-gram may end, bool `(tokens,)`: no line ends between its first and its last token.

        Its first token may be the end of a line, which marks the beginning of the next line.
        """
        result = np.arange(len(stream)) >= n - 1
        for distance in range(1, n - 1):
            result &= np.r_[np.zeros(distance, bool), stream[:-distance] != self.end_id]
        return result

    def _estimate_order(self, n: int, stream: np.ndarray, indices: list[np.ndarray]) -> _Order:
        counts = self._counts(n, stream, indices)
        keys = self._tables[n - 1]
        context = keys // self.vocabulary_size
        discounts = self._discounts(counts)
        if n == 1:
            counts = np.where(keys == self.excluded_id, 0, counts)
        discount = discounts[np.minimum(counts, 3)]
        contexts = 1 if n == 1 else len(self._tables[n - 2])
        total = np.maximum(np.bincount(context, counts, contexts), 1e-12)
        backoff = np.bincount(context, discount, contexts) / total
        backoff = np.where(np.bincount(context, minlength=contexts) > 0, backoff, 1.0)
        return _Order(keys, (counts - discount) / total[context], backoff)

    def _counts(self, n: int, stream: np.ndarray, indices: list[np.ndarray]) -> np.ndarray:
        """Returns the count of each n-gram, int `(n-grams,)`.

        An n-gram of the highest order, or at the beginning of a line, counts its occurrences; any other n-gram counts the
        different tokens that occur before it (the continuation count of Kneser–Ney).
        """
        size = len(self._tables[n - 1])
        is_seen = indices[n] != UNSEEN
        occurrences = np.bincount(indices[n][is_seen], minlength=size)
        if n == self.order:
            return occurrences
        longer = indices[n + 1]
        ends = np.flatnonzero(longer != UNSEEN)
        _, first = np.unique(longer[ends], return_index=True)
        continuations = np.bincount(indices[n][ends[first]], minlength=size)
        begins_line = np.zeros(size, bool)
        if n > 1:
            positions = np.flatnonzero(is_seen)
            begins_line[indices[n][positions[stream[positions - n + 1] == self.end_id]]] = True
        return np.where(begins_line | (continuations == 0), occurrences, continuations)

    @staticmethod
    def _discounts(counts: np.ndarray) -> np.ndarray:
        """Returns the discount of the counts 0, 1, 2, and 3 or more (Chen & Goodman, 1999, section 3)."""
        frequencies = [max(1, int(np.sum(counts == k))) for k in (1, 2, 3, 4)]  # number of n-grams with the count k
        ratio = frequencies[0] / (frequencies[0] + 2 * frequencies[1])
        discounts = [k - (k + 1) * ratio * frequencies[k] / frequencies[k - 1] for k in (1, 2, 3)]
        return np.array([0.0, *(float(np.clip(value, 0.0, k)) for k, value in enumerate(discounts, 1))])
