"""Labels become numbers by what training knew; what it did not know is named with its place."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from shared.classes import class_ids, classification_outputs, known_class_ids, list_classes
from shared.errors import DataError
from shared.sources import Origin, Splits


def splits_of(*parts):
    return Splits(*(pd.DataFrame({"label": list(part)}) for part in parts), origin=Origin("x", "", "", "", ""))


def test_the_classes_are_those_of_training_in_order():
    assert list_classes(splits_of("cab", "ab", "c"), "x.csv") == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("parts", "complaint"),
    [
        (("aa", "a", "a"), r"x\.csv: the training split has 1 class \(a\); at least two"),
        (([str(k) for k in range(51)], "1", "1"), "51 different labels in 51 records. Is --label-column"),
        (("ab", "ac", "a"), 'label "c" of the validation split occurs nowhere in training; the labels there are a, b'),
        (("ab", "a", "bdc"), 'label "c" of the test split'),
    ],
)
def test_labels_that_cannot_be_used_are_named(parts, complaint):
    with pytest.raises(DataError, match=complaint):
        list_classes(splits_of(*parts), "x.csv")


def test_labels_of_a_file_are_numbers_or_the_row_is_named():
    classes = ["bad", "good"]
    assert class_ids(["good", "bad", "good"], classes).tolist() == [1, 0, 1]
    assert known_class_ids(pd.Series(["good", "bad"], index=[7, 3]), classes, "x.csv").tolist() == [1, 0]
    with pytest.raises(DataError, match=r'x\.csv, row 2: label "odd" is not one .* \(bad, good\)'):
        known_class_ids(pd.Series(["good", "odd"]), classes, "x.csv")


def test_an_answer_names_the_most_probable():
    found = classification_outputs(tf.constant([[0.25, 0.75], [0.9, 0.1]]), tf.constant(["bad", "good"]))
    assert found["label"].numpy().tolist() == [b"good", b"bad"]
    np.testing.assert_allclose(found["probability"], [0.75, 0.9])
    assert found["probabilities"].shape == (2, 2)
