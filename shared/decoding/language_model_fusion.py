"""Shallow fusion: a beam search adds the weighted score of a language model to that of the network (Gülçehre et al., 2015).

The score of a text with the words w(1) … w(n) is

    log P(text | input) + weight (Σ log P(w(k) | w(1) … w(k - 1)) + log P(end | w(1) … w(n))) + bonus n

with natural logarithms (Hannun et al., 2014). The bonus is necessary because a language model prefers few words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import product

LanguageModelScore = Callable[[tuple[str, ...], str], float]
"""Function from the words so far and the next word, "" for the end of the text, to the log-probability of the next word."""


@dataclass(frozen=True)
class Fusion:
    """How the language model contributes to the beam search.

    Args:
        language_model_score: log-probability of a word after other words.
        weight: weight of the language model's log-probabilities, at least 0.
        bonus: addition for each word, in nats.
        vocabulary: words that may be written; None for any word.
    """

    language_model_score: LanguageModelScore
    weight: float
    bonus: float
    vocabulary: frozenset[str] | None = None
    word_prefixes: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        prefixes = {word[:k] for word in self.vocabulary or () for k in range(len(word) + 1)}
        object.__setattr__(self, "word_prefixes", frozenset(prefixes))

    def allows_prefix(self, letters: str) -> bool:
        """Returns whether a word of the vocabulary starts with these letters."""
        return self.vocabulary is None or letters in self.word_prefixes

    def allows_word(self, word: str) -> bool:
        """Returns whether a word is in the vocabulary."""
        return self.vocabulary is None or word in self.vocabulary

    def score_word(self, words: tuple[str, ...], word: str) -> float:
        """Returns the addition to the score of a prefix after a complete word."""
        return self.weight * self.language_model_score(words, word) + self.bonus

    def score_end(self, words: tuple[str, ...]) -> float:
        """Returns the addition to the score of a text at its end."""
        return self.weight * self.language_model_score(words, "")


NO_FUSION = Fusion(lambda words, word: 0.0, weight=0.0, bonus=0.0)
"""A beam search without a language model."""


def list_candidates(
    language_model_score: LanguageModelScore,
    vocabularies: Sequence[frozenset[str] | None],
    weights: Sequence[float],
    bonuses: Sequence[float],
) -> list[Fusion]:
    """Returns one fusion for each combination of a vocabulary, a weight and a bonus, in this order.

    Args:
        language_model_score: log-probability of a word after other words.
        vocabularies: sets of words that may be written; None for any word.
        weights: weights of the language model.
        bonuses: additions for each word.
    """
    settings = product(vocabularies, weights, bonuses)
    return [Fusion(language_model_score, weight, bonus, vocabulary) for vocabulary, weight, bonus in settings]
