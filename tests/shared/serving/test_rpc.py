"""The gRPC interface answers, and refuses, as TensorFlow Serving's does."""

from __future__ import annotations

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, predict_pb2

from tests.shared.serving.conftest import TEXTS


def asked(model="small", signature="", **inputs):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request


def refused(call, request, code, words=""):
    with pytest.raises(grpc.RpcError) as error:
        call(request, timeout=30)
    assert error.value.code() is code
    assert words in error.value.details()


def test_answers_equal_those_of_rest(client):
    reply = client.stub().Predict(asked(text=[text.encode() for text in TEXTS]), timeout=30)
    _, rest = client.post("small", {"inputs": TEXTS})
    for name, value in rest["outputs"].items():
        found = tf.make_ndarray(reply.outputs[name])
        if found.dtype == object:
            assert [text.decode() for text in found] == value
        else:
            np.testing.assert_allclose(found, value, atol=1e-6)
    assert (reply.model_spec.name, reply.model_spec.version.value) == ("small", 2)
    assert reply.model_spec.signature_name == "serving_default"


def test_versions_labels_and_filters(client):
    request = asked(text=[b"a"])
    request.model_spec.version.value = 1
    request.output_filter.append("version")
    reply = client.stub().Predict(request, timeout=30)
    assert list(reply.outputs) == ["version"]
    assert tf.make_ndarray(reply.outputs["version"]).tolist() == [1]
    request.model_spec.version_label = "canary"
    assert tf.make_ndarray(client.stub().Predict(request, timeout=30).outputs["version"]).tolist() == [2]


def test_what_is_wrong_is_told_by_its_code(client):
    predict, invalid = client.stub().Predict, grpc.StatusCode.INVALID_ARGUMENT
    refused(predict, asked(model="", text=[b"a"]), invalid, "Missing ModelSpec")
    refused(predict, asked(), invalid, "missing: text")
    refused(predict, asked(text=[b"a"], more=[1]), invalid, "unknown: more")
    refused(predict, asked(text=[1.5]), invalid, 'Input "text" is string. Received: float32')
    refused(predict, asked(text=[[b"a"]]), invalid, 'Input "text" has the shape (any). Received: (1, 1)')
    refused(predict, asked(text=np.array([], "S1")), invalid, "no row")
    refused(predict, asked(signature="x", text=[b"a"]), invalid, '"x" not found')
    refused(predict, asked(signature="choosy", k=[0]), invalid, "k must be above 0")
    refused(predict, asked(signature="total", samples=[[1.0]], length=[1, 2]), invalid, "different numbers of rows")
    refused(predict, asked(model="big", text=[b"a"]), grpc.StatusCode.NOT_FOUND, "Latest(big)")
    request = asked(text=[b"a"])
    request.output_filter.append("nothing")
    refused(predict, request, invalid, "no output nothing")


def test_tensors_that_lie_about_themselves_are_refused_and_take_no_memory(client):
    for sizes, dtype in (
        ([2**40], 1),
        ([2**31, 2**31, 4], 1),
        ([-1], 1),
        ([2], 999),
        ([2], types_pb2.DT_INVALID),
        ([3], 1),
    ):
        request = asked(signature="total", length=[1])
        proto = request.inputs["samples"]
        proto.dtype = dtype
        for size in sizes:
            proto.tensor_shape.dim.add().size = size
        proto.tensor_content = b"\x00" * 8
        refused(client.stub().Predict, request, grpc.StatusCode.INVALID_ARGUMENT, 'Input "samples"')
    for name, dtype, values in (("samples", 1, {"float_val": [1.0]}), ("samples", 7, {"string_val": [b"x" * 1000]})):
        request = asked(signature="total", length=[1])
        proto = request.inputs[name]
        proto.dtype = dtype
        proto.tensor_shape.dim.add().size = 2**26
        for field, given in values.items():
            getattr(proto, field).extend(given)
        refused(client.stub().Predict, request, grpc.StatusCode.INVALID_ARGUMENT, 'Input "samples"')
    unknown = asked(signature="total", length=[1])
    unknown.inputs["samples"].dtype = 1
    unknown.inputs["samples"].tensor_shape.unknown_rank = True
    refused(client.stub().Predict, unknown, grpc.StatusCode.INVALID_ARGUMENT, "not known")


def test_bytes_that_are_no_message_are_refused(client):
    for name in ("Predict", "GetModelMetadata"):
        call = client.channel().unary_unary(f"/tensorflow.serving.PredictionService/{name}")
        with pytest.raises(grpc.RpcError):
            call(b"\xff\xff\xff", timeout=30)
    assert client.stub().Predict(asked(text=[b"a"]), timeout=30).outputs


def test_metadata_and_status(client):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "small"
    reply = client.stub().GetModelMetadata(request, timeout=30)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert reply.metadata["signature_def"].Unpack(signatures)
    told = signatures.signature_def["serving_default"]
    assert told.inputs["text"].dtype == types_pb2.DT_STRING
    assert told.method_name == "tensorflow/serving/predict"
    request.metadata_field.append("x")
    refused(client.stub().GetModelMetadata, request, grpc.StatusCode.INVALID_ARGUMENT)
    status = get_model_status_pb2.GetModelStatusRequest()
    status.model_spec.name = "small"
    found = client.models().GetModelStatus(status, timeout=30).model_version_status
    assert [(one.version, one.state) for one in found] == [(2, 30), (1, 30)]
    status.model_spec.version.value = 9
    refused(client.models().GetModelStatus, status, grpc.StatusCode.NOT_FOUND)
