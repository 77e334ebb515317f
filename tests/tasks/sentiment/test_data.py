"""`tasks.sentiment.data`: labels keep their names, splits do not overlap, errors in the data name the row."""

import gzip
from pathlib import Path

import pandas as pd
import pytest

from shared import task
from shared.config import PredictOptions
from shared.data import labelled_texts
from shared.data.notices import collect_notices
from shared.errors import DataError
from shared.inputs import read_independent_inputs
from tasks.sentiment import data
from tasks.sentiment.config import ColumnsConfig, SentimentConfig, SentimentSplitConfig
from tasks.sentiment.inputs import READERS


def make_frame(count, labels=("good", "bad"), start=0):
    """Returns different texts, with the labels in turn."""
    return pd.DataFrame(
        [(f"text {start + k}", labels[k % len(labels)]) for k in range(count)], columns=["text", "label"]
    )


def write(frame, path):
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    elif path.suffix == ".jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_parquet(path)
    return str(path)


def load(frame, folder, suffix=".csv", **options):
    return data.load(SentimentConfig(data=write(frame, folder / f"train{suffix}"), **options))


def grouped_by(column):
    return {"split": SentimentSplitConfig(group=column)}


def frames_of(splits):
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
    splits = load(make_frame(240, labels), tmp_path, suffix)
    for frame in frames_of(splits):
        assert set(frame["label"]) == expected
        assert list(frame.columns) == ["text", "label"]
        assert all(isinstance(value, str) for value in [*frame["label"], *frame["text"]])


def test_no_row_is_lost_and_the_fractions_are_as_configured(tmp_path):
    frame = make_frame(200)
    splits = load(frame, tmp_path, split=SentimentSplitConfig(test_fraction=0.25, validation_fraction=0.2))
    assert len(splits.test) == pytest.approx(50, abs=1)
    assert len(splits.validation) == pytest.approx(30, abs=1)
    assert sorted(pd.concat(frames_of(splits))["text"]) == sorted(frame["text"])


def test_the_split_is_the_same_every_time(tmp_path):
    one, other = (load(make_frame(150), tmp_path) for _ in range(2))
    for a, b in zip(frames_of(one), frames_of(other), strict=True):
        pd.testing.assert_frame_equal(a, b)


def test_each_label_has_its_fraction_in_each_split_and_a_single_text_is_in_training(tmp_path):
    frame = pd.concat([make_frame(240, ("a",)), make_frame(60, ("b",), 1000), make_frame(1, ("c",), 2000)])
    with collect_notices() as notices:
        splits = load(frame, tmp_path, split=SentimentSplitConfig(test_fraction=0.25, validation_fraction=0.2))
    assert splits.test["label"].value_counts().to_dict() == {"a": 60, "b": 15}
    assert splits.validation["label"].value_counts().to_dict() == {"a": 36, "b": 9}
    assert splits.train["label"].value_counts().to_dict() == {"a": 144, "b": 36, "c": 1}
    assert "1 of 3 labels have fewer than 5 records: c 1." in notices[0].message


def test_groups_stay_in_training_that_it_needs_for_a_label(tmp_path):
    frame = make_frame(200).assign(film=[f"film {k // 5}" for k in range(200)])
    for film in range(40):
        frame["label"] = ["rare" if name == f"film {film}" else "good" for name in frame["film"]]
        assert "rare" in set(load(frame, tmp_path, **grouped_by("film")).train["label"])


def test_few_texts_are_divided_with_a_notice(tmp_path):
    with collect_notices() as notices:
        splits = load(make_frame(30), tmp_path, split=SentimentSplitConfig(test_fraction=0.1))
    assert [len(frame) for frame in frames_of(splits)] == [18, 5, 7]
    assert "30 texts are few: 23% instead of 10% of them are held out for the test split" in notices[0].message


def test_labels_of_files_as_whole_numbers_with_and_without_decimals_are_the_same(tmp_path):
    test = write(make_frame(30, ("0", "1"), 500), tmp_path / "test.csv")
    splits = load(make_frame(100, ("0.0", "1.0")), tmp_path, test_data=test)
    assert set(splits.train["label"]) == set(splits.test["label"]) == {"0", "1"}


@pytest.mark.parametrize(
    ("matching", "classes"),
    [
        ("exact", {"good", "Good", " good", "bad"}),
        ("trimmed", {"good", "Good", "bad"}),
        ("caseless", {"good", "bad"}),
    ],
)
def test_labels_that_look_alike_are_named_and_unified_by_an_option(tmp_path, matching, classes):
    config = ColumnsConfig(label_matching=matching)
    frame = pd.concat([make_frame(200), make_frame(50, ("Good", " good"), 1000)])
    with collect_notices() as notices:
        splits = load(frame, tmp_path, columns=config)
    assert set(splits.train["label"]) == classes
    assert '"good" 100, "Good" 25, " good" 25' in notices[0].message
    assert ("--columns.label-matching caseless" in notices[0].hint) == (matching != "caseless")
    values = data.match_labels(SentimentConfig(columns=config), pd.Series(["GOOD ", "odd"]), sorted(classes))
    assert values.tolist() == ["good" if matching == "caseless" else "GOOD ", "odd"]


def test_contradictory_and_repeated_texts_are_named(tmp_path):
    frame = pd.concat([make_frame(100), make_frame(4, ("bad", "good")), make_frame(8).iloc[4:]])
    with collect_notices() as notices:
        load(frame, tmp_path)
    assert (
        'train.csv: 4 texts have different labels: "text 0" (bad, good); "text 1" (bad, good); "text 2"'
        in notices[0].message
    )
    assert "train.csv: 4 records repeat a text with its label" in notices[1].message


@pytest.mark.parametrize("folders", [("",), ("train", "test"), ("train", "valid", "test")])
def test_a_folder_per_class_is_a_data_set(tmp_path, folders):
    count = 0
    for folder in folders:
        for label in ("pos", "neg"):
            (tmp_path / "mails" / folder / label).mkdir(parents=True)
            for _ in range(50):
                (tmp_path / "mails" / folder / label / f"{count}.txt").write_text(f"text {count}\nof {label}")
                count += 1
    (tmp_path / "mails" / folders[0] / "unsup").mkdir()
    (tmp_path / "mails" / folders[0] / "unsup" / "9.txt").write_text("nothing")
    (tmp_path / "mails" / folders[0] / "pos" / "empty.txt").write_text("")
    with collect_notices() as notices:
        splits = data.load(SentimentConfig(data=str(tmp_path / "mails")))
    everything = pd.concat(frames_of(splits))
    assert len(everything) == count
    assert all(text.endswith(f"of {label}") for text, label in everything.to_numpy())
    assert len(splits.test) == (100 if "test" in folders else 20)
    assert splits.origin.name == "mails"
    messages = " ".join(notice.message for notice in notices)
    assert "1 text without a label left out" in messages
    assert "1 empty file left out: pos/empty.txt" in messages
    assert len(labelled_texts.read_plain_texts(tmp_path / "mails")) == count + 2


def test_a_folder_without_classes_is_an_error(tmp_path):
    (tmp_path / "train.csv").write_text("text,label\n")
    with pytest.raises(DataError, match="is a folder without text files in a folder per class"):
        data.load(SentimentConfig(data=str(tmp_path)))


def test_lines_of_fasttext_are_a_data_set(tmp_path):
    lines = [f"__label__{'pos' if k % 2 else 'neg'} text {k}, so" for k in range(100)]
    (tmp_path / "a.txt").write_text("\n".join(lines) + "\n")
    splits = data.load(SentimentConfig(data=str(tmp_path / "a.txt")))
    assert set(splits.train["label"]) == {"pos", "neg"}
    assert labelled_texts.read_plain_texts(tmp_path / "a.txt")["text"][3] == "text 3, so"
    (tmp_path / "b.txt").write_text("__label__a x\nno label\n")
    with pytest.raises(DataError, match=r"b\.txt, row 2: no label"):
        data.load(SentimentConfig(data=str(tmp_path / "b.txt")))


def test_a_group_is_in_one_split_only(tmp_path):
    frame = make_frame(200).assign(film=[f"film {k // 5}" for k in range(200)])
    frame["text"] = frame["film"] + " / " + frame["text"]
    splits = load(frame, tmp_path, **grouped_by("film"))
    films = [set(frame["text"].str.split(" / ").str[0]) for frame in frames_of(splits)]
    assert all(films)
    assert sum(map(len, films)) == len(set.union(*films)) == 40
    assert "test 20% held out by film" in splits.origin.split_description


def test_the_column_title_id_is_the_group_by_default(tmp_path):
    frame = make_frame(200).assign(title_id=[f"tt{k // 5}" for k in range(200)])
    frame["text"] = frame["title_id"] + " / " + frame["text"]
    splits = load(frame, tmp_path)
    titles = [set(frame["text"].str.split(" / ").str[0]) for frame in frames_of(splits)]
    assert sum(map(len, titles)) == len(set.union(*titles)) == 40
    assert "held out by title_id" in splits.origin.split_description


def test_a_group_of_the_test_file_is_removed_from_training(tmp_path):
    train = make_frame(200).assign(film=[f"film {k // 5}" for k in range(200)])
    train["text"] = train["film"] + " / " + train["text"]
    test = make_frame(20, start=1000).assign(film="film 7")
    splits = load(train, tmp_path, **grouped_by("film"), test_data=write(test, tmp_path / "test.csv"))
    assert len(splits.test) == 20
    remaining = pd.concat([splits.train, splits.validation])["text"]
    assert len(remaining) == 195
    assert not remaining.str.startswith("film 7 /").any()


def test_equal_texts_are_in_one_split_only(tmp_path):
    frame = pd.concat([make_frame(80), make_frame(80), make_frame(80, labels=("bad", "good"))])
    texts = [set(frame["text"]) for frame in frames_of(load(frame, tmp_path))]
    assert sum(map(len, texts)) == len(set.union(*texts)) == 80


def test_equal_texts_of_two_groups_are_in_one_split_only(tmp_path):
    frame = pd.concat([make_frame(150).assign(film=range(150)), make_frame(150).assign(film=range(200, 350))])
    texts = [set(frame["text"]) for frame in frames_of(load(frame, tmp_path, **grouped_by("film")))]
    assert sum(map(len, texts)) == len(set.union(*texts))


def test_texts_in_several_files_are_removed_from_the_earlier_split(tmp_path):
    splits = load(
        make_frame(100),
        tmp_path,
        validation_data=write(make_frame(30, start=90), tmp_path / "validation.csv"),  # 10 are in training
        test_data=write(make_frame(30, start=110), tmp_path / "test.csv"),  # 10 are in validation
    )
    assert splits.test["text"].tolist() == [f"text {k}" for k in range(110, 140)]
    assert splits.validation["text"].tolist() == [f"text {k}" for k in range(90, 110)]
    assert splits.train["text"].tolist() == [f"text {k}" for k in range(90)]


def test_the_origin_names_the_files_and_its_checksum_depends_on_each(tmp_path):
    options = {"test_data": write(make_frame(30, start=500), tmp_path / "test.csv")}
    origin = load(make_frame(100), tmp_path, **options).origin
    assert origin.location == "train.csv, test.csv"
    assert origin.name == tmp_path.name
    assert "test from test.csv" in origin.split_description
    write(make_frame(31, start=500), tmp_path / "test.csv")
    assert load(make_frame(100), tmp_path, **options).origin.sha256 != origin.sha256


def test_a_data_set_has_the_name_of_an_option(tmp_path):
    config = SentimentConfig(data=write(make_frame(100), tmp_path / "a.csv"), data_name="Reviews of 2024")
    assert task.load_splits("sentiment", config).origin.name == "Reviews of 2024"


def test_empty_texts_are_allowed(tmp_path):
    frame = make_frame(150)
    frame.loc[3, "text"] = ""
    frame.loc[4, "text"] = "   "
    assert {"", "   "} <= set(pd.concat(frames_of(load(frame, tmp_path)))["text"])


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
@pytest.mark.parametrize("column", ["text", "label", "film"])
def test_the_error_for_a_null_names_the_row(tmp_path, suffix, column):
    frame = make_frame(100).assign(film=[f"film {k}" for k in range(100)])
    frame.loc[6, column] = None
    with pytest.raises(DataError, match=rf'train{suffix}, row 7: column "{column}" is null\. Fill it in or drop'):
        load(frame, tmp_path, suffix, **grouped_by("film"))


@pytest.mark.parametrize("cell", ["", "  "])
def test_the_error_for_an_empty_label_names_the_row(tmp_path, cell):
    frame = make_frame(100)
    frame.loc[41, "label"] = cell
    with pytest.raises(DataError, match=r'train\.csv, row 42: column "label" is empty\. Fill it in or drop the row'):
        load(frame, tmp_path)


def test_the_error_for_a_row_without_a_label_names_the_row(tmp_path):
    path = tmp_path / "train.csv"
    path.write_text("text,label\nfine,good\ndull\n")
    with pytest.raises(DataError, match=r"train\.csv, row 2"):
        data.load(SentimentConfig(data=str(path)))


def test_the_error_for_a_list_in_a_text_column_names_the_row(tmp_path):
    (tmp_path / "train.jsonl").write_text('{"text": "a", "label": "x"}\n{"text": ["a", "b"], "label": "y"}\n')
    with pytest.raises(DataError, match=r'train\.jsonl, row 2: column "text" must have text\. Received: list'):
        data.load(SentimentConfig(data=str(tmp_path / "train.jsonl")))


@pytest.mark.parametrize(
    ("frame", "options", "words"),
    [
        (make_frame(100, labels=("good",)), {}, ["1 class (good)", "at least two"]),
        (make_frame(8), {}, ["validation split", "at least 3", "Received: 1", "--split.validation-fraction"]),
        (make_frame(1), {}, ["too few"]),
        (make_frame(2), {}, ["too few"]),
        (make_frame(400, labels=[f"a{k}" for k in range(400)]), {}, ["different labels", "--columns.label"]),
        (
            make_frame(100),
            {"columns": ColumnsConfig(label="stars")},
            ['no column "stars"', "text, label", "--columns.label"],
        ),
        (
            make_frame(100),
            {"split": SentimentSplitConfig(group="text")},
            ["--split.group must name another column", "text"],
        ),
        (make_frame(100), grouped_by("label"), ["--split.group must name another column", "label"]),
        (make_frame(100), grouped_by("film"), ['no column "film"', "text, label", "--split.group"]),
    ],
)
def test_data_that_cannot_train_a_classifier_are_an_error(tmp_path, frame, options, words):
    with pytest.raises(DataError) as error:
        load(frame, tmp_path, **options)
    message = str(error.value)
    assert message.startswith(str(tmp_path / "train.csv"))
    assert all(word in message for word in words), message


@pytest.mark.parametrize("split", ["validation", "test"])
def test_the_error_names_a_label_that_is_not_in_the_training_split(tmp_path, split):
    other = write(make_frame(30, labels=("good", "bad", "odd"), start=500), tmp_path / "other.csv")
    with pytest.raises(
        DataError, match=f'label "odd" of the {split} split does not occur in the training split.* bad, good'
    ):
        load(make_frame(100), tmp_path, **{f"{split}_data": other})


def test_the_sample_loads_without_a_file():
    splits = data.load(SentimentConfig(data="sample"))
    texts = [set(frame["text"]) for frame in frames_of(splits)]
    assert sum(map(len, texts)) == len(set.union(*texts))
    assert [len(frame) for frame in frames_of(splits)] == pytest.approx([3000, 600, 1000], rel=0.02)


def test_the_stanford_sentiment_treebank_loads(real_data):
    folder = real_data / "sentiment" / "sst2"
    splits = data.load(
        SentimentConfig(
            data=str(folder / "train.tsv.gz"),
            validation_data=str(folder / "dev.tsv.gz"),
            test_data=str(folder / "test.tsv.gz"),
            columns=ColumnsConfig(text="0", label="1"),
        )
    )
    assert len(splits.test) == 1821
    assert 862 <= len(splits.validation) <= 872
    assert 6900 <= len(splits.train) <= 6920
    assert splits.test["label"].value_counts().to_dict() == {"0": 912, "1": 909}
    train, validation, test = (set(frame["text"]) for frame in frames_of(splits))
    assert not train & validation
    assert not train & test
    assert not validation & test
    with gzip.open(folder / "test.tsv.gz", "rt", encoding="utf-8") as file:
        assert splits.test["text"].iloc[0] == file.readline().split("\t")[0]


def test_the_example_file_loads():
    path = Path(__file__).resolve().parents[3] / "data" / "examples" / "reviews.csv"
    config = SentimentConfig(data=str(path), columns=ColumnsConfig(text="review", label="verdict"))
    splits = data.load(config)
    assert set(splits.train["label"]) == {"liked", "disliked"}
    assert len(splits.train) + len(splits.validation) + len(splits.test) > 100


def read_texts(columns, source):
    inputs = READERS.read_inputs(SentimentConfig(columns=columns), source, {}, PredictOptions())
    return [text for chunk in inputs for text in chunk.records]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_texts_of_a_table_need_no_label(tmp_path, suffix):
    path = write(pd.DataFrame({"id": [1, 2], "body": ["one, two", ""]}), tmp_path / f"texts{suffix}")
    assert read_texts(ColumnsConfig(text="body"), path) == ["one, two", ""]


def test_texts_of_a_table_without_a_header_are_read_by_position(tmp_path):
    path = tmp_path / "texts.tsv"
    path.write_text("1\ta text\n2\tanother\n")
    assert read_texts(ColumnsConfig(text="1"), str(path)) == ["a text", "another"]


def test_the_lines_of_a_text_file_are_texts(tmp_path):
    content = b"\xef\xbb\xbfone, two\r\n\ncaf\xe9 \x0b to the end\n"
    plain, compressed = tmp_path / "lines.txt", tmp_path / "lines.txt.gz"
    plain.write_bytes(content)
    compressed.write_bytes(gzip.compress(content))
    expected = ["one, two", "", "caf\udce9 \x0b to the end"]
    assert read_texts(ColumnsConfig(), str(plain)) == expected
    assert read_texts(ColumnsConfig(), str(compressed)) == expected


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("lines.txt", b"", "lines.txt: the file is empty"),
        ("lines.txt.gz", gzip.compress(b"not complete", mtime=0)[:-9], "lines.txt.gz: cannot be read"),
        ("missing.txt", None, "missing.txt: no such file"),
        ("table.csv", b"body\na text\n", 'table.csv: no column "text".*--columns.text'),
        ("table.jsonl", b'{"text": "a"}\n{"text": null}\n', 'table.jsonl, row 2: column "text" is null'),
    ],
)
def test_a_file_without_readable_texts_is_an_error(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_texts(ColumnsConfig(), str(tmp_path / name))


@pytest.mark.parametrize(
    "line", ["__label__{0} {1}", "{1} __label__{0}", "__label__{0}\t{1}", "__label__{0}, {1}", "\n__label__{0} {1}\n"]
)
def test_a_fasttext_file_has_labels_before_or_after_its_texts(tmp_path, line):
    path = tmp_path / "train.txt"
    path.write_text(
        "".join(line.format(label, text) + "\n" for label, text in [("good", "a  fine film"), ("bad", "dull")])
    )
    frame = data.read_records(SentimentConfig(data=str(path)), str(path))
    assert frame.to_dict("list") == {"text": ["a  fine film", "dull"], "label": ["good", "bad"]}


def test_a_folder_in_a_folder_is_no_class(tmp_path):
    for label in ("good", "bad"):
        (tmp_path / "aclImdb" / label).mkdir(parents=True)
        (tmp_path / "aclImdb" / label / "1.txt").write_text(f"a {label} film")
    (tmp_path / "aclImdb" / "neutral").mkdir()
    with collect_notices() as notices:
        frame = data.read_records(SentimentConfig(data=str(tmp_path)), str(tmp_path))
    assert frame["label"].tolist() == ["bad", "good"]
    assert "folders without text files left out: neutral" in notices[0].message


def test_predictions_of_a_folder_name_the_files(tmp_path):
    for name in ("b.txt", "a.txt"):
        (tmp_path / name).write_text(f"text of {name}")
    (inputs,) = read_independent_inputs(
        str(tmp_path), "text", "--columns.text", lambda column: column, PredictOptions()
    )
    assert inputs.rows.to_dict("list") == {"file": ["a.txt", "b.txt"], "input": ["text of a.txt", "text of b.txt"]}
