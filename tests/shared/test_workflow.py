"""The folder of a run depends on its settings, its data and its code."""

import dataclasses

import pytest

from shared import workflow
from shared.config import SECTIONS
from shared.errors import SuiteError
from shared.task import (
    list_task_names,
    load_example_data,
    load_input_and_output,
    load_presets,
    load_summary,
)

CONFIG = load_presets("sentiment")["sample"]


def run_folder(tmp_path, config=CONFIG, data="a"):
    return workflow._run_folder(tmp_path / "sentiment", config, data)


def test_the_same_run_uses_the_same_folder_and_a_different_run_another(tmp_path, monkeypatch):
    first = run_folder(tmp_path)
    assert run_folder(tmp_path) == first
    assert run_folder(tmp_path, dataclasses.replace(CONFIG, output="elsewhere")) == first
    assert run_folder(tmp_path, data="b") != first
    assert (
        run_folder(tmp_path, dataclasses.replace(CONFIG, training=dataclasses.replace(CONFIG.training, seed=2)))
        != first
    )
    monkeypatch.setattr(workflow, "_code_digests", lambda task: ["changed"])
    assert run_folder(tmp_path) != first


def test_the_code_of_a_task_includes_its_package_and_the_shared_modules(tmp_path):
    assert len(workflow._code_digests("sentiment")) > len(workflow._code_digests("no such task")) > 5


def test_without_resume_a_run_starts_from_the_beginning(tmp_path):
    first = run_folder(tmp_path)
    (first / "checkpoints").mkdir()
    second = run_folder(tmp_path, dataclasses.replace(CONFIG, resume=False))
    assert second == first
    assert not (second / "checkpoints").exists()


def test_an_unknown_task_is_an_error_that_lists_the_tasks():
    with pytest.raises(SuiteError, match=r"juggling.*sentiment"):
        load_presets("juggling")


@pytest.mark.parametrize("name", list_task_names())
def test_every_task_has_a_summary_presets_and_example_data(name):
    assert load_summary(name).endswith(".")
    assert all(load_input_and_output(name))
    assert load_example_data(name)
    presets = load_presets(name)
    assert {"sample", "default", "large"} <= set(presets)
    assert {preset.data for preset_name, preset in presets.items() if preset_name == "sample"} == {"sample"}
    assert {preset.data for preset_name, preset in presets.items() if preset_name != "sample"} == {""}


@pytest.mark.parametrize("name", list_task_names())
def test_every_task_has_its_sections_in_the_same_order(name):
    fields = [field.name for field in dataclasses.fields(load_presets(name)["default"])]
    sections = [field for field in fields if field in SECTIONS]
    assert sections == [section for section in SECTIONS if section in sections]
    assert {"columns", "split", "model", "lstm", "training"} <= set(sections)
    assert fields[0] == "data"
    assert [field for field in fields if field not in SECTIONS] == fields[: len(fields) - len(sections)]
