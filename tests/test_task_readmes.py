"""The transcripts in the README of a task are real: the commands run on a user's file and print exactly these words."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from shared import cli
from tests.user_files import USER_FILES

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^    \$ .*\n(?:    .*\n)*", re.MULTILINE)
ELLIPSIS = "…"  # a line of a transcript that stands for any number of lines


def parse_transcript(text):
    """Returns the commands in blocks that begin with `$`, each with the lines of its output."""
    commands = []
    for block in BLOCK.findall(text):
        for part in re.split(r"^    \$ ", block, flags=re.MULTILINE)[1:]:
            command, *lines = part.rstrip("\n").split("\n")
            commands.append((command, [line.removeprefix("    ").rstrip() for line in lines]))
    return commands


def matches(output, expected):
    pattern = "\n".join(re.escape(line) if line != ELLIPSIS else r"(?:.*\n)*?.*" for line in expected)
    return re.fullmatch(pattern, "\n".join(line.rstrip() for line in output)) is not None


def run_command(command, capfd):
    """Runs a command of a transcript; returns its exit status and the lines of its output."""
    words = shlex.split(command)
    if words[0] == "lstm-suite":
        status = cli.main(words[1:])
    else:
        status = subprocess.run(["bash", "-c", command], check=True).returncode
    output = "".join(reversed(capfd.readouterr())).rstrip("\n")  # notices, in standard error, come before the result
    return status, output.split("\n") if output else []


def test_an_ellipsis_matches_any_lines_and_other_lines_match_exactly():
    assert matches(["a", "b", "c"], ["a", ELLIPSIS])
    assert matches(["a", "b", "c"], ["a", ELLIPSIS, "c"])
    assert not matches(["a", "b", "c"], ["a", ELLIPSIS, "b"])
    assert not matches(["a", "b"], ["a"])


@pytest.mark.parametrize("name", list(USER_FILES))
def test_the_transcript_of_a_task_is_what_the_commands_print(name, tmp_path, monkeypatch, capfd):
    USER_FILES[name](tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["lstm-suite"])
    commands = parse_transcript((ROOT / "tasks" / name / "README.md").read_text(encoding="utf-8"))
    checks = [command for command, _ in commands if command.startswith("lstm-suite check")]
    assert len(checks) > 2
    for command, expected in commands:
        status, output = run_command(command, capfd)
        if command.startswith("lstm-suite"):
            assert status == (0 if command == checks[-1] else 2)
        assert matches(output, expected), f"{command}\n" + "\n".join(output)
