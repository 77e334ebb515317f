"""A mistake in a file is reported before TensorFlow is imported, by every command of every task."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from shared import task
from shared.config import as_dict

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("tensorflow", "keras", "sklearn", "matplotlib")
RUN = f"""
import json, sys
from shared.cli import main
name, commands = sys.argv[1], json.loads(sys.argv[2])
for words in commands:
    print("#", *words, file=sys.stderr, flush=True)
    print(main(words), sorted(set(sys.modules) & set({HEAVY})))
"""
METADATA = {
    "fraud": {"label_delay_days": 7, "terminal": True},
    "next_word": {"vocabulary": ["a", "b"]},
    "sentiment": {"labels": ["neg", "pos"]},
    "speech": {"alphabet": " opst"},
}
BAD_ROWS = {  # a table whose first row cannot be used, and what the message says
    "fraud": ("CUSTOMER_ID,TERMINAL_ID,TX_DATETIME,TX_AMOUNT,TX_FRAUD\nann,baker,soon,1,0\n", "row 1.*soon"),
    "next_word": ('{"text": null}\n', "row 1"),
    "sentiment": ('{"text": null, "label": "neg"}\n', "row 1"),
    "speech": ("file,text\nnowhere.wav,stop\n", "row 1.*nowhere.wav"),
    "stock": ("Ticker,Date,Close\nABC,2024-01-02,much\n", "row 1.*much"),
}


TYPED = {"fraud": '{"TX_AMOUNT": 1}', "speech": "nowhere.wav", "stock": '{"Ticker": "ABC"}'}
"""Inputs that cannot be used; other tasks take any text."""


def write_version(name, folder):
    presets = task.load_presets(name)
    version = folder / name / "1"
    version.mkdir(parents=True)
    columns = as_dict(presets["default"].columns)
    (version / "task.json").write_text(json.dumps({"task": name, "columns": columns, **METADATA.get(name, {})}))


def list_commands(name):
    """Returns the commands of a task that read a file, without the options."""
    commands = [["train", name], ["check", name], ["predict", name], ["evaluate", name]]
    commands += [[command, name] for command in ("generate", "complete", "score") if task.has_command(name, command)]
    if task.has_recalibration(name):
        commands.append(["recalibrate", name])
    if task.has_state(name):
        commands += [["state", name, "update"], ["state", name, "label"]]
    return commands


@pytest.mark.parametrize("name", task.list_task_names())
def test_every_command_reports_a_mistake_in_a_file_before_tensorflow_is_imported(name, tmp_path):
    write_version(name, tmp_path)
    content, message = BAD_ROWS[name]
    files = {
        "columns.csv": "one,two\n1,2\n3,4\n",
        "damaged.parquet": "PAR1 is not enough",
        f"row.{'jsonl' if content.startswith('{') else 'csv'}": content,
    }
    commands = []
    for file, text in files.items():
        (tmp_path / file).write_text(text, encoding="utf-8")
    for words in list_commands(name):
        place = [] if words[0] in ("train", "check") else ["--models", str(tmp_path)]
        commands += [[*words, *place, "--data", str(tmp_path / file)] for file in ("missing.csv", *files)]
    if name in TYPED:
        commands.append(["predict", name, TYPED[name], "--models", str(tmp_path)])
    done = subprocess.run(
        [sys.executable, "-c", RUN, name, json.dumps(commands)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == ["2 []"] * len(commands), done.stderr
    messages = done.stderr.split("\n#")
    assert len(messages) == len(commands)
    for words, text in zip(commands, messages, strict=True):
        file = Path(words[-1]).name
        expected = {
            "missing.csv": "missing.csv: no such file",
            "columns.csv": "no column .* Name the right one with --columns",
            "damaged.parquet": "damaged.parquet: cannot be read as parquet",
        }
        pattern = "line 1|row 1" if "--data" not in words else expected.get(file, message)
        assert re.search(pattern, text), text
