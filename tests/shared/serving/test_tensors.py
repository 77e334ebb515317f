"""JSON becomes the arrays that a signature asks for, or a refusal that says what is wrong; and back."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tensorflow as tf

from shared.serving.errors import ServingError
from shared.serving.tensors import answer_of, parsed, request_of

TEXT = {"text": tf.TensorSpec([None], tf.string)}
SOUND = {"samples": tf.TensorSpec([None, None], tf.float32), "length": tf.TensorSpec([None], tf.int32)}
FLAG = {"last": tf.TensorSpec([None], tf.bool)}


def arrays(body, inputs):
    return request_of(parsed(json.dumps(body).encode()), inputs)


def test_rows_and_columns_are_the_same_request():
    rows = {"instances": [{"samples": [1, 2.5], "length": 2}, {"samples": [0, 1], "length": 1}]}
    columns = {"inputs": {"samples": [[1, 2.5], [0, 1]], "length": [2, 1]}}
    for body, in_rows in ((rows, True), (columns, False)):
        found, told = arrays(body, SOUND)
        assert told is in_rows
        assert (found["samples"].dtype, found["length"].dtype) == (np.float32, np.int32)
        np.testing.assert_array_equal(found["samples"], [[1, 2.5], [0, 1]])
        np.testing.assert_array_equal(found["length"], [2, 1])


@pytest.mark.parametrize(
    "body", [{"instances": ["a", {"b64": "Yg=="}]}, {"inputs": ["a", "b"]}, {"inputs": {"text": ["a", "b"]}}]
)
def test_a_single_input_needs_no_name_and_bytes_come_as_base64(body):
    found, _ = arrays(body, TEXT)
    assert found["text"].tolist() == [b"a", b"b"]


def test_no_steps_are_a_shape_too():
    found, _ = arrays({"inputs": {"samples": [[], []], "length": [0, 0]}}, SOUND)
    assert found["samples"].shape == (2, 0)


@pytest.mark.parametrize(
    ("body", "inputs", "words"),
    [
        ({}, TEXT, 'one of "instances" and "inputs"'),
        ({"instances": ["a"], "inputs": ["a"]}, TEXT, 'one of "instances" and "inputs"'),
        ({"instances": []}, TEXT, "one row at least"),
        ({"instances": "a"}, TEXT, "one row at least"),
        ({"instances": [1]}, TEXT, "is string"),
        ({"instances": [["a"], "b"]}, TEXT, "is string"),
        ({"instances": [{"text": "a"}, "b"]}, TEXT, "mixes objects and bare"),
        ({"instances": [{"words": "a"}]}, TEXT, "missing: text; unknown: words"),
        ({"instances": [{"b64": "?"}]}, TEXT, "no base64"),
        ({"instances": [{"b64": 3}]}, TEXT, "no base64"),
        ({"instances": [1.5]}, SOUND, "should be an object with length, samples"),
        ({"inputs": [1.5]}, SOUND, "should be an object with length, samples"),
        ({"inputs": {"samples": [[1, 2], [3]], "length": [1, 1]}}, SOUND, "lists of different lengths"),
        ({"inputs": {"samples": [1, [1]], "length": [1, 1]}}, SOUND, "nested 2 deep"),
        ({"inputs": {"samples": [["a"]], "length": [1]}}, SOUND, 'is float32. Received: "a"'),
        ({"inputs": {"samples": [[None]], "length": [1]}}, SOUND, "is float32. Received: null"),
        ({"inputs": {"samples": [[True]], "length": [1]}}, SOUND, "is float32. Received: true"),
        ({"inputs": {"samples": [[[1]]], "length": [1]}}, SOUND, "is float32"),
        ({"inputs": {"samples": [[1]], "length": [1.5]}}, SOUND, "is int32. Received: 1.5"),
        ({"inputs": {"samples": [[1]], "length": [2**40]}}, SOUND, "no int32"),
        ({"inputs": {"samples": [[1e39]], "length": [1]}}, SOUND, "too great for float32"),
        ({"inputs": [1]}, FLAG, "is bool. Received: 1"),
    ],
)
def test_what_does_not_fit_is_told(body, inputs, words):
    with pytest.raises(ServingError) as error:
        arrays(body, inputs)
    assert error.value.status == 400
    assert words in error.value.message


@pytest.mark.parametrize(
    "body", [b"", b"no", b"[1]", b'"a"', b"{", b'{"instances": ' + b"[" * 250_000 + b"]" * 250_000 + b"}"]
)
def test_what_is_no_object_is_refused(body):
    with pytest.raises(ServingError, match="JSON") as error:
        parsed(body)
    assert error.value.status == 400


def test_the_three_words_that_are_no_json_are_numbers_and_what_is_too_great_is_none():
    def body(number):
        return parsed(b'{"inputs": {"samples": [[' + number + b']], "length": [1]}}')

    for word, value in ((b"NaN", np.nan), (b"Infinity", np.inf), (b"-Infinity", -np.inf)):
        np.testing.assert_array_equal(request_of(body(word), SOUND)[0]["samples"], [[value]])
    with pytest.raises(ServingError, match="too great"):
        request_of(body(b"1.8e308"), SOUND)


def test_answers_come_in_the_form_that_was_asked_for():
    two = {"label": np.array([b"a", b"\xff"], object), "p": np.array([0.5, np.nan], np.float32)}
    rows = json.loads(answer_of(two, in_rows=True))["predictions"]
    assert [row["label"] for row in rows] == ["a", "\ufffd"]
    assert np.isnan(rows[1]["p"])
    assert json.loads(answer_of(two, in_rows=False))["outputs"]["label"] == ["a", "\ufffd"]
    one = {"sound_bytes": np.array([[b"\xff"]], object)}
    assert json.loads(answer_of(one, in_rows=True)) == {"predictions": [[{"b64": "/w=="}]]}
    assert json.loads(answer_of(one, in_rows=False)) == {"outputs": [[{"b64": "/w=="}]]}


def test_outputs_of_different_lengths_have_no_rows():
    with pytest.raises(ServingError, match="ask in columns"):
        answer_of({"a": np.zeros(2), "b": np.zeros(3)}, in_rows=True)
