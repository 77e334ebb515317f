"""The embedded server gives every signature's answers: over REST and gRPC, alone and joined with others."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from tests.contract.conftest import answer
from tests.shared.serving.conftest import serving


@pytest.fixture
def client(trained):
    found = serving(trained.version.parents[1])
    yield found
    found.server.stop()


def written(values):
    """An array, or one of its numbers, as JSON has it, strings as base64."""
    if isinstance(values, (np.ndarray, np.generic)):
        values = values.tolist()
    if isinstance(values, list):
        return [written(value) for value in values]
    if isinstance(values, (bytes, str)):
        import base64

        content = values if isinstance(values, bytes) else values.encode()
        return {"b64": base64.b64encode(content).decode()}
    return values


def assert_same(found, expected):
    """Numbers to 1e-5, of their size where that is greater."""
    if expected.dtype == object:
        texts = [value.decode("utf-8", errors="replace") for value in expected.ravel()]
        assert np.asarray(found, object).ravel().tolist() == texts
    elif expected.dtype.kind == "f":
        np.testing.assert_allclose(np.asarray(found, float), expected, atol=1e-5, rtol=1e-5)
    else:
        np.testing.assert_array_equal(found, expected)


def test_rest_grpc_and_the_saved_model_agree(client, trained, signatures):
    for name, (signature, request, _) in signatures.items():
        expected = answer(signature, request)
        body = {"signature_name": name, "inputs": {key: written(value) for key, value in request.items()}}
        status, found = client.post(trained.task.name, body)
        assert status == 200, found
        outputs = found["outputs"] if len(expected) > 1 else {next(iter(expected)): found["outputs"]}
        assert set(outputs) == set(expected)
        asked = predict_pb2.PredictRequest()
        asked.model_spec.name, asked.model_spec.signature_name = trained.task.name, name
        for key, value in request.items():
            asked.inputs[key].CopyFrom(tf.make_tensor_proto(tf.constant(value)))
        reply = client.stub().Predict(asked, timeout=60)
        for key, value in expected.items():
            assert_same(outputs[key], value)
            told = tf.make_ndarray(reply.outputs[key])
            assert_same(
                [item.decode("utf-8", "replace") for item in told.ravel()] if told.dtype == object else told, value
            )


def test_rows_that_are_asked_at_once_are_answered_as_alone(client, trained, signatures):
    for name, (signature, request, _) in signatures.items():
        rows = len(next(iter(request.values())))
        expected = [answer(signature, {key: value[k : k + 1] for key, value in request.items()}) for k in range(rows)]

        def ask(k, name=name, request=request):
            row = {key: written(value[k]) for key, value in request.items()}
            return client.post(trained.task.name, {"signature_name": name, "instances": [row]})

        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(ask, list(range(rows)) * 4))
        for k, (status, told) in zip(list(range(rows)) * 4, found, strict=True):
            assert status == 200, told
            (row,) = told["predictions"]
            values = row if len(expected[k]) > 1 else {next(iter(expected[k])): row}
            for key, value in expected[k].items():
                assert_same(values[key], value[0] if value.ndim > 1 else np.asarray(value[0], value.dtype))
