"""From the words that the user typed to a command that can run."""

from __future__ import annotations

import argparse
import importlib.metadata
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn

from shared.cli import serve_command, state_commands, suite_commands, task_commands
from shared.errors import SuiteError

DESCRIPTION = "Train LSTM applications on your own data, evaluate them, and serve them."
MODELS_HELP = "folder with the exported models, one folder per task"


@dataclass(frozen=True)
class Command:
    """A command with its parsed arguments."""

    name: str
    run: Callable[[], None]


@dataclass(frozen=True)
class TaskCommand:
    """A command whose options depend on the task."""

    help: str
    parse: Callable[[str, Sequence[str]], Callable[[], None]]
    """From the name of the task and the remaining words to a function that runs the command."""
    usage: str = "[OPTIONS]"


TASK_COMMANDS = {
    "train": TaskCommand("train a model, evaluate it beside baselines, and export it", task_commands.parse_train),
    "check": TaskCommand("read and summarize data without training", task_commands.parse_check),
    "evaluate": TaskCommand("score an exported model on labelled data", task_commands.parse_evaluate),
    "predict": TaskCommand(
        "print the predictions of an exported model", task_commands.parse_predict, "[INPUT ...] [OPTIONS]"
    ),
    "generate": TaskCommand(
        "continue texts with an exported model",
        partial(task_commands.parse_predict, command="generate"),
        "[INPUT ...] [OPTIONS]",
    ),
    "complete": TaskCommand(
        "complete the begun last words of texts with an exported model",
        partial(task_commands.parse_predict, command="complete"),
        "[INPUT ...] [OPTIONS]",
    ),
    "score": TaskCommand(
        "print how probable texts are by an exported model",
        partial(task_commands.parse_predict, command="score"),
        "[INPUT ...] [OPTIONS]",
    ),
    "recalibrate": TaskCommand(
        "calibrate an exported model on newer data, without training", task_commands.parse_recalibrate
    ),
    "state": TaskCommand(
        "keep the states of a model in a store: update them with new records, add labels, or show the store",
        state_commands.parse_state,
        "ACTION [OPTIONS]",
    ),
}


def parse(words: Sequence[str]) -> Command:
    """Parses a command line.

    Args:
        words: the words after the program name.

    Raises:
        SystemExit: help or the version was requested (status 0).
        SuiteError: a word is unknown, an option has an invalid value, or there is no such task or preset.
    """
    if words and words[0] in TASK_COMMANDS:
        return _parse_task_command(words[0], words[1:])
    parser = build_parser()
    arguments = parser.parse_args(words)
    return Command(arguments.command, lambda: arguments.run(arguments))


class _Parser(argparse.ArgumentParser):
    """Parser whose errors are one line, like all errors that the user can fix."""

    def error(self, message: str) -> NoReturn:
        raise SuiteError(f"{' '.join(self.prog.split()[1:]) or 'usage'}: {message}. See {self.prog} --help.")


def build_parser() -> argparse.ArgumentParser:
    """Returns the parser of all commands that do not depend on a task; it lists the others in its help."""
    parser = _Parser(prog="lstm-suite", description=DESCRIPTION, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"lstm-suite {importlib.metadata.version('lstm-suite')}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in TASK_COMMANDS.items():
        commands.add_parser(name, help=command.help, add_help=False)
    _add_model_commands(commands)
    _add_project_commands(commands)
    return parser


def _parse_task_command(name: str, words: Sequence[str]) -> Command:
    command = TASK_COMMANDS[name]
    if words and not words[0].startswith("-"):
        return Command(name, command.parse(words[0], words[1:]))
    if {"-h", "--help"} & set(words):
        sys.stdout.write(_task_command_help(name, command))
        raise SystemExit(0)
    raise SuiteError(f"{name}: name a task: {', '.join(_summaries(name))}. See lstm-suite {name} --help.")


def _task_command_help(name: str, command: TaskCommand) -> str:
    summaries = _summaries(name)
    width = max(map(len, summaries))
    tasks = "\n".join(f"  {task:{width}}  {summary}" for task, summary in summaries.items())
    description = command.help[0].upper() + command.help[1:]
    return (
        f"usage: lstm-suite {name} TASK {command.usage}\n\n{description}.\n\ntasks:\n{tasks}\n\n"
        f"`lstm-suite {name} TASK --help` shows the options of a task.\n"
    )


def _summaries(command: str) -> dict[str, str]:
    """Returns the tasks that have a command, with their summaries."""
    from shared import task

    names = task.list_task_names()
    if command == "recalibrate":
        names = [name for name in names if task.has_recalibration(name)]
    if command in ("generate", "complete", "score"):
        names = [name for name in names if task.has_command(name, command)]
    if command == "state":
        names = [name for name in names if task.has_state(name)]
    return {name: task.load_summary(name) for name in names}


def _add_model_commands(commands: argparse._SubParsersAction[_Parser]) -> None:
    """Adds the commands that work on exported models."""
    listing = commands.add_parser(
        "list", help="list the tasks, their presets and the exported versions", allow_abbrev=False
    )
    listing.add_argument("--models", default="saved_models", help=MODELS_HELP)
    listing.add_argument("--json", action="store_true", help="print JSON instead of a table")
    listing.set_defaults(run=suite_commands.list_tasks)

    export = commands.add_parser("export", help="export a Keras model again as a new version", allow_abbrev=False)
    export.add_argument("task", metavar="TASK")
    export.add_argument("--models", default="saved_models", help=f"{MODELS_HELP}; the new version goes there too")
    source = export.add_mutually_exclusive_group()
    source.add_argument("--version", type=int, help="version to export again; by default the newest")
    source.add_argument(
        "--keras-file", type=Path, help="model.keras file to export instead of a version; task.json must be beside it"
    )
    export.set_defaults(run=suite_commands.export_again)

    serve = commands.add_parser(
        "serve", help="serve exported models over REST and gRPC, with the API of TensorFlow Serving", allow_abbrev=False
    )
    serve_command.add_options(serve, MODELS_HELP)

    config = commands.add_parser(
        "serve-config",
        help="write configuration files for TensorFlow Serving, Docker, Kubernetes and Prometheus",
        allow_abbrev=False,
    )
    config.add_argument("--models", default="saved_models", help=MODELS_HELP)
    config.add_argument("--output", default="serving", help="folder for the files")
    config.add_argument(
        "--engine",
        choices=("tf-serving", "embedded"),
        default="tf-serving",
        help="server of the files: TensorFlow Serving, or the embedded server with its Dockerfile",
    )
    config.add_argument("--image", help="Docker image of the server; by default tensorflow/serving or lstm-suite")
    config.set_defaults(run=suite_commands.write_serving_files)


def _add_project_commands(commands: argparse._SubParsersAction[_Parser]) -> None:
    """Adds the demonstration and the commands for developers of the project."""
    demo = commands.add_parser("demo", help="train and try every task on its embedded sample", allow_abbrev=False)
    demo.add_argument("--output", default=suite_commands.DEMO_FOLDER, help="folder for the models")
    demo.add_argument("--json", action="store_true", help="print JSON instead of tables")
    demo.set_defaults(run=suite_commands.run_demo)

    new = commands.add_parser(
        "new", help="create the folder of a new task in a checkout of the project", allow_abbrev=False
    )
    new.add_argument("name", help="name of the task, such as churn or next_word")
    new.set_defaults(run=suite_commands.create_task)
