"""From a configuration to a published version: load, train, evaluate, export. The flow is the same for every task."""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from shared import evaluation_run, prediction_run
from shared.config import PredictOptions, TaskConfig, as_dict, fingerprint
from shared.data import sources
from shared.data.notices import collect_notices
from shared.data.sources import Splits
from shared.errors import ExportError, SuiteError
from shared.evaluation.metric import Score
from shared.export import keras_file, publishing
from shared.export.versions import load_metadata, model_digest
from shared.progress import report_stage
from shared.reports import report
from shared.reports.run import Run
from shared.state.store import StateOptions, StateStore
from shared.streams import Predictors, VersionPredictor
from shared.task import (
    Inputs,
    PredictionCommand,
    Task,
    TrainedModel,
    load_predict_options,
    load_readers,
    load_splits,
    require_recalibration,
    trained_config,
)
from shared.training.checkpoints import completed_seconds

TRAINING_PACKAGES = (".", "data", "text", "layers", "decoding", "training", "evaluation")
"""Packages of `shared` whose code a training run depends on."""
STEPS_PER_CALL = 4096
"""Rows per call of `step`, which have no axis of time."""
REPORT_FILES = ("card.md", "metrics.json", "report.html", "request.json")
"""Files of the report, beside the folder `plots`."""


def train(task: Task, config: TaskConfig, command: str, splits: Splits | None = None) -> tuple[Path, Run]:
    """Trains, evaluates and exports one task.

    Args:
        task: the task.
        config: a configuration of this task.
        command: command line that repeats the run, for the report.
        splits: data of the configuration, from `shared.task.load_splits`; they are loaded if None.

    Returns:
        The folder of the published version, and the run.

    Raises:
        SuiteError: the data cannot be used, training diverged, or the export failed. Earlier versions stay unchanged.
    """
    splits = load_splits(task.name, config) if splits is None else splits
    config = config if splits.config is None else splits.config
    folder = Path(config.output).expanduser() / task.name
    try:
        run_folder = _run_folder(folder, config, splits.origin.sha256)
        report_stage("Training")
        with collect_notices() as notices:
            trained_model = train_model(task, config, splits, run_folder)
    except (OSError, tf.errors.ResourceExhaustedError) as error:
        raise SuiteError(f"{folder}: training stopped: {publishing.error_hint(error)}.") from error
    splits = dataclasses.replace(splits, notices=(*splits.notices, *notices))
    spec = task.export_spec(trained_model.model, trained_model.metadata)
    evaluation = evaluation_run.evaluate(task, trained_model, spec, splits, config)
    exported = refit_model(task, config, splits, trained_model, run_folder)
    if exported is not None:
        trained_model, spec = exported, task.export_spec(exported.model, exported.metadata)
    run = Run(task, config, splits, trained_model, evaluation, command)
    report_stage("Exporting and verifying")
    version = publishing.publish(spec, folder, add_report=lambda staging: report.write(run, spec, staging, folder))
    for checkpoints in run_folder.rglob("checkpoints"):  # the logs stay
        shutil.rmtree(checkpoints, ignore_errors=True)
    return version, run


def train_model(task: Task, config: Any, splits: Splits, run_folder: Path) -> TrainedModel:
    """Trains a model from its seed, and adds what the metadata and notes of all tasks have.

    The training time includes that of the epochs before an interruption.
    """
    started, earlier_seconds = time.monotonic(), completed_seconds(run_folder)
    keras.utils.set_random_seed(config.training.seed)
    trained_model = task.train(config, splits, run_folder)
    history = trained_model.history
    history.seconds = earlier_seconds + time.monotonic() - started
    metadata = {"task": task.name, "columns": as_dict(config.columns), **trained_model.metadata}
    notes = {"weights": history.weights, **trained_model.notes}
    return dataclasses.replace(trained_model, metadata=metadata, notes=notes)


def refit_model(
    task: Task, config: Any, splits: Splits, evaluated: TrainedModel, run_folder: Path
) -> TrainedModel | None:
    """Returns the model for the export, trained on all splits, with the training time of both; None if the evaluated model is exported.

    Raises:
        SuiteError: training stopped.
    """
    if task.refit is None:
        return None
    report_stage("Training the model for the export on all splits")
    started = time.monotonic()  # `train_model` has counted the epochs before an interruption, those of this folder too
    try:
        exported = task.refit(config, splits, evaluated, run_folder / "refit")
    except (OSError, tf.errors.ResourceExhaustedError) as error:
        raise SuiteError(f"{run_folder}: training stopped: {publishing.error_hint(error)}.") from error
    if exported is not None:
        exported.history.seconds += time.monotonic() - started
    return exported


def evaluate(task: Task, records: Any, version: Path) -> list[Score]:
    """Scores an exported version on labelled records, through its SavedModel.

    Args:
        task: the task.
        records: from `Readers.read_records`.
        version: folder of the version.

    Raises:
        SuiteError: the version cannot be used.
    """
    metadata = load_metadata(version)
    predictor = load_predictor(version, task.evaluation_signature)
    return task.score(records, task.predict_labelled(records, metadata, predictor), metadata)


def predict(
    task: Task,
    version: Path,
    inputs: Iterable[Inputs],
    options: PredictOptions,
    on_progress: prediction_run.Progress | None = None,
    command: PredictionCommand | None = None,
) -> Iterator[prediction_run.PredictedRows]:
    """Yields the rows of the inputs with the predictions of an exported version (see `shared.prediction_run.predict`).

    Args:
        task: the task.
        version: folder of the version.
        inputs: from `Readers.read_inputs` or `Readers.parse_inputs`.
        options: options of the command.
        on_progress: as in `shared.prediction_run.predict`.
        command: a further command of the task; None for `predict`.
    """
    model = partial(keras_file.load, version / "model.keras")
    signature = task.prediction_signature
    if command is not None:
        signature = command.signature
        task = dataclasses.replace(
            task, predict=command.predict, prediction_table=command.prediction_table, explain=None, plot=None
        )
    arguments = task, inputs, load_metadata(version), load_predictor(version, signature), options, model
    return prediction_run.predict(*arguments, *([] if on_progress is None else [on_progress]))


def predict_lines(task: Task, version: Path, lines: Sequence[str]) -> prediction_run.PredictedRows:
    """Returns the predictions of an exported version for lines with the columns of its training."""
    metadata, options = load_metadata(version), load_predict_options(task.name)()
    inputs = load_readers(task.name).parse_inputs(trained_config(metadata), lines, metadata, options)
    (predicted,) = predict(task, version, [inputs], options)
    return predicted


def re_export(task: Task, source: Path, folder: Path) -> Path:
    """Writes a new version from a `model.keras` and the files beside it: `task.json` and, if present, the report.

    Args:
        task: the task of the model.
        source: path of the `model.keras`.
        folder: folder of the task, which holds its versions.

    Raises:
        ExportError: a file is missing or broken, or belongs to another task.
    """
    model = keras_file.load(source)
    metadata = load_metadata(source.parent, task.name)
    return publishing.publish(task.export_spec(model, metadata), folder, partial(_copy_report, source.parent))


def recalibrate(task: Task, records: Any, source: str, version: Path) -> tuple[Path, dict[str, Any]]:
    """Publishes a copy of an exported version whose calibration uses newer data; the weights stay unchanged.

    The report is copied from the training run, with a note.

    Args:
        task: the task.
        records: records that are newer than the training data, from `Readers.read_newer`.
        source: where they come from, for the report.
        version: folder of the version to calibrate.

    Returns:
        The folder of the new version, and a description of what changed.

    Raises:
        SuiteError: the task has no calibration that needs updates, the data cannot be used, or the export failed.
    """
    require_recalibration(task.name)
    assert task.recalibrate is not None
    model, metadata, changes = task.recalibrate(
        records, keras_file.load(version / "model.keras"), load_metadata(version)
    )
    line = f"Recalibrated on {source} ({'; '.join(f'{k}: {v}' for k, v in changes.items())})."

    def add_report(staging: Path) -> None:
        _copy_report(version, staging)
        report.add_recalibration_note(staging, line)

    return publishing.publish(task.export_spec(model, metadata), version.parent, add_report), changes


def load_predictor(version: Path, name: str = "serving_default", batch_size: int = 64) -> VersionPredictor:
    """Returns a function that calls a signature of a version in batches along the first axis.

    Raises:
        ExportError: the version is incomplete or has no such signature.
    """
    try:
        loaded = tf.saved_model.load(str(version))
        signatures = {key: loaded.signatures[key] for key in (*loaded.signatures, name)}
        digest = model_digest(version)
    except (OSError, KeyError) as error:
        raise ExportError(
            f"{version}: not a complete SavedModel with the signature `{name}` ({error}). Export it again."
        ) from error
    call = {
        key: evaluation_run.in_batches(signature, STEPS_PER_CALL if key == "step" else batch_size)
        for key, signature in signatures.items()
    }
    examples = {key: _zero_request(signature) for key, signature in signatures.items()}
    return VersionPredictor(Predictors(call, examples), name, digest, loaded)


def update_state(
    task: Task, action: str, records: Any, version: Path, store: StateStore, options: StateOptions
) -> dict[str, Any]:
    """Runs a state command of a task (see `shared.task.StateCommands`) with the model of a version.

    Args:
        task: a task with state commands.
        action: `update` or `label`.
        records: from `Readers.read_state`.
        version: folder of the version.
        store: the state store.
        options: options of the command.

    Returns:
        What changed, by description.

    Raises:
        SuiteError: the file or the store cannot be used, or the store belongs to another model.
    """
    assert task.state is not None
    function = task.state.update if action == "update" else task.state.label
    return dict(function(records, load_metadata(version), load_predictor(version, "step"), store, options))


def _zero_request(signature: Any) -> dict[str, np.ndarray]:
    """Returns a request of zeros, with 1 for each axis of any length."""
    inputs = signature.structured_input_signature[1]
    return {
        name: np.zeros(
            [size or 1 for size in spec.shape], object if spec.dtype == tf.string else spec.dtype.as_numpy_dtype
        )
        for name, spec in inputs.items()
    }


def _copy_report(version: Path, staging: Path) -> None:
    for name in REPORT_FILES:
        if (version / name).exists():
            shutil.copyfile(version / name, staging / name)
    if (version / "plots").is_dir():
        shutil.copytree(version / "plots", staging / "plots")


def _run_folder(folder: Path, config: TaskConfig, data_digest: str) -> Path:
    """Returns the folder of a run; the same settings, data and code give the same folder."""
    settings = {name: value for name, value in as_dict(config).items() if name not in ("output", "resume", "data_name")}
    run_folder = folder / "runs" / fingerprint(settings, data_digest, _code_digests(folder.name))
    if not config.resume:
        shutil.rmtree(run_folder, ignore_errors=True)
    run_folder.mkdir(parents=True, exist_ok=True)
    (run_folder / "config.json").write_text(json.dumps(as_dict(config), indent=2) + "\n", encoding="utf-8")
    return run_folder


def _code_digests(task: str) -> list[str]:
    """Returns digests of the source files that a run depends on, so that a run never resumes with the weights of other code."""
    root = Path(__file__).resolve().parents[1]
    packages = [f"shared/{name}" for name in TRAINING_PACKAGES]
    paths = [path for folder in (*packages, f"tasks/{task}") for path in sorted(root.glob(f"{folder}/*.py"))]
    return [sources.sha256(str(path)) for path in paths]
