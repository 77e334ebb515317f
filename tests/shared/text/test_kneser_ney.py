"""The n-gram baseline is a probability distribution and reaches the published perplexity on Penn Treebank."""

from __future__ import annotations

import lzma
from collections import Counter

import numpy as np
import pytest

from shared.text.kneser_ney import KneserNey

END = 2


@pytest.fixture
def stream() -> np.ndarray:
    rng = np.random.default_rng(0)
    token_ids = rng.choice(np.arange(1, 12), 3000, p=np.r_[0.05, 0.15, np.full(9, 0.8 / 9)])
    token_ids[1::3] = np.where(token_ids[::3] > 6, 9, token_ids[1::3])  # a pattern to learn
    return np.r_[END, token_ids, END]


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_probabilities_of_all_tokens_sum_to_one(stream, order):
    model = KneserNey(stream, 14, END, order)  # the ids 12 and 13 do not occur in training
    unseen = np.array([END, 12, 3, 9, END, END, 5, 9, 9, 4])
    for text in (stream[:40], unseen):
        distributions = np.concatenate(list(model.distributions(text, chunk_size=7)))
        np.testing.assert_allclose(distributions.sum(axis=1), 1)
        assert (distributions[:, 0] == 0).all()
        assert (distributions[:, 1:] > 0).all()
        expected = distributions[np.arange(len(text) - 1), text[1:]]
        np.testing.assert_allclose(model.probabilities(text), expected)


def test_discounts_and_continuation_counts_equal_those_computed_by_hand():
    """Bigrams of "E a b a b a c E": E a 1, a b 2, b a 2, a c 1, c E 1; so n1 = 3, n2 = 2, and n3 = n4 = 0 count as 1."""
    a, b, c = 3, 4, 5
    stream = np.array([END, a, b, a, b, a, c, END])
    model = KneserNey(stream, 6, END, 2)
    bigram_ratio = 3 / (3 + 2 * 2)
    bigram_discount_1, bigram_discount_2 = 1 - 2 * bigram_ratio * 2 / 3, 2 - 3 * bigram_ratio * 1 / 2
    # Continuation counts: a occurs after E and b, b after a, c after a, E after c: 2, 1, 1, 1 of 5.
    unigram_ratio = 3 / (3 + 2 * 1)
    unigram_discount_1, unigram_discount_2 = 1 - 2 * unigram_ratio * 1 / 3, 2 - 3 * unigram_ratio * 1 / 1
    unigram_backoff = (3 * unigram_discount_1 + unigram_discount_2) / 5
    unigram_b = (1 - unigram_discount_1) / 5 + unigram_backoff / 5
    expected = (2 - bigram_discount_2) / 3 + (bigram_discount_1 + bigram_discount_2) / 3 * unigram_b
    assert model.probabilities(np.array([END, a, b]))[1] == pytest.approx(expected)


def test_context_does_not_extend_over_the_end_of_a_line(stream):
    model = KneserNey(stream, 14, END, 4)
    first, second = (
        model.probabilities(np.array([END, *previous_line, END, 5, 9])) for previous_line in ([3, 4, 5], [11, 12, 10])
    )
    np.testing.assert_allclose(first[-2:], second[-2:])


def test_perplexity_on_penn_treebank_equals_the_published_figure(real_data):
    """Mikolov et al. (2011), table 1: perplexity 141.2 of the 5-gram with Kneser–Ney smoothing."""
    texts = {}
    for split in ("train", "test"):
        with lzma.open(real_data / "next_word" / "ptb" / f"ptb.{split}.txt.xz", "rt") as file:
            texts[split] = [word for line in file for word in [*line.split(), "<eos>"]]
    token_id = {word: k + 1 for k, (word, _) in enumerate(Counter(texts["train"]).most_common())}
    train, test = (
        np.array([token_id["<eos>"], *(token_id.get(word, token_id["<unk>"]) for word in texts[split])])
        for split in ("train", "test")
    )
    probabilities = KneserNey(train, len(token_id) + 1, token_id["<eos>"], 5).probabilities(test)
    assert np.exp(-np.log(probabilities).mean()) == pytest.approx(141.2, rel=0.005)
