"""The commands whose options depend on the task: train, check, evaluate, predict, recalibrate.

Each `parse_…` function takes the name of the task and the remaining words, and returns a function that runs the command.
"""

from __future__ import annotations

import dataclasses
import itertools
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.cli.loading import load_task_modules, program_name
from shared.cli.output import print_json, print_run, print_scores, progress_on_stderr, stage_printer
from shared.cli.terminal import print_error, print_line, print_table
from shared.config import PredictOptions, TaskConfig
from shared.data import files
from shared.errors import BaselineError, ExportError, SuiteError
from shared.export.versions import find_version, list_versions, load_metadata
from shared.progress import follow_stages

if TYPE_CHECKING:
    from shared.cli.options import CommandOption
    from shared.reports.run import Run


def parse_train(name: str, words: Sequence[str]) -> Callable[[], None]:
    from shared.cli import options

    own_options = {
        "preset": options.PRESET,
        "require_baseline": options.REQUIRE_BASELINE,
        "json": options.JSON,
    }
    config, chosen = options.parse_options("train", name, words, own_options)
    _require_data(name, config.data)

    def run() -> None:
        from shared import task

        splits = task.load_splits(name, config)  # before TensorFlow loads
        loaded = load_task_modules(name)
        from shared import workflow

        command = _published_command(name, chosen["preset"], words)
        with progress_on_stderr(chosen["json"]), follow_stages(stage_printer()):
            print_line(f"Training {name} on {config.data} with preset {chosen['preset']}.")
            version, result = workflow.train(loaded, config, command, splits)
        print_run(result, version, as_json=chosen["json"])
        if chosen["require_baseline"]:
            require_baseline(result)

    return run


def parse_check(name: str, words: Sequence[str]) -> Callable[[], None]:
    from shared.cli import options

    config, chosen = options.parse_options("check", name, words, {"preset": options.PRESET, "json": options.JSON})
    _require_data(name, config.data)

    def run() -> None:
        from shared import task
        from shared.data import data_summary

        splits = task.load_splits(name, config)
        notices = splits.notices
        rows = data_summary.summarize_splits(splits)
        description = splits.origin.split_description
        if chosen["json"]:
            columns = [dict(zip(data_summary.HEADER, row, strict=True)) for row in rows]
            listed = [dataclasses.asdict(notice) for notice in notices]
            print_json({"data": config.data, "columns": columns, "split": description, "notices": listed})
            return
        print_table(data_summary.HEADER, rows, title=f"{name}: summary of {config.data}")
        if description:
            print_line(f"Split: {description}.")
        command = ["train", name, "--preset", chosen["preset"], *_without_preset(words)]
        summary = (
            f"{len(notices)} {'notice' if len(notices) == 1 else 'notices'}, printed above."
            if notices
            else "No problems found."
        )
        print_line(f"{summary} Next: {shlex.join([program_name(), *command])}")

    return run


def parse_evaluate(name: str, words: Sequence[str]) -> Callable[[], None]:
    config, chosen = parse_for_version("evaluate", name, words)
    if not config.data:
        raise SuiteError("evaluate: no data. Name a file of labelled records with --data.")

    def run() -> None:
        version = find_chosen_version(name, chosen)
        require_input_file("evaluate", config.data)
        from shared import task

        records = task.load_readers(name).read_records(config, config.data, load_metadata(version))
        loaded = load_task_modules(name)  # after the file, so that a mistake in it is reported immediately
        from shared import workflow

        scores = workflow.evaluate(loaded, records, version)
        if chosen["json"]:
            print_json({s.metric: {"value": s.value, "low": s.low, "high": s.high} for s in scores})
            return
        print_scores(loaded, scores, f"{version} on {config.data}")

    return run


def parse_predict(name: str, words: Sequence[str], command: str = "predict") -> Callable[[], None]:
    """Parses `predict`, or a further command of a task that predicts (see `shared.task.PredictionCommand`)."""
    from shared import task
    from shared.cli import options

    predict_options = task.load_predict_options(name, command)
    lines, option_words = options.split_inputs(name, words, options.VERSION_OPTIONS, predict_options)
    config, chosen = parse_for_version(command, name, option_words, " [INPUT ...]", predict_options)
    if lines and config.data:
        raise SuiteError(f"{command}: inputs and --data exclude each other. Give one of them.")
    path = _output_path(config, chosen)

    def run() -> None:
        version = find_chosen_version(name, chosen)
        arguments = lines if lines or config.data else _lines_of_stdin()
        if config.data:
            require_input_file(command, config.data)
        from shared.cli import predictions

        readers, metadata = task.load_readers(name), load_metadata(version)
        if config.data:
            inputs = iter(readers.read_inputs(config, config.data, metadata, chosen["options"]))
        else:
            inputs = iter([readers.parse_inputs(config, arguments, metadata, chosen["options"])])
        inputs, after_output = predictions.postpone_hooks(inputs)
        inputs = itertools.chain(list(itertools.islice(inputs, 1)), inputs)  # reads a chunk before TensorFlow loads
        loaded = load_task_modules(name)
        from shared import workflow

        with predictions.show_progress() as on_progress:
            other = loaded.commands.get(command)
            predicted = workflow.predict(loaded, version, inputs, chosen["options"], on_progress, other)
            suffix, column = chosen["options"].document_suffix, chosen["options"].document_column
            if path is not None and suffix is not None:
                predictions.write_documents(predicted, path, suffix, column)
            elif path is not None:
                predictions.write_file(predicted, path)
            elif chosen["json"]:
                predictions.print_json_lines(predicted)
            elif column is not None:
                predictions.print_texts(predicted, column)
            elif other is not None and other.printed_column:
                predictions.print_texts(predicted, other.printed_column)
            else:
                predictions.print_tables(predicted)
        after_output()

    return run


def require_input_file(command: str, data: str) -> None:
    """Checks the file of `--data` before TensorFlow loads: it exists and, unless it is a folder, is not empty."""
    from shared.data import sources

    path = Path(data).expanduser()
    if not sources.is_path(data):
        raise SuiteError(f"{command}: --data must be a file. Received: {data}")
    files.require_file(path)
    if path.is_file() and not path.stat().st_size:
        raise SuiteError(f"{path}: the file is empty. It needs at least one record.")


def _output_path(config: TaskConfig, chosen: Mapping[str, Any]) -> Path | None:
    """Returns the path of the file that `predict` writes, after checking that this file and a plot can be created."""
    options = chosen["options"]
    if options.to is not None and chosen["json"]:
        raise SuiteError("--json and --to exclude each other. Give a name that ends in .jsonl to --to.")
    data = Path(config.data).expanduser()
    for option, file in options.output_files.items():
        path = file.expanduser()
        if config.data and path.exists() and data.exists() and path.samefile(data):
            raise SuiteError(f"{option} {path} is the file of --data. Give another name.")
        files.require_writable(path)
    return None if options.to is None else options.to.expanduser()


def parse_recalibrate(name: str, words: Sequence[str]) -> Callable[[], None]:
    from shared import task

    task.require_recalibration(name)
    config, chosen = parse_for_version("recalibrate", name, words)
    if config.data in ("", "sample"):
        raise SuiteError("recalibrate: no new data. Name records from after training with --data.")

    def run() -> None:
        version = find_chosen_version(name, chosen)
        readers = task.load_readers(name)
        assert readers.read_newer is not None
        records = readers.read_newer(config, load_metadata(version))
        loaded = load_task_modules(name)
        from shared import workflow

        new_version, changes = workflow.recalibrate(loaded, records, config.data, version)
        if chosen["json"]:
            print_json({"version": str(new_version), "data": config.data, **changes})
            return
        print_line(f"Exported {new_version}, calibrated on {config.data}:")
        for change, value in changes.items():
            print_line(f"  {change}: {value}")

    return run


def parse_for_version(
    command: str,
    name: str,
    words: Sequence[str],
    usage: str = "",
    predict_options: type[PredictOptions] | None = None,
    command_options: Mapping[str, CommandOption] | None = None,
    has_data: bool = True,
) -> tuple[TaskConfig, dict[str, Any]]:
    """Parses a command for an exported version, whose settings are the defaults of the options.

    Returns:
        The configuration, and the values of `options.VERSION_OPTIONS`, with an instance of `predict_options` as `options`. If there is no such version, the defaults are those of the
        task, so that help and the errors of options do not need a version.
    """
    from shared import task
    from shared.cli import options

    model_config = task.load_presets(name)["default"]
    models, number = (options.find_value(words, option, "") for option in ("--models", "--version"))
    versions = {int(path.name): path for path in list_versions(task_folder(models or options.MODELS.default, name))}
    version = versions.get(int(number) if number.isdecimal() else max(versions, default=0))
    try:
        if version is not None:
            model_config = task.trained_config(load_metadata(version, name), version)
    except ExportError:
        if not {"-h", "--help"} & set(words):  # help does not need the version
            raise
    command_options = command_options or options.VERSION_OPTIONS
    return options.parse_options(
        command, name, words, command_options, model_config, version, usage, predict_options, has_data
    )


def require_baseline(run: Run) -> None:
    """Raises a `BaselineError` if the exported model is behind its best baseline, or cannot be compared with one."""
    from shared.reports.verdict import BEHIND, UNDEFINED, verdict

    outcome = verdict(run)
    if outcome.status in (BEHIND, UNDEFINED):
        raise BaselineError(f"--require-baseline: {outcome.sentence}")


def find_chosen_version(name: str, chosen: Mapping[str, Any]) -> Path:
    return find_version(task_folder(chosen["models"], name), chosen["version"])


def task_folder(models: str, name: str) -> Path:
    return Path(models).expanduser() / name


def _require_data(name: str, data: str) -> None:
    if data:
        return
    from shared import task

    raise SuiteError(
        f"{name}: no data. Add --data with your file or another source, such as --data {task.load_example_data(name)}, "
        "or --preset sample for the embedded sample."
    )


def _published_command(name: str, preset: str, words: Sequence[str]) -> str:
    """Returns the command line that repeats a run, for the model card."""
    return shlex.join(["lstm-suite", "train", name, "--preset", preset, *_without_preset(words)])


def _without_preset(words: Sequence[str]) -> list[str]:
    """Returns the words without `--preset` and its value, and without `--json`."""
    remaining, is_value = [], False
    for word in words:
        if is_value or word == "--json" or word.startswith("--preset="):
            is_value = False
        elif word == "--preset":
            is_value = True
        else:
            remaining.append(word)
    return remaining


def _lines_of_stdin() -> list[str]:
    """Returns the lines of standard input; bytes that are not UTF-8 become surrogate escapes."""
    if sys.stdin.isatty():
        print_error("Type one input per line; end with Ctrl-D.")
    raw = sys.stdin.buffer.read()
    if not raw:
        raise SuiteError("predict: standard input is empty. Give at least one line, or the inputs as arguments.")
    return files.split_lines(raw)
