"""The gRPC interface: TensorFlow Serving's `PredictionService` and `ModelService`."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from shared.serving.errors import INVALID, ServingError
from shared.serving.models import Version, check_kind, check_names
from shared.serving.service import Asked, Service, signature_name

METHOD = "tensorflow/serving/predict"
SIGNATURES = "signature_def"
VALUES = [field.name for field in tensor_pb2.TensorProto.DESCRIPTOR.fields if field.name.endswith("_val")]


def add_services(server: grpc.Server, service: Service) -> None:
    """Lets a gRPC server answer by `service`."""
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(_Prediction(service), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(_Models(service), server)


class _Prediction(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, service: Service) -> None:
        self.service = service

    def Predict(self, request: Any, context: grpc.ServicerContext) -> Any:
        spec = request.model_spec

        def answer() -> Any:
            until = time.monotonic() + min(self.service.limits.seconds, context.time_remaining() or math.inf)
            name = signature_name(spec.signature_name)
            version, answers = self.service.predict(
                lambda: _version(self.service, spec),
                name,
                Asked(lambda version: _arrays(request.inputs, version.signature(name).inputs), until),
            )
            wanted = _filtered(request.output_filter, answers)
            reply = predict_pb2.PredictResponse()
            _tell_spec(reply.model_spec, version, name)
            for key in wanted:
                reply.outputs[key].CopyFrom(tf.make_tensor_proto(answers[key]))
            return reply

        return _answered(self.service, spec.name, context, answer)

    def GetModelMetadata(self, request: Any, context: grpc.ServicerContext) -> Any:
        def answer() -> Any:
            if list(request.metadata_field) != [SIGNATURES]:
                raise ServingError(
                    INVALID, f"Metadata field should be {SIGNATURES}. Received: {list(request.metadata_field)}"
                )
            return metadata_of(_version(self.service, request.model_spec))

        return _answered(self.service, request.model_spec.name, context, answer)


class _Models(model_service_pb2_grpc.ModelServiceServicer):
    def __init__(self, service: Service) -> None:
        self.service = service

    def GetModelStatus(self, request: Any, context: grpc.ServicerContext) -> Any:
        def answer() -> Any:
            spec = request.model_spec
            if spec.WhichOneof("version_choice"):
                return status_of([_version(self.service, spec)])
            return status_of(self.service.repository.versions(_name(spec)))

        return _answered(self.service, request.model_spec.name, context, answer)


def _answered(service: Service, model: str, context: grpc.ServicerContext, answer: Any) -> Any:
    try:
        with service.measured(model, "gRPC"), service.admitted():
            return answer()
    except ServingError as error:
        _refuse(context, error)


def _refuse(context: grpc.ServicerContext, error: ServingError) -> NoReturn:
    context.abort(grpc.StatusCode[error.code], error.message)
    raise error  # `abort` has raised already


def _name(spec: Any) -> str:
    if not spec.name:
        raise ServingError(INVALID, "Missing ModelSpec: the request names no model.")
    return str(spec.name)


def _version(service: Service, spec: Any) -> Version:
    name, choice = _name(spec), spec.WhichOneof("version_choice")
    number = spec.version.value if choice == "version" else None
    return service.repository.version(name, number, spec.version_label if choice == "version_label" else None)


def _arrays(inputs: Any, specs: Mapping[str, tf.TensorSpec]) -> dict[str, np.ndarray]:
    """Returns the tensors of a request. TensorFlow's own reading fills a shape up by repeating the last value, so that a few bytes
    could ask for all memory: here a shape needs all its values."""
    check_names(set(inputs), specs)
    found = {}
    for name, proto in inputs.items():
        sizes = [dim.size for dim in proto.tensor_shape.dim]
        if proto.tensor_shape.unknown_rank or any(size < 0 for size in sizes):
            raise ServingError(INVALID, f'Input "{name}" has a shape that is not known: {sizes}.')
        check_kind(name, proto.dtype, specs[name])
        given = sum(len(getattr(proto, field)) for field in VALUES)
        if not proto.tensor_content and given != math.prod(sizes):
            raise ServingError(INVALID, f'Input "{name}" has the shape {sizes} and {given} values.')
        try:
            found[name] = tf.make_ndarray(proto)
        except (ValueError, TypeError) as error:
            raise ServingError(INVALID, f'Input "{name}" is no tensor: {error}') from error
    return found


def _filtered(wanted: Sequence[str], answers: dict[str, np.ndarray]) -> list[str]:
    unknown = sorted(set(wanted) - set(answers))
    if unknown:
        raise ServingError(
            INVALID, f"output_filter: no output {', '.join(unknown)}. There are {', '.join(sorted(answers))}."
        )
    return list(dict.fromkeys(wanted)) or sorted(answers)


def _tell_spec(spec: Any, version: Version, signature: str = "") -> None:
    spec.name, spec.signature_name = version.name, signature
    spec.version.value = version.number


def status_of(versions: Sequence[Version]) -> Any:
    """Returns the states of versions, as `GetModelStatusResponse`."""
    reply = get_model_status_pb2.GetModelStatusResponse()
    for version in versions:
        status = reply.model_version_status.add()
        status.version = version.number
        status.state = get_model_status_pb2.ModelVersionStatus.State.Value(version.state)
        status.status.error_code = grpc.StatusCode.UNKNOWN.value[0] if version.error else 0
        status.status.error_message = version.error
    return reply


def metadata_of(version: Version) -> Any:
    """Returns the signatures of a version, as `GetModelMetadataResponse`.

    Raises:
        ServingError: it is not loaded.
    """
    signatures = get_model_metadata_pb2.SignatureDefMap()
    with version.asked():
        for name, batcher in version.signatures.items():
            told = signatures.signature_def[name]
            told.method_name = METHOD
            for specs, place in ((batcher.inputs, told.inputs), (batcher.outputs, told.outputs)):
                for key, spec in specs.items():
                    place[key].CopyFrom(_tensor_info(key, spec))
    reply = get_model_metadata_pb2.GetModelMetadataResponse()
    _tell_spec(reply.model_spec, version)
    reply.metadata[SIGNATURES].Pack(signatures)
    return reply


def _tensor_info(name: str, spec: tf.TensorSpec) -> Any:
    info = meta_graph_pb2.TensorInfo(name=name, dtype=spec.dtype.as_datatype_enum)
    info.tensor_shape.CopyFrom(spec.shape.as_proto())
    return info
