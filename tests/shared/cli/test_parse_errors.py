"""Errors of the option parser are one line that names the option and the expected value."""

from __future__ import annotations

import io
import os
import sys

import pytest

from shared.cli import options
from shared.errors import SuiteError


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--training.epochs", "abc"], "--training.epochs must be a whole number. Received: abc"),
        (["--training.epochs"], "--training.epochs needs a value."),
        (["--lstm.units", "3", "x"], "--lstm.units must be whole numbers. Received: 3 x"),
        (["--split.test-from", "2020"], "--split.test-from must be None or YYYY-MM-DD. Received: 2020"),
        (["--columns.layout", "tall"], "--columns.layout must be long or wide. Received: tall"),
        ([f"--columns.layout=a{'-' * 30}b"], f"--columns.layout must be long or wide. Received: a{'-' * 30}b"),
        (["--training.epochs", "it's"], "--training.epochs must be a whole number. Received: it's"),
        (["--forecast.quantiles", "0.1", "x'y"], "--forecast.quantiles must be numbers. Received: 0.1 x'y"),
        ([f"{'long/' * 40}my----file.csv"], f"unexpected word {'long/' * 40}my----file.csv."),
        (["--lstm.unit", "3"], "unknown option --lstm.unit. Did you mean --lstm.units?"),
        (["some"], "unexpected word some."),
    ],
)
@pytest.mark.parametrize(("encoding", "columns"), [("utf-8", "80"), ("ascii", "80"), ("utf-8", "30")])
def test_an_error_is_one_line_with_the_option_as_typed(words, expected, encoding, columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    with pytest.raises(SuiteError) as raised:
        options.parse_options("train", "stock", words, {"preset": options.PRESET})
    assert str(raised.value) == f"stock: {expected}"
    assert os.environ["COLUMNS"] == columns


def test_an_invalid_value_of_a_section_has_no_second_hint():
    with pytest.raises(SuiteError) as raised:
        options.parse_options("train", "stock", ["--training.epochs", "0"], {"preset": options.PRESET})
    assert str(raised.value) == "stock: --training.epochs must be at least 1. Received: 0"
