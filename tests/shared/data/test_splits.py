"""`shared.data.splits`: whole groups are selected, and only the splits that a source lacks are held out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from shared.config import SplitConfig, SplitFilesTaskConfig
from shared.data.splits import hold_out, keep_labels, split_by_group, split_by_label_sets
from shared.errors import DataError

CONFIG = SplitFilesTaskConfig(data="reviews.csv")
SPLIT = SplitConfig(test_fraction=0.2, validation_fraction=0.5)


def make_frame(count=20):
    return pd.DataFrame({"number": range(count)}, index=range(100, 100 + count))


def select_last(frame, name, fraction):
    """Selects the last rows."""
    return np.arange(len(frame)) >= len(frame) * (1 - fraction), f"{fraction:.0%} for {name}"


def test_split_by_group_separates_groups_and_selects_about_the_fraction():
    groups = [f"film {k // 7}" for k in range(700)]
    selected = split_by_group(groups, 0.2, seed=0)
    inside, outside = (
        {g for g, s in zip(groups, selected, strict=True) if s is value} for value in (np.True_, np.False_)
    )
    assert not {str(g) for g in inside} & {str(g) for g in outside}
    assert 0.15 < selected.mean() < 0.25
    np.testing.assert_array_equal(selected, split_by_group(groups, 0.2, seed=0))
    assert (selected != split_by_group(groups, 0.2, seed=1)).any()


def test_split_by_group_needs_two_groups():
    with pytest.raises(ValueError, match="two groups"):
        split_by_group(["a", "a"], 0.5, seed=0)


def test_missing_splits_are_held_out_the_test_split_first():
    frames, descriptions = hold_out({"train": make_frame()}, CONFIG, SPLIT, select_last, "reviews")
    assert list(frames) == ["train", "validation", "test"]
    numbers = {name: frame["number"].tolist() for name, frame in frames.items()}
    assert numbers == {"train": list(range(8)), "validation": list(range(8, 16)), "test": list(range(16, 20))}
    assert all(frame.index.equals(pd.RangeIndex(len(frame))) for frame in frames.values())
    assert list(descriptions.items()) == [
        ("test", "test 20% for test"),
        ("validation", "validation 50% for validation"),
    ]


def test_given_splits_stay_as_they_are_and_are_described_first():
    own = {"train": make_frame(), "test": make_frame(3)}
    config = SplitFilesTaskConfig(data="a.csv", test_data="folder/b.csv")
    frames, descriptions = hold_out(own, config, SPLIT, select_last, "reviews")
    assert frames["test"]["number"].tolist() == [0, 1, 2]
    assert (len(frames["train"]), len(frames["validation"])) == (10, 10)
    assert list(descriptions) == ["test", "validation"]
    assert descriptions["test"] == "test from b.csv"
    _, descriptions = hold_out({**own, "extra": make_frame()}, CONFIG, SPLIT, select_last, "reviews")
    assert descriptions["test"] == "test split of the data set"
    assert len(own["train"]) == 20


@pytest.mark.parametrize("value", [True, False, None])
def test_a_selection_of_all_or_no_records_raises_an_error(value):
    def select(frame, name, fraction):
        if value is None:
            raise ValueError("Expected at least two groups to split.")
        return np.full(len(frame), value), "all or none"

    message = r"^reviews\.csv: there are too few reviews for a test split\. Add reviews, or give --test-data"
    with pytest.raises(DataError, match=message):
        hold_out({"train": make_frame()}, CONFIG, SPLIT, select, "reviews")


def make_label_sets(count=400):
    """Returns sets of labels of which two are rare, and one occurs once."""
    rng = np.random.default_rng(0)
    sets = [
        tuple(name for name, p in zip("abcd", (0.5, 0.3, 0.1, 0.03), strict=True) if rng.random() < p)
        for _ in range(count)
    ]
    return [*sets, ("a", "e")]


def test_sets_of_labels_are_divided_so_that_each_label_has_its_fraction():
    sets = make_label_sets()
    selected = split_by_label_sets(range(len(sets)), sets, 0.2)
    assert abs(selected.mean() - 0.2) < 0.03
    for label in "abcd":
        has_label = np.array([label in labels for labels in sets])
        assert abs(selected[has_label].sum() - 0.2 * has_label.sum()) <= 2
    is_empty = np.array([not labels for labels in sets])
    assert abs(selected[is_empty].sum() - 0.2 * is_empty.sum()) <= 2
    assert not selected[-1], "a label with one record stays"
    np.testing.assert_array_equal(selected, split_by_label_sets(range(len(sets)), sets, 0.2))
    assert (selected != split_by_label_sets(range(len(sets)), sets, 0.2, seed=2)).any()


@pytest.mark.parametrize("fraction", [0.2, 0.7])
def test_each_label_keeps_a_record_and_groups_stay_together(fraction):
    sets = make_label_sets(60)
    groups = [k // 2 for k in range(len(sets))]
    selected = split_by_label_sets(groups, sets, fraction)
    assert all(len(set(selected[np.array(groups) == group])) == 1 for group in set(groups))
    remaining = {label for labels, one in zip(sets, selected, strict=True) for label in labels if not one}
    assert remaining == {label for labels in sets for label in labels}


def test_labels_with_one_group_each_cannot_be_divided():
    with pytest.raises(ValueError, match="two groups"):
        split_by_label_sets([0, 1], [("a",), ("b",)], 0.2)


@pytest.mark.parametrize("labels", [["x", "y", "x", "z"], [("x",), ("y", "x"), ("x",), ("z", "y")]])
def test_groups_return_that_the_remaining_rows_need_for_a_label(labels):
    selected = keep_labels(np.array([True, True, False, True]), ["g", "h", "i", "j"], labels)
    assert selected.tolist() == [True, False, False, False]
