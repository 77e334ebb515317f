"""`shared.cli.new_task`: a new task is one more folder; it trains and passes the contract test, and nothing else changes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from shared.cli import new_task
from shared.errors import SuiteError

NAME = "door_bell"


@pytest.fixture
def checkout(tmp_path):
    """Copy of the sources, documents and tests of this repository."""
    for name in ("shared", "tasks", "tests", "data", "benchmarks"):
        ignore = shutil.ignore_patterns("__pycache__", "cache")
        shutil.copytree(new_task.ROOT / name, tmp_path / name, ignore=ignore)
    for name in ("README.md", "pyproject.toml"):
        shutil.copyfile(new_task.ROOT / name, tmp_path / name)
    return tmp_path


def run(checkout, *arguments):
    """Runs Python in the copy and returns its output."""
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    process = subprocess.run(
        [sys.executable, *arguments], cwd=checkout, env=environment, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stdout[-4000:] + process.stderr[-2000:]
    return process.stdout


def test_a_new_task_passes_the_contract_test(checkout):
    command = ("-c", "import sys; from shared.cli import main; sys.exit(main(sys.argv[1:]))")
    assert f"tasks/{NAME}/train.py" in run(checkout, *command, "new", NAME)
    before = {path: path.read_bytes() for path in (checkout / "shared").rglob("*.py")}
    output = run(checkout, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/contract", "-k", NAME)
    assert " passed" in output
    output = run(checkout, *command, "train", NAME, "--preset", "sample")
    assert "Exported and verified" in output
    run(checkout, "-m", "benchmarks.publish", "--add", f"saved_models/{NAME}/1")
    assert f"lstm-suite train {NAME} --preset sample" in (checkout / "tasks" / NAME / "results.json").read_text()
    assert "| exported | **" in (checkout / "tasks" / NAME / "README.md").read_text()
    assert f"](tasks/{NAME}/README.md)" in (checkout / "README.md").read_text()
    assert "open" in run(checkout, *command, "predict", NAME, "close look open")
    assert {path: path.read_bytes() for path in (checkout / "shared").rglob("*.py")} == before


def test_a_new_task_passes_the_linter(checkout):
    new_task.create(NAME, checkout)
    for check in (("check",), ("format", "--check")):
        run(checkout, "-m", "ruff", *check, f"tasks/{NAME}")


@pytest.mark.parametrize("name", ["Next", "2nd", "a-b", "", "class", "../x"])
def test_an_invalid_name_raises_an_error(tmp_path, name):
    with pytest.raises(SuiteError, match="not a valid task name"):
        new_task.create(name, tmp_path)


def test_an_existing_task_is_not_changed(tmp_path):
    (tmp_path / "tasks" / NAME).mkdir(parents=True)
    with pytest.raises(SuiteError, match="already exists"):
        new_task.create(NAME, tmp_path)
    assert not list((tmp_path / "tasks" / NAME).iterdir())
