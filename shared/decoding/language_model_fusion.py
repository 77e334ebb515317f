"""Shallow fusion: a beam search adds the weighted score of a language model to that of the network (Gülçehre et al., 2015).

The score of a text with the words w(1) … w(n) is

    log P(text | input) + weight (Σ log P(w(k) | w(1) … w(k - 1)) + log P(end | w(1) … w(n))) + bonus n

with natural logarithms (Hannun et al., 2014). The bonus is necessary because a language model prefers few words. Hot words have a bonus of
their own, part of which their first letters already get, so that the search does not drop them before they are complete.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
    hot_words: Mapping[str, float] = field(default_factory=dict)
    """Addition for each of these words, in nats; they may be written even if they are not in the vocabulary."""
    word_prefixes: frozenset[str] = field(init=False)
    letters_scores: Mapping[str, float] = field(init=False)

    def __post_init__(self) -> None:
        words = (*(self.vocabulary or ()), *self.hot_words)
        prefixes = {word[:k] for word in words for k in range(len(word) + 1)}
        object.__setattr__(self, "word_prefixes", frozenset(prefixes))
        letters_scores: dict[str, float] = {}
        for word, weight in self.hot_words.items():
            for k in range(1, len(word) + 1):
                letters_scores[word[:k]] = max(letters_scores.get(word[:k], 0.0), weight * k / len(word))
        object.__setattr__(self, "letters_scores", letters_scores)

    def allows_prefix(self, letters: str) -> bool:
        """Returns whether a word of the vocabulary starts with these letters."""
        return self.vocabulary is None or letters in self.word_prefixes

    def allows_word(self, word: str) -> bool:
        """Returns whether a word is in the vocabulary, or a hot word."""
        return self.vocabulary is None or word in self.vocabulary or word in self.hot_words

    def score_word(self, words: tuple[str, ...], word: str) -> float:
        """Returns the addition to the score of a prefix after a complete word."""
        return self.weight * self.language_model_score(words, word) + self.bonus + self.hot_words.get(word, 0.0)

    def score_letters(self, letters: str) -> float:
        """Returns the addition to the score of a prefix that ends in the letters of an incomplete word: the part of a hot word's addition
        that its letters so far have earned."""
        return self.letters_scores.get(letters, 0.0) if self.letters_scores else 0.0

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
