"""`tasks.sentiment.sample`: reproducible, balanced, and not learnable by a bag of words."""

from collections import Counter

import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from tasks.sentiment.sample import generate


def count_words(text):
    return frozenset(Counter(text.lower().replace(",", " ").replace(".", " ").split()).items())


def test_a_seed_reproduces_its_texts_and_another_seed_gives_others():
    assert generate(200, 3).equals(generate(200, 3))
    assert not set(generate(200, 3)["text"]) & set(generate(200, 4)["text"])


@pytest.mark.parametrize(("count", "expected"), [(500, 500), (501, 500), (2, 2)])
def test_labels_are_balanced(count, expected):
    frame = generate(count, 0)
    assert list(frame.columns) == ["text", "label"]
    assert frame["label"].value_counts().to_dict() == {"negative": expected // 2, "positive": expected // 2}


def test_every_text_has_a_mirror_image_with_the_same_words_and_the_other_label():
    labels_by_words = {}
    frame = generate(1000, 0)
    for text, label in zip(frame["text"], frame["label"], strict=True):
        labels_by_words.setdefault(count_words(text), []).append(label)
    for labels in labels_by_words.values():
        assert labels.count("positive") == labels.count("negative") > 0
    assert frame["text"].is_unique


def test_a_bag_of_words_learns_nothing():
    train, test = generate(1000, 0), generate(500, 9)
    bag_of_words = make_pipeline(CountVectorizer(), LogisticRegression(max_iter=1000))
    bag_of_words.fit(train["text"], train["label"])
    assert bag_of_words.score(test["text"], test["label"]) == pytest.approx(0.5, abs=0.08)
