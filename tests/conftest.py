"""Fixtures for all tests: quiet TensorFlow, tasks trained on their samples, and the real data sets where they are present."""

from __future__ import annotations

import dataclasses
import importlib
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import pytest

from shared import task, workflow
from shared.config import TaskConfig
from shared.reports.run import Run
from shared.task import Task
from shared.training import loop

TOYS = ("dates",)
"""Tasks from sequence to sequence in `tests/toys/` that pass the contract like those of the suite."""
REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With several processes, runs tests that use the same trained task in one process; other tests are grouped by module, or by
    folder in the folders of the tasks and of `shared`."""
    from xdist.scheduler import LoadScopeScheduling

    class GroupedScheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of_test(nodeid)

    return GroupedScheduling(config, log)


def group_of_test(nodeid: str) -> str:
    """Returns the task in the parameters of a test, or else the path of its module, or of its folder if that is deep."""
    module, _, test = nodeid.partition("::")
    names = [name for name in re.split(r"[\[\]-]", test)[1:] if name in (*task.list_task_names(), *TOYS)]
    path = Path(module)
    return names[0] if names else str(path.parent if len(path.parts) > 3 else path)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselects tests with the fixture `trained` for tasks that the marker `only_task` does not name."""
    selected, deselected = [], []
    for item in items:
        only = item.get_closest_marker("only_task")
        params = getattr(getattr(item, "callspec", None), "params", {})
        (selected if only is None or params.get("trained") in (None, *only.args) else deselected).append(item)
    config.hook.pytest_deselected(items=deselected)
    items[:] = selected


class Trained(NamedTuple):
    """A task that was trained on its embedded sample for one epoch and exported."""

    task: Task
    config: TaskConfig
    version: Path
    run: Run


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs tests with the fixture `trained` for each task of the suite; the contract tests also for the toy tasks, except those of failed
    exports, which do not depend on the task."""
    if "trained" in metafunc.fixturenames:
        names = task.list_task_names()
        is_contract = (
            metafunc.module.__name__.startswith("tests.contract.") and "publishing" not in metafunc.module.__name__
        )
        metafunc.parametrize("trained", [*names, *(TOYS if is_contract else ())], indirect=True, scope="session")


@pytest.fixture(scope="session")
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Each task of the suite; a new folder under `tasks/` is included automatically."""
    return _train(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture
def real_data() -> Path:
    """The folder of the real data sets; the test is skipped if it does not exist."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"the real data sets are not in {REAL_DATA}")
    return REAL_DATA


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Calls a training function and interrupts it at the start of the second epoch."""
    import keras

    class InterruptingCallback(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            if epoch == 1:
                raise KeyboardInterrupt

    def run(train: Callable[[], object]) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(loop, "_StopWhenDiverged", InterruptingCallback)
            with pytest.raises(KeyboardInterrupt):
                train()

    return run


def _train(name: str, folder: Path) -> Trained:
    if name in TOYS:  # a task like those in `tasks/`, but only tests see it
        sys.modules[f"tasks.{name}"] = importlib.import_module(f"tests.toys.{name}")
    sample = task.load_presets(name)["sample"]
    training = dataclasses.replace(sample.training, epochs=1)
    if hasattr(training, "refit"):
        training = dataclasses.replace(training, refit=False)  # the promises compare the exported model with its scores
    config = dataclasses.replace(sample, output=str(folder), training=training)
    loaded = task.load_task(name)
    version, run = workflow.train(loaded, config, f"lstm-suite train {name} --preset sample --training.epochs 1")
    return Trained(loaded, config, version, run)
