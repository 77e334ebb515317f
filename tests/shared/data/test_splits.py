"""`shared.data.splits`: whole groups are selected, and only the splits that a source lacks are held out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from shared.config import SplitConfig, SplitFilesTaskConfig
from shared.data.splits import hold_out, split_by_group
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
