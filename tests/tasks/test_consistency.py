"""The five tasks are told the same way: the same files, the same sections of their pages, in the same order."""

from __future__ import annotations

import re

import pytest

from tests.test_readme_commands import ROOT
from tests.user_files import MADE

FILES = {"__init__.py", "config.py", "data.py", "sample.py", "model.py", "train.py", "serving.py", "evaluate.py"}
FILES |= {"README.md", "results.json", "picture.png"}
SECTIONS = ["The model", "Results", "Your own data", "Serving", "Limits"]


@pytest.mark.parametrize("name", list(MADE))
def test_a_task_has_the_files_that_a_reader_expects(name):
    assert {path.name for path in (ROOT / "tasks" / name).iterdir()} >= FILES


@pytest.mark.parametrize("name", list(MADE))
def test_a_page_has_the_sections_that_a_reader_expects(name):
    page = (ROOT / "tasks" / name / "README.md").read_text(encoding="utf-8")
    found = re.findall(r"^## (.*)$", page, re.MULTILINE)
    assert [section for section in found if section in SECTIONS] == SECTIONS
    assert "| what is wrong |" in page
    assert "### Step by step" in page
    for signature in ("serving_default", f"lstm-suite train {name} --preset sample", f"lstm-suite predict {name}"):
        assert signature in page
