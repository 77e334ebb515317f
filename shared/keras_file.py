"""Opening a `.keras` file that somebody else may have made.

A model file is a program: its configuration names classes and functions that Keras imports and calls, files that it reads, and
sizes that it makes room for. What is opened here holds stock Keras alone, keeps to itself, and takes no more memory than
is reasonable for its size; Keras's own `safe_mode` stands behind that.
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

FILES = {"metadata.json", "config.json", "model.weights.h5"}  # of the archive; besides them, `assets/`
LARGEST_CONFIG = 32 * 2**20  # bytes
UNPACKED = 4  # times its own size that a file may unpack to
ROOM = 2**30  # bytes of memory that opening takes in any case
TIMES = 16  # bytes of memory for each byte of the file, besides
REFUSED = {"Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"}  # layers that hold programs
READ = ("vocabulary", "idf_weights")  # settings that Keras takes for the name of a file where they are text


def load(path: Path) -> keras.Model:
    """Opens a `.keras` file the user named.

    Raises:
        ExportError: it is missing, of another format or broken, holds code, names files outside, or wants more memory than its
            size explains.
    """
    if path.suffix != ".keras" or not path.is_file():
        raise ExportError(f"{path}: expected a .keras file. It lies beside saved_model.pb in a version's folder.")
    try:
        with zipfile.ZipFile(path) as archive:
            _require_plain(archive, path.stat().st_size)
            _require_stock(json.loads(archive.read("config.json")))
        with _little_memory(ROOM + TIMES * path.stat().st_size):
            return keras.models.load_model(path, compile=False, safe_mode=True)
    except (
        ValueError,  # a broken configuration among them: json.JSONDecodeError, UnicodeDecodeError
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
            f"{path}: cannot be opened as a Keras model; take a whole one that `lstm-suite train` wrote ({reason})."
        ) from error


def _require_plain(archive: zipfile.ZipFile, size: int) -> None:
    """Looks at the archive's list: files of the usual names, once each, no links, that unpack to a reasonable size.

    Raises:
        ValueError: something is amiss.
    """
    members = archive.infolist()
    names = [one.filename for one in members]
    for one in members:
        inside = PurePosixPath(one.filename)
        if inside.is_absolute() or ".." in inside.parts or "\\" in one.filename:
            raise ValueError(f"{one.filename} leads out of the archive")
        if stat.S_ISLNK(one.external_attr >> 16):
            raise ValueError(f"{one.filename} is a link")
        if one.filename not in FILES and inside.parts[0] != "assets":
            raise ValueError(f"{one.filename} does not belong there")
    if len(set(names)) < len(names) or not set(names) >= FILES:
        raise ValueError(f"expected each of {', '.join(sorted(FILES))} once")
    if sum(one.file_size for one in members) > UNPACKED * size + 2**20:
        raise ValueError("unpacks to far more than its size")
    if archive.getinfo("config.json").file_size > LARGEST_CONFIG:
        raise ValueError("config.json is larger than any model's")


def _require_stock(config: Any) -> None:
    """Walks through a configuration: classes of Keras alone, and no settings that are names of files.

    Raises:
        ValueError: something is amiss.
    """
    waiting = [config]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting.extend(one)
        if not isinstance(one, dict):
            continue
        waiting.extend(one.values())
        name, module = one.get("class_name"), one.get("module")
        if name in REFUSED or name in ("__lambda__", "function") or one.get("registered_name") not in (None, name):
            raise ValueError(f"{name} is no stock layer: it may hold a program")
        if isinstance(module, str) and module.split(".")[0] not in ("keras", "builtins"):
            raise ValueError(f"{module}.{name} is not of Keras")
        if module == "builtins" and name not in (None, "str", "int", "float", "bool", "list", "dict", "tuple"):
            raise ValueError(f"{module}.{name} is no value")
        for key in READ:
            if isinstance(one.get(key), str):
                raise ValueError(f"{key} names a file, {one[key]}: words are expected")


@contextlib.contextmanager
def _little_memory(size: int) -> Iterator[None]:
    """Lets this process take so many bytes of memory more than it has, and no further."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limits = [limit for limit in (used + size, soft, hard) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_AS, (min(limits), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
