"""From words to a task's configuration: presets, sections, inputs of `predict`."""

from __future__ import annotations

import dataclasses
from datetime import date

import pytest

from shared import task
from shared.cli import options
from shared.config import PredictOptions, is_default
from shared.errors import SuiteError

OWN = options.VERSION_OPTIONS


def parse(words, name="sentiment", own=OWN, **arguments):
    return options.parse_options("test", name, words, own, **arguments)


def model_config(**columns):
    default = task.load_presets("sentiment")["default"]
    return dataclasses.replace(default, columns=dataclasses.replace(default.columns, **columns))


def test_the_configuration_has_the_plain_type_of_the_task():
    """The fingerprint of a run and the settings in the report must not contain options of the command."""
    config, values = parse(["--data", "x.csv", "--json", "--version", "3"])
    assert type(config) is type(task.load_presets("sentiment")["default"])
    assert config == dataclasses.replace(task.load_presets("sentiment")["default"], data="x.csv")
    assert values == {"models": "saved_models", "version": 3, "json": True}


@pytest.mark.parametrize("words", [["--preset", "sample"], ["--preset=sample"]])
def test_a_preset_supplies_the_defaults(words):
    config, values = parse(words, own={"preset": options.PRESET})
    assert config == task.load_presets("sentiment")["sample"]
    assert values == {"preset": "sample"}


def test_an_option_changes_one_field_of_a_section():
    config, _ = parse(["--training.epochs", "7", "--lstm.units", "8"])
    default = task.load_presets("sentiment")["default"]
    assert config.training == dataclasses.replace(default.training, epochs=7)
    assert config.lstm.units == (8,)


def test_an_option_overrides_the_trained_model_even_if_it_equals_the_default():
    assert parse([], model_config=model_config(text="review"))[0].columns.text == "review"
    assert parse(["--columns.text", "text"], model_config=model_config(text="review"))[0].columns.text == "text"


@pytest.mark.parametrize("name", ["fraud", "next_word", "stock"])
def test_a_model_that_predicts_from_the_past_has_no_option_for_both_directions(name):
    with pytest.raises(SuiteError, match=r"unknown option --lstm\.bidirectional"):
        parse(["--lstm.bidirectional"], name)


@pytest.mark.parametrize(
    "words", [["--version", "3", "--json"], ["--json", "--version=3"], ["--version", "2", "--version", "3"]]
)
def test_the_value_of_an_option_is_found_before_parsing(words):
    assert options.find_value(words, "--version", "") == "3"
    assert options.find_value(words, "--models", "saved_models") == "saved_models"


@pytest.mark.parametrize(
    ("words", "inputs", "rest"),
    [
        (["a", "b"], ["a", "b"], []),
        (["a", "--json", "b"], ["a", "b"], ["--json"]),
        (["a", "--models", "m", "b"], ["a", "b"], ["--models", "m"]),
        (["--models=m", "b"], ["b"], ["--models=m"]),
        (["--columns.amount", "euro", "x"], ["x"], ["--columns.amount", "euro"]),
        (["--columns.card", "user", "card", "{}"], ["{}"], ["--columns.card", "user", "card"]),
        (["--columns.numeric", "a", "b", "--json", "x"], ["x"], ["--columns.numeric", "a", "b", "--json"]),
        (["-5 stars", "--", "--json", "-x"], ["-5 stars", "--json", "-x"], []),
        (["--columns.time_format", "%d", "x"], ["x"], ["--columns.time_format", "%d"]),
        (["--to", "out.csv", "--on-error=skip", "x"], ["x"], ["--to", "out.csv", "--on-error=skip"]),
        (["--unknown", "x"], ["x"], ["--unknown"]),
    ],
)
def test_inputs_are_separated_from_options_and_their_values(words, inputs, rest):
    assert options.split_inputs("fraud", words, OWN, PredictOptions) == (inputs, rest)


def test_every_option_of_every_task_is_known_to_the_separation():
    """An option whose number of values is unknown would turn its value into an input."""
    for name in task.list_task_names():
        types = options._option_types(type(task.load_presets(name)["default"]))
        assert {"--data", "--columns.text" if name == "sentiment" else "--data", "--training.seed"} <= set(types)
        assert not [option for option, hint in types.items() if hint is None]


def parse_evaluate(words, name):
    return options.parse_options(
        "evaluate", name, words, options.VERSION_OPTIONS, model_config=task.load_presets(name)["default"]
    )[0]


def test_evaluate_takes_the_options_of_the_split_that_choose_days():
    split = parse_evaluate(["--split.test-from", "2024-01-05", "--split.test-until", "2024-02-05"], "stock").split
    assert (split.test_from, split.test_until) == (date(2024, 1, 5), date(2024, 2, 5))
    assert parse_evaluate(["--split.test-from", "2024-01-05"], "fraud").split.test_from == date(2024, 1, 5)
    assert parse_evaluate(["--split.test-from", "33", "--split.test-days", "2"], "fraud").split.test_from == 33
    assert is_default(parse_evaluate(["--split.test-from", "33"], "fraud").split.test_days)


@pytest.mark.parametrize(
    ("words", "name", "problem"),
    [
        (
            ["--split.training-from", "2024-01-05"],
            "stock",
            "--split.test-from and --split.test-until choose other days",
        ),
        (["--split.test-fraction=0.2"], "sentiment", "Put the records to score into a file"),
        (["--lstm.units", "3"], "stock", "unknown option --lstm.units. It belongs to train"),
        (["--split.test-until", "2024-01-05", "--split.test-from", "2024-02-05"], "stock", "must be in this order"),
    ],
)
def test_evaluate_says_why_it_does_not_take_an_option(words, name, problem):
    with pytest.raises(SuiteError, match=problem):
        parse_evaluate(words, name)
