"""Errors of the option parser are one line that names the option and the expected value."""

from __future__ import annotations

import io
import sys

import pytest

from shared.cli import options
from shared.errors import SuiteError


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--training.epochs", "abc"], "--training.epochs must be INT. Received: abc."),
        (["--training.epochs"], "--training.epochs needs a value."),
        (["--lstm.units", "3", "x"], "--lstm.units must be a list of INT. Received: 3 x."),
        (["--split.test-from", "2020"], "--split.test-from must be None or YYYY-MM-DD. Received: 2020."),
        (
            ["--columns.layout", "tall"],
            "\"tall\" is not a value of --columns.layout. Expected one of ('long', 'wide').",
        ),
        (["--lstm.unit", "3"], "Unrecognized options: --lstm.unit, 3. Did you mean --lstm.units?"),
        (["some"], "Unrecognized options: some."),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_an_error_is_one_line_with_the_option_as_typed(words, expected, encoding, monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    with pytest.raises(SuiteError) as raised:
        options.parse_options("train", "stock", words, {"preset": options.PRESET})
    assert str(raised.value) == f"stock: {expected} See lstm-suite train stock --help."


def test_an_invalid_value_of_a_section_has_no_second_hint():
    with pytest.raises(SuiteError) as raised:
        options.parse_options("train", "stock", ["--training.epochs", "0"], {"preset": options.PRESET})
    assert str(raised.value) == "stock: --training.epochs must be at least 1. Received: 0"
