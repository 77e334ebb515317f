"""The tasks are alike: the same files, the same README sections in the same order, the same words in their options."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import re
import textwrap
import typing

import pytest

from benchmarks import results
from shared import config as shared_config
from shared import task
from tests.test_readme_commands import ROOT
from tests.user_files import USER_FILES

FILES = {
    "__init__.py",
    "config.py",
    "data.py",
    "inputs.py",
    "sample.py",
    "model.py",
    "train.py",
    "serving.py",
    "evaluate.py",
}
FILES |= {"README.md", "results.json", "picture.png"}
README_SECTIONS = [
    *("What it does", "Quick start", "Your own data", "Results", "How it works", "Serving", "Limits"),
]
DIFFERENT_MEANINGS = {
    "columns.time": "None is possible in the stock task, whose files may have no dates; the fraud task also reads seconds",
    "columns.label": "the fraud task has two fixed classes, whose names are 0 and 1",
    "split.training_from": "the fraud task also reads times that count from day 0",
    "split.test_from": "the fraud task also reads times that count from day 0, and its training days end before it",
}
"""Options that have the same name but another type or help text in some tasks, with the reason."""


@pytest.mark.parametrize("name", list(USER_FILES))
def test_a_task_has_the_expected_files(name):
    assert {path.name for path in (ROOT / "tasks" / name).iterdir()} >= FILES
    assert (ROOT / "docs" / "experiments" / f"{name}.md").is_file()
    assert results.read(name)


@pytest.mark.parametrize("name", list(USER_FILES))
def test_a_readme_has_the_expected_sections(name):
    page = (ROOT / "tasks" / name / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)$", page, re.MULTILINE) == README_SECTIONS
    assert "| problem | message |" in page
    assert "### Step by step" in page
    for text in ("serving_default", f"lstm-suite train {name} --preset sample", f"lstm-suite predict {name}"):
        assert text in page


def options_of(name: str) -> dict[str, tuple[str, str]]:
    """Returns the type and the help text of each option of a task, by the option without its dashes."""
    return _options(type(task.load_presets(name)["default"]), "")


def _options(config_type: type, prefix: str) -> dict[str, tuple[str, str]]:
    options: dict[str, tuple[str, str]] = {}
    hints = typing.get_type_hints(config_type)
    for field in dataclasses.fields(config_type):
        if dataclasses.is_dataclass(hints[field.name]):
            options |= _options(hints[field.name], f"{field.name}.")
        else:
            options[prefix + field.name] = (str(hints[field.name]), _help_text(config_type, field.name))
    return options


def _help_text(config_type: type, field: str) -> str:
    """Returns the docstring below a field, from the class in the hierarchy that declares it last."""
    for owner in config_type.__mro__:
        if field in inspect.get_annotations(owner):
            body = typing.cast(ast.ClassDef, ast.parse(textwrap.dedent(inspect.getsource(owner))).body[0]).body
            for node, following in itertools.pairwise(body):
                if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == field:
                    assert isinstance(following, ast.Expr), f"{owner.__name__}.{field} has no docstring"
                    return " ".join(ast.literal_eval(following.value).split())
    raise AssertionError(f"{config_type.__name__}.{field} has no docstring")


def test_an_option_that_several_tasks_have_has_one_type_and_one_help_text():
    meanings: dict[str, dict[tuple[str, str], list[str]]] = {}
    for name in task.list_task_names():
        for option, meaning in options_of(name).items():
            meanings.setdefault(option, {}).setdefault(meaning, []).append(name)
    different = {option: tasks for option, tasks in meanings.items() if len(tasks) > 1}
    assert set(different) == set(DIFFERENT_MEANINGS), different


def test_a_field_name_has_one_help_text_in_all_sections():
    """The last part of an option, such as `dropout`, means the same in every section of every task."""
    sections: dict[str, set[str]] = {}
    for name in task.list_task_names():
        for option in options_of(name):
            sections.setdefault(option.rpartition(".")[2], set()).add(option)
    shared = {field: options for field, options in sections.items() if len(options) > 1}
    assert shared == {}, shared


def test_a_section_has_one_title_in_all_tasks():
    """The first sentence is the title; further sentences say what is special in the task."""
    titles: dict[str, set[str]] = {}
    for name in task.list_task_names():
        config = task.load_presets(name)["default"]
        for field in dataclasses.fields(config):
            if dataclasses.is_dataclass(section := getattr(config, field.name)):
                text = " ".join((inspect.getdoc(type(section)) or "").split())
                titles.setdefault(field.name, set()).add(text.partition(".")[0])
    assert {name: texts for name, texts in titles.items() if len(texts) > 1} == {}


@pytest.mark.parametrize("name", list(USER_FILES))
def test_every_section_knows_its_name(name):
    config = task.load_presets(name)["default"]
    for field in dataclasses.fields(config):
        section = getattr(config, field.name)
        if dataclasses.is_dataclass(section):
            assert field.name == section.SECTION
            assert shared_config.option(section, "x") == f"--{field.name}.x"
