"""The gRPC API has the responses and statuses of TensorFlow Serving."""

from __future__ import annotations

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, predict_pb2

from tests.shared.serving.conftest import TEXTS


def create_request(model="small", signature="", **inputs):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request


def assert_error(method, request, code, text=""):
    with pytest.raises(grpc.RpcError) as error:
        method(request, timeout=30)
    assert error.value.code() is code
    assert text in error.value.details()


def test_outputs_equal_those_of_the_rest_api(client):
    response = client.prediction_stub().Predict(create_request(text=[text.encode() for text in TEXTS]), timeout=30)
    _, rest_response = client.post("small", {"inputs": TEXTS})
    for name, expected in rest_response["outputs"].items():
        value = tf.make_ndarray(response.outputs[name])
        if value.dtype == object:
            assert [text.decode() for text in value] == expected
        else:
            np.testing.assert_allclose(value, expected, atol=1e-6)
    assert (response.model_spec.name, response.model_spec.version.value) == ("small", 2)
    assert response.model_spec.signature_name == "serving_default"


def test_versions_labels_and_output_filters(client):
    request = create_request(text=[b"a"])
    request.model_spec.version.value = 1
    request.output_filter.append("version")
    response = client.prediction_stub().Predict(request, timeout=30)
    assert list(response.outputs) == ["version"]
    assert tf.make_ndarray(response.outputs["version"]).tolist() == [1]
    request.model_spec.version_label = "canary"
    response = client.prediction_stub().Predict(request, timeout=30)
    assert tf.make_ndarray(response.outputs["version"]).tolist() == [2]


def test_each_invalid_request_gets_its_status_code(client):
    predict, invalid = client.prediction_stub().Predict, grpc.StatusCode.INVALID_ARGUMENT
    assert_error(predict, create_request(model="", text=[b"a"]), invalid, "Missing ModelSpec")
    assert_error(predict, create_request(), invalid, "missing: text")
    assert_error(predict, create_request(text=[b"a"], more=[1]), invalid, "unknown: more")
    assert_error(predict, create_request(text=[1.5]), invalid, 'Input "text" must be string. Received: float32')
    shape_message = 'Input "text" must have the shape (any). Received: (1, 1)'
    assert_error(predict, create_request(text=[[b"a"]]), invalid, shape_message)
    assert_error(predict, create_request(text=np.array([], "S1")), invalid, "no rows")
    assert_error(predict, create_request(signature="x", text=[b"a"]), invalid, '"x" not found')
    assert_error(predict, create_request(signature="choosy", k=[0]), invalid, "k must be above 0")
    unequal = create_request(signature="total", samples=[[1.0]], length=[1, 2])
    assert_error(predict, unequal, invalid, "the same number of rows")
    assert_error(predict, create_request(model="big", text=[b"a"]), grpc.StatusCode.NOT_FOUND, "Latest(big)")
    request = create_request(text=[b"a"])
    request.output_filter.append("nothing")
    assert_error(predict, request, invalid, "no output nothing")


def test_tensors_with_a_false_shape_or_dtype_are_rejected_without_allocating_memory(client):
    predict, invalid = client.prediction_stub().Predict, grpc.StatusCode.INVALID_ARGUMENT
    for sizes, dtype in (
        ([2**40], 1),
        ([2**31, 2**31, 4], 1),
        ([-1], 1),
        ([2], 999),
        ([2], types_pb2.DT_INVALID),
        ([3], 1),
    ):
        request = create_request(signature="total", length=[1])
        proto = request.inputs["samples"]
        proto.dtype = dtype
        for size in sizes:
            proto.tensor_shape.dim.add().size = size
        proto.tensor_content = b"\x00" * 8
        assert_error(predict, request, invalid, 'Input "samples"')
    for name, dtype, fields in (("samples", 1, {"float_val": [1.0]}), ("samples", 7, {"string_val": [b"x" * 1000]})):
        request = create_request(signature="total", length=[1])
        proto = request.inputs[name]
        proto.dtype = dtype
        proto.tensor_shape.dim.add().size = 2**26
        for field, values in fields.items():
            getattr(proto, field).extend(values)
        assert_error(predict, request, invalid, 'Input "samples"')
    unknown_rank = create_request(signature="total", length=[1])
    unknown_rank.inputs["samples"].dtype = 1
    unknown_rank.inputs["samples"].tensor_shape.unknown_rank = True
    assert_error(predict, unknown_rank, invalid, "unknown shape")


def test_bytes_that_are_not_a_message_are_rejected(client):
    for name in ("Predict", "GetModelMetadata"):
        method = client.channel().unary_unary(f"/tensorflow.serving.PredictionService/{name}")
        with pytest.raises(grpc.RpcError):
            method(b"\xff\xff\xff", timeout=30)
    assert client.prediction_stub().Predict(create_request(text=[b"a"]), timeout=30).outputs


def test_metadata_and_status(client):
    get_metadata, get_status = client.prediction_stub().GetModelMetadata, client.model_stub().GetModelStatus
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "small"
    response = get_metadata(request, timeout=30)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    definition = signatures.signature_def["serving_default"]
    assert definition.inputs["text"].dtype == types_pb2.DT_STRING
    assert definition.method_name == "tensorflow/serving/predict"
    request.metadata_field.append("x")
    assert_error(get_metadata, request, grpc.StatusCode.INVALID_ARGUMENT)
    status_request = get_model_status_pb2.GetModelStatusRequest()
    status_request.model_spec.name = "small"
    statuses = get_status(status_request, timeout=30).model_version_status
    assert [(one.version, one.state) for one in statuses] == [(2, 30), (1, 30)]
    status_request.model_spec.version.value = 9
    assert_error(get_status, status_request, grpc.StatusCode.NOT_FOUND)
