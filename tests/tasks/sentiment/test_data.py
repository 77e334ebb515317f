"""`tasks.sentiment.data`: labels stay as they are called, splits share nothing, bad data is named with its row."""

import gzip
from pathlib import Path

import pandas as pd
import pytest

from shared.errors import DataError
from tasks.sentiment import data
from tasks.sentiment.config import SentimentConfig


def frame_of(count, labels=("good", "bad"), start=0):
    """Texts that differ, with the labels in turn."""
    return pd.DataFrame(
        [(f"text {start + k}", labels[k % len(labels)]) for k in range(count)], columns=["text", "label"]
    )


def written(frame, path):
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    elif path.suffix == ".jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_parquet(path)
    return str(path)


def load(frame, folder, suffix=".csv", **settings):
    return data.load(SentimentConfig(data=written(frame, folder / f"train{suffix}"), **settings))


def parts(splits):
    return splits.train, splits.validation, splits.test


@pytest.mark.parametrize(
    ("suffix", "labels", "expected"),
    [
        (".csv", (0, 1), {"0", "1"}),
        (".jsonl", (0, 1), {"0", "1"}),
        (".jsonl", (0.0, 1.0), {"0", "1"}),
        (".parquet", (0, 1), {"0", "1"}),
        (".parquet", (0.0, 1.0), {"0", "1"}),
        (".parquet", (0.5, 1.0), {"0.5", "1.0"}),
        (".parquet", (True, False), {"True", "False"}),
        (".csv", ("pos", "neg"), {"pos", "neg"}),
        (".jsonl", ("007", "NA"), {"007", "NA"}),
        (".csv", ("good", "bad", "so-so"), {"good", "bad", "so-so"}),
    ],
)
def test_labels_keep_their_names_as_strings(tmp_path, suffix, labels, expected):
    splits = load(frame_of(240, labels), tmp_path, suffix)
    for part in parts(splits):
        assert set(part["label"]) == expected
        assert list(part.columns) == ["text", "label"]
        assert all(isinstance(value, str) for value in [*part["label"], *part["text"]])


def test_no_row_is_lost_and_the_shares_are_as_asked(tmp_path):
    frame = frame_of(200)
    splits = load(frame, tmp_path, test_fraction=0.25, validation_fraction=0.2)
    assert len(splits.test) == pytest.approx(50, abs=1)
    assert len(splits.validation) == pytest.approx(30, abs=1)
    assert sorted(pd.concat(parts(splits))["text"]) == sorted(frame["text"])


def test_the_split_is_the_same_every_time(tmp_path):
    one, other = (load(frame_of(150), tmp_path) for _ in range(2))
    for a, b in zip(parts(one), parts(other), strict=True):
        pd.testing.assert_frame_equal(a, b)


def test_a_group_stands_in_one_split_only(tmp_path):
    frame = frame_of(200).assign(film=[f"film {k // 5}" for k in range(200)])
    frame["text"] = frame["film"] + " / " + frame["text"]
    splits = load(frame, tmp_path, group_column="film")
    films = [set(part["text"].str.split(" / ").str[0]) for part in parts(splits)]
    assert all(films)
    assert sum(map(len, films)) == len(set.union(*films)) == 40


def test_a_group_of_the_test_file_is_taken_out_of_training(tmp_path):
    train = frame_of(200).assign(film=[f"film {k // 5}" for k in range(200)])
    train["text"] = train["film"] + " / " + train["text"]
    test = frame_of(20, start=1000).assign(film="film 7")
    splits = load(train, tmp_path, group_column="film", test_data=written(test, tmp_path / "test.csv"))
    assert len(splits.test) == 20
    kept = pd.concat([splits.train, splits.validation])["text"]
    assert len(kept) == 195
    assert not kept.str.startswith("film 7 /").any()


def test_equal_texts_never_stand_on_two_sides(tmp_path):
    frame = pd.concat([frame_of(80), frame_of(80), frame_of(80, labels=("bad", "good"))])
    sides = [set(part["text"]) for part in parts(load(frame, tmp_path))]
    assert sum(map(len, sides)) == len(set.union(*sides)) == 80


def test_equal_texts_of_two_groups_never_stand_on_two_sides(tmp_path):
    frame = pd.concat([frame_of(150).assign(film=range(150)), frame_of(150).assign(film=range(200, 350))])
    sides = [set(part["text"]) for part in parts(load(frame, tmp_path, group_column="film"))]
    assert sum(map(len, sides)) == len(set.union(*sides))


def test_what_files_share_is_taken_out_of_training_not_out_of_the_test(tmp_path):
    splits = load(
        frame_of(100),
        tmp_path,
        validation_data=written(frame_of(30, start=90), tmp_path / "validation.csv"),  # 10 are in training
        test_data=written(frame_of(30, start=110), tmp_path / "test.csv"),  # 10 are in validation
    )
    assert splits.test["text"].tolist() == [f"text {k}" for k in range(110, 140)]
    assert splits.validation["text"].tolist() == [f"text {k}" for k in range(90, 110)]
    assert splits.train["text"].tolist() == [f"text {k}" for k in range(90)]


def test_the_origin_names_files_and_changes_with_each(tmp_path):
    settings = {"test_data": written(frame_of(30, start=500), tmp_path / "test.csv")}
    one = load(frame_of(100), tmp_path, **settings).origin
    assert one.location == "train.csv, test.csv"
    assert one.name == tmp_path.name
    assert "test test.csv" in one.split
    written(frame_of(31, start=500), tmp_path / "test.csv")
    assert load(frame_of(100), tmp_path, **settings).origin.sha256 != one.sha256


def test_empty_texts_are_kept(tmp_path):
    frame = frame_of(150)
    frame.loc[3, "text"] = ""
    frame.loc[4, "text"] = "   "
    assert {"", "   "} <= set(pd.concat(parts(load(frame, tmp_path)))["text"])


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
@pytest.mark.parametrize("column", ["text", "label", "film"])
def test_a_null_is_named_with_its_row(tmp_path, suffix, column):
    frame = frame_of(100).assign(film=[f"film {k}" for k in range(100)])
    frame.loc[6, column] = None
    with pytest.raises(DataError, match=rf'train{suffix}, row 7: column "{column}" is null; fill it or drop'):
        load(frame, tmp_path, suffix, group_column="film")


@pytest.mark.parametrize("cell", ["", "  "])
def test_an_empty_label_is_named_with_its_row(tmp_path, cell):
    frame = frame_of(100)
    frame.loc[41, "label"] = cell
    with pytest.raises(
        DataError, match=r'train\.csv, row 42: column "label" is empty; give it a label or drop the row'
    ):
        load(frame, tmp_path)


def test_a_row_without_its_label_is_named(tmp_path):
    path = tmp_path / "train.csv"
    path.write_text("text,label\nfine,good\ndull\n")
    with pytest.raises(DataError, match=r"train\.csv, row 2"):
        data.load(SentimentConfig(data=str(path)))


def test_a_column_of_lists_is_named_with_its_row(tmp_path):
    (tmp_path / "train.jsonl").write_text('{"text": "a", "label": "x"}\n{"text": ["a", "b"], "label": "y"}\n')
    with pytest.raises(DataError, match=r'train\.jsonl, row 2: column "text" holds list; expected text'):
        data.load(SentimentConfig(data=str(tmp_path / "train.jsonl")))


@pytest.mark.parametrize(
    ("frame", "settings", "words"),
    [
        (frame_of(100, labels=("good",)), {}, ["1 class (good)", "at least two"]),
        (frame_of(30), {}, ["3 texts in the validation split", "at least 10", "--validation-fraction"]),
        (frame_of(40), {"validation_fraction": 0.4}, ["8 texts in the test split", "at least 10", "--test-fraction"]),
        (frame_of(1), {}, ["too few"]),
        (frame_of(2), {}, ["too few"]),
        (frame_of(400, labels=[f"a{k}" for k in range(400)]), {}, ["different labels", "--label-column"]),
        (frame_of(100), {"label_column": "stars"}, ['no column "stars"', "text, label"]),
        (frame_of(100), {"label_column": "text"}, ["different columns", "text"]),
        (frame_of(100), {"group_column": "label"}, ["different columns", "label"]),
        (frame_of(100), {"group_column": "film"}, ['no column "film"', "text, label"]),
    ],
)
def test_data_that_cannot_train_a_classifier_is_refused(tmp_path, frame, settings, words):
    with pytest.raises(DataError) as caught:
        load(frame, tmp_path, **settings)
    message = str(caught.value)
    assert message.startswith(str(tmp_path / "train.csv"))
    assert all(word in message for word in words), message


@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_label_that_training_lacks_is_named(tmp_path, split):
    other = written(frame_of(30, labels=("good", "bad", "odd"), start=500), tmp_path / "other.csv")
    with pytest.raises(DataError, match=f'label "odd" of the {split} split occurs nowhere in training.* bad, good'):
        load(frame_of(100), tmp_path, **{f"{split}_data": other})


def test_the_sample_loads_without_a_file():
    splits = data.load(SentimentConfig(data="sample"))
    sides = [set(part["text"]) for part in parts(splits)]
    assert sum(map(len, sides)) == len(set.union(*sides))
    assert [len(part) for part in parts(splits)] == pytest.approx([3000, 600, 1000], rel=0.02)


def test_the_real_treebank_reads_whole(real_data):
    folder = real_data / "sentiment" / "sst2"
    splits = data.load(
        SentimentConfig(
            data=str(folder / "train.tsv.gz"),
            validation_data=str(folder / "dev.tsv.gz"),
            test_data=str(folder / "test.tsv.gz"),
            text_column="0",
            label_column="1",
        )
    )
    assert len(splits.test) == 1821
    assert 862 <= len(splits.validation) <= 872
    assert 6900 <= len(splits.train) <= 6920
    assert splits.test["label"].value_counts().to_dict() == {"0": 912, "1": 909}
    sides = [set(part["text"]) for part in parts(splits)]
    assert not sides[0] & sides[1]
    assert not sides[0] & sides[2]
    assert not sides[1] & sides[2]
    with gzip.open(folder / "test.tsv.gz", "rt", encoding="utf-8") as file:
        assert splits.test["text"].iloc[0] == file.readline().split("\t")[0]


def test_the_example_file_of_the_how_to_reads():
    path = Path(__file__).resolve().parents[3] / "data" / "examples" / "reviews.csv"
    config = SentimentConfig(data=str(path), text_column="review", label_column="verdict")
    splits = data.load(config)
    assert set(splits.train["label"]) == {"liked", "disliked"}
    assert len(splits.train) + len(splits.validation) + len(splits.test) > 100
