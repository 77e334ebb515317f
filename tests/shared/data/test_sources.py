"""`shared.data.sources`: the reader of each kind of source is called, and its origin is described in one way."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pandas as pd
import pytest

from shared.config import DataConfig, SplitFilesTaskConfig
from shared.data import sources
from shared.data.sources import Origin, load_source, read_split_files, split_files
from shared.errors import DataError

RECORDS = pd.DataFrame({"text": ["good", "bad"], "label": ["1", "0"]})


def find_reader(source, config=None, **options):
    """Returns the name of the reader that `load_source` calls for a source."""
    readers = {name: lambda name=name: name for name in ("sample", "files", "tfds")}
    named = {"shop:": lambda rest: f"named {rest}"}
    return load_source(config or DataConfig(data=source), **{**readers, "named": named, **options})


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("sample", "sample"),
        ("./sample", "files"),
        ("reviews.csv.gz", "files"),
        ("imdb_reviews", "tfds"),
        ("glue/sst2:2.0.0", "tfds"),
        ("shop:a.csv,b", "named a.csv,b"),
        ("novel.md", "tfds"),
    ],
)
def test_each_kind_of_source_has_its_reader(source, expected):
    assert find_reader(source) == expected


def test_a_task_may_name_further_suffixes_of_files_compressed_or_not(tmp_path, monkeypatch):
    assert find_reader("novel.md", suffixes=(".md",)) == "files"
    assert find_reader("novel.md.xz", suffixes=(".md",)) == "files"
    (tmp_path / "novel").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_reader("novel") == "files"


def test_the_sample_wins_over_a_file_of_its_name(tmp_path, monkeypatch):
    (tmp_path / "sample").write_text("x")
    monkeypatch.chdir(tmp_path)
    assert find_reader("sample") == "sample"


def test_a_task_without_data_sets_of_tfds_raises_an_error_for_an_unknown_name():
    with pytest.raises(DataError, match=r"^imbd: no such file\. Give the path of a file, or the name sample\.$"):
        find_reader("imbd", tfds=None)


@pytest.mark.parametrize("split", ["test", "validation"])
def test_separate_split_files_need_a_file_as_data(split):
    files = {f"{split}_data": "x.csv"}
    assert find_reader("", SplitFilesTaskConfig(data="./train.csv", **files)) == "files"
    for source in ("imdb_reviews", "sample", "shop:a"):
        message = f"^--{split}-data x.csv: {source} has its own splits. Remove the option, or give a file as --data"
        with pytest.raises(DataError, match=message):
            find_reader("", SplitFilesTaskConfig(data=source, **files))


def test_the_files_of_the_splits_are_read_in_the_order_of_the_splits(tmp_path):
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text(name)
    paths = [str(tmp_path / name) for name in ("a.csv", "b.csv")]
    config = SplitFilesTaskConfig(data=paths[0], test_data=paths[1])
    assert split_files(config) == {"train": paths[0], "test": paths[1]}
    frames, origin = read_split_files(config, lambda path: RECORDS.assign(path=path))
    assert {name: frame["path"].iloc[0] for name, frame in frames.items()} == split_files(config)
    assert origin == Origin.of_files(paths)
    assert origin.sha256 == sources.sha256(*paths)
    assert read_split_files(config, lambda _: RECORDS, digest="0")[1].sha256 == "0"


def test_the_name_of_files_is_that_of_their_folder(tmp_path, monkeypatch):
    folder = tmp_path / "reviews"
    folder.mkdir()
    (folder / "train.csv").write_text("x")
    (folder / "test.csv").write_text("y")
    origin = Origin.of_files(
        [str(folder / "train.csv"), str(folder / "test.csv")], split_description="test from test.csv"
    )
    assert (origin.name, origin.location) == ("reviews", "train.csv, test.csv")
    assert (origin.split_description, origin.licence) == ("test from test.csv", sources.USER_FILE_LICENCE)
    monkeypatch.chdir(folder)
    assert Origin.of_files(["train.csv"]).name == "reviews"
    for path in (str(folder), ".", f"..{os.sep}reviews"):
        origin = Origin.of_files([path], digest="0")
        assert (origin.name, origin.location, origin.sha256) == ("reviews", "reviews", "0")


def test_a_data_set_of_tfds_states_its_licence_if_it_has_one():
    info = SimpleNamespace(
        name="digits", full_name="digits/1.0.0", redistribution_info=SimpleNamespace(license="CC BY 4.0")
    )
    assert Origin.of_tfds(info, "12", "own splits") == Origin("digits", "digits/1.0.0", "12", "CC BY 4.0", "own splits")
    info.redistribution_info.license = None
    assert Origin.of_tfds(info, "12").licence == "not stated"


def test_the_sample_has_the_licence_of_the_project_by_default():
    origin = Origin.of_sample("generated", "12", "two seeds")
    assert origin == Origin("sample", "generated", "12", "Apache-2.0, as the project", "two seeds")
    assert Origin.of_sample("espeak", "12", licence="GPL").licence == "GPL"


@pytest.mark.parametrize(
    ("source", "expected"),
    [("imdb_reviews", False), ("glue/sst2:2.0.0", False), ("./reviews", True), ("reviews.csv.gz", True), (".", True)],
)
def test_is_path_distinguishes_files_from_data_set_names(source, expected):
    assert sources.is_path(source) is expected


def test_checksums_depend_on_bytes_and_records(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"text,label\n")
    (tmp_path / "b.csv").write_bytes(b"text,label\n" + b"more,1\n")
    first, second = sources.sha256(str(tmp_path / "a.csv")), sources.sha256(str(tmp_path / "b.csv"))
    assert len(first) == 64
    assert first != second
    changed = RECORDS.assign(label=RECORDS["label"][::-1].tolist())
    assert sources.sha256_records(RECORDS) == sources.sha256_records(RECORDS.copy())
    assert sources.sha256_records(RECORDS) != sources.sha256_records(changed)
