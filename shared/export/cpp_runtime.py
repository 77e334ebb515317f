"""Runs a SavedModel in TensorFlow's C++ runtime, without TensorFlow's Python package, as a server does.

The library is `libtensorflow_cc.so.2` of the TensorFlow wheel, called through ctypes and the TensorFlow C API. `run_isolated` runs
this file as a script in a child process (`python -P cpp_runtime.py SAVED_MODEL REQUEST.npz RESPONSE.npz TENSOR ...`). It therefore
needs only numpy, and imports nothing of this project.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from ctypes import c_char_p, c_int, c_int64, c_size_t, c_void_p
from itertools import pairwise
from pathlib import Path

import numpy as np

Arrays = Mapping[str, np.ndarray]
TF_STRING = 7  # value of the enum TF_DataType, like the keys of DTYPES
DTYPES = {1: np.float32, 2: np.float64, 3: np.int32, 4: np.uint8, 9: np.int64, 10: np.bool_}
ENUMS = {np.dtype(dtype): enum for enum, dtype in DTYPES.items()}
TEXT_KINDS = "OSU"  # numpy dtype kinds: objects (bytes or str), fixed-length bytes, fixed-length str
TSTRING_BYTES = 24  # sizeof(TF_TString) on 64-bit machines


class CppRuntimeError(RuntimeError):
    """The C++ runtime could not load or run the SavedModel; the message includes that of TensorFlow, if any."""


class TFOutput(ctypes.Structure):
    """`TF_Output`: one output of one operation."""

    _fields_ = (("oper", c_void_p), ("index", c_int))


_TYPES = {"p": c_void_p, "i": c_int, "n": c_int64, "z": c_size_t, "s": c_char_p, "-": None}
_PROTOTYPES = """
TF_AllocateTensor:pipiz TF_DeleteTensor:-p TF_TensorType:ip TF_NumDims:ip TF_Dim:npi TF_TensorByteSize:zp
TF_TensorData:pp TF_StringInit:-p TF_StringCopy:-psz TF_StringDealloc:-p TF_StringGetDataPointer:pp
TF_StringGetSize:zp TF_NewStatus:p TF_DeleteStatus:-p TF_GetCode:ip TF_Message:sp TF_NewGraph:p TF_DeleteGraph:-p
TF_GraphOperationByName:pps TF_NewSessionOptions:p TF_DeleteSessionOptions:-p TF_LoadSessionFromSavedModel:pppspippp
TF_CloseSession:-pp TF_DeleteSession:-pp TF_SessionRun:-ppppippipipp
"""  # FUNCTION:TYPES, with the result type first, as letters of _TYPES; "p" is any pointer or C array


@functools.cache
def _library() -> ctypes.CDLL:
    """Returns the C++ runtime with the prototypes above. Finds the folder of TensorFlow without importing the package."""
    spec = importlib.util.find_spec("tensorflow")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    path = next((path for folder in folders if (path := Path(folder, "libtensorflow_cc.so.2")).is_file()), None)
    if path is None:
        raise CppRuntimeError(f"no libtensorflow_cc.so.2 in TensorFlow's folder: {folders}")
    lib = ctypes.CDLL(str(path))  # its rpath finds libtensorflow_framework.so.2
    for prototype in _PROTOTYPES.split():
        name, letters = prototype.split(":")
        function = getattr(lib, name)
        function.restype, *function.argtypes = (_TYPES[letter] for letter in letters)
    return lib


def _raise_on_error(lib: ctypes.CDLL, status: int, saved_model: Path) -> None:
    """Raises `CppRuntimeError` with the message of TensorFlow and the path of the model, unless `status` is OK."""
    if lib.TF_GetCode(status) != 0:
        raise CppRuntimeError(f"{saved_model}: {lib.TF_Message(status).decode(errors='replace')}")


def _as_bytes(array: np.ndarray) -> list[bytes]:
    """Returns the elements of a string array in C order; `str` becomes UTF-8, as in TensorFlow's Python package."""
    values = [value.encode() if isinstance(value, str) else value for value in array.ravel().tolist()]
    if not all(isinstance(value, bytes) for value in values):
        raise CppRuntimeError("an object array must contain only bytes or str")
    return values


def _new_tensor(lib: ctypes.CDLL, array: np.ndarray, stack: ExitStack) -> int:
    """Returns a TF_Tensor with a copy of `array`, freed when `stack` closes; the dtype is in DTYPES, or string."""
    array = np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")
    texts = _as_bytes(array) if array.dtype.kind in TEXT_KINDS else None
    if texts is None and array.dtype not in ENUMS:
        raise CppRuntimeError(f"dtype {array.dtype} is not supported")
    enum, size = (ENUMS[array.dtype], array.nbytes) if texts is None else (TF_STRING, TSTRING_BYTES * array.size)
    tensor = lib.TF_AllocateTensor(enum, (c_int64 * array.ndim)(*array.shape), array.ndim, size)
    stack.callback(lib.TF_DeleteTensor, tensor)
    start = lib.TF_TensorData(tensor) or 0
    if texts is None:
        ctypes.memmove(start, array.ctypes.data, size)
    for address, text in zip(range(start, start + size, TSTRING_BYTES), texts or (), strict=False):
        lib.TF_StringInit(address)
        lib.TF_StringCopy(address, text, len(text))
        stack.callback(lib.TF_StringDealloc, address)  # TF_DeleteTensor does not free long strings
    return tensor


def _to_numpy(lib: ctypes.CDLL, tensor: int) -> np.ndarray:
    """Returns a copy of a TF_Tensor whose dtype is in DTYPES, or string; strings become an object array of bytes."""
    enum = lib.TF_TensorType(tensor)
    shape = [lib.TF_Dim(tensor, axis) for axis in range(lib.TF_NumDims(tensor))]
    start, size = lib.TF_TensorData(tensor) or 0, lib.TF_TensorByteSize(tensor)
    if enum == TF_STRING:
        addresses = range(start, start + size, TSTRING_BYTES)
        spans = ((lib.TF_StringGetDataPointer(address), lib.TF_StringGetSize(address)) for address in addresses)
        return np.fromiter((ctypes.string_at(*span) for span in spans), dtype=object).reshape(shape)
    if enum not in DTYPES:
        raise CppRuntimeError(f"TF_DataType {enum} is not supported")
    return np.frombuffer(bytearray(ctypes.string_at(start, size)), dtype=DTYPES[enum]).reshape(shape)


def _find_outputs(lib: ctypes.CDLL, graph: int, names: Sequence[str]) -> ctypes.Array[TFOutput]:
    """Returns a C array with the TF_Output of each tensor name, such as "op:0". Raises if the graph has no such operation."""
    tf_outputs = (TFOutput * len(names))()
    for tf_output, name in zip(tf_outputs, names, strict=True):
        operation, _, index = name.partition(":")
        tf_output.oper, tf_output.index = lib.TF_GraphOperationByName(graph, operation.encode()), int(index or 0)
        if not tf_output.oper:
            raise CppRuntimeError(f"the SavedModel's graph has no operation {operation!r}")
    return tf_outputs


def _load(lib: ctypes.CDLL, saved_model: Path, status: int, stack: ExitStack) -> tuple[int, int]:
    """Loads the "serve" graph, runs its restore and init ops, and returns session and graph, freed when `stack` closes."""
    options = lib.TF_NewSessionOptions()
    stack.callback(lib.TF_DeleteSessionOptions, options)
    graph = lib.TF_NewGraph()
    stack.callback(lib.TF_DeleteGraph, graph)
    path, tags = os.fsencode(saved_model), (c_char_p * 1)(b"serve")
    session = lib.TF_LoadSessionFromSavedModel(options, None, path, tags, 1, graph, None, status)
    _raise_on_error(lib, status, saved_model)
    stack.callback(lib.TF_DeleteSession, session, status)
    stack.callback(lib.TF_CloseSession, session, status)
    return session, graph


def run(saved_model: Path, inputs: Arrays, outputs: Sequence[str]) -> dict[str, np.ndarray]:
    """Loads a SavedModel in this process and computes outputs once.

    Args:
        saved_model: folder of the SavedModel.
        inputs: arrays of any shape by tensor name, such as "serving_default_text:0". The dtypes are float32, float64, int32,
            int64, uint8, bool, or strings: object arrays of bytes or str, or arrays of fixed-length strings.
        outputs: tensor names.

    Returns:
        Arrays by tensor name; strings are object arrays of bytes.

    Raises:
        CppRuntimeError: the model cannot be loaded or run; the message includes that of TensorFlow.
    """
    lib = _library()
    with ExitStack() as stack:  # inputs are created first and freed last, because the session may use their buffers
        status = lib.TF_NewStatus()
        stack.callback(lib.TF_DeleteStatus, status)
        feeds = (c_void_p * len(inputs))(*(_new_tensor(lib, array, stack) for array in inputs.values()))
        session, graph = _load(lib, saved_model, status, stack)
        sources, targets = _find_outputs(lib, graph, list(inputs)), _find_outputs(lib, graph, outputs)
        fetches = (c_void_p * len(outputs))()
        tensors = (sources, feeds, len(inputs), targets, fetches, len(outputs))
        lib.TF_SessionRun(session, None, *tensors, None, 0, None, status)
        _raise_on_error(lib, status, saved_model)
        stack.callback(lambda: [lib.TF_DeleteTensor(tensor) for tensor in fetches])
        return {name: _to_numpy(lib, tensor) for name, tensor in zip(outputs, fetches, strict=True)}


def _save(path: Path, arrays: Arrays) -> None:
    """Writes arrays without pickle: the names in order, and strings as uint8 bytes, int64 offsets and shape."""
    members = {"names": np.array(list(arrays), dtype=np.str_)}
    for index, array in enumerate(map(np.asarray, arrays.values())):
        if array.dtype.kind in TEXT_KINDS:
            texts = _as_bytes(array)
            members[f"{index}.bytes"] = np.frombuffer(b"".join(texts), dtype=np.uint8)
            members[f"{index}.offsets"] = np.cumsum([0, *map(len, texts)], dtype=np.int64)
            members[f"{index}.shape"] = np.array(array.shape, dtype=np.int64)
        else:
            members[f"{index}.values"] = array
    np.savez(path, **members)  # type: ignore[arg-type]  # numpy's stub treats every keyword as `allow_pickle`


def _restore(path: Path) -> dict[str, np.ndarray]:
    """Reads the arrays that `_save` wrote, by name."""
    arrays = {}
    with np.load(path, allow_pickle=False) as file:
        for index, name in enumerate(file["names"].tolist()):
            if f"{index}.values" in file:
                arrays[name] = file[f"{index}.values"]
            else:
                content, spans = file[f"{index}.bytes"].tobytes(), pairwise(file[f"{index}.offsets"].tolist())
                texts = np.fromiter((content[start:end] for start, end in spans), dtype=object)
                arrays[name] = texts.reshape(file[f"{index}.shape"].tolist())
    return arrays


def _tensor_names(saved_model: Path, signature: str) -> tuple[dict[str, str], dict[str, str]]:
    """Returns the tensor names of the inputs and outputs of a signature, by name; needs TensorFlow's Python package."""
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    try:
        model = saved_model_pb2.SavedModel.FromString((saved_model / "saved_model.pb").read_bytes())
    except (OSError, DecodeError) as error:
        raise CppRuntimeError(f"cannot read {saved_model / 'saved_model.pb'}: {error}") from error
    graphs = (graph for graph in model.meta_graphs if set(graph.meta_info_def.tags) == {"serve"})
    signatures = {name: definition for graph in graphs for name, definition in graph.signature_def.items()}
    if signature not in signatures:
        raise CppRuntimeError(f"{saved_model} has no signature {signature!r}. Its signatures are {sorted(signatures)}")
    sources, targets = signatures[signature].inputs, signatures[signature].outputs
    return {name: sources[name].name for name in sources}, {name: targets[name].name for name in targets}


def _run_child(arguments: Sequence[str | Path], timeout_s: float) -> None:
    """Runs this file as a script; a nonzero exit status, a signal (negative status) or a timeout becomes `CppRuntimeError`."""
    # -P: modules of this folder must not shadow the standard library. No GPU: the parent process uses its memory.
    command = [sys.executable, "-P", str(Path(__file__).resolve()), *map(str, arguments)]
    environment = {"TF_CPP_MIN_LOG_LEVEL": "1", **os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
    try:
        process = subprocess.run(command, env=environment, capture_output=True, timeout=timeout_s)
    except subprocess.TimeoutExpired as error:
        raise CppRuntimeError(f"the C++ runtime did not finish in {timeout_s} s") from error
    if process.returncode != 0:
        tail = process.stderr.decode(errors="replace").strip()[-2000:]  # the error is at the end of the log
        raise CppRuntimeError(f"the process of the C++ runtime ended with status {process.returncode}: {tail}")


def run_isolated(saved_model: Path, signature: str, inputs: Arrays, timeout_s: float = 120) -> dict[str, np.ndarray]:
    """Calls a signature in a new process without TensorFlow's Python package, on the CPU.

    Args:
        saved_model: folder of the SavedModel.
        signature: name of the signature.
        inputs: arrays by input name; shapes and dtypes as in `run`.
        timeout_s: maximum time of the process, in seconds.

    Returns:
        Arrays by output name.

    Raises:
        CppRuntimeError: the model, the signature or an input is invalid, or the process fails or exceeds its time.
    """
    sources, targets = _tensor_names(saved_model, signature)
    if set(inputs) != set(sources):
        raise CppRuntimeError(
            f"signature {signature!r} expects the inputs {sorted(sources)}. Received: {sorted(inputs)}"
        )
    with tempfile.TemporaryDirectory(prefix="cpp_runtime_") as folder:
        request, response = Path(folder, "request.npz"), Path(folder, "response.npz")
        _save(request, {sources[name]: array for name, array in inputs.items()})
        _run_child([saved_model, request, response, *dict.fromkeys(targets.values())], timeout_s)
        outputs = _restore(response)
    return {name: outputs[tensor] for name, tensor in targets.items()}


def _main(saved_model: str, request: str, response: str, *outputs: str) -> None:
    """Runs in the child process: computes the outputs of the request file; an error is a message on stderr and exit status 1."""
    try:
        _save(Path(response), run(Path(saved_model), _restore(Path(request)), outputs))
    except CppRuntimeError as error:
        raise SystemExit(str(error)) from error
    assert "tensorflow" not in sys.modules, "TensorFlow's Python package was imported"


if __name__ == "__main__":
    _main(*sys.argv[1:])
