"""`shared.data.classes`: labels become class ids; an unknown label is named with its place."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from shared.data.classes import class_ids, classification_outputs, list_classes, require_known_labels
from shared.data.notices import collect_notices
from shared.data.sources import Origin, Splits
from shared.errors import DataError


def make_splits(*labels):
    """Returns the three splits from their labels."""
    return Splits(*(pd.DataFrame({"label": list(split)}) for split in labels), origin=Origin("x", "", "", "", ""))


def test_classes_are_the_sorted_labels_of_the_training_split():
    assert list_classes(make_splits("cab", "ab", "c"), "x.csv", "--columns.label") == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        (("aa", "a", "a"), r"x\.csv: the training split has 1 class \(a\)\. Give data with at least two"),
        (
            ([str(k) for k in range(51)], "1", "1"),
            "51 different labels in 51 records are too many.*--columns.team names",
        ),
        (
            ("ab", "ac", "a"),
            'label "c" of the validation split does not occur in the training split, which has a, b',
        ),
        (("ab", "a", "bdc"), 'label "c" of the test split'),
    ],
)
def test_invalid_labels_raise_an_error(labels, problem):
    with pytest.raises(DataError, match=problem):
        list_classes(make_splits(*labels), "x.csv", "--columns.team")


def test_labels_become_class_ids_and_an_unknown_label_of_a_file_is_named():
    classes = ["bad", "good"]
    assert class_ids(["good", "bad", "good"], classes).tolist() == [1, 0, 1]
    require_known_labels(pd.Series(["good", "bad"], index=[7, 3]), classes, "x.csv")
    with pytest.raises(DataError, match=r'x\.csv, row 2: label "odd" is not a class of the model \(bad, good\)'):
        require_known_labels(pd.Series(["good", "odd"]), classes, "x.csv")


def test_classification_outputs_name_the_most_probable_class():
    outputs = classification_outputs(tf.constant([[0.25, 0.75], [0.9, 0.1]]), tf.constant(["bad", "good"]))
    assert outputs["label"].numpy().tolist() == [b"good", b"bad"]
    np.testing.assert_allclose(outputs["probability"], [0.75, 0.9])
    assert outputs["probabilities"].shape == (2, 2)


def test_labels_of_another_spelling_and_missing_classes_are_named():
    with pytest.raises(DataError, match=r'row 1: label "Good" is not .* Let it match with --m caseless, drop the row'):
        require_known_labels(pd.Series(["Good"]), ["good", "bad"], "a.csv", "--m")
    with collect_notices() as notices:
        require_known_labels(pd.Series(["good"]), ["good", "bad", "dull"], "a.csv", "--m")
    assert notices[0].message == "a.csv: no record has one of the labels bad, dull."


def test_a_message_lists_some_of_many_classes():
    names = [f"class {k}" for k in range(300)]
    with pytest.raises(DataError, match=r"class 19 and 280 more\)"):
        require_known_labels(pd.Series(["x"]), names, "a.csv")
