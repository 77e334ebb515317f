"""The embedded sample: generated reviews whose label depends on the order of the words.

An LSTM can learn them, a bag of words cannot. Every review has a mirror image with the other label, in which a positive and a
negative word have changed places. So word counts contain no information, and neither do n-grams, because the words around both
places are the same. The patterns are negation, contrast and reversal; the words that decide are far apart.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

TRAIN_SIZE, VALIDATION_SIZE, TEST_SIZE = 3000, 600, 1000

POSITIVE_WORDS = (
    "wonderful moving brilliant charming gripping funny clever beautiful delightful superb warm honest fresh".split()
)
NEGATIVE_WORDS = "dreadful dull clumsy boring tedious hollow stupid ugly painful awful cold fake stale".split()
ASPECTS = "plot acting music dialogue camera ending cast script pacing story humour lighting".split()
WORKS = "film movie picture drama comedy thriller".split()
PLACEHOLDERS = ("<first>", "<second>")
INSERTIONS = (
    "as far as i can tell",
    "if you ask people like me",
    "and i say this with some care",
    "whatever the papers may have written",
    "for all that it matters",
    "to tell you the truth",
    "after some thought about it",
    "as my sister put it later",
)
FILLERS = (
    "i saw it last week with a friend",
    "we watched it on a rainy evening",
    "the cinema was almost full",
    "it runs for about two hours",
    "the director has made others before",
    "it was shot in a small town",
    "i had read about it beforehand",
    "the tickets were not cheap",
    "my sister came along too",
)


def generate(count: int, seed: int) -> pd.DataFrame:
    """Returns reviews in the columns `text` and `label` ("negative", "positive"), half of them with each label.

    Args:
        count: number of reviews; rounded down to an even number.
        seed: random seed; other seeds give other reviews with the same patterns.
    """
    rng = np.random.default_rng(seed)
    patterns = (_negation, _contrast, _reversal)
    rows = []
    for _ in range(count // 2):
        pattern = patterns[rng.integers(len(patterns))]
        positive, negative = _pick(rng, POSITIVE_WORDS), _pick(rng, NEGATIVE_WORDS)
        first, second = PLACEHOLDERS
        template = f"{_filler(rng)}{pattern(rng, first, second)}{_filler(rng)}".strip()
        rows.append((template.replace(first, negative).replace(second, positive), "positive"))
        rows.append((template.replace(first, positive).replace(second, negative), "negative"))
    order = rng.permutation(len(rows))
    return pd.DataFrame([rows[k] for k in order], columns=["text", "label"])


def _negation(rng: np.random.Generator, first: str, second: str) -> str:
    one, other = rng.choice(ASPECTS, 2, replace=False)
    return (
        f"Nobody, {_insertion(rng)}, would ever call the {one} {first} in earnest, "
        f"and everybody, {_insertion(rng)}, would happily call the {other} {second} in earnest."
    )


def _contrast(rng: np.random.Generator, first: str, second: str) -> str:
    one, other = rng.choice(ASPECTS, 2, replace=False)
    return (
        f"Although, {_insertion(rng)}, the {one} was {first} to me, "
        f"still, {_insertion(rng)}, the {other} was {second} to me."
    )


def _reversal(rng: np.random.Generator, first: str, second: str) -> str:
    work = _pick(rng, WORKS)
    return (
        f"At first, {_insertion(rng)}, this {work} seemed {first} to us.{_filler(rng)}"
        f"In the end, {_insertion(rng)}, this {work} seemed {second} to us."
    )


def _filler(rng: np.random.Generator) -> str:
    return f" {_pick(rng, FILLERS).capitalize()}. " if rng.random() < 0.7 else " "


def _insertion(rng: np.random.Generator) -> str:
    return _pick(rng, INSERTIONS)


def _pick(rng: np.random.Generator, words: list[str] | tuple[str, ...]) -> str:
    return str(words[rng.integers(len(words))])
