"""Fixtures of the tests of the command line, which run it on the trained sample of the sentiment task."""

from __future__ import annotations

import json

import pytest

from shared.cli import main


@pytest.fixture
def sentiment(trained):
    return trained


@pytest.fixture
def predictions_for(sentiment, capsys):
    """Runs `predict --json` and returns the predictions."""

    def predict(*arguments):
        capsys.readouterr()
        assert main(["predict", "sentiment", "--models", sentiment.config.output, "--json", *arguments]) == 0
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return predict


@pytest.fixture
def error_line(capsys):
    """Runs a command that must fail, and returns its one line on standard error beside notices on the data."""

    def run(*arguments):
        capsys.readouterr()
        assert main([str(argument) for argument in arguments]) == 2
        lines = capsys.readouterr().err.splitlines()
        lines = [line for line in lines if not line.startswith("lstm-suite: notice: ")]
        assert len(lines) == 1, lines
        assert lines[0].startswith("lstm-suite: ")
        return lines[0]

    return run


@pytest.fixture
def write(tmp_path):
    def file(name, content):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return file
