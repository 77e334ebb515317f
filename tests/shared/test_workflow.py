"""A run's folder belongs to its settings, data and code."""

import dataclasses

import pytest

from shared import workflow
from shared.config import TaskConfig, TrainingConfig
from shared.errors import SuiteError
from shared.task import presets, summary, task_names

CONFIG = TaskConfig()


def folder(tmp_path, config=CONFIG, data="a"):
    return workflow._run_folder(tmp_path / "sentiment", config, data)


def test_the_same_run_finds_its_folder_and_any_other_another(tmp_path, monkeypatch):
    first = folder(tmp_path)
    assert folder(tmp_path) == first
    assert folder(tmp_path, dataclasses.replace(CONFIG, output="elsewhere")) == first
    assert folder(tmp_path, data="b") != first
    assert folder(tmp_path, dataclasses.replace(CONFIG, training=TrainingConfig(seed=2))) != first
    monkeypatch.setattr(workflow, "_code", lambda task: ["changed"])
    assert folder(tmp_path) != first


def test_the_code_of_a_task_is_its_own_and_the_shared(tmp_path):
    assert len(workflow._code("sentiment")) > len(workflow._code("no such task")) > 5


def test_no_resume_starts_from_nothing(tmp_path):
    first = folder(tmp_path)
    (first / "checkpoints").mkdir()
    again = folder(tmp_path, dataclasses.replace(CONFIG, resume=False))
    assert again == first
    assert not (again / "checkpoints").exists()


def test_a_task_that_does_not_exist_is_named_with_those_that_do():
    with pytest.raises(SuiteError, match=r"juggling.*sentiment"):
        presets("juggling")


@pytest.mark.parametrize("name", task_names())
def test_every_task_says_what_it_does_and_has_the_presets(name):
    assert summary(name).endswith(".")
    assert {"sample", "default", "large"} <= set(presets(name))
