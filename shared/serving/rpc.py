"""The gRPC API: `PredictionService` and `ModelService` of TensorFlow Serving."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from shared.serving.access import REQUEST_ID, client_address, log_access, request_id
from shared.serving.dispatch import Dispatcher, Target
from shared.serving.errors import INVALID_ARGUMENT, ServingError
from shared.serving.metrics import RequestRecord
from shared.serving.models import ModelVersion, validate_dtype, validate_names
from shared.serving.security import Guard
from shared.serving.service import Outputs, parse_signature_name

METHOD_NAME = "tensorflow/serving/predict"
SIGNATURE_DEF = "signature_def"
VALUE_FIELDS = [field.name for field in tensor_pb2.TensorProto.DESCRIPTOR.fields if field.name.endswith("_val")]


def add_services(server: grpc.aio.Server, dispatcher: Dispatcher, guard: Guard) -> None:
    """Registers both gRPC services at a gRPC server."""
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(_PredictionServicer(dispatcher, guard), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(_ModelServicer(dispatcher, guard), server)


class _PredictionServicer(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, dispatcher: Dispatcher, guard: Guard) -> None:
        self.dispatcher, self.guard = dispatcher, guard

    async def Predict(self, request: Any, context: grpc.aio.ServicerContext) -> Any:
        async def predict(record: RequestRecord) -> Any:
            service = self.dispatcher.service
            target, signature = _read_target(request), parse_signature_name(request.model_spec.signature_name)
            deadline = time.monotonic() + min(service.limits.timeout, context.time_remaining() or math.inf)
            return await self.dispatcher.predict(
                target, signature, TensorExchange(request, record), deadline, service.admit()
            )

        return await _respond(self, request, context, "Predict", predict)

    async def GetModelMetadata(self, request: Any, context: grpc.aio.ServicerContext) -> Any:
        async def get_metadata(record: RequestRecord) -> Any:
            if list(request.metadata_field) != [SIGNATURE_DEF]:
                raise ServingError(
                    INVALID_ARGUMENT,
                    f"metadata_field must be {SIGNATURE_DEF}. Received: {list(request.metadata_field)}",
                )
            with self.dispatcher.service.admission():
                return metadata_response(self.dispatcher.find_version(_read_target(request)))

        return await _respond(self, request, context, "GetModelMetadata", get_metadata)


class _ModelServicer(model_service_pb2_grpc.ModelServiceServicer):
    def __init__(self, dispatcher: Dispatcher, guard: Guard) -> None:
        self.dispatcher, self.guard = dispatcher, guard

    async def GetModelStatus(self, request: Any, context: grpc.aio.ServicerContext) -> Any:
        async def get_status(record: RequestRecord) -> Any:
            target, service = _read_target(request), self.dispatcher.service
            with service.admission():
                if request.model_spec.WhichOneof("version_choice"):
                    return status_response([self.dispatcher.find_version(target)])
                return status_response(service.repository.list_versions(target.name))

        return await _respond(self, request, context, "GetModelStatus", get_status)


class TensorExchange:
    """A request as protocol buffer, and its response.

    Args:
        request: the request, a `PredictRequest`.
        record: what is known about the request.
    """

    def __init__(self, request: Any, record: RequestRecord) -> None:
        self.request, self.record = request, record

    def parse_signature_name(self) -> str:
        """Returns the name of the signature."""
        return parse_signature_name(self.request.model_spec.signature_name)

    def read(self, version: ModelVersion, signature: str) -> dict[str, np.ndarray]:
        """Returns the inputs by name."""
        return _to_arrays(self.request.inputs, version.get_signature(signature).inputs)

    def write(self, version: ModelVersion, signature: str, outputs: Outputs) -> Any:
        """Returns the response, a `PredictResponse`."""
        response = predict_pb2.PredictResponse()
        _set_model_spec(response.model_spec, version, signature)
        for name in _select_outputs(self.request.output_filter, outputs):
            _write_tensor(response.outputs[name], outputs[name])
        return response


async def _respond(
    servicer: _PredictionServicer | _ModelServicer,
    request: Any,
    context: grpc.aio.ServicerContext,
    method: str,
    function: Callable[[RequestRecord], Awaitable[Any]],
) -> Any:
    """Returns the response of `function`, or aborts the call with the status of its error; writes the access log."""
    started, status, model = time.monotonic(), "CANCELLED", request.model_spec.name
    identifier = request_id(dict(context.invocation_metadata() or ()).get(REQUEST_ID))
    context.set_trailing_metadata(((REQUEST_ID, identifier),))
    try:
        with servicer.dispatcher.service.record_metrics(model, "gRPC") as record:
            if servicer.guard.rate is not None:
                servicer.guard.check_rate(client_address(context.peer()))
            response = await function(record)
        status = "OK"
        return response
    except ServingError as error:
        status = error.code
        await context.abort(grpc.StatusCode[error.code], error.message)
    finally:
        log_access("gRPC", context.peer(), f"{method} {model!r}", status, started, identifier)


def _read_target(request: Any) -> Target:
    """Returns the model that a request names.

    Raises:
        ServingError: the request names no model.
    """
    spec = request.model_spec
    if not spec.name:
        raise ServingError(INVALID_ARGUMENT, "Missing ModelSpec: set model_spec.name to the name of a model.")
    choice = spec.WhichOneof("version_choice")
    number = spec.version.value if choice == "version" else None
    return Target(spec.name, number, spec.version_label if choice == "version_label" else None)


def _write_tensor(proto: Any, value: np.ndarray) -> None:
    """Writes an array into an empty `TensorProto`, faster than `tf.make_tensor_proto`."""
    for size in value.shape:
        proto.tensor_shape.dim.add().size = size
    if value.dtype == object:
        proto.dtype = types_pb2.DT_STRING
        proto.string_val.extend(value.ravel().tolist())
    else:
        proto.dtype = tf.as_dtype(value.dtype).as_datatype_enum
        proto.tensor_content = value.tobytes()


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
        if not proto.tensor_content:
            num_values = len(getattr(proto, _value_field(proto.dtype)))
            if num_values != math.prod(sizes):
                raise ServingError(INVALID_ARGUMENT, f'Input "{name}" has the shape {sizes}, but {num_values} values.')
        try:
            arrays[name] = _to_array(proto, sizes)
        except (ValueError, TypeError) as error:
            raise ServingError(INVALID_ARGUMENT, f'Input "{name}" is not a valid tensor: {error}') from error
    return arrays


@functools.cache
def _value_field(dtype: int) -> str:
    """Returns the field of `TensorProto` that holds the values of a dtype, if they are not in `tensor_content`."""
    example = tf.make_tensor_proto(tf.zeros([1], dtype))
    example.tensor_content = b""
    fields = [name for name in VALUE_FIELDS if len(getattr(example, name))]
    return fields[0] if fields else "string_val"


def _to_array(proto: Any, sizes: Sequence[int]) -> np.ndarray:
    """Returns the array of a tensor with all its values; for texts, faster than `tf.make_ndarray`."""
    if proto.dtype != types_pb2.DT_STRING or proto.tensor_content:
        return tf.make_ndarray(proto)
    values = np.empty(len(proto.string_val), object)
    values[:] = proto.string_val
    return values.reshape(sizes)


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
