"""Safe loading of `.keras` files from unknown sources.

A model file can act like a program: its configuration names classes and functions that Keras imports and calls, files that Keras
reads, and sizes for which Keras allocates memory. A file is loaded only if it contains nothing but layers of Keras, refers to no
other files, and needs an amount of memory that fits its size. Keras's own `safe_mode` is on as a second check.
"""

from __future__ import annotations

import contextlib
import json
import resource
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import keras
import tensorflow as tf

from shared.errors import ExportError

MEMBERS = {"metadata.json", "config.json", "model.weights.h5"}  # files in the archive, in addition to `assets/`
MAX_CONFIG_BYTES = 32 * 2**20
MAX_EXPANSION = 4  # maximum size of the unpacked files, relative to the size of the archive
BASE_MEMORY = 2**30  # bytes of memory that loading may use for a file of any size
MEMORY_FACTOR = 16  # further bytes of memory per byte of the file
PROGRAM_LAYERS = {"Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"}  # layers that contain programs
FILE_SETTINGS = ("vocabulary", "idf_weights")  # settings that Keras reads as a file name if they are text


def load(path: Path) -> keras.Model:
    """Loads a `.keras` file of the user.

    Raises:
        ExportError: the file is missing, damaged or in another format, contains programs, refers to other files, or needs more
            memory than fits its size.
    """
    if path.suffix != ".keras" or not path.is_file():
        raise ExportError(f"{path}: expected a .keras file. Each version has one, next to saved_model.pb.")
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(archive, path.stat().st_size)
            _check_config(json.loads(archive.read("config.json")))
        with _limit_memory(BASE_MEMORY + MEMORY_FACTOR * path.stat().st_size):
            return keras.models.load_model(path, compile=False, safe_mode=True)
    except (
        ValueError,  # includes json.JSONDecodeError and UnicodeDecodeError of a damaged configuration
        TypeError,
        OSError,
        KeyError,
        AttributeError,
        RecursionError,
        MemoryError,
        OverflowError,
        NotImplementedError,
        zipfile.BadZipFile,
        tf.errors.OpError,
    ) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
        raise ExportError(
            f"{path}: cannot be loaded as a Keras model ({reason}). Give a complete file that `lstm-suite train` wrote."
        ) from error


def _check_members(archive: zipfile.ZipFile, size: int) -> None:
    """Checks the list of files in the archive: the usual names, each once, no links, and a total size that fits the archive.

    Raises:
        ValueError: one of these checks fails.
    """
    members = archive.infolist()
    names = [member.filename for member in members]
    for member in members:
        path = PurePosixPath(member.filename)
        if path.is_absolute() or ".." in path.parts or "\\" in member.filename:
            raise ValueError(f"{member.filename} is a path outside the archive")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise ValueError(f"{member.filename} is a link")
        if member.filename not in MEMBERS and path.parts[0] != "assets":
            raise ValueError(f"unexpected file {member.filename}")
    if len(set(names)) < len(names) or not set(names) >= MEMBERS:
        raise ValueError(f"expected each of {', '.join(sorted(MEMBERS))} exactly once")
    if sum(member.file_size for member in members) > MAX_EXPANSION * size + 2**20:
        raise ValueError("the unpacked files are too large for the size of the archive")
    if archive.getinfo("config.json").file_size > MAX_CONFIG_BYTES:
        raise ValueError("config.json is too large")


def _check_config(config: Any) -> None:
    """Checks all values of a configuration: only classes of Keras, and no settings that are file names.

    Raises:
        ValueError: one of these checks fails.
    """
    pending = [config]
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending.extend(value)
        if not isinstance(value, dict):
            continue
        pending.extend(value.values())
        name, module = value.get("class_name"), value.get("module")
        has_other_name = value.get("registered_name") not in (None, name)
        if name in PROGRAM_LAYERS or name in ("__lambda__", "function") or has_other_name:
            raise ValueError(f"{name} is not a standard layer and may contain a program")
        if isinstance(module, str) and module.split(".")[0] not in ("keras", "builtins"):
            raise ValueError(f"{module}.{name} is not part of Keras")
        if module == "builtins" and name not in (None, "str", "int", "float", "bool", "list", "dict", "tuple"):
            raise ValueError(f"{module}.{name} is not a plain value")
        for key in FILE_SETTINGS:
            if isinstance(value.get(key), str):
                raise ValueError(f"{key} is a file name, {value[key]}; expected a list")


@contextlib.contextmanager
def _limit_memory(size: int) -> Iterator[None]:
    """Limits the additional memory of this process to `size` bytes."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limits = [limit for limit in (used + size, soft, hard) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_AS, (min(limits), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
