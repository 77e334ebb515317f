"""Made-up reviews whose label hangs on the order of the words: what an LSTM can read and a bag of words cannot.

Every review is made together with its mirror image, in which a good and a bad word have changed places and the label
with them: counts of words say nothing, and neither do n-grams, since the words around both are alike. The patterns are
negation, contrast and a late reversal; what decides stands several words away.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

TRAIN, VALIDATION, TEST = 3000, 600, 1000

GOOD = "wonderful moving brilliant charming gripping funny clever beautiful delightful superb warm honest fresh".split()
BAD = "dreadful dull clumsy boring tedious hollow stupid ugly painful awful cold fake stale".split()
THINGS = "plot acting music dialogue camera ending cast script pacing story humour lighting".split()
WORKS = "film movie picture drama comedy thriller".split()
MARKS = ("<first>", "<second>")
ASIDES = (
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
    """Returns about `count` reviews in the columns `text` and `label` ("negative", "positive"), half of each label.

    Args:
        count: reviews; rounded down to an even number.
        seed: another seed gives other reviews of the same patterns.
    """
    rng = np.random.default_rng(seed)
    patterns = (_negation, _contrast, _reversal)
    rows = []
    for _ in range(count // 2):
        pattern = patterns[rng.integers(len(patterns))]
        good, bad = _pick(rng, GOOD), _pick(rng, BAD)
        marked = f"{_filler(rng)}{pattern(rng, MARKS[0], MARKS[1])}{_filler(rng)}".strip()
        rows.append((marked.replace(MARKS[0], bad).replace(MARKS[1], good), "positive"))
        rows.append((marked.replace(MARKS[0], good).replace(MARKS[1], bad), "negative"))
    order = rng.permutation(len(rows))
    return pd.DataFrame([rows[k] for k in order], columns=["text", "label"])


def _negation(rng: np.random.Generator, first: str, second: str) -> str:
    one, other = rng.choice(THINGS, 2, replace=False)
    return (
        f"Nobody, {_aside(rng)}, would ever call the {one} {first} in earnest, "
        f"and everybody, {_aside(rng)}, would happily call the {other} {second} in earnest."
    )


def _contrast(rng: np.random.Generator, first: str, second: str) -> str:
    one, other = rng.choice(THINGS, 2, replace=False)
    return (
        f"Although, {_aside(rng)}, the {one} was {first} to me, still, {_aside(rng)}, the {other} was {second} to me."
    )


def _reversal(rng: np.random.Generator, first: str, second: str) -> str:
    work = _pick(rng, WORKS)
    return (
        f"At first, {_aside(rng)}, this {work} seemed {first} to us.{_filler(rng)}"
        f"In the end, {_aside(rng)}, this {work} seemed {second} to us."
    )


def _filler(rng: np.random.Generator) -> str:
    return f" {_pick(rng, FILLERS).capitalize()}. " if rng.random() < 0.7 else " "


def _aside(rng: np.random.Generator) -> str:
    return _pick(rng, ASIDES)


def _pick(rng: np.random.Generator, words: list[str] | tuple[str, ...]) -> str:
    return str(words[rng.integers(len(words))])
