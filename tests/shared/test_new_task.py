"""A sixth task is one folder more: it trains, is published and keeps the suite's promises without a line changed elsewhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from shared import new_task
from shared.errors import SuiteError

NAME = "door_bell"


@pytest.fixture
def checkout(tmp_path):
    """A copy of the project's sources, pages and tests."""
    for name in ("shared", "tasks", "tests", "data"):
        unwanted = shutil.ignore_patterns("__pycache__", "cache")
        shutil.copytree(new_task.ROOT / name, tmp_path / name, ignore=unwanted)
    for name in ("README.md", "pyproject.toml"):
        shutil.copyfile(new_task.ROOT / name, tmp_path / name)
    return tmp_path


def run(checkout, *words):
    place = {**os.environ, "PYTHONPATH": str(checkout)}
    done = subprocess.run(
        [sys.executable, *words], cwd=checkout, env=place, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    return done.stdout


def test_a_task_that_is_laid_down_keeps_every_promise(checkout):
    command = ("-c", "import sys; from shared.cli import main; sys.exit(main(sys.argv[1:]))")
    assert f"tasks/{NAME}/train.py" in run(checkout, *command, "new", NAME)
    before = {path: path.read_bytes() for path in (checkout / "shared").rglob("*.py")}
    found = run(checkout, *command, "train", NAME, "--preset", "sample")
    assert "Exported and verified" in found
    run(checkout, *command, "results", "--add", f"saved_models/{NAME}/1")
    assert f"lstm-suite train {NAME} --preset sample" in (checkout / "README.md").read_text()
    assert "open" in run(checkout, *command, "predict", NAME, "close look open")
    told = run(checkout, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/contract", "-k", NAME)
    assert " passed" in told
    assert {path: path.read_bytes() for path in (checkout / "shared").rglob("*.py")} == before


def test_what_is_laid_down_is_clean(checkout):
    new_task.create(NAME, checkout)
    for check in (("check",), ("format", "--check")):
        run(checkout, "-m", "ruff", *check, f"tasks/{NAME}")


@pytest.mark.parametrize("name", ["Next", "2nd", "a-b", "", "class", "../x"])
def test_what_is_no_name_is_refused(tmp_path, name):
    with pytest.raises(SuiteError, match="no name of a task"):
        new_task.create(name, tmp_path)


def test_a_task_that_is_there_is_left_alone(tmp_path):
    (tmp_path / "tasks" / NAME).mkdir(parents=True)
    with pytest.raises(SuiteError, match="there already"):
        new_task.create(NAME, tmp_path)
    assert not list((tmp_path / "tasks" / NAME).iterdir())
