"""The folder of the models: which are served, in which versions, under which names.

    saved_models/sentiment/1/  2/  3/        the two newest are served; `canary` is the newest, `stable` the one before

A version is taken up when its folder appears and let go when it is none of the newest, after its last answer. One that
cannot be loaded leaves those before it as they are; so does a folder that is emptied.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from shared import export
from shared.serving.batching import Batching
from shared.serving.errors import INVALID, NOT_FOUND, UNAVAILABLE, ServingError
from shared.serving.models import AVAILABLE, END, LOADING, START, Version

STABLE, CANARY = "stable", "canary"
SERVED = 2  # versions of a model


class Repository:
    """Watches a folder of models.

    Args:
        folder: that holds a folder for each model.
        batching: how requests are joined; None for not at all.
        seconds: from one look into the folder to the next.
    """

    def __init__(self, folder: Path, batching: Batching | None = None, seconds: float = 1.0) -> None:
        self.folder, self.batching, self.seconds = folder, batching, seconds
        self.models: dict[str, dict[int, Version]] = {}
        self.looked = threading.Event()
        self._stamps: dict[tuple[str, int], list[tuple[str, float, int]]] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="models", daemon=True)

    def start(self) -> None:
        """Begins to watch; `looked` is set when all that was there has been loaded, or has failed."""
        self._thread.start()

    def stop(self) -> None:
        """Ends watching."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def ready(self) -> bool:
        """Whether the folder has been looked through, and some model can be asked."""
        return self.looked.is_set() and any(self._available(name) for name in list(self.models))

    def version(self, name: str, number: int | None = None, label: str | None = None) -> Version:
        """Returns the version that is asked for: by number, by label, or the newest that is available.

        Raises:
            ServingError: there is none, or it is not loaded yet.
        """
        if number is not None and label is not None:
            raise ServingError(INVALID, "Name a version or a label, not both.")
        known = self.models.get(name)
        asked = f"Specific({name}, {number})" if number is not None else f"Latest({name})"
        if known is None:
            there = ", ".join(sorted(self.models)) or "none"
            raise ServingError(NOT_FOUND, f"ExportSpec not found for request: {asked}. There are {there}.")
        if number is not None:
            if number not in known:
                there = ", ".join(map(str, sorted(known)))
                raise ServingError(NOT_FOUND, f"ExportSpec not found for request: {asked}. There are versions {there}.")
            return known[number]
        available = self._available(name)
        if label not in (None, STABLE, CANARY):
            raise ServingError(
                INVALID, f'Unrecognized export_spec version label: "{label}". There are {STABLE}, {CANARY}.'
            )
        if not available:
            state = ", ".join(f"{one.number} is {one.state}{one.error and ': '}{one.error}" for one in known.values())
            raise ServingError(UNAVAILABLE, f"{name}: no version can be asked ({state}).")
        return available[0] if label == STABLE else available[-1]

    def versions(self, name: str) -> list[Version]:
        """Returns all versions that are known of a model, newest first.

        Raises:
            ServingError: there is no such model.
        """
        if name not in self.models:
            raise ServingError(NOT_FOUND, f"Could not find any versions of model {name}")
        return [self.models[name][number] for number in sorted(self.models[name], reverse=True)]

    def look(self) -> None:
        """Takes up new versions and lets old ones go."""
        for path in sorted(self.folder.iterdir()) if self.folder.is_dir() else []:
            try:
                there = {int(version.name): version for version in export.list_versions(path)}
                if there:
                    self._look_at(path.name, there)
            except (
                OSError
            ) as error:  # it may not be read, or vanishes while it is looked at; the others are not to suffer
                logging.getLogger(__name__).warning("%s: %s", path, error)

    def _look_at(self, name: str, there: dict[int, Path]) -> None:
        wanted: set[int] = set()
        available = 0
        for number in sorted(there, reverse=True):  # what cannot be loaded makes room for the next
            if available < SERVED:
                wanted.add(number)
                available += self._taken_up(name, number, there[number]).state == AVAILABLE
        for number, version in list(self.models[name].items()):
            if number in wanted or version.state in (START, LOADING):
                continue
            others = [one for one in self._available(name) if one is not version and one.number in wanted]
            if version.state == END or others:
                if version.state == AVAILABLE:
                    version.let_go()
                self.models[name] = {key: one for key, one in self.models[name].items() if key != number}

    def _taken_up(self, name: str, number: int, folder: Path) -> Version:
        """Returns a version, loaded where it is new, or was broken and has changed since."""
        known, stamp = self.models.setdefault(name, {}), _stamp(folder)
        failed = number in known and known[number].state == END
        if number not in known or (failed and self._stamps[name, number] != stamp):
            self._stamps[name, number] = stamp
            version = Version(name, number, folder)
            self.models[name] = {**known, number: version}
            version.load(self.batching)
        return self.models[name][number]

    def _available(self, name: str) -> list[Version]:
        return sorted((one for one in self.models[name].values() if one.state == AVAILABLE), key=lambda one: one.number)

    def _watch(self) -> None:
        while not self._ended.is_set():
            try:
                self.look()
            except Exception:  # whatever it is: the watch goes on
                logging.getLogger(__name__).exception("%s: could not be looked through", self.folder)
            self.looked.set()
            self._ended.wait(self.seconds)


def _stamp(folder: Path) -> list[tuple[str, float, int]]:
    """Returns what changes when a file of a version is written, or comes in."""
    found = [(str(path), path.stat()) for path in folder.rglob("*") if path.is_file()]
    return sorted((name, status.st_mtime, status.st_size) for name, status in found)
