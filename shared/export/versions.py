"""Finds exported versions and reads their metadata. Imports nothing heavy, so that the command line can use it before it parses."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from shared.errors import ExportError

VERSION_NAME = re.compile("0|[1-9][0-9]{0,18}")


def list_versions(folder: Path) -> list[Path]:
    """Returns the folders of the published versions, oldest first; as in TensorFlow Serving, their names are plain numbers."""
    if not folder.is_dir():
        return []
    versions = [
        path
        for path in folder.iterdir()
        if path.is_dir() and VERSION_NAME.fullmatch(path.name) and int(path.name) < 2**63
    ]
    return sorted(versions, key=lambda path: int(path.name))


def find_version(folder: Path, number: int | None = None) -> Path:
    """Returns the folder of a version by its number; None means the newest.

    Args:
        folder: folder of the task, which holds its versions.
        number: number of the version.

    Raises:
        ExportError: there is no such version.
    """
    versions = list_versions(folder)
    if number is None:
        if not versions:
            raise ExportError(
                f"{folder}: no exported version. Train one first, for example: lstm-suite train {folder.name}"
            )
        return versions[-1]
    path = folder / str(number)
    if path not in versions:
        names = ", ".join(version.name for version in versions) or "none"
        raise ExportError(f"{folder}: no version {number}. The versions are: {names}.")
    return path


def load_metadata(version: Path, task_name: str | None = None) -> dict[str, Any]:
    """Returns the metadata of a version, which decoding needs.

    Args:
        version: folder of the version.
        task_name: task that the model must belong to; None for any task.

    Raises:
        ExportError: `task.json` is missing or broken, or the model belongs to another task.
    """
    path = version / "task.json"
    try:
        metadata = json.loads(path.read_text(encoding="utf-8"))
        task = metadata["task"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ExportError(f"{path}: missing or broken. Use a folder that `lstm-suite train` wrote.") from error
    if task_name is not None and task != task_name:
        raise ExportError(f"{version}: a model of the task {task}. A model of {task_name} is needed.")
    return metadata


def model_digest(version: Path) -> str:
    """Returns 16 hexadecimal digits that change whenever the weights or the metadata of a version change.

    Raises:
        OSError: the version is incomplete.
    """
    digest = hashlib.sha256()
    for path in (version / "task.json", *sorted((version / "variables").glob("variables.data-*"))):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
