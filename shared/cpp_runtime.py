"""Answer requests with TensorFlow's C++ runtime, without TensorFlow's Python package, as a server does.

The library is the one inside the TensorFlow wheel (`libtensorflow_cc.so.2`), reached by ctypes through the TF C API.
Run as a script (`python -P cpp_runtime.py SAVED_MODEL REQUEST.npz RESPONSE.npz TENSOR ...`) this file is the
child of `run_isolated`: it needs numpy and nothing else, and imports nothing of this project.
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
TF_STRING = 7  # of TF_DataType, as the numbers in DTYPES are
DTYPES = {1: np.float32, 2: np.float64, 3: np.int32, 4: np.uint8, 9: np.int64, 10: np.bool_}
ENUMS = {np.dtype(dtype): enum for enum, dtype in DTYPES.items()}
TEXT_KINDS = "OSU"  # of numpy: objects (bytes or str), fixed-length bytes, fixed-length str
TSTRING_BYTES = 24  # sizeof(TF_TString) on 64-bit machines


class CppRuntimeError(RuntimeError):
    """The C++ runtime could not load the SavedModel or answer; the message is TensorFlow's own where it gave one."""


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
"""  # function:result and arguments by the letters of _TYPES; every pointer and C array is "p"


@functools.cache
def _library() -> ctypes.CDLL:
    """The wheel's C++ runtime with the prototypes above. Finds TensorFlow's folder without importing the package."""
    spec = importlib.util.find_spec("tensorflow")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    path = next((path for folder in folders if (path := Path(folder, "libtensorflow_cc.so.2")).is_file()), None)
    if path is None:
        raise CppRuntimeError(f"no libtensorflow_cc.so.2 in TensorFlow's folder: {folders}")
    lib = ctypes.CDLL(str(path))  # its rpath leads to libtensorflow_framework.so.2
    for prototype in _PROTOTYPES.split():
        name, letters = prototype.split(":")
        function = getattr(lib, name)
        function.restype, *function.argtypes = (_TYPES[letter] for letter in letters)
    return lib


def _raise_if_bad(lib: ctypes.CDLL, status: int, saved_model: Path) -> None:
    """Raise `CppRuntimeError` with TF's message, which may name no file, unless `status` is OK."""
    if lib.TF_GetCode(status) != 0:
        raise CppRuntimeError(f"{saved_model}: {lib.TF_Message(status).decode(errors='replace')}")


def _as_bytes(array: np.ndarray) -> list[bytes]:
    """The elements of a string array in C order; `str` becomes UTF-8, as in TensorFlow's Python package."""
    values = [value.encode() if isinstance(value, str) else value for value in array.ravel().tolist()]
    if not all(isinstance(value, bytes) for value in values):
        raise CppRuntimeError("an object array must hold bytes or str only")
    return values


def _new_tensor(lib: ctypes.CDLL, array: np.ndarray, stack: ExitStack) -> int:
    """A TF_Tensor holding a copy of `array`, freed when `stack` closes. Raises on a dtype outside DTYPES and string."""
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
        stack.callback(lib.TF_StringDealloc, address)  # TF_DeleteTensor frees the array, not the long strings
    return tensor


def _to_numpy(lib: ctypes.CDLL, tensor: int) -> np.ndarray:
    """A copy of a TF_Tensor; strings as an object array of bytes. Raises on a dtype outside DTYPES and string."""
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


def _endpoints(lib: ctypes.CDLL, graph: int, names: Sequence[str]) -> ctypes.Array[TFOutput]:
    """Tensor names ("op:0") as a C array of TF_Output. Raises if the graph has no such operation."""
    endpoints = (TFOutput * len(names))()
    for endpoint, name in zip(endpoints, names, strict=True):
        operation, _, index = name.partition(":")
        endpoint.oper, endpoint.index = lib.TF_GraphOperationByName(graph, operation.encode()), int(index or 0)
        if not endpoint.oper:
            raise CppRuntimeError(f"the SavedModel's graph has no operation {operation!r}")
    return endpoints


def _load(lib: ctypes.CDLL, saved_model: Path, status: int, stack: ExitStack) -> tuple[int, int]:
    """(session, graph) of the "serve" graph after its restore and init ops, freed when `stack` closes."""
    options = lib.TF_NewSessionOptions()
    stack.callback(lib.TF_DeleteSessionOptions, options)
    graph = lib.TF_NewGraph()
    stack.callback(lib.TF_DeleteGraph, graph)
    path, tags = os.fsencode(saved_model), (c_char_p * 1)(b"serve")
    session = lib.TF_LoadSessionFromSavedModel(options, None, path, tags, 1, graph, None, status)
    _raise_if_bad(lib, status, saved_model)
    stack.callback(lib.TF_DeleteSession, session, status)
    stack.callback(lib.TF_CloseSession, session, status)
    return session, graph


def run(saved_model: Path, inputs: Arrays, outputs: Sequence[str]) -> dict[str, np.ndarray]:
    """Load the SavedModel in this process and fetch `outputs` once.

    `inputs` and `outputs` go by tensor name ("serving_default_text:0"); any shape; float32, float64, int32, int64,
    uint8, bool or strings (object arrays of bytes or str, or 'S' arrays, in; object arrays of bytes out).
    Raises `CppRuntimeError` with TF's status message if the model does not load or does not answer.
    """
    lib = _library()
    with ExitStack() as stack:  # inputs are made first and so freed last: the session may hold on to their buffers
        status = lib.TF_NewStatus()
        stack.callback(lib.TF_DeleteStatus, status)
        feeds = (c_void_p * len(inputs))(*(_new_tensor(lib, array, stack) for array in inputs.values()))
        session, graph = _load(lib, saved_model, status, stack)
        sources, targets = _endpoints(lib, graph, list(inputs)), _endpoints(lib, graph, outputs)
        fetches = (c_void_p * len(outputs))()
        ends = (sources, feeds, len(inputs), targets, fetches, len(outputs))
        lib.TF_SessionRun(session, None, *ends, None, 0, None, status)
        _raise_if_bad(lib, status, saved_model)
        stack.callback(lambda: [lib.TF_DeleteTensor(tensor) for tensor in fetches])
        return {name: _to_numpy(lib, tensor) for name, tensor in zip(outputs, fetches, strict=True)}


def _save(path: Path, arrays: Arrays) -> None:
    """Write arrays without pickle: strings as flat uint8 bytes + int64 offsets + shape; names apart, in order."""
    members = {"names": np.array(list(arrays), dtype=np.str_)}
    for index, array in enumerate(map(np.asarray, arrays.values())):
        if array.dtype.kind in TEXT_KINDS:
            texts = _as_bytes(array)
            members[f"{index}.bytes"] = np.frombuffer(b"".join(texts), dtype=np.uint8)
            members[f"{index}.offsets"] = np.cumsum([0, *map(len, texts)], dtype=np.int64)
            members[f"{index}.shape"] = np.array(array.shape, dtype=np.int64)
        else:
            members[f"{index}.values"] = array
    np.savez(path, **members)  # type: ignore[arg-type]  # numpy's stub takes any keyword for `allow_pickle`


def _restore(path: Path) -> dict[str, np.ndarray]:
    """The arrays of `_save` by name."""
    arrays = {}
    with np.load(path, allow_pickle=False) as file:
        for index, name in enumerate(file["names"].tolist()):
            if f"{index}.values" in file:
                arrays[name] = file[f"{index}.values"]
            else:
                flat, ends = file[f"{index}.bytes"].tobytes(), pairwise(file[f"{index}.offsets"].tolist())
                texts = np.fromiter((flat[begin:end] for begin, end in ends), dtype=object)
                arrays[name] = texts.reshape(file[f"{index}.shape"].tolist())
    return arrays


def _tensor_names(saved_model: Path, signature: str) -> tuple[dict[str, str], dict[str, str]]:
    """({input: tensor name}, {output: tensor name}) of a signature; needs TensorFlow's Python package."""
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    try:
        model = saved_model_pb2.SavedModel.FromString((saved_model / "saved_model.pb").read_bytes())
    except (OSError, DecodeError) as error:
        raise CppRuntimeError(f"cannot read {saved_model / 'saved_model.pb'}: {error}") from error
    served = (graph for graph in model.meta_graphs if set(graph.meta_info_def.tags) == {"serve"})
    signatures = {name: definition for graph in served for name, definition in graph.signature_def.items()}
    if signature not in signatures:
        raise CppRuntimeError(f"{saved_model} serves no signature {signature!r}; it has {sorted(signatures)}")
    sources, targets = signatures[signature].inputs, signatures[signature].outputs
    return {name: sources[name].name for name in sources}, {name: targets[name].name for name in targets}


def _run_child(arguments: Sequence[str | Path], timeout_s: float) -> None:
    """Run this file as a script; a bad exit, a signal (negative status) or a timeout becomes `CppRuntimeError`."""
    # -P: this folder's modules must not shadow the standard library's. No GPU: the parent holds its memory.
    command = [sys.executable, "-P", str(Path(__file__).resolve()), *map(str, arguments)]
    environment = {"TF_CPP_MIN_LOG_LEVEL": "1", **os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, timeout=timeout_s)
    except subprocess.TimeoutExpired as error:
        raise CppRuntimeError(f"the C++ runtime gave no answer in {timeout_s} s") from error
    if done.returncode != 0:
        tail = done.stderr.decode(errors="replace").strip()[-2000:]  # the loader's log comes before
        raise CppRuntimeError(f"the C++ runtime's process ended with status {done.returncode}: {tail}")


def run_isolated(saved_model: Path, signature: str, inputs: Arrays, timeout_s: float = 120) -> dict[str, np.ndarray]:
    """Answer one request in a fresh process that has no TensorFlow Python package loaded, on the CPU.

    `inputs` go by the signature's input names, the answer by its output names; shapes and dtypes as in `run`.
    Raises `CppRuntimeError` if the model, the signature or the inputs are not right, or the child dies or hangs.
    """
    sources, targets = _tensor_names(saved_model, signature)
    if set(inputs) != set(sources):
        raise CppRuntimeError(f"signature {signature!r} takes {sorted(sources)}, not {sorted(inputs)}")
    with tempfile.TemporaryDirectory(prefix="cpp_runtime_") as folder:
        request, response = Path(folder, "request.npz"), Path(folder, "response.npz")
        _save(request, {sources[name]: array for name, array in inputs.items()})
        _run_child([saved_model, request, response, *dict.fromkeys(targets.values())], timeout_s)
        answers = _restore(response)
    return {name: answers[tensor] for name, tensor in targets.items()}


def _main(saved_model: str, request: str, response: str, *outputs: str) -> None:
    """The child: answer the request file into the response file; exit status 1 and the message on stderr if not."""
    try:
        _save(Path(response), run(Path(saved_model), _restore(Path(request)), outputs))
    except CppRuntimeError as error:
        raise SystemExit(str(error)) from error
    assert "tensorflow" not in sys.modules, "the C++ runtime was to answer alone"


if __name__ == "__main__":
    _main(*sys.argv[1:])
