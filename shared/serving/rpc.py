"""The gRPC API: `PredictionService` and `ModelService` of TensorFlow Serving."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
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

from shared.serving.errors import INVALID_ARGUMENT, ServingError
from shared.serving.models import ModelVersion, validate_dtype, validate_names
from shared.serving.service import PredictionCall, Service, parse_signature_name

METHOD_NAME = "tensorflow/serving/predict"
SIGNATURE_DEF = "signature_def"
VALUE_FIELDS = [field.name for field in tensor_pb2.TensorProto.DESCRIPTOR.fields if field.name.endswith("_val")]


def add_services(server: grpc.Server, service: Service) -> None:
    """Registers both gRPC services at a gRPC server."""
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(_PredictionServicer(service), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(_ModelServicer(service), server)


class _PredictionServicer(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, service: Service) -> None:
        self.service = service

    def Predict(self, request: Any, context: grpc.ServicerContext) -> Any:
        spec = request.model_spec

        def predict() -> Any:
            deadline = time.monotonic() + min(self.service.limits.timeout, context.time_remaining() or math.inf)
            signature = parse_signature_name(spec.signature_name)
            version, outputs = self.service.predict(
                lambda: _find_version(self.service, spec),
                signature,
                PredictionCall(
                    lambda version: _to_arrays(request.inputs, version.get_signature(signature).inputs), deadline
                ),
            )
            names = _select_outputs(request.output_filter, outputs)
            response = predict_pb2.PredictResponse()
            _set_model_spec(response.model_spec, version, signature)
            for name in names:
                response.outputs[name].CopyFrom(tf.make_tensor_proto(outputs[name]))
            return response

        return _respond(self.service, spec.name, context, predict)

    def GetModelMetadata(self, request: Any, context: grpc.ServicerContext) -> Any:
        def get_metadata() -> Any:
            if list(request.metadata_field) != [SIGNATURE_DEF]:
                raise ServingError(
                    INVALID_ARGUMENT,
                    f"metadata_field must be {SIGNATURE_DEF}. Received: {list(request.metadata_field)}",
                )
            return metadata_response(_find_version(self.service, request.model_spec))

        return _respond(self.service, request.model_spec.name, context, get_metadata)


class _ModelServicer(model_service_pb2_grpc.ModelServiceServicer):
    def __init__(self, service: Service) -> None:
        self.service = service

    def GetModelStatus(self, request: Any, context: grpc.ServicerContext) -> Any:
        def get_status() -> Any:
            spec = request.model_spec
            if spec.WhichOneof("version_choice"):
                return status_response([_find_version(self.service, spec)])
            return status_response(self.service.repository.list_versions(_model_name(spec)))

        return _respond(self.service, request.model_spec.name, context, get_status)


def _respond(service: Service, model: str, context: grpc.ServicerContext, function: Callable[[], Any]) -> Any:
    """Returns the response of `function`, or aborts the call with the status of its error."""
    try:
        with service.record_metrics(model, "gRPC"), service.admission():
            return function()
    except ServingError as error:
        _abort(context, error)


def _abort(context: grpc.ServicerContext, error: ServingError) -> NoReturn:
    context.abort(grpc.StatusCode[error.code], error.message)
    raise error  # never reached: `abort` raises


def _model_name(spec: Any) -> str:
    if not spec.name:
        raise ServingError(INVALID_ARGUMENT, "Missing ModelSpec: set model_spec.name to the name of a model.")
    return str(spec.name)


def _find_version(service: Service, spec: Any) -> ModelVersion:
    name, choice = _model_name(spec), spec.WhichOneof("version_choice")
    number = spec.version.value if choice == "version" else None
    return service.repository.find_version(name, number, spec.version_label if choice == "version_label" else None)


def _to_arrays(inputs: Any, specs: Mapping[str, tf.TensorSpec]) -> dict[str, np.ndarray]:
    """Converts the tensors of a request to arrays.

    `tf.make_ndarray` repeats the last value until the shape is full, so a request of a few bytes could allocate all memory.
    Here, a tensor must contain all values of its shape.

    Args:
        inputs: tensors by name, as `TensorProto`.
        specs: inputs of the signature.

    Raises:
        ServingError: names or dtypes do not match the signature, or a shape does not match its values.
    """
    validate_names(inputs, specs)
    arrays = {}
    for name, proto in inputs.items():
        sizes = [dim.size for dim in proto.tensor_shape.dim]
        if proto.tensor_shape.unknown_rank or any(size < 0 for size in sizes):
            raise ServingError(INVALID_ARGUMENT, f'Input "{name}" has an unknown shape: {sizes}.')
        validate_dtype(name, proto.dtype, specs[name])
        num_values = sum(len(getattr(proto, field)) for field in VALUE_FIELDS)
        if not proto.tensor_content and num_values != math.prod(sizes):
            raise ServingError(INVALID_ARGUMENT, f'Input "{name}" has the shape {sizes}, but {num_values} values.')
        try:
            arrays[name] = tf.make_ndarray(proto)
        except (ValueError, TypeError) as error:
            raise ServingError(INVALID_ARGUMENT, f'Input "{name}" is not a valid tensor: {error}') from error
    return arrays


def _select_outputs(output_filter: Sequence[str], outputs: dict[str, np.ndarray]) -> list[str]:
    """Returns the names of the outputs in the response: those in `output_filter`, or all if it is empty."""
    unknown = sorted(set(output_filter) - set(outputs))
    if unknown:
        raise ServingError(
            INVALID_ARGUMENT,
            f"output_filter: no output {', '.join(unknown)}. The outputs are {', '.join(sorted(outputs))}.",
        )
    return list(dict.fromkeys(output_filter)) or sorted(outputs)


def _set_model_spec(spec: Any, version: ModelVersion, signature: str = "") -> None:
    spec.name, spec.signature_name = version.name, signature
    spec.version.value = version.version


def status_response(versions: Sequence[ModelVersion]) -> Any:
    """Returns the states of versions as `GetModelStatusResponse`."""
    response = get_model_status_pb2.GetModelStatusResponse()
    for version in versions:
        status = response.model_version_status.add()
        status.version = version.version
        status.state = get_model_status_pb2.ModelVersionStatus.State.Value(version.state)
        status.status.error_code = grpc.StatusCode.UNKNOWN.value[0] if version.error else 0
        status.status.error_message = version.error
    return response


def metadata_response(version: ModelVersion) -> Any:
    """Returns the signatures of a version as `GetModelMetadataResponse`.

    Raises:
        ServingError: the version is not loaded.
    """
    signature_map = get_model_metadata_pb2.SignatureDefMap()
    with version.in_use():
        for name, batcher in version.signatures.items():
            definition = signature_map.signature_def[name]
            definition.method_name = METHOD_NAME
            for specs, infos in ((batcher.inputs, definition.inputs), (batcher.outputs, definition.outputs)):
                for key, spec in specs.items():
                    infos[key].CopyFrom(_tensor_info(key, spec))
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    _set_model_spec(response.model_spec, version)
    response.metadata[SIGNATURE_DEF].Pack(signature_map)
    return response


def _tensor_info(name: str, spec: tf.TensorSpec) -> Any:
    info = meta_graph_pb2.TensorInfo(name=name, dtype=spec.dtype.as_datatype_enum)
    info.tensor_shape.CopyFrom(spec.shape.as_proto())
    return info
