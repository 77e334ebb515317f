"""`shared.data.data_summary`: one row per column of the data; internal columns are hidden."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from shared import task
from shared.data import data_summary
from shared.data.sources import Origin, Splits

ORIGIN = Origin("x", "x", "", "", "")


def summarize(column, **fields):
    """Returns the summary of a table with one column `x`, as lists by row name."""
    frame = pd.DataFrame({"x": column})
    rows = data_summary.summarize_splits(Splits(frame, frame.head(0), frame.head(1), ORIGIN, **fields))
    return {row[0]: row[1:] for row in rows}


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ([3, 1, 2000], "1 to 2,000"),
        ([0.5, np.nan, 2.25], "0.5 to 2.25; 1 missing"),
        ([True, False, True], "2 of 3 true"),
        (pd.to_datetime(["2024-02-01", "2023-01-31"]), "2023-01-31 to 2024-02-01"),
        (["b", "a", "b", ""], "(empty) 1, a 1, b 2"),
        (
            [f"text {k:03}" for k in range(9)] + [" "],
            "10 distinct, median length 8, maximum length 8 characters; 1 empty",
        ),
        ([None, None], "no values; 2 missing"),
    ],
)
def test_summary_depends_on_the_type_of_the_column(column, expected):
    assert summarize(column)["x"][0] == expected


def test_records_are_counted_and_an_empty_split_has_no_values():
    summary = summarize([1, 2, 3], sizes={"test": 4_000})
    assert summary["records"] == ["3", "0", "4,000"]
    assert summary["x"] == ["1 to 3", "no values", "1 to 1"]


def test_a_task_can_format_or_hide_a_column():
    formatted = summarize([0, 86_400], display={"x": lambda column: pd.to_datetime(column, unit="s").rename("time")})
    assert formatted["time"][0] == "1970-01-01 to 1970-01-02"
    assert "x" not in summarize([1], display={"x": None})


@pytest.mark.parametrize("name", task.list_task_names())
def test_the_sample_of_every_task_can_be_summarized(name):
    splits = task.load_splits(name, task.load_presets(name)["sample"])
    rows = {row[0]: row[1:] for row in data_summary.summarize_splits(splits)}
    assert rows["records"] == [f"{splits.size(split):,}" for split in ("train", "validation", "test")]
    assert len(rows) > 1
    assert not {"store", "start"} & set(rows)
