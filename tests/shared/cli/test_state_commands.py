"""`state`: its help, its actions, and tasks without states."""

from __future__ import annotations

import pytest

from shared.cli import main


def test_the_help_lists_tasks_and_actions(capsys):
    for words, expected in ((["state", "--help"], "fraud"), (["state", "fraud", "--help"], "label")):
        with pytest.raises(SystemExit) as stop:
            main(words)
        assert stop.value.code == 0
        assert expected in capsys.readouterr().out


def test_each_action_has_only_its_options(capsys):
    for action, present, absent in (
        ("update", "--rebuild", "--to"),
        ("label", "--data", "--rebuild"),
        ("show", "--store", "--data"),
    ):
        with pytest.raises(SystemExit):
            main(["state", "fraud", action, "--help"])
        printed = capsys.readouterr().out
        assert present in printed
        assert absent not in printed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["stock", "show"], "the task stock keeps no states"),
        (["fraud"], "name an action: update, label, show"),
        (["fraud", "upgrade"], "Received: upgrade"),
        (["fraud", "update"], "Name a file with --data"),
        (["fraud", "show", "--store", "nowhere.sqlite"], "nowhere.sqlite: no state store"),
        (["fraud", "update", "--data", "a.csv", "--late"], "unknown option --late"),
    ],
)
def test_mistakes_are_one_line(error_line, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    assert message in error_line("state", *words)
