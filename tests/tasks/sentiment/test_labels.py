"""`tasks.sentiment.labels`: one label per text or several, however the file writes them, and what is noticed about them."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from shared.data.notices import collect_notices
from shared.errors import DataError
from tasks.sentiment import data, labels
from tasks.sentiment.config import ColumnsConfig, SentimentConfig, SentimentSplitConfig
from tasks.sentiment.inputs import READERS

SETS = [("billing",), ("billing", "late fee"), (), ("late fee", "service")]
TEXTS = [f"text {k} of {'abc'[k % 3]}" for k in range(120)]
EXPECTED = dict(zip(TEXTS, (SETS[k % 4] for k in range(120)), strict=True))
SEPARATED = ColumnsConfig(label_separator=";")


def write_separated(path):
    pd.DataFrame({"text": TEXTS, "label": ["; ".join(EXPECTED[text]) for text in TEXTS]}).to_csv(path, index=False)
    return SEPARATED


def write_columns(path):
    frame = pd.DataFrame({"text": TEXTS})
    for name in ("service", "late fee", "billing"):
        frame[name] = [int(name in EXPECTED[text]) for text in TEXTS]
    frame.to_csv(path, index=False)
    return ColumnsConfig(label=("service", "late fee", "billing"))


def write_arrays(path):
    lines = [json.dumps({"text": text, "label": EXPECTED[text]}) for text in TEXTS]
    path.with_suffix(".jsonl").write_text("\n".join(lines))
    return ColumnsConfig()


def write_fasttext(path):
    lines = []
    for k, text in enumerate(TEXTS):
        marks = " ".join(f"__label__{name.replace(' ', '_')}" for name in EXPECTED[text] or ["none"])
        lines.append(f"{text} {marks}" if k % 3 else f"{marks} {text}")
    path.with_suffix(".txt").write_text("\n".join(lines))
    return SEPARATED


def load(folder, write, **options):
    path = folder / "a.csv"
    columns = write(path)
    (path,) = folder.glob("a.*")
    config = SentimentConfig(data=str(path), columns=columns, **options)
    with collect_notices() as notices:
        splits = data.load(config)
    return splits, " ".join(map(str, notices))


def records_of(splits):
    return pd.concat([splits.train, splits.validation, splits.test])


@pytest.mark.parametrize("write", [write_separated, write_columns, write_arrays])
def test_each_way_to_write_several_labels_gives_the_same_splits(tmp_path, write):
    splits, notices = load(tmp_path, write)
    records = records_of(splits)
    assert dict(zip(records["text"], records["label"], strict=True)) == EXPECTED
    assert "30 of 120 texts have no label. They count as texts without any of the labels." in notices
    assert ("the labels are arrays" in notices) == (write is write_arrays)
    columns = splits.config.columns if splits.config else SEPARATED
    assert columns.label_separator == (";" if write is write_separated else ",")
    (tmp_path / "other").mkdir()
    other, _ = load(tmp_path / "other", write_columns)
    assert [frame["text"].tolist() for frame in (splits.train, splits.test)] == [
        frame["text"].tolist() for frame in (other.train, other.test)
    ]


def test_labels_of_fasttext_are_separated(tmp_path):
    records = records_of(load(tmp_path, write_fasttext)[0])
    assert sorted(records["text"]) == sorted(TEXTS)
    assert set(records["label"]) == {("billing",), ("billing", "late_fee"), ("none",), ("late_fee", "service")}


def test_a_class_folder_or_another_file_without_arrays_is_separated_too(tmp_path):
    write_arrays(tmp_path / "a.csv")
    test = pd.DataFrame({"text": [f"other {k}" for k in range(20)], "label": ["billing,service", "late fee"] * 10})
    test.to_csv(tmp_path / "test.csv", index=False)
    splits = data.load(SentimentConfig(data=str(tmp_path / "a.jsonl"), test_data=str(tmp_path / "test.csv")))
    assert set(splits.test["label"]) == {("billing", "service"), ("late fee",)}
    for name in ("x;y", "y"):
        (tmp_path / "classes" / name).mkdir(parents=True)
        for k in range(20):
            (tmp_path / "classes" / name / f"{k}.txt").write_text(f"{name} {k}")
    config = SentimentConfig(data=str(tmp_path / "classes"), columns=SEPARATED)
    assert set(data.load(config).train["label"]) == {("x", "y"), ("y",)}
    assert set(data.read_records(config, config.data)["label"]) == {("x", "y"), ("y",)}


def test_groups_stay_together_and_training_has_every_label(tmp_path):
    frame = pd.DataFrame({"text": TEXTS, "film": [k // 6 for k in range(120)]})
    frame["label"] = [";".join(EXPECTED[text]) for text in TEXTS]
    frame.loc[3, "label"] = "rare;billing"
    frame.to_csv(tmp_path / "a.csv", index=False)
    for fraction in (0.2, 0.5, 0.8):
        split = SentimentSplitConfig(group="film", test_fraction=fraction)
        splits = data.load(SentimentConfig(data=str(tmp_path / "a.csv"), columns=SEPARATED, split=split))
        assert ("billing", "rare") in set(splits.train["label"])
        assert len(splits.test) % 6 == 0


def test_look_alike_and_rare_labels_are_named_one_by_one(tmp_path):
    cells = ["Price;delivery", "price ; late", "delivery"] * 40
    cells[7] = "fraud;price"
    pd.DataFrame({"text": TEXTS, "label": cells}).to_csv(tmp_path / "a.csv", index=False)
    with collect_notices() as notices:
        splits = data.load(SentimentConfig(data=str(tmp_path / "a.csv"), columns=SEPARATED))
    message = " ".join(map(str, notices))
    assert 'labels that look alike are different classes: "Price" 40, "price" 40' in message
    assert "1 of 5 labels have fewer than 5 records: fraud 1." in message
    assert ("fraud", "price") in set(splits.train["label"])
    columns = ColumnsConfig(label_separator=";", label_matching="caseless")
    splits = data.load(SentimentConfig(data=str(tmp_path / "a.csv"), columns=columns))
    assert set(splits.train["label"].explode()) == {"Price", "delivery", "late", "fraud"}
    matched = labels.match_labels(SentimentConfig(columns=columns), pd.Series([("PRICE", "odd")]), ["Price", "late"])
    assert matched.tolist() == [("Price", "odd")]


def test_an_empty_field_names_the_separator_that_makes_it_legal(tmp_path):
    frame = pd.DataFrame({"text": TEXTS, "label": ["a;b", "a", "b", ""] * 30})
    frame.to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(
        DataError, match=r'row 4: column "label" is empty.*no label with --columns\.label-separator ";"'
    ):
        data.load(SentimentConfig(data=str(tmp_path / "a.csv")))


@pytest.mark.parametrize(
    ("cells", "columns", "words"),
    [
        ([""] * 40, SEPARATED, "no text has a label. Check --columns.label."),
        (["x", ""] * 20, SEPARATED, "the training split has 1 class"),
        (['["a;b"]', '["c"]'] * 20, SEPARATED, 'the label "a;b" contains ";"'),
        (["price", "late"] * 20, ColumnsConfig(label=("label", "text2")), 'column "label" is "price": expected 0 or 1'),
    ],
)
def test_labels_that_cannot_train_are_an_error(tmp_path, cells, columns, words):
    pd.DataFrame({"text": TEXTS[:40], "label": cells, "text2": "0"}).to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(DataError) as error:
        data.load(SentimentConfig(data=str(tmp_path / "a.csv"), columns=columns))
    assert words in str(error.value)


def test_a_separator_that_joins_nothing_is_noticed(tmp_path):
    pd.DataFrame({"text": TEXTS, "label": ["a,b", "a", "b"] * 40}).to_csv(tmp_path / "a.csv", index=False)
    with collect_notices() as notices:
        data.load(SentimentConfig(data=str(tmp_path / "a.csv"), columns=SEPARATED))
    message = " ".join(map(str, notices))
    assert 'the separator ";" joins none. Check --columns.label-separator.' in message
    assert 'Predict each label by itself with --columns.label-separator ",".' in message


def test_the_summary_counts_each_label(tmp_path):
    splits, _ = load(tmp_path, write_separated)
    details = {title: summarize(records_of(splits)) for title, summarize in splits.details.items()}
    assert details["labels"] == "billing 60, late fee 60, service 30"
    assert details["labels per text"] == "mean 1.25, maximum 2, 30 without a label"
    assert splits.display == {"label": None}


def test_several_labels_for_a_model_of_one_label_are_an_error(tmp_path):
    write_arrays(tmp_path / "a.csv")
    with pytest.raises(DataError, match="the model was trained with one label per text"):
        READERS.read_records(SentimentConfig(), str(tmp_path / "a.jsonl"), {"labels": ["billing", "service"]})


def test_whole_numbers_are_strings_without_decimals():
    assert labels.to_strings(pd.Series([1.0, 2.0]), "x.csv").tolist() == ["1", "2"]
    assert labels.to_strings(pd.Series(["1.5", np.str_("a")]), "x.csv").tolist() == ["1.5", "a"]
