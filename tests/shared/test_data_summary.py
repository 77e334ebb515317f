"""What was understood of data is told column by column, what is internal left out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from shared import data_summary, task
from shared.sources import Origin, Splits

ORIGIN = Origin("x", "x", "", "", "")


def told(column, **options):
    frame = pd.DataFrame({"x": column})
    rows = data_summary.summarize_splits(Splits(frame, frame.head(0), frame.head(1), ORIGIN, **options))
    return {row[0]: row[1:] for row in rows}


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ([3, 1, 2000], "1 to 2,000"),
        ([0.5, np.nan, 2.25], "0.5 to 2.25; 1 missing"),
        ([True, False, True], "2 of 3 true"),
        (pd.to_datetime(["2024-02-01", "2023-01-31"]), "2023-01-31 to 2024-02-01"),
        (["b", "a", "b", ""], "(empty) 1, a 1, b 2"),
        ([f"text {k:03}" for k in range(9)] + [" "], "10 different, 8 characters in the middle, 8 at most; 1 empty"),
        ([None, None], "nothing; 2 missing"),
    ],
)
def test_a_column_is_told_by_its_kind(column, expected):
    assert told(column)["x"][0] == expected


def test_records_are_counted_and_an_empty_split_is_nothing():
    found = told([1, 2, 3], sizes={"test": 4_000})
    assert found["records"] == ["3", "0", "4,000"]
    assert found["x"] == ["1 to 3", "nothing", "1 to 1"]


def test_a_column_is_shown_as_the_task_says_or_not_at_all():
    seconds = told([0, 86_400], display={"x": lambda column: pd.to_datetime(column, unit="s").rename("time")})
    assert seconds["time"][0] == "1970-01-01 to 1970-01-02"
    assert "x" not in told([1], display={"x": None})


@pytest.mark.parametrize("name", task.list_task_names())
def test_every_task_s_sample_can_be_told(name):
    loaded, config = task.load_task(name), task.load_presets(name)["sample"]
    splits = loaded.load(config)
    rows = {row[0]: row[1:] for row in data_summary.summarize_splits(splits)}
    assert rows["records"] == [f"{splits.size(part):,}" for part in ("train", "validation", "test")]
    assert len(rows) > 1
    assert not {"store", "start"} & set(rows)
