"""Each command that a page shows is one that the command line takes, with options that are there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from shared import cli, task

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "data" / "README.md", *sorted(ROOT.glob("tasks/*/README.md"))]
COMMAND = re.compile(r"^    (?:\.venv/bin/)?lstm-suite (.*)$", re.MULTILINE)


def words_of(line: str) -> list[str]:
    """Returns a page's command as the shell would part it, without what the page says of it behind it."""
    return shlex.split(re.sub(r"\s{2,}#.*$| …$", "", line), comments=True)


def commands():
    for page in PAGES:
        for line in dict.fromkeys(COMMAND.findall(page.read_text(encoding="utf-8"))):
            yield pytest.param(words_of(line), id=f"{page.relative_to(ROOT)}: {line[:60]}")


def test_there_are_commands_of_every_task():
    told = {name for words in (one.values[0] for one in commands()) for name in words[1:2] if words[0] == "train"}
    assert told == set(task.list_task_names())


@pytest.mark.parametrize("words", list(commands()))
def test_a_command_is_taken(words):
    known, rest = cli._parser().parse_known_args(words)
    if known.command in ("train", "check", "evaluate", "recalibrate"):
        preset = getattr(known, "preset", "default")
        cli._config(known.task, preset, rest, prog="lstm-suite")
    else:
        if known.command == "predict":
            rest = cli._take_inputs(known, rest)
        assert not rest
    if hasattr(known, "task"):
        assert known.task in task.list_task_names()
