"""Texts of log-probabilities with a language model besides: prefix beam search with shallow fusion.

Each beginning of a text has two probabilities, one of ending in a blank and one of not, over all ways to spell it out in
time (Graves & Jaitly, 2014; Hannun et al., 2014). When a word is finished, the language model's opinion of it is added,
times a weight, and a bonus, since a language model likes few words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from tasks.speech.symbols import SPACE

NEVER = -1e9
CUT = -10.0  # natural logarithm: symbols less likely than this at a step are not followed
Opinion = Callable[[tuple[str, ...], str], float]
"""From the words so far and the next, which may be "" for the end, to the natural logarithm of its probability."""


@dataclass(frozen=True)
class Fusion:
    """How a language model takes part.

    Args:
        opinion: of a word after others.
        weight: of its logarithm beside the sound's.
        bonus: for each word.
        words: those that may be said; any where None.
    """

    opinion: Opinion
    weight: float
    bonus: float
    words: frozenset[str] | None = None
    beginnings: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        found = {word[:k] for word in self.words or () for k in range(len(word) + 1)}
        object.__setattr__(self, "beginnings", frozenset(found))

    def may_begin(self, word: str) -> bool:
        """Tells whether a word that may be said begins so."""
        return self.words is None or word in self.beginnings

    def may_be(self, word: str) -> bool:
        """Tells whether a word may be said."""
        return self.words is None or word in self.words

    def of(self, words: tuple[str, ...], word: str) -> float:
        """Returns what a finished word adds to a beginning's likelihood."""
        return self.weight * self.opinion(words, word) + self.bonus

    def of_end(self, words: tuple[str, ...]) -> float:
        """Returns what the end adds."""
        return self.weight * self.opinion(words, "")


@dataclass
class _Beginning:
    """A text so far: words that are finished, and letters of one that is not."""

    words: tuple[str, ...] = ()
    letters: str = ""
    blank: float = NEVER
    sign: float = NEVER
    last: int = 0
    opinion: float = 0.0

    @property
    def sound(self) -> float:
        return float(np.logaddexp(self.blank, self.sign))

    @property
    def likelihood(self) -> float:
        return self.sound + self.opinion


def best_text(logs: np.ndarray, alphabet: str, fusion: Fusion, beam: int) -> str:
    """Returns the likeliest text of an utterance.

    Args:
        logs: log-probabilities of symbols, the blank first, `(steps, symbols)`.
        alphabet: characters by number, from 1.
        fusion: the language model.
        beam: beginnings that are followed at once.
    """
    space = alphabet.find(SPACE) + 1
    beginnings = [_Beginning(blank=0.0)]
    for step in logs:
        likely = [int(k) for k in np.flatnonzero(step > CUT) if k]
        found: dict[tuple[tuple[str, ...], str, int], _Beginning] = {}
        for one in beginnings:
            sound = one.sound
            _stay(one, sound, step, found)
            for sign in likely:
                before = one.blank if sign == one.last else sound
                _go_on(one, sign, before + float(step[sign]), space, alphabet, fusion, found)
        beginnings = sorted(found.values(), key=lambda one: one.likelihood, reverse=True)[:beam]
    ends = [(_ended(one, fusion), one) for one in beginnings]
    _, best = max(ends, key=lambda pair: pair[0])
    last = [best.letters] if best.letters and fusion.may_be(best.letters) else []
    return SPACE.join([*best.words, *last])


def _at(
    found: dict[tuple[tuple[str, ...], str, int], _Beginning],
    words: tuple[str, ...],
    letters: str,
    last: int,
    opinion: float,
) -> _Beginning:
    return found.setdefault((words, letters, last), _Beginning(words, letters, last=last, opinion=opinion))


def _stay(
    one: _Beginning, sound: float, step: np.ndarray, found: dict[tuple[tuple[str, ...], str, int], _Beginning]
) -> None:
    """Adds the ways that say nothing new: a blank, or the last symbol once more."""
    same = _at(found, one.words, one.letters, one.last, one.opinion)
    same.blank = float(np.logaddexp(same.blank, sound + step[0]))
    if one.last:
        same.sign = float(np.logaddexp(same.sign, one.sign + step[one.last]))


def _go_on(
    one: _Beginning,
    sign: int,
    sound: float,
    space: int,
    alphabet: str,
    fusion: Fusion,
    found: dict[tuple[tuple[str, ...], str, int], _Beginning],
) -> None:
    """Adds the ways that say one symbol more."""
    words, letters, opinion = one.words, one.letters, one.opinion
    if sign == space:
        if not letters or not fusion.may_be(letters):
            return
        opinion += fusion.of(words, letters)
        words, letters = (*words, letters), ""
    else:
        letters += alphabet[sign - 1]
        if not fusion.may_begin(letters):
            return
    new = _at(found, words, letters, sign, opinion)
    new.sign = float(np.logaddexp(new.sign, sound))


def _ended(one: _Beginning, fusion: Fusion) -> float:
    """Returns the likelihood of a beginning as a whole text."""
    words, likelihood = one.words, one.likelihood
    if one.letters:
        if not fusion.may_be(one.letters):
            return 2 * NEVER + likelihood
        likelihood += fusion.of(words, one.letters)
        words = (*words, one.letters)
    return likelihood + fusion.of_end(words)


def best_texts(logs: Sequence[np.ndarray], alphabet: str, fusion: Fusion, beam: int) -> list[str]:
    """Returns the likeliest text of each utterance (see `best_text`)."""
    return [best_text(one, alphabet, fusion, beam) for one in logs]
