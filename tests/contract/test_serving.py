"""The embedded server returns the outputs of every signature: over REST and gRPC, for separate and for batched requests."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from tests.contract.conftest import call_signature
from tests.shared.serving.conftest import start_server


@pytest.fixture
def client(trained):
    client = start_server(trained.version.parents[1])
    yield client
    client.server.stop()


def to_json(values):
    """Converts an array, or one of its values, to JSON; strings become base64."""
    if isinstance(values, (np.ndarray, np.generic)):
        values = values.tolist()
    if isinstance(values, list):
        return [to_json(value) for value in values]
    if isinstance(values, (bytes, str)):
        content = values if isinstance(values, bytes) else values.encode()
        return {"b64": base64.b64encode(content).decode()}
    return values


def assert_same(value, expected):
    """Compares JSON values with an array; floats to 1e-5, absolute or relative, whichever is larger."""
    if expected.dtype == object:
        texts = [item.decode("utf-8", errors="replace") for item in expected.ravel()]
        assert np.asarray(value, object).ravel().tolist() == texts
    elif expected.dtype.kind == "f":
        np.testing.assert_allclose(np.asarray(value, float), expected, atol=1e-5, rtol=1e-5)
    else:
        np.testing.assert_array_equal(value, expected)


def test_outputs_over_rest_and_grpc_equal_those_of_the_saved_model(client, trained, signatures):
    for name, (signature, request, _) in signatures.items():
        expected = call_signature(signature, request)
        body = {"signature_name": name, "inputs": {key: to_json(value) for key, value in request.items()}}
        status, response = client.post(trained.task.name, body)
        assert status == 200, response
        outputs = response["outputs"] if len(expected) > 1 else {next(iter(expected)): response["outputs"]}
        assert set(outputs) == set(expected)
        grpc_request = predict_pb2.PredictRequest()
        grpc_request.model_spec.name, grpc_request.model_spec.signature_name = trained.task.name, name
        for key, value in request.items():
            grpc_request.inputs[key].CopyFrom(tf.make_tensor_proto(tf.constant(value)))
        grpc_response = client.prediction_stub().Predict(grpc_request, timeout=60)
        for key, value in expected.items():
            assert_same(outputs[key], value)
            array = tf.make_ndarray(grpc_response.outputs[key])
            assert_same(
                [item.decode("utf-8", "replace") for item in array.ravel()] if array.dtype == object else array, value
            )


def test_outputs_of_simultaneous_requests_equal_those_of_separate_requests(client, trained, signatures):
    for name, (signature, request, _) in signatures.items():
        rows = len(next(iter(request.values())))
        expected = [
            call_signature(signature, {key: value[k : k + 1] for key, value in request.items()}) for k in range(rows)
        ]

        def predict(k, name=name, request=request):
            row = {key: to_json(value[k]) for key, value in request.items()}
            return client.post(trained.task.name, {"signature_name": name, "instances": [row]})

        with ThreadPoolExecutor(8) as pool:
            responses = list(pool.map(predict, list(range(rows)) * 4))
        for k, (status, response) in zip(list(range(rows)) * 4, responses, strict=True):
            assert status == 200, response
            (row,) = response["predictions"]
            values = row if len(expected[k]) > 1 else {next(iter(expected[k])): row}
            for key, value in expected[k].items():
                assert_same(values[key], value[0] if value.ndim > 1 else np.asarray(value[0], value.dtype))
