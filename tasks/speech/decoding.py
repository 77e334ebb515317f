"""Prefix beam search with a language model (shallow fusion).

Each prefix of a text has two probabilities, summed over its alignments: one for alignments that end in `BLANK_ID`, one for those that
end in its last character (Graves & Jaitly, 2014; Hannun et al., 2014). After each complete word, the weighted score of the
language model is added, and a bonus, because a language model prefers few words. All probabilities are natural logarithms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from tasks.speech.symbols import BLANK_ID, SPACE

LOG_ZERO = -1e9
"""Logarithm of a probability of 0, as a finite number."""
MIN_LOG_PROBABILITY = -10.0
"""Symbols with a lower log-probability at a step do not extend a prefix."""
LanguageModelScore = Callable[[tuple[str, ...], str], float]
"""Function from the words so far and the next word, "" for the end of the text, to the log-probability of the next word."""


@dataclass(frozen=True)
class Fusion:
    """How the language model contributes to the beam search.

    Args:
        language_model_score: log-probability of a word after other words.
        weight: weight of the language model's log-probabilities.
        bonus: addition for each word.
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


@dataclass
class _Prefix:
    """Beginning of a text: complete words, and the letters of the word that is not complete."""

    words: tuple[str, ...] = ()
    letters: str = ""
    log_blank: float = LOG_ZERO
    """Log-probability of the alignments that end in `BLANK_ID`."""
    log_character: float = LOG_ZERO
    """Log-probability of the alignments that end in the last character."""
    last_symbol: int = BLANK_ID
    language_model_score: float = 0.0

    @property
    def acoustic_score(self) -> float:
        return float(np.logaddexp(self.log_blank, self.log_character))

    @property
    def score(self) -> float:
        return self.acoustic_score + self.language_model_score


_Beam = dict[tuple[tuple[str, ...], str, int], _Prefix]


def beam_search(log_probabilities: np.ndarray, alphabet: str, fusion: Fusion, beam_width: int) -> str:
    """Returns the text of a recording with the best score among the prefixes that the beam search keeps.

    Args:
        log_probabilities: of the symbols, `(steps, symbols)`; the first one is `BLANK_ID`.
        alphabet: characters of the model; the character at index k has the symbol id k + 1.
        fusion: the language model.
        beam_width: maximum number of prefixes that remain after each step.
    """
    space_id = alphabet.find(SPACE) + 1
    prefixes = [_Prefix(log_blank=0.0)]
    for step in log_probabilities:
        symbol_ids = [int(k) for k in np.flatnonzero(step > MIN_LOG_PROBABILITY) if k != BLANK_ID]
        beam: _Beam = {}
        for prefix in prefixes:
            acoustic_score = prefix.acoustic_score
            _keep_prefix(prefix, acoustic_score, step, beam)
            for symbol_id in symbol_ids:
                before = prefix.log_blank if symbol_id == prefix.last_symbol else acoustic_score
                character = SPACE if symbol_id == space_id else alphabet[symbol_id - 1]
                _extend_prefix(prefix, symbol_id, character, before + float(step[symbol_id]), fusion, beam)
        prefixes = sorted(beam.values(), key=lambda prefix: prefix.score, reverse=True)[:beam_width]
    best = max(prefixes, key=lambda prefix: _final_score(prefix, fusion))
    last_word = [best.letters] if best.letters and fusion.allows_word(best.letters) else []
    return SPACE.join([*best.words, *last_word])


def beam_search_all(
    log_probabilities: Sequence[np.ndarray], alphabet: str, fusion: Fusion, beam_width: int
) -> list[str]:
    """Returns the text of each recording (see `beam_search`)."""
    return [beam_search(recording, alphabet, fusion, beam_width) for recording in log_probabilities]


def _get_prefix(beam: _Beam, words: tuple[str, ...], letters: str, last_symbol: int, score: float) -> _Prefix:
    """Returns a prefix of the beam, after adding it if it is new."""
    new = _Prefix(words, letters, last_symbol=last_symbol, language_model_score=score)
    return beam.setdefault((words, letters, last_symbol), new)


def _keep_prefix(prefix: _Prefix, acoustic_score: float, step: np.ndarray, beam: _Beam) -> None:
    """Adds the alignments that write nothing new at a step: `BLANK_ID`, or the last symbol repeated."""
    same = _get_prefix(beam, prefix.words, prefix.letters, prefix.last_symbol, prefix.language_model_score)
    same.log_blank = float(np.logaddexp(same.log_blank, acoustic_score + step[BLANK_ID]))
    if prefix.last_symbol != BLANK_ID:
        repeated = prefix.log_character + step[prefix.last_symbol]
        same.log_character = float(np.logaddexp(same.log_character, repeated))


def _extend_prefix(
    prefix: _Prefix, symbol_id: int, character: str, log_probability: float, fusion: Fusion, beam: _Beam
) -> None:
    """Adds the alignments that write one more character at a step."""
    words, letters, score = prefix.words, prefix.letters, prefix.language_model_score
    if character == SPACE:
        if not letters or not fusion.allows_word(letters):
            return
        score += fusion.score_word(words, letters)
        words, letters = (*words, letters), ""
    else:
        letters += character
        if not fusion.allows_prefix(letters):
            return
    new = _get_prefix(beam, words, letters, symbol_id, score)
    new.log_character = float(np.logaddexp(new.log_character, log_probability))


def _final_score(prefix: _Prefix, fusion: Fusion) -> float:
    """Returns the score of a prefix as a complete text."""
    words, score = prefix.words, prefix.score
    if prefix.letters:
        if not fusion.allows_word(prefix.letters):
            return 2 * LOG_ZERO + score
        score += fusion.score_word(words, prefix.letters)
        words = (*words, prefix.letters)
    return score + fusion.score_end(words)
