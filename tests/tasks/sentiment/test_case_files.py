"""Files as people have them, in ../shared/cases/text: each gives the records and the notices that are right."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from shared.data.notices import collect_notices
from tasks.sentiment import data
from tasks.sentiment.config import ColumnsConfig, SentimentConfig

CASES = Path(__file__).resolve().parents[4] / "shared" / "cases" / "text"

pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason=f"the case files are not in {CASES}")


def load(name, **options):
    """Returns the splits of a case file, all records, and the notices as one text."""
    with collect_notices() as notices:
        splits = data.load(SentimentConfig(data=str(CASES / name), **options))
    return splits, pd.concat([splits.train, splits.validation, splits.test]), " ".join(map(str, notices))


@pytest.mark.parametrize(
    ("name", "labels", "newlines"),
    [
        ("iphone.tsv", {"neg", "pos"}, "\nSent from my iPhone"),
        ("labelfirst_nl.tsv", {"neg", "pos"}, "\n"),
        ("pandas_nl.tsv", {"0", "1"}, '"\nsecond line'),
    ],
)
def test_quoted_fields_of_a_tsv_keep_their_line_breaks(name, labels, newlines):
    frame = data.read_records(SentimentConfig(), str(CASES / name))
    assert len(frame) == 300
    assert set(frame["label"]) == labels
    assert frame["text"].str.contains(newlines, regex=False).any()
    assert set(load(name)[1]["label"]) == labels


@pytest.mark.parametrize(("name", "notice"), [("utf16.csv", "read as UTF-16"), ("array.json", ""), ("plain.xlsx", "")])
def test_other_formats_give_the_same_records(name, notice):
    _, records, notices = load(name)
    assert len(records) >= 298
    assert set(records["label"]) == {"0", "1"}
    assert records["text"].str.contains("Order").all()
    assert notice in notices


def test_rare_labels_are_listed_at_once_and_stay_in_training():
    splits, records, notices = load("single1.csv")
    assert "3 of 5 labels have fewer than 5 records: fraud 1, legal 1, press 1." in notices
    assert len(records) == 300
    assert {"fraud", "legal", "press"} <= set(splits.train["label"])


def test_all_labels_of_a_long_tail_are_in_training():
    splits, records, notices = load("zipf.csv")
    assert "queue24 4" in notices
    assert all(f"queue{k} " in notices for k in range(34, 40))
    assert splits.train["label"].nunique() == records["label"].nunique() == 40


def test_many_classes_are_in_every_split():
    splits, _, notices = load("c200.csv")
    assert splits.train["label"].nunique() == splits.test["label"].nunique() == 200
    assert notices == ""


def test_contradicting_labels_are_counted_with_three_examples():
    _, _, notices = load("dups.csv")
    frame = pd.read_csv(CASES / "dups.csv")
    count = (frame.groupby("text")["label"].nunique() > 1).sum()
    assert f"{count} texts have different labels" in notices
    assert notices.count("(a, b)") == 3


def test_combined_labels_are_noticed():
    notices = load("multilabel.csv")[2]
    assert '100 of 300 labels look like several labels, such as "delivery,price"' in notices
    assert 'Predict each label by itself with --columns.label-separator ",".' in notices


def test_combined_labels_are_separated_by_an_option():
    splits, records, notices = load("multilabel.csv", columns=ColumnsConfig(label_separator=","))
    assert set(records["label"]) == {("delivery",), ("price",), ("delivery", "price")}
    assert records["label"].map(len).sum() == 400
    assert len(splits.test) == pytest.approx(60, abs=5)
    assert "look like several labels" not in notices


def test_untidy_labels_are_named_and_unified():
    _, records, notices = load("untidy.csv")
    assert records["label"].nunique() == 6
    assert '"negative" 79, "negative " 71' in notices
    _, records, notices = load("untidy.csv", columns=ColumnsConfig(label_matching="caseless"))
    assert set(records["label"]) == {"positive", "negative"}


def test_labels_with_and_without_decimals_are_the_same_classes():
    splits, records, _ = load("gapfloat_train.csv", test_data=str(CASES / "gapint_test.csv"))
    assert set(splits.test["label"]) == set(records["label"]) == {"0", "1"}
