"""What words say of the next one: n-grams of the training transcripts, for the beam search to hear."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from shared.kneser_ney import KneserNey
from tasks.speech.decoding import Opinion

END, UNKNOWN = 1, 2  # numbers; 0 never comes
FIRST = 3  # of the words
LEAST = 1e-8


def ngram_opinion(texts: Sequence[str], order: int) -> tuple[Opinion, frozenset[str]]:
    """Returns the opinion of an n-gram model of some texts, and their words.

    Words that are none of them share what is left for one unknown word, by ten for each letter, so that long ones that
    nobody knows are no bargain.

    Args:
        texts: transcripts.
        order: words of the longest n-gram.
    """
    words = sorted({word for text in texts for word in text.split()})
    numbers = {word: k for k, word in enumerate(words, FIRST)}
    stream = [END]
    for text in texts:
        stream += [*(numbers[word] for word in text.split()), END]
    model = KneserNey(np.array(stream), len(words) + FIRST, END, order)

    @lru_cache(maxsize=200_000)
    def of(context: tuple[int, ...], number: int) -> float:
        found = model.probabilities(np.array([*context, number]))
        return float(np.log(max(found[-1], LEAST)))

    def opinion(before: tuple[str, ...], word: str) -> float:
        context = (END, *(numbers.get(w, UNKNOWN) for w in before))[-max(1, order - 1) :]
        number = END if not word else numbers.get(word, UNKNOWN)
        return of(context, number) - (np.log(10.0) * len(word) if number == UNKNOWN else 0.0)

    return opinion, frozenset(words)
