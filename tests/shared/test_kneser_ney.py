"""The yardstick is right: a distribution, the one that was published for Penn Treebank."""

from __future__ import annotations

import lzma
from collections import Counter

import numpy as np
import pytest

from shared.kneser_ney import KneserNey

END = 2


@pytest.fixture
def stream() -> np.ndarray:
    rng = np.random.default_rng(0)
    words = rng.choice(np.arange(1, 12), 3000, p=np.r_[0.05, 0.15, np.full(9, 0.8 / 9)])
    words[1::3] = np.where(words[::3] > 6, 9, words[1::3])  # something to learn
    return np.r_[END, words, END]


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_what_may_come_adds_up_to_one(stream, order):
    model = KneserNey(stream, 14, END, order)  # 12 and 13 were never seen
    unseen = np.array([END, 12, 3, 9, END, END, 5, 9, 9, 4])
    for text in (stream[:40], unseen):
        found = np.concatenate(list(model.distributions(text, part=7)))
        np.testing.assert_allclose(found.sum(axis=1), 1)
        assert (found[:, 0] == 0).all()
        assert (found[:, 1:] > 0).all()
        expected = found[np.arange(len(text) - 1), text[1:]]
        np.testing.assert_allclose(model.probabilities(text), expected)


def test_discounts_and_continuations_are_those_worked_by_hand():
    """Bigrams of "E a b a b a c E": E a 1, a b 2, b a 2, a c 1, c E 1; so n1 = 3, n2 = 2, n3 = n4 = 0, taken as 1."""
    a, b, c = 3, 4, 5
    stream = np.array([END, a, b, a, b, a, c, END])
    model = KneserNey(stream, 6, END, 2)
    share = 3 / (3 + 2 * 2)
    one, two = 1 - 2 * share * 2 / 3, 2 - 3 * share * 1 / 2
    # After how many words each came: a after E and b, b after a, c after a, E after c: 2, 1, 1, 1 of 5.
    few = 3 / (3 + 2 * 1)
    first, second = 1 - 2 * few * 1 / 3, 2 - 3 * few * 1 / 1
    left = (3 * first + second) / 5
    single = {a: (2 - second) / 5 + left / 5, b: (1 - first) / 5 + left / 5}
    expected = (2 - two) / 3 + (one + two) / 3 * single[b]
    assert model.probabilities(np.array([END, a, b]))[1] == pytest.approx(expected)


def test_no_context_reaches_over_the_end_of_a_line(stream):
    model = KneserNey(stream, 14, END, 4)
    one, other = (model.probabilities(np.array([END, *before, END, 5, 9])) for before in ([3, 4, 5], [11, 12, 10]))
    np.testing.assert_allclose(one[-2:], other[-2:])


def test_penn_treebanks_published_figure_is_reached(real_data):
    """Mikolov et al. (2011), table 1: perplexity 141.2 of the 5-gram with Kneser–Ney smoothing."""
    texts = {}
    for split in ("train", "test"):
        with lzma.open(real_data / "next_word" / "ptb" / f"ptb.{split}.txt.xz", "rt") as file:
            texts[split] = [word for line in file for word in [*line.split(), "<eos>"]]
    number = {word: k + 1 for k, (word, _) in enumerate(Counter(texts["train"]).most_common())}
    train, test = (
        np.array([number["<eos>"], *(number.get(word, number["<unk>"]) for word in texts[split])])
        for split in ("train", "test")
    )
    found = KneserNey(train, len(number) + 1, number["<eos>"], 5).probabilities(test)
    assert np.exp(-np.log(found).mean()) == pytest.approx(141.2, rel=0.005)
