"""Finds out whether a folder holds models, and says where they are if it does not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from shared.errors import SuiteError
from shared.export.versions import list_versions

DEFAULT_FOLDER, DEMO_NAME = "saved_models", "demo"
SAVED_MODEL_FILE = "saved_model.pb"
MAX_LISTED_ENTRIES = 5


def list_models(folder: Path) -> list[str]:
    """Returns the names of the models in a folder: its subfolders with at least one SavedModel in a version."""
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and _has_saved_model(path))


def locate_models(folder: Path) -> tuple[Path, str]:
    """Returns the folder to serve, and a notice about it, or "".

    If a folder has no model of its own, but models of `lstm-suite demo`, these are served. A folder without any model is served, too:
    models may arrive later.

    Args:
        folder: folder that should hold one folder per model.

    Raises:
        SuiteError: the folder does not exist, or the models are in a folder below or above it.
    """
    if not folder.is_dir():
        raise SuiteError(f"{folder}: this folder does not exist. {_hint(Path(DEFAULT_FOLDER))}")
    if list_models(folder):
        return folder, ""
    for model in (folder, folder.resolve().parent):  # the folder is a model, or a version of a model
        if _has_saved_model(model) and (model == folder or (folder / SAVED_MODEL_FILE).exists()):
            kind = "the folder of one model" if model == folder else "one version of a model"
            raise SuiteError(f"{folder}: this is {kind}. {_hint(model.resolve().parent)}")
    if models := list_models(folder / DEMO_NAME):
        notice = (
            f"{folder} has no model of its own; serving those of the demo in {folder / DEMO_NAME}: {', '.join(models)}."
        )
        return folder / DEMO_NAME, notice
    for below in sorted(path for path in folder.iterdir() if path.is_dir()):
        if list_models(below) or list_models(below / DEMO_NAME):
            raise SuiteError(f"{folder}: this folder has no model. {_hint(below)}")
    return folder, (
        f"{folder} has no exported model. It contains {_describe_entries(folder)}. The server waits for models at "
        f"{folder}/NAME/VERSION/{SAVED_MODEL_FILE}; `lstm-suite train` and `make demo` write them."
    )


def _has_saved_model(folder: Path) -> bool:
    return any((version / SAVED_MODEL_FILE).exists() for version in list_versions(folder))


def _hint(folder: Path) -> str:
    """Returns where the models are, or how to make them if the folder has none."""
    for candidate in (folder, folder / DEMO_NAME):
        if models := list_models(candidate):
            return f"There are models in {candidate}: {', '.join(models)}. Use --models {candidate}."
    return (
        "Train a model first (`lstm-suite train`, or `make demo` for every task), or name another folder with --models."
    )


def _describe_entries(folder: Path) -> str:
    """Returns the names of the first entries of a folder, as text."""
    names: Sequence[str] = sorted(path.name for path in folder.iterdir())
    if not names:
        return "nothing"
    more = len(names) - MAX_LISTED_ENTRIES
    return ", ".join(names[:MAX_LISTED_ENTRIES]) + (f" and {more} more" if more > 0 else "")
