"""Versions are found by their number, and their metadata are checked."""

from __future__ import annotations

import json

import pytest

from shared.errors import ExportError
from shared.export.versions import find_version, list_versions, load_metadata


@pytest.fixture
def folder(tmp_path):
    for name in ("1", "2", "10", "03", "runs", "99999999999999999999"):
        (tmp_path / name).mkdir()
    (tmp_path / "7").write_text("a file")
    return tmp_path


def test_versions_are_folders_with_plain_numbers_in_their_order(folder):
    assert [path.name for path in list_versions(folder)] == ["1", "2", "10"]
    assert list_versions(folder / "nowhere") == []


def test_the_newest_version_is_the_default(folder):
    assert find_version(folder).name == "10"
    assert find_version(folder, 2).name == "2"


@pytest.mark.parametrize("number", [3, 7, -1])
def test_a_missing_version_is_an_error_that_lists_the_versions(folder, number):
    with pytest.raises(ExportError, match=rf"no version {number}\. The versions are: 1, 2, 10\."):
        find_version(folder, number)


def test_a_folder_without_versions_is_an_error_with_the_next_command(tmp_path):
    with pytest.raises(ExportError, match="lstm-suite train fraud"):
        find_version(tmp_path / "fraud")
    with pytest.raises(ExportError, match="The versions are: none"):
        find_version(tmp_path / "fraud", 1)


@pytest.mark.parametrize("text", ["", "[]", "{}", "3"])
def test_broken_metadata_are_an_error(tmp_path, text):
    (tmp_path / "task.json").write_text(text)
    with pytest.raises(ExportError, match=r"task\.json: missing or broken"):
        load_metadata(tmp_path)


def test_metadata_of_another_task_are_an_error(tmp_path):
    (tmp_path / "task.json").write_text(json.dumps({"task": "fraud"}))
    assert load_metadata(tmp_path, "fraud") == {"task": "fraud"}
    with pytest.raises(ExportError, match=r"a model of the task fraud\. A model of stock is needed"):
        load_metadata(tmp_path, "stock")
