"""JSON becomes the arrays that a signature expects, or an error that says what is wrong; outputs become JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tensorflow as tf

from shared.serving.errors import ServingError
from shared.serving.tensors import decode_request, encode_response, parse_body

TEXT = {"text": tf.TensorSpec([None], tf.string)}
SOUND = {"samples": tf.TensorSpec([None, None], tf.float32), "length": tf.TensorSpec([None], tf.int32)}
FLAG = {"last": tf.TensorSpec([None], tf.bool)}


def decode(body, inputs):
    return decode_request(parse_body(json.dumps(body).encode()), inputs)


def test_rows_and_columns_are_the_same_request():
    rows = {"instances": [{"samples": [1, 2.5], "length": 2}, {"samples": [0, 1], "length": 1}]}
    columns = {"inputs": {"samples": [[1, 2.5], [0, 1]], "length": [2, 1]}}
    for body, expected_in_rows in ((rows, True), (columns, False)):
        arrays, in_rows = decode(body, SOUND)
        assert in_rows is expected_in_rows
        assert (arrays["samples"].dtype, arrays["length"].dtype) == (np.float32, np.int32)
        np.testing.assert_array_equal(arrays["samples"], [[1, 2.5], [0, 1]])
        np.testing.assert_array_equal(arrays["length"], [2, 1])


@pytest.mark.parametrize(
    "body", [{"instances": ["a", {"b64": "Yg=="}]}, {"inputs": ["a", "b"]}, {"inputs": {"text": ["a", "b"]}}]
)
def test_a_single_input_needs_no_name_and_bytes_are_base64(body):
    arrays, _ = decode(body, TEXT)
    assert arrays["text"].tolist() == [b"a", b"b"]


def test_rows_without_time_steps_keep_their_rank():
    arrays, _ = decode({"inputs": {"samples": [[], []], "length": [0, 0]}}, SOUND)
    assert arrays["samples"].shape == (2, 0)


@pytest.mark.parametrize(
    ("body", "inputs", "text"),
    [
        ({}, TEXT, 'one of "instances" and "inputs"'),
        ({"instances": ["a"], "inputs": ["a"]}, TEXT, 'one of "instances" and "inputs"'),
        ({"instances": []}, TEXT, "at least one row"),
        ({"instances": "a"}, TEXT, "at least one row"),
        ({"instances": [1]}, TEXT, "must be string"),
        ({"instances": [["a"], "b"]}, TEXT, "must be string"),
        ({"instances": [{"text": "a"}, "b"]}, TEXT, "mixes objects and bare"),
        ({"instances": [{"words": "a"}]}, TEXT, "missing: text; unknown: words"),
        ({"instances": [{"b64": "?"}]}, TEXT, "not valid base64"),
        ({"instances": [{"b64": 3}]}, TEXT, "not valid base64"),
        ({"instances": [1.5]}, SOUND, "must be an object with length, samples"),
        ({"inputs": [1.5]}, SOUND, "must be an object with length, samples"),
        ({"inputs": {"samples": [[1, 2], [3]], "length": [1, 1]}}, SOUND, "lists of different lengths"),
        ({"inputs": {"samples": [1, [1]], "length": [1, 1]}}, SOUND, "nested 2 deep"),
        ({"inputs": {"samples": [["a"]], "length": [1]}}, SOUND, 'must be float32. Received: "a"'),
        ({"inputs": {"samples": [[1]], "length": [None]}}, SOUND, "must be int32. Received: null"),
        ({"instances": [None]}, TEXT, "must be string. Received: null"),
        ({"inputs": {"samples": [[True]], "length": [1]}}, SOUND, "must be float32. Received: true"),
        ({"inputs": {"samples": [[[1]]], "length": [1]}}, SOUND, "must be float32"),
        ({"inputs": {"samples": [[1]], "length": [1.5]}}, SOUND, "must be int32. Received: 1.5"),
        ({"inputs": {"samples": [[1]], "length": [2**40]}}, SOUND, "outside the range of int32"),
        ({"inputs": {"samples": [[1e39]], "length": [1]}}, SOUND, "outside the range of float32"),
        ({"inputs": [1]}, FLAG, "must be bool. Received: 1"),
    ],
)
def test_values_that_do_not_match_the_inputs_are_errors(body, inputs, text):
    with pytest.raises(ServingError) as error:
        decode(body, inputs)
    assert error.value.status == 400
    assert text in error.value.message


@pytest.mark.parametrize(
    "body", [b"", b"no", b"[1]", b'"a"', b"{", b'{"instances": ' + b"[" * 250_000 + b"]" * 250_000 + b"}"]
)
def test_a_body_that_is_not_a_json_object_is_an_error(body):
    with pytest.raises(ServingError, match="JSON") as error:
        parse_body(body)
    assert error.value.status == 400


def test_nan_and_infinity_are_numbers_and_an_overflow_is_an_error():
    def parse_number(number):
        return parse_body(b'{"inputs": {"samples": [[' + number + b']], "length": [1]}}')

    for constant, value in ((b"null", np.nan), (b"NaN", np.nan), (b"Infinity", np.inf), (b"-Infinity", -np.inf)):
        np.testing.assert_array_equal(decode_request(parse_number(constant), SOUND)[0]["samples"], [[value]])
    with pytest.raises(ServingError, match="outside the range"):
        decode_request(parse_number(b"1.8e308"), SOUND)


def test_a_response_has_the_format_of_its_request():
    two = {"label": np.array([b"a", b"\xff"], object), "p": np.array([0.5, np.nan], np.float32)}
    rows = json.loads(encode_response(two, in_rows=True))["predictions"]
    assert [row["label"] for row in rows] == ["a", "\ufffd"]
    assert [row["p"] for row in rows] == [0.5, None]
    assert json.loads(encode_response(two, in_rows=False))["outputs"]["label"] == ["a", "\ufffd"]
    one = {"sound_bytes": np.array([[b"\xff"]], object)}
    assert json.loads(encode_response(one, in_rows=True)) == {"predictions": [[{"b64": "/w=="}]]}
    assert json.loads(encode_response(one, in_rows=False)) == {"outputs": [[{"b64": "/w=="}]]}


def test_a_response_is_standard_json_and_can_be_sent_back():
    """A number that is not finite is null, at any depth; a client can send a state with null back."""
    values = np.array([[[1.5, np.nan], [np.inf, -np.inf]]], np.float32)
    body = encode_response({"state": values}, in_rows=False)
    content = json.loads(body, parse_constant=lambda name: pytest.fail(f"{name} is not standard JSON"))
    assert content == {"outputs": [[[1.5, None], [None, None]]]}
    spec = {"state": tf.TensorSpec([None, None, None], tf.float32)}
    received = decode_request(parse_body(json.dumps({"inputs": content["outputs"]}).encode()), spec)[0]["state"]
    np.testing.assert_array_equal(received, [[[1.5, np.nan], [np.nan, np.nan]]])


def test_outputs_with_different_numbers_of_rows_cannot_be_in_rows():
    with pytest.raises(ServingError, match="in columns"):
        encode_response({"a": np.zeros(2), "b": np.zeros(3)}, in_rows=True)
