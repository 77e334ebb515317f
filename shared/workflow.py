"""From a configuration to a published version: load, fit, judge, export. The same for every task."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from shared import export, keras_file, report, sources
from shared.config import TaskConfig, as_dict, fingerprint
from shared.errors import ExportError, SuiteError
from shared.evaluation import Score
from shared.task import Predictor, Task


def train(task: Task, config: TaskConfig, command: str) -> tuple[Path, report.Run]:
    """Trains, judges and exports one task.

    Args:
        task: the task.
        config: one of its configurations.
        command: the command line that repeats the run, for the card.

    Returns:
        The published version's folder and the run.

    Raises:
        SuiteError: bad data, a diverged training or a failed export; earlier versions are untouched.
    """
    splits = task.load(config)
    folder = Path(config.output).expanduser() / task.name
    try:
        run_folder = _run_folder(folder, config, splits.origin.sha256)
        trained_model = task.train(config, splits, run_folder)
    except (OSError, tf.errors.ResourceExhaustedError) as error:
        raise SuiteError(f"{folder}: the run could not go on: {export.error_hint(error)}.") from error
    run = report.Run(task, config, splits, trained_model, task.evaluate(trained_model, splits, config), command)
    export_spec = task.export_spec(trained_model.model, trained_model.metadata)
    version = export.publish(export_spec, folder, add_report=lambda aside: report.write(run, aside))
    for checkpoints in run_folder.rglob("checkpoints"):  # the logs stay
        shutil.rmtree(checkpoints, ignore_errors=True)
    return version, run


def evaluate(task: Task, config: Any, version: Path, source: str) -> list[Score]:
    """Judges an exported version on the labelled records of a file, through its SavedModel.

    Raises:
        SuiteError: the file cannot be used, or holds a label that the model does not know.
    """
    return task.score_file(config, source, load_metadata(version), load_predictor(version, task.evaluation_signature))


def predict(task: Task, version: Path, lines: Sequence[str]) -> list[dict[str, Any]]:
    """Returns the exported version's answer to each line, as JSON-ready values by output name."""
    answers = task.predict(lines, load_metadata(version), load_predictor(version))
    return [{name: _plain(values[k]) for name, values in answers.items()} for k in range(len(lines))]


def re_export(task: Task, source: Path, folder: Path) -> Path:
    """Writes a new version from a `model.keras` and what lies beside it: `task.json`, and the report where there is one.

    Raises:
        ExportError: the files are missing or broken, or belong to another task.
    """
    model = keras_file.load(source)
    known = load_metadata(source.parent)
    if known.get("task") != task.name:
        raise ExportError(f"{source} is a model of {known.get('task')}, not of {task.name}. Name the other task.")

    return export.publish(task.export_spec(model, known), folder, partial(_copy_report, source.parent))


def recalibrate(task: Task, config: TaskConfig, number: int | None) -> tuple[Path, dict[str, Any]]:
    """Publishes an exported version's model, its weights as they are, calibrated by answers that came in since.

    The report beside it stays that of the training, and says so.

    Args:
        task: the task.
        config: where the answers and the models are, and what the data look like; what is left out is the model's.
        number: of the version; None for the newest.

    Returns:
        The new version's folder, and what changed.

    Raises:
        SuiteError: the task has no calibration that ages, the data cannot be used, or the export failed.
    """
    if task.recalibrate is None:
        raise SuiteError(f"{task.name}: has no calibration to be renewed. Train it again on newer data.")
    version = export.find_version(Path(config.output).expanduser() / task.name, number)
    model, known, told = task.recalibrate(config, keras_file.load(version / "model.keras"), load_metadata(version))
    line = f"Calibrated anew by {config.data} ({'; '.join(f'{k}: {v}' for k, v in told.items())})."

    def add_report(aside: Path) -> None:
        _copy_report(version, aside)
        if (aside / "card.md").exists():
            card = (aside / "card.md").read_text(encoding="utf-8")
            note = f"> {line} The scores below are of the calibration made in training.\n\n"
            (aside / "card.md").write_text(note + card, encoding="utf-8")
        if (aside / "metrics.json").exists():
            metrics = json.loads((aside / "metrics.json").read_text(encoding="utf-8"))
            text = json.dumps({"recalibrated": line, **metrics}, indent=2)
            (aside / "metrics.json").write_text(text + "\n", encoding="utf-8")

    return export.publish(task.export_spec(model, known), version.parent, add_report), told


def load_metadata(version: Path) -> dict[str, Any]:
    """Returns what decoding needs to know of a version.

    Raises:
        ExportError: `task.json` is missing or broken.
    """
    path = version / "task.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ExportError(f"{path}: missing or broken. Take a folder that `lstm-suite train` wrote.") from error


def load_predictor(version: Path, name: str = "serving_default", batch: int = 64) -> Predictor:
    """Returns a function that asks a version's signature of this name, in batches along the first axis.

    Raises:
        ExportError: the version is not whole.
    """
    try:
        loaded = tf.saved_model.load(str(version))
        signature = loaded.signatures[name]
    except (OSError, KeyError) as error:
        raise ExportError(
            f"{version}: not a whole SavedModel with a signature `{name}` ({error}). Export it again."
        ) from error

    def call(request: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        count = len(next(iter(request.values())))
        parts = []
        for start in range(0, count, batch):
            chosen = {name: tf.constant(values[start : start + batch]) for name, values in request.items()}
            parts.append({name: value.numpy() for name, value in signature(**chosen).items()})
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    call.model = loaded  # type: ignore[attr-defined]  # a signature does not keep its model alive
    return call


def _copy_report(version: Path, aside: Path) -> None:
    for name in ("card.md", "metrics.json"):
        if (version / name).exists():
            shutil.copyfile(version / name, aside / name)
    if (version / "plots").is_dir():
        shutil.copytree(version / "plots", aside / "plots")


def _run_folder(folder: Path, config: TaskConfig, data: str) -> Path:
    """Returns the folder of this very run: same settings, data and code, same folder."""
    settings = {name: value for name, value in as_dict(config).items() if name not in ("output", "resume")}
    run_folder = folder / "runs" / fingerprint(settings, data, _code(folder.name))
    if not config.resume:
        shutil.rmtree(run_folder, ignore_errors=True)
    run_folder.mkdir(parents=True, exist_ok=True)
    (run_folder / "config.json").write_text(json.dumps(as_dict(config), indent=2) + "\n", encoding="utf-8")
    return run_folder


def _code(task: str) -> list[str]:
    """Returns digests of the sources a run depends on: weights of other code must not be taken up."""
    root = Path(__file__).resolve().parents[1]
    return [
        sources.sha256(str(path)) for part in ("shared", f"tasks/{task}") for path in sorted(root.glob(f"{part}/*.py"))
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8")
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value
