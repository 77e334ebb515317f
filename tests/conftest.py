"""What many tests share: quiet TensorFlow, one small trained task, and the team's real data where it is there."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import pytest

from shared import report, task, training, workflow
from shared.config import TaskConfig
from shared.task import Task

REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keeps together, where several processes share the tests, what shares a trained task, or else a module, or, in the folders
    of a task and of serving, a folder."""
    from xdist.scheduler import LoadScopeScheduling

    class Grouped(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    return Grouped(config, log)


def group_of(nodeid: str) -> str:
    """Returns the task that a test is of by its parameters, or else its module's path, or its folder's where that is deep."""
    module, _, test = nodeid.partition("::")
    names = [name for name in re.split(r"[\[\]-]", test)[1:] if name in task.list_task_names()]
    path = Path(module)
    return names[0] if names else str(path.parent if len(path.parts) > 3 else path)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out other tasks where a module is of `only_task`."""
    kept, left = [], []
    for item in items:
        only = item.get_closest_marker("only_task")
        params = getattr(getattr(item, "callspec", None), "params", {})
        (kept if only is None or params.get("trained") in (None, *only.args) else left).append(item)
    config.hook.pytest_deselected(items=left)
    items[:] = kept


class Trained(NamedTuple):
    """A task trained on its embedded sample for a single epoch, and exported."""

    task: Task
    config: TaskConfig
    version: Path
    run: report.Run


@pytest.fixture(scope="session", params=task.list_task_names())
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Every task of the suite in turn: a new folder under `tasks/` is picked up here."""
    return _train(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture
def real_data() -> Path:
    """The folder of real data sets; the test is skipped where it is not there."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"the real data sets are not at {REAL_DATA}")
    return REAL_DATA


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Calls what trains, and interrupts it as its second epoch begins."""
    import keras

    class Dies(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            if epoch == 1:
                raise KeyboardInterrupt

    def run(trains: Callable[[], object]) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(training, "_StopWhenDiverged", Dies)
            with pytest.raises(KeyboardInterrupt):
                trains()

    return run


def _train(name: str, folder: Path) -> Trained:
    sample = task.load_presets(name)["sample"]
    config = dataclasses.replace(sample, output=str(folder), training=dataclasses.replace(sample.training, epochs=1))
    loaded = task.load_task(name)
    version, run = workflow.train(loaded, config, f"lstm-suite train {name} --preset sample --training.epochs 1")
    return Trained(loaded, config, version, run)
