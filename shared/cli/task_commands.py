"""The commands whose options depend on the task: train, check, evaluate, predict, recalibrate.

Each `parse_…` function takes the name of the task and the remaining words, and returns a function that runs the command.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from shared import files
from shared.cli.loading import load_task_modules, program_name
from shared.cli.output import print_json, print_run, progress_on_stderr
from shared.errors import SuiteError
from shared.terminal import print_error, print_line, print_predictions, print_table, printable


def parse_train(name: str, words: Sequence[str]) -> Callable[[], None]:
    from shared.cli import options

    config, chosen = options.parse_options(
        "train", name, words, {"preset": options.PRESET, "json": options.JSON}, with_training=True
    )
    _require_data(name, config.data)

    def run() -> None:
        loaded = load_task_modules(name)
        from shared import workflow

        command = _published_command(name, chosen["preset"], words)
        with progress_on_stderr(chosen["json"]):
            print_line(f"Training {name} on {config.data} with preset {chosen['preset']}.")
            version, result = workflow.train(loaded, config, command)
        print_run(result, version, as_json=chosen["json"])

    return run


def parse_check(name: str, words: Sequence[str]) -> Callable[[], None]:
    from shared.cli import options

    config, chosen = options.parse_options(
        "check", name, words, {"preset": options.PRESET, "json": options.JSON}, with_training=True
    )
    _require_data(name, config.data)

    def run() -> None:
        loaded = load_task_modules(name)
        from shared import data_summary

        splits = loaded.load(config)
        rows = data_summary.summarize_splits(splits)
        description = splits.origin.split_description
        if chosen["json"]:
            columns = [dict(zip(data_summary.HEADER, row, strict=True)) for row in rows]
            print_json({"data": config.data, "columns": columns, "split": description})
            return
        print_table(data_summary.HEADER, rows, title=f"{name}: summary of {config.data}")
        if description:
            print_line(f"Split: {description}.")
        command = ["train", name, "--preset", chosen["preset"], *_without_preset(words)]
        print_line(f"No problems found. Next: {shlex.join([program_name(), *command])}")

    return run


def parse_evaluate(name: str, words: Sequence[str]) -> Callable[[], None]:
    from shared.cli import options

    own = {"models": options.MODELS, "version": options.VERSION, "json": options.JSON}
    config, chosen = options.parse_options("evaluate", name, words, own)
    if not config.data:
        raise SuiteError("evaluate: no data. Name a file of labelled records with --data.")

    def run() -> None:
        loaded = load_task_modules(name)
        from shared import sources, workflow

        version = find_version(chosen["models"], name, chosen["version"])
        if not sources.is_path(config.data):
            raise SuiteError(f"evaluate: --data must be a file of labelled records. Received: {config.data}")
        scores = workflow.evaluate(loaded, config, version, config.data)
        if chosen["json"]:
            print_json({s.metric: {"value": s.value, "low": s.low, "high": s.high} for s in scores})
            return
        rows = [[s.metric, f"{s.value:.4f}", f"{s.low:.4f} to {s.high:.4f}"] for s in scores]
        print_table(["metric", "value", "95 % interval"], rows, title=f"{version} on {config.data}")

    return run


def parse_predict(name: str, words: Sequence[str]) -> Callable[[], None]:
    from shared.cli import options

    own = {"models": options.MODELS, "version": options.VERSION, "json": options.JSON}
    inputs, option_words = options.split_inputs(name, words, own)
    config, chosen = options.parse_options("predict", name, option_words, own, usage=" [INPUT ...]")
    if inputs and config.data:
        raise SuiteError("predict: inputs and --data exclude each other. Give one of them.")

    def run() -> None:
        lines = inputs if inputs or config.data else _lines_of_stdin()
        loaded = load_task_modules(name)
        from shared import sources, workflow

        version = find_version(chosen["models"], name, chosen["version"])
        if config.data:
            if not sources.is_path(config.data):
                raise SuiteError(f"predict: --data must be a file. Received: {config.data}")
            lines = list(loaded.read_inputs(config, config.data, workflow.load_metadata(version)))
        predictions = workflow.predict(loaded, version, lines)
        if chosen["json"]:
            for line, prediction in zip(lines, predictions, strict=True):
                print_json({"input": printable(line), **prediction})
            return
        print_predictions(lines, predictions)

    return run


def parse_recalibrate(name: str, words: Sequence[str]) -> Callable[[], None]:
    from shared.cli import options

    own = {"models": options.MODELS, "version": options.VERSION, "json": options.JSON}
    config, chosen = options.parse_options("recalibrate", name, words, own)

    def run() -> None:
        loaded = load_task_modules(name)
        from shared import workflow

        if loaded.recalibrate is not None and config.data in ("", "sample"):
            raise SuiteError("recalibrate: no new data. Name records from after training with --data.")
        folder = Path(chosen["models"]).expanduser()
        version, changes = workflow.recalibrate(loaded, config, folder, chosen["version"])
        if chosen["json"]:
            print_json({"version": str(version), "data": config.data, **changes})
            return
        print_line(f"Exported {version}, calibrated on {config.data}:")
        for change, value in changes.items():
            print_line(f"  {change}: {value}")

    return run


def find_version(models: str, name: str, number: int | None) -> Path:
    """Returns the folder of an exported version, the newest for None.

    Raises:
        ExportError: there is no such version.
    """
    from shared import export

    return export.find_version(Path(models).expanduser() / name, number)


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
