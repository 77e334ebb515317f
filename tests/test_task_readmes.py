"""What a task's page says of a file that nobody here laid out is what happens: its commands are run, and say these words."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from shared import cli
from tests.user_files import MADE

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^    \$ .*\n(?:    .*\n)*", re.MULTILINE)
LEFT_OUT = "…"  # a line of the page for any number of lines


def transcript(page):
    """Returns the commands of a page's blocks that begin with `$`, each with the lines that it says."""
    told = []
    for block in BLOCK.findall(page):
        for part in re.split(r"^    \$ ", block, flags=re.MULTILINE)[1:]:
            command, *lines = part.rstrip("\n").split("\n")
            told.append((command, [line.removeprefix("    ").rstrip() for line in lines]))
    return told


def matches(said, told):
    pattern = "\n".join(re.escape(line) if line != LEFT_OUT else r"(?:.*\n)*?.*" for line in told)
    return re.fullmatch(pattern, "\n".join(line.rstrip() for line in said)) is not None


def test_lines_that_are_left_out_are_any_and_others_are_not():
    assert matches(["a", "b", "c"], ["a", LEFT_OUT])
    assert matches(["a", "b", "c"], ["a", LEFT_OUT, "c"])
    assert not matches(["a", "b", "c"], ["a", LEFT_OUT, "b"])
    assert not matches(["a", "b"], ["a"])


@pytest.mark.parametrize("name", list(MADE))
def test_a_file_of_another_hand_is_met_as_the_page_says(name, tmp_path, monkeypatch, capfd):
    MADE[name](tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["lstm-suite"])
    commands = transcript((ROOT / "tasks" / name / "README.md").read_text(encoding="utf-8"))
    checks = [command for command, _ in commands if command.startswith("lstm-suite check")]
    assert len(checks) > 2
    for command, told in commands:
        words = shlex.split(command)
        if words[0] == "lstm-suite":
            status = cli.main(words[1:])
            assert status == (0 if command == checks[-1] else 2)
        else:
            subprocess.run(["bash", "-c", command], check=True)
        said = "".join(capfd.readouterr()).rstrip("\n")
        assert matches(said.split("\n") if said else [], told), f"{command}\n{said}"
