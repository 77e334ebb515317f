"""Prefix beam search over the outputs of a CTC model, with or without a language model.

Each prefix of a text has two probabilities, summed over its alignments: one for alignments that end in `BLANK_ID`, one for those that
end in its last character (Graves & Jaitly, 2014; Hannun et al., 2014). After each complete word, the weighted score of the
language model and a bonus are added (see `shared.decoding.language_model_fusion`). All probabilities are natural logarithms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from shared.decoding.ctc_symbols import BLANK_ID, SPACE
from shared.decoding.language_model_fusion import NO_FUSION, Fusion

LOG_ZERO = -1e9
"""Logarithm of a probability of 0, as a finite number."""
MIN_LOG_PROBABILITY = -10.0
"""Symbols with a lower log-probability at a step do not extend a prefix."""


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
    letters_score: float = 0.0
    """Addition while the letters begin a hot word."""

    @property
    def symbol_score(self) -> float:
        return float(np.logaddexp(self.log_blank, self.log_character))

    @property
    def score(self) -> float:
        return self.symbol_score + self.language_model_score + self.letters_score


_Beam = dict[tuple[tuple[str, ...], str, int], _Prefix]


class BeamSearch:
    """The search over one sequence, which may arrive in chunks of any size.

    Args:
        alphabet: characters of the model; the character at index k has the symbol id k + 1.
        beam_width: maximum number of prefixes that remain after each step, at least 1.
        fusion: the language model; without it, the score is the log-probability of the text.
    """

    def __init__(self, alphabet: str, beam_width: int, fusion: Fusion = NO_FUSION) -> None:
        self.alphabet, self.beam_width, self.fusion = alphabet, beam_width, fusion
        self.prefixes = [_Prefix(log_blank=0.0)]

    def advance(self, log_probabilities: np.ndarray) -> None:
        """Searches the next steps.

        Args:
            log_probabilities: natural logarithms of the probabilities of the symbols, float `(steps, symbols)`; the first one is
                `BLANK_ID`.
        """
        for step in log_probabilities:
            symbol_ids = [int(k) for k in np.flatnonzero(step > MIN_LOG_PROBABILITY) if k != BLANK_ID]
            beam: _Beam = {}
            for prefix in self.prefixes:
                symbol_score = prefix.symbol_score
                _keep_prefix(prefix, symbol_score, step, beam)
                for symbol_id in symbol_ids:
                    before = prefix.log_blank if symbol_id == prefix.last_symbol else symbol_score
                    character, log_probability = self.alphabet[symbol_id - 1], before + float(step[symbol_id])
                    _extend_prefix(prefix, symbol_id, character, log_probability, self.fusion, beam)
            ordered = sorted(beam.values(), key=lambda prefix: prefix.score, reverse=True)
            self.prefixes = ordered[: self.beam_width]

    def text(self) -> str:
        """Returns the text with the best score as a complete text, without spaces at its ends."""
        best = max(self.prefixes, key=lambda prefix: _final_score(prefix, self.fusion))
        last_word = [best.letters] if best.letters and self.fusion.allows_word(best.letters) else []
        return SPACE.join([*best.words, *last_word])


def beam_search(log_probabilities: np.ndarray, alphabet: str, beam_width: int, fusion: Fusion = NO_FUSION) -> str:
    """Returns the best text of a complete sequence (see `BeamSearch`).

    Args:
        log_probabilities: natural logarithms of the probabilities of the symbols, float `(steps, symbols)`; the first one is
            `BLANK_ID`.
        alphabet: characters of the model; the character at index k has the symbol id k + 1.
        beam_width: maximum number of prefixes that remain after each step, at least 1.
        fusion: the language model.
    """
    search = BeamSearch(alphabet, beam_width, fusion)
    search.advance(log_probabilities)
    return search.text()


def beam_search_all(
    log_probabilities: Sequence[np.ndarray], alphabet: str, beam_width: int, fusion: Fusion = NO_FUSION
) -> list[str]:
    """Returns the text of each sequence (see `beam_search`)."""
    return [beam_search(sequence, alphabet, beam_width, fusion) for sequence in log_probabilities]


def select_fusion(
    candidates: Sequence[Fusion],
    log_probabilities: Sequence[np.ndarray],
    alphabet: str,
    beam_width: int,
    count_errors: Callable[[list[str]], float],
) -> Fusion:
    """Returns the candidate whose texts have the fewest errors; of several, the first one.

    Args:
        candidates: for example from `shared.decoding.language_model_fusion.list_candidates`, at least one.
        log_probabilities: of the symbols for each sequence of the validation split, float `(steps, symbols)`.
        alphabet: characters of the model; the character at index k has the symbol id k + 1.
        beam_width: maximum number of prefixes that remain after each step, at least 1.
        count_errors: function from the texts of all sequences to their number of errors.
    """
    errors = [count_errors(beam_search_all(log_probabilities, alphabet, beam_width, fusion)) for fusion in candidates]
    return candidates[int(np.argmin(errors))]


def _get_prefix(beam: _Beam, words: tuple[str, ...], letters: str, last_symbol: int, score: float) -> _Prefix:
    """Returns a prefix of the beam, after adding it if it is new."""
    new = _Prefix(words, letters, last_symbol=last_symbol, language_model_score=score)
    return beam.setdefault((words, letters, last_symbol), new)


def _keep_prefix(prefix: _Prefix, symbol_score: float, step: np.ndarray, beam: _Beam) -> None:
    """Adds the alignments that write nothing new at a step: `BLANK_ID`, or the last symbol repeated."""
    same = _get_prefix(beam, prefix.words, prefix.letters, prefix.last_symbol, prefix.language_model_score)
    same.letters_score = prefix.letters_score
    same.log_blank = float(np.logaddexp(same.log_blank, symbol_score + step[BLANK_ID]))
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
    new.letters_score = fusion.score_letters(letters)
    new.log_character = float(np.logaddexp(new.log_character, log_probability))


def _final_score(prefix: _Prefix, fusion: Fusion) -> float:
    """Returns the score of a prefix as a complete text."""
    words, score = prefix.words, prefix.score - prefix.letters_score
    if prefix.letters:
        if not fusion.allows_word(prefix.letters):
            return 2 * LOG_ZERO + score
        score += fusion.score_word(words, prefix.letters)
        words = (*words, prefix.letters)
    return score + fusion.score_end(words)
