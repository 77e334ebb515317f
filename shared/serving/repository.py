"""The model repository: watches a folder of models, loads new versions and unloads old ones.

    saved_models/sentiment/1/  2/  3/        the two newest are served: label `canary` is the newest, `stable` the one before

A version is loaded when its folder appears. It is unloaded after its last request, as soon as two newer versions are available or
its folder was deleted. A version that cannot be loaded does not affect the others. The last available version of a model stays
loaded even if its folder was deleted.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection
from pathlib import Path

from shared.export import versions
from shared.serving.batching import Batching
from shared.serving.errors import INVALID_ARGUMENT, NOT_FOUND, UNAVAILABLE, ServingError
from shared.serving.logs import fields
from shared.serving.models import AVAILABLE, END, LOADING, START, ModelVersion

logger = logging.getLogger(__name__)
STABLE, CANARY = "stable", "canary"
MAX_SERVED_VERSIONS = 2  # per model


class Repository:
    """Watches a folder of models.

    Args:
        folder: folder with one folder per model.
        batching: settings of micro-batching; None runs each request separately.
        poll_interval: seconds between two scans of the folder.
        model_names: names of the models to serve; empty for all.

    Attributes:
        models: the known versions, by model name and version number.
        on_load: called after each attempt to load a version.
        first_scan_done: event that is set when every version of the first scan is loaded or has failed to load.
    """

    def __init__(
        self,
        folder: Path,
        batching: Batching | None = None,
        poll_interval: float = 1.0,
        model_names: Collection[str] = (),
    ) -> None:
        self.folder, self.batching, self.poll_interval, self.model_names = folder, batching, poll_interval, model_names
        self.on_load: Callable[[ModelVersion], None] = lambda version: None
        self._was_ready: bool | None = None
        self.models: dict[str, dict[int, ModelVersion]] = {}
        self.first_scan_done = threading.Event()
        self._fingerprints: dict[tuple[str, int], list[tuple[str, float, int]]] = {}
        self._stop_requested = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="models", daemon=True)

    def start(self) -> None:
        """Starts to watch the folder in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stops the thread and waits for it."""
        self._stop_requested.set()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def is_ready(self) -> bool:
        """Whether the first scan is done and at least one model is available; with `model_names`, all of them."""
        if not self.first_scan_done.is_set():
            return False
        if self.model_names:
            return all(name in self.models and self._available_versions(name) for name in self.model_names)
        return any(self._available_versions(name) for name in list(self.models))

    def find_version(self, name: str, version: int | None = None, label: str | None = None) -> ModelVersion:
        """Returns the requested version: by number, by label, or else the newest that is available.

        Args:
            name: name of the model.
            version: number of the version.
            label: `stable` or `canary`.

        Raises:
            ServingError: the version does not exist, no version is available, or both `version` and `label` are set.
        """
        if version is not None and label is not None:
            raise ServingError(INVALID_ARGUMENT, "The request has both a version and a label. Send only one of them.")
        known_versions = self.models.get(name)
        request = f"Specific({name}, {version})" if version is not None else f"Latest({name})"
        if known_versions is None and not self.first_scan_done.is_set():
            raise ServingError(UNAVAILABLE, f"{name}: the server still loads the models. Try again.")
        if known_versions is None:
            names = ", ".join(sorted(self.models)) or "none"
            raise ServingError(NOT_FOUND, f"Servable not found for request: {request}. The models are: {names}.")
        if version is not None:
            if version not in known_versions:
                numbers = ", ".join(map(str, sorted(known_versions)))
                raise ServingError(
                    NOT_FOUND, f"Servable not found for request: {request}. The versions are: {numbers}."
                )
            return known_versions[version]
        available = self._available_versions(name)
        if label not in (None, STABLE, CANARY):
            raise ServingError(
                INVALID_ARGUMENT,
                f'Unrecognized servable version label: "{label}". The labels are {STABLE} and {CANARY}.',
            )
        if not available:
            states = ", ".join(
                f"{one.version} is {one.state}{one.error and ': '}{one.error}" for one in known_versions.values()
            )
            raise ServingError(UNAVAILABLE, f"{name}: no version is available ({states}).")
        return available[0] if label == STABLE else available[-1]

    def newest_version(self, name: str) -> ModelVersion | None:
        """Returns the newest version of a model that is available; None if there is none."""
        available = self._available_versions(name)
        return available[-1] if available else None

    def list_versions(self, name: str) -> list[ModelVersion]:
        """Returns all known versions of a model, newest first.

        Raises:
            ServingError: there is no such model.
        """
        if name not in self.models:
            raise ServingError(NOT_FOUND, f"Could not find any versions of model {name}")
        return [self.models[name][version] for version in sorted(self.models[name], reverse=True)]

    def scan(self) -> None:
        """Loads new versions and unloads old ones."""
        for path in sorted(self.folder.iterdir()) if self.folder.is_dir() else []:
            if self._stop_requested.is_set():
                return
            if self.model_names and path.name not in self.model_names:
                continue
            try:
                folders = {int(folder.name): folder for folder in versions.list_versions(path)}
                if folders:
                    self._scan_model(path.name, folders)
            except OSError as error:  # the folder is unreadable or was just deleted; continue with the others
                logger.warning("%s: %s", path, error)

    def _scan_model(self, name: str, folders: dict[int, Path]) -> None:
        """Loads and unloads versions of one model.

        Args:
            name: name of the model.
            folders: folders of the published versions, by version number.
        """
        selected: set[int] = set()
        num_available = 0
        for number in sorted(folders, reverse=True):  # a version that cannot be loaded does not count
            if num_available < MAX_SERVED_VERSIONS:
                selected.add(number)
                num_available += self._load_if_new(name, number, folders[number]).state == AVAILABLE
        for number, version in list(self.models[name].items()):
            if number in selected or version.state in (START, LOADING):
                continue
            others = [one for one in self._available_versions(name) if one is not version and one.version in selected]
            if version.state == END or others:
                if version.state == AVAILABLE:
                    version.unload()
                self.models[name] = {key: one for key, one in self.models[name].items() if key != number}

    def _load_if_new(self, name: str, number: int, folder: Path) -> ModelVersion:
        """Returns a version; loads it if it is new, or if loading failed and its files have changed since."""
        known_versions, fingerprint = self.models.setdefault(name, {}), _fingerprint(folder)
        has_failed = number in known_versions and known_versions[number].state == END
        if number not in known_versions or (has_failed and self._fingerprints[name, number] != fingerprint):
            self._fingerprints[name, number] = fingerprint
            version = ModelVersion(name, number, folder)
            self.models[name] = {**known_versions, number: version}
            version.load(self.batching)
            self.on_load(version)
        return self.models[name][number]

    def _available_versions(self, name: str) -> list[ModelVersion]:
        """Returns the available versions of a model, oldest first."""
        available = (one for one in self.models[name].values() if one.state == AVAILABLE)
        return sorted(available, key=lambda one: one.version)

    def _log_readiness(self) -> None:
        """Logs whether the server is ready, if this has changed."""
        is_ready = self.is_ready
        if is_ready == self._was_ready or self._stop_requested.is_set():
            return
        self._was_ready = is_ready
        versions = {name: [one.version for one in self._available_versions(name)] for name in sorted(self.models)}
        details = ", ".join(f"{name} {' '.join(map(str, numbers))}" for name, numbers in versions.items() if numbers)
        message = f"ready: {details}" if is_ready else f"not ready: no model is loaded from {self.folder}"
        logger.log(
            logging.INFO if is_ready else logging.WARNING,
            message,
            extra=fields(event="readiness", ready=is_ready, models=versions),
        )

    def _watch(self) -> None:
        while not self._stop_requested.is_set():
            try:
                self.scan()
            except Exception:  # no error may end the thread
                logger.exception("%s: the folder could not be scanned", self.folder)
            self.first_scan_done.set()
            self._log_readiness()
            self._stop_requested.wait(self.poll_interval)


def _fingerprint(folder: Path) -> list[tuple[str, float, int]]:
    """Returns name, modification time and size of each file of a version; it differs after each change of a file."""
    statuses = [(str(path), path.stat()) for path in folder.rglob("*") if path.is_file()]
    return sorted((name, status.st_mtime, status.st_size) for name, status in statuses)
