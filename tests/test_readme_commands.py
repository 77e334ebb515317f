"""Every command in the documentation is valid: the command line accepts it, with options that exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from shared import task
from shared.cli.parser import TASK_COMMANDS, parse

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "data/*.md", "saved_models/*.md", "docs/**/*.md", "tasks/*/README.md", "benchmarks/*.md")
    for path in ROOT.glob(pattern)
)
COMMAND = re.compile(r"^    (?:\$ )?(?:\.venv/bin/)?lstm-suite (.*)$", re.MULTILINE)
INLINE_COMMAND = re.compile(r"`lstm-suite ([a-z-]+(?: [^`]*)?)`")


def split_command(line: str) -> list[str]:
    """Splits a command as the shell does, without a comment or an ellipsis after it."""
    return shlex.split(re.sub(r"\s{2,}#.*$| …$| &$", "", line), comments=True)


def documented_commands():
    for path in DOCUMENTS:
        for line in dict.fromkeys(COMMAND.findall(path.read_text(encoding="utf-8"))):
            yield pytest.param(split_command(line), id=f"{path.relative_to(ROOT)}: {line[:60]}")


def test_every_task_is_trained_in_a_documented_command():
    words = [parameter.values[0] for parameter in documented_commands()]
    assert {command[1] for command in words if command[0] == "train"} >= set(task.list_task_names())


@pytest.mark.parametrize("words", list(documented_commands()))
def test_the_command_line_accepts_a_documented_command(words, monkeypatch):
    if {"--help", "--version"} & set(words):
        with pytest.raises(SystemExit) as stop:
            parse(words)
        assert stop.value.code == 0
        return
    assert parse(words).name == words[0]


def test_inline_commands_name_commands_and_tasks_that_exist():
    names = {"list", "export", "serve", "serve-config", "demo", "new"}
    names |= set(TASK_COMMANDS)
    for path in DOCUMENTS:
        for line in INLINE_COMMAND.findall(path.read_text(encoding="utf-8")):
            command, *rest = line.split()
            assert command in names, f"{path}: {line}"
            if rest and rest[0].islower() and command in TASK_COMMANDS:
                assert rest[0] in task.list_task_names(), f"{path}: {line}"
