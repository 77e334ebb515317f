"""`generate`: prompts with their continuations, the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from shared import workflow
from shared.task import Inputs, line_table
from tasks.next_word.config import GenerateOptions
from tasks.next_word.generation import generate, text_table

METADATA = {"text": {"unit": "word"}}


class FakePredictor:
    """A predictor that returns fixed continuations and remembers the request."""

    def __init__(self, *texts):
        self.texts, self.request = texts, {}

    def __call__(self, request):
        self.request = request
        return {"text": np.array([text.encode() for text in self.texts], object)}


def test_every_prompt_has_the_settings_and_its_own_seed():
    predictor = FakePredictor("time", "a\nb")
    options = GenerateOptions(length=7, temperature=0.5, top_k=3, top_p=0.9, repetition_penalty=1.2, seed=4)
    texts = generate(["Once upon a", "Über"], METADATA, predictor, options)["text"]
    assert texts.tolist() == ["Once upon a time", "Über a\nb"]
    request = {name: values.tolist() for name, values in predictor.request.items()}
    assert request["prompt"] == [b"Once upon a", "Über".encode()]
    assert request["seed"] == [4, 5]
    assert request["length"] == [7, 7]
    np.testing.assert_allclose(request["repetition_penalty"], 1.2, rtol=1e-6)


@pytest.mark.parametrize(
    ("prompt", "continuation", "unit", "text"),
    [
        ("Once", ", twice", "word", "Once, twice"),
        ("Once ", "more", "word", "Once more"),
        ("Once", "\nmore", "word", "Once\nmore"),
        ("", "More", "word", "More"),
        ("Onc", "e more", "character", "Once more"),
    ],
)
def test_prompt_and_continuation_are_joined_like_written_text(prompt, continuation, unit, text):
    predictions = generate([prompt], {"text": {"unit": unit}}, FakePredictor(continuation), GenerateOptions())
    assert predictions["text"].tolist() == [text]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": 0}, "--length must be at least 1"),
        ({"length": 1001}, "--length must be at most 1000"),
        ({"top_p": 0.0}, "--top-p must be greater than 0"),
        ({"top_p": 1.5}, "--top-p must be at most 1"),
        ({"repetition_penalty": 0.9}, "--repetition-penalty must be at least 1"),
        ({"temperature": -1.0}, "--temperature must be at least 0"),
    ],
)
def test_a_setting_out_of_range_is_an_error_that_names_the_option(options, message):
    with pytest.raises(ValueError, match=message):
        GenerateOptions(**options)


@pytest.mark.only_task("next_word")
def test_an_exported_model_generates_the_same_text_for_the_same_seed(trained):
    command, inputs = trained.task.commands["generate"], Inputs(line_table(["The value"]), ["The value"])

    def run(**fields):
        options = GenerateOptions(length=12, temperature=0.8, **fields)
        (rows,) = workflow.predict(trained.task, trained.version, [inputs], options, command=command)
        return rows.table["text"].item()

    first = run(repetition_penalty=1.1, seed=3)
    assert first == run(repetition_penalty=1.1, seed=3)
    assert first.startswith("The value")
    assert len(first.split()) > 5
    assert first != run(seed=9)


def test_a_prompt_of_bytes_that_are_not_utf8_gets_a_table():
    table = text_table(None, {"text": np.array(["two\udcff words"], object)}, {}, None)
    assert table["text"].tolist() == ["two\udcff words"]
