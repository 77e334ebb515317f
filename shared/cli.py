"""The command line: `lstm-suite list | check | train | evaluate | predict | recalibrate | export | serve | serve-config | new | demo | results`.

TensorFlow is imported only where a command needs it, so that help comes at once. Exit status: 0 done, 2 something the
user can put right (one line says what), 130 interrupted.
"""

from __future__ import annotations

import argparse
import codecs
import contextlib
import io
import json
import math
import os
import shlex
import shutil
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from shared.errors import SuiteError
from shared.terminal import print_error, print_line, print_predictions, print_table, printable, suppress_native_stderr

if TYPE_CHECKING:
    from shared.config import TaskConfig
    from shared.report import Run
    from shared.task import Task

DEMO_FOLDER = "saved_models/demo"
SHOWN = 5  # answers of a demonstration


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # what matters comes as a Python exception
    parser = _parser()
    known, rest = parser.parse_known_args(arguments)
    try:
        if known.command == "predict":
            rest = _take_inputs(known, rest)
        if rest and known.command not in ("train", "check", "evaluate", "recalibrate"):
            parser.error(f"unknown option: {rest[0]}")
        known.run(known, rest)
    except SuiteError as error:
        print_error(f"lstm-suite: {error}".replace("\n", " "))
        return 2
    except KeyboardInterrupt:
        resumes = " The same command takes training up again after its last whole epoch."
        print_error("lstm-suite: interrupted." + (resumes if known.command == "train" else ""))
        return 130
    except BrokenPipeError:  # the reader, such as `head`, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def main_of(task_name: str) -> None:
    """Is `python -m tasks.TASK.train`: the same as `lstm-suite train TASK`."""
    sys.exit(main(["train", task_name, *sys.argv[1:]]))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lstm-suite", description="LSTM applications to train on your own data, to believe, and to serve."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    listing = commands.add_parser("list", help="show the tasks, their presets and what is exported")
    listing.add_argument("--output", default="saved_models", help="where the models are")
    listing.set_defaults(run=_list)

    train = commands.add_parser("train", help="train, judge beside baselines, export", add_help=False)
    train.add_argument("task")
    train.add_argument("--preset", default="default")
    train.set_defaults(run=_train)

    check = commands.add_parser("check", help="say what is understood of data, before any training", add_help=False)
    check.add_argument("task")
    check.add_argument("--preset", default="default")
    check.set_defaults(run=_check)

    evaluate = commands.add_parser("evaluate", help="judge an exported model on labelled data of yours", add_help=False)
    evaluate.add_argument("task")
    _add_version(evaluate)
    evaluate.add_argument("--json", action="store_true", help="print JSON instead of a table")
    evaluate.set_defaults(run=_evaluate)

    predict = commands.add_parser("predict", help="answer from an exported model")
    predict.add_argument("task")
    predict.add_argument("inputs", nargs="*", help="inputs; without them, lines of --file or of standard input")
    predict.add_argument("--file", help="a text file, one input a line")
    predict.add_argument("--json", action="store_true", help="print one JSON object a line")
    predict.add_argument("--output", default="saved_models", help="where the models are")
    _add_version(predict)
    predict.set_defaults(run=_predict)

    recalibrate = commands.add_parser(
        "recalibrate",
        help="calibrate an exported model by newer data; settings of training mean nothing",
        add_help=False,
    )
    recalibrate.add_argument("task")
    _add_version(recalibrate)
    recalibrate.set_defaults(run=_recalibrate)

    _add_suite_commands(commands)
    return parser


def _add_suite_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """What follows training: exporting anew, serving, showing, publishing."""
    export = commands.add_parser("export", help="write a new SavedModel version from a model.keras")
    export.add_argument("task")
    export.add_argument("--model", required=True, type=Path, help="the .keras file, with task.json beside it")
    export.add_argument("--output", default="saved_models", help="the version goes to OUTPUT/TASK/VERSION")
    export.set_defaults(run=_export)

    serve = commands.add_parser("serve", help="answer over REST and gRPC, as TensorFlow Serving does")
    serve.add_argument("--models", default="saved_models", help="folder that holds a folder for each model")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen at; 0.0.0.0 for all of the machine's")
    serve.add_argument("--port", type=int, default=8501, help="of the REST interface")
    serve.add_argument("--grpc-port", type=int, default=8500, help="of the gRPC interface")
    serve.add_argument(
        "--engine",
        choices=("embedded", "tf-serving"),
        default="embedded",
        help="what answers: this program, or TensorFlow Serving where it, or docker, is installed",
    )
    serve.set_defaults(run=_serve)

    config = commands.add_parser(
        "serve-config", help="write what TensorFlow Serving, compose, Kubernetes and Prometheus need"
    )
    config.add_argument("--models", default="saved_models", help="folder that holds a folder for each model")
    config.add_argument("--output", default="serving", help="where the files go")
    config.add_argument("--image", help="of TensorFlow Serving")
    config.set_defaults(run=_serve_config)

    new = commands.add_parser("new", help="lay down the folder of a task of your own, in a checkout of the project")
    new.add_argument("name", help="such as churn or next_word")
    new.set_defaults(run=_new)

    demo = commands.add_parser("demo", help="train and try every task on its embedded sample")
    demo.add_argument("--output", default=DEMO_FOLDER, help="where the demonstration's models go")
    demo.set_defaults(run=_demo)

    results = commands.add_parser("results", help="write the tables of the project's pages anew, in a checkout of it")
    results.add_argument(
        "--add",
        nargs="+",
        type=Path,
        default=[],
        metavar="VERSION",
        help="publish a version's figures; of several seeds, the means",
    )
    results.set_defaults(run=_results)


def _add_version(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--version", type=int, help="a version's number; the newest when left out")


def _take_inputs(known: argparse.Namespace, rest: Sequence[str]) -> list[str]:
    """Takes over the inputs behind an option, which argparse leaves aside, and returns what is no input."""
    end = rest.index("--") if "--" in rest else len(rest)
    options = [word for word in rest[:end] if word.startswith("-") and " " not in word]
    if not options:
        known.inputs += [*rest[:end], *rest[end + 1 :]]
    return options


def _list(known: argparse.Namespace, rest: Sequence[str]) -> None:
    from shared import task

    rows = []
    for name in task.list_task_names():
        folder = Path(known.output).expanduser() / name
        numbers = sorted(int(path.name) for path in folder.glob("*") if path.is_dir() and path.name.isdigit())
        rows.append(
            [name, task.load_summary(name), " ".join(task.load_presets(name)), str(numbers[-1]) if numbers else "none yet"]
        )
    print_table(["task", "what it does", "presets", "newest version"], rows)
    print_line(f"Next: {_program()} train TASK --preset sample, or {_program()} train TASK --help for all its options.")


def _train(known: argparse.Namespace, rest: Sequence[str]) -> None:
    config = _config(known.task, known.preset, rest, prog=f"lstm-suite train {known.task} [--preset NAME]")
    loaded = _load(known.task)
    from shared import workflow

    command = shlex.join(["lstm-suite", "train", known.task, "--preset", known.preset, *rest])
    print_line(f"{known.task}: training on {config.data} (preset {known.preset}).")
    version, run = workflow.train(loaded, config, command)
    _show_run(run, version)


def _check(known: argparse.Namespace, rest: Sequence[str]) -> None:
    config = _config(known.task, known.preset, rest, prog=f"lstm-suite check {known.task} [--preset NAME]")
    loaded = _load(known.task)
    from shared import data_summary

    splits = loaded.load(config)
    print_table(data_summary.HEADER, data_summary.summarize_splits(splits), title=f"{known.task}: what is understood of {config.data}")
    if splits.origin.split:
        print_line(f"How the splits were told apart: {splits.origin.split}.")
    print_line(f"Nothing is amiss. Next: {shlex.join([_program(), 'train', known.task, '--preset', known.preset, *rest])}")


def _evaluate(known: argparse.Namespace, rest: Sequence[str]) -> None:
    config = _config(known.task, "default", rest, prog=f"lstm-suite evaluate {known.task} [--version N] [--json]")
    loaded = _load(known.task)
    from shared import sources, workflow

    version = _version(config.output, known)
    if not sources.is_path(config.data):
        raise SuiteError(f"evaluate: name a file of labelled records with --data. Received: {config.data}")
    scores = workflow.evaluate(loaded, config, version, config.data)
    if known.json:
        values = {s.metric: {"value": s.value, "low": s.low, "high": s.high} for s in scores}
        print_line(json.dumps({name: {key: _finite(v) for key, v in value.items()} for name, value in values.items()}))
        return
    rows = [[s.metric, f"{s.value:.4f}", f"{s.low:.4f} to {s.high:.4f}"] for s in scores]
    print_table(["metric", "value", "95 % interval"], rows, title=f"{version} on {config.data}")


def _recalibrate(known: argparse.Namespace, rest: Sequence[str]) -> None:
    config = _config(known.task, "default", rest, prog=f"lstm-suite recalibrate {known.task} [--version N]")
    loaded = _load(known.task)
    from shared import workflow

    if loaded.recalibrate is not None and config.data == "sample":
        raise SuiteError("recalibrate: name newer records with --data. The sample is none.")
    version, told = workflow.recalibrate(loaded, config, known.version)
    print_line(f"Exported {version}, calibrated by {config.data}:")
    for name, value in told.items():
        print_line(f"  {name}: {value}")


def _predict(known: argparse.Namespace, rest: Sequence[str]) -> None:
    if known.inputs and known.file:
        raise SuiteError("predict: give the inputs as arguments or in --file, not both.")
    lines = known.inputs or _lines(known.file)
    loaded = _load(known.task)
    from shared import workflow

    answers = workflow.predict(loaded, _version(known.output, known), lines)
    if known.json:
        for line, answer in zip(lines, answers, strict=True):
            print_line(json.dumps({"input": printable(line), **answer}))
        return
    print_predictions(lines, answers)


def _export(known: argparse.Namespace, rest: Sequence[str]) -> None:
    loaded = _load(known.task)
    from shared import workflow

    version = workflow.re_export(loaded, known.model, Path(known.output).expanduser() / known.task)
    print_line(f"Exported {version}")


def _serve(known: argparse.Namespace, rest: Sequence[str]) -> None:
    if known.engine == "tf-serving":
        with suppress_native_stderr():
            from shared.serving import engine

        status = engine.run(Path(known.models).expanduser(), known.host, known.port, known.grpc_port)
        if status > 0:
            raise SuiteError(f"serve: TensorFlow Serving ended with status {status}; what it says stands above.")
        return
    try:
        with suppress_native_stderr():
            from shared.serving.server import Server, Settings
    except ModuleNotFoundError as error:
        raise SuiteError(f"serve: {error.name} is not installed. Run: pip install 'lstm-suite[serving]'") from error

    server = Server(Settings(Path(known.models).expanduser(), known.host, known.port, known.grpc_port))
    print_line(f"Serving {known.models} at http://{known.host}:{server.port} and, by gRPC, {known.host}:{server.grpc_port}.")
    server.run()


def _serve_config(known: argparse.Namespace, rest: Sequence[str]) -> None:
    with suppress_native_stderr():
        from shared.serving import configs

    for path in configs.write(Path(known.models).expanduser(), Path(known.output).expanduser(), known.image):
        print_line(f"{path}: written.")
    print_line(f"Next: docker compose -f {known.output}/compose.yaml up")


def _demo(known: argparse.Namespace, rest: Sequence[str]) -> None:
    import dataclasses

    from shared import task

    print_line("Training every task on its embedded sample. It shows the way; it is not a result.")
    finished = []
    for name in task.list_task_names():
        loaded = _load(name)
        from shared import workflow

        config = dataclasses.replace(task.load_presets(name)["sample"], output=known.output)
        command = f"lstm-suite train {name} --preset sample --output {known.output}"
        version, run = workflow.train(loaded, config, command)
        _show_run(run, version)
        answers = workflow.predict(loaded, version, loaded.example_inputs)
        print_predictions(loaded.example_inputs[-SHOWN:], answers[-SHOWN:], f"answers from {version}")
        finished.append((name, version))
    print_line("\nNext:")
    for name, version in finished:
        print_line(f"  {_program()} predict {name} --output {known.output} …     more answers from {version}")
        print_line(f"  {_program()} train {name} --data your_file.csv …     your own data; --help shows every option")
        print_line(f"  {_program()} train {name}                            the real data set, as in tasks/{name}/README.md")


def _new(known: argparse.Namespace, rest: Sequence[str]) -> None:
    from shared import new_task

    told = {
        "config.py": "settings and presets: each field is an option",
        "data.py": "records from any source, in three splits",
        "sample.py": "the embedded sample",
        "model.py": "the model, on stock layers",
        "evaluate.py": "metrics and baselines",
        "train.py": "training, and the task itself",
        "serving.py": "the signatures, and how a user's input becomes requests",
        "README.md": "what a reader is told",
    }
    for path in new_task.create(known.name):
        print_line(f"{path.relative_to(new_task.ROOT)}: {told.get(path.name, 'the package')}")
    print_line(f"Next: {_program()} train {known.name} --preset sample; then write your own into these files, top to bottom.")
    print_line("The contract test takes it up by itself: python -m pytest tests/contract")


def _results(known: argparse.Namespace, rest: Sequence[str]) -> None:
    from shared import results

    if known.add:
        print_line(f"tasks/{results.add(known.add)}/results.json: written.")
    with suppress_native_stderr():  # the metric of each task's headline is in what it trains with
        changed = results.rebuild()
    for path in changed:
        print_line(f"{path.relative_to(results.ROOT)}: tables written anew.")
    if not changed:
        print_line("All tables are as results.json says.")


def _program() -> str:
    """Returns how this program was called, so that a hint can be copied: it need not be on the PATH."""
    called = Path(sys.argv[0])
    if called.name != "lstm-suite" or shutil.which("lstm-suite") == str(called):
        return "lstm-suite"
    return str(called.relative_to(Path.cwd()) if called.is_relative_to(Path.cwd()) else called)


def _load(name: str) -> Task:
    """Loads a task, TensorFlow with it."""
    from shared import task

    task.load_presets(name)  # an unknown name is the user's slip, not TensorFlow's
    with suppress_native_stderr():
        loaded = task.load_task(name)
        import tensorflow as tf

        tf.config.list_physical_devices()  # it complains of a GPU that is not there when it first looks
    return loaded


def _config(name: str, preset: str, arguments: Sequence[str], prog: str) -> TaskConfig:
    """Returns a preset with the command line's changes."""
    import tyro

    from shared import task

    presets = task.load_presets(name)
    if preset not in presets:
        raise SuiteError(f'{name} has no preset "{preset}". Choose one of {", ".join(presets)}.')
    default = presets[preset]
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(
                type(default),
                default=default,
                args=list(arguments),
                prog=prog,
                description=f"{task.load_summary(name)} Presets: {', '.join(presets)}; defaults shown are those of {preset}.",
                config=(tyro.conf.AvoidSubcommands,),
            )
    except SystemExit as stop:
        if (refusal := _refusal(stop)) is not None:
            raise SuiteError(f"{name}: {refusal}") from refusal
        sys.stderr.write(complaint.getvalue())
        raise


def _refusal(error: BaseException) -> ValueError | None:
    """Returns a configuration's own complaint, which tyro turns into a box of many lines and an exit."""
    while error.__context__ is not None:
        error = error.__context__
    places = {place.name for place in traceback.extract_tb(error.__traceback__)}
    return error if isinstance(error, ValueError) and "__post_init__" in places else None


def _version(output: str, known: argparse.Namespace) -> Path:
    from shared import export

    return export.find_version(Path(output).expanduser() / known.task, known.version)


def _lines(file: str | None) -> list[str]:
    """Returns the lines of a file or of standard input, whatever their bytes."""
    place = file or "standard input"
    if file is None:
        if sys.stdin.isatty():
            print_error("Type one input a line; end with Ctrl-D.")
        raw = sys.stdin.buffer.read()
    else:
        try:
            raw = Path(file).expanduser().read_bytes()
        except OSError as error:
            raise SuiteError(
                f"{file}: cannot be read ({error.strerror}). Give a text file with one input a line."
            ) from error
    if not raw:
        raise SuiteError(f"{place} is empty; give at least one line, or the inputs as arguments.")
    text = raw.removeprefix(codecs.BOM_UTF8).decode("utf-8", errors="surrogateescape")
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]  # no other sign ends a line


def _show_run(run: Run, version: Path) -> None:
    from shared.report import score_grid

    head, *rows = score_grid(run.evaluation.scores, lambda score: f"{score.value:.4f}")
    title = f"{run.task.name} on {run.splits.origin.name}, {run.splits.size('test'):,} test records"
    print_table(head, rows, title)
    print_line(f"Trained in {run.minutes:.1f} minutes. Exported and verified: {version} (see card.md there).")


def _finite(value: float) -> float | None:
    """JSON knows no NaN: a metric that is not defined on the data is null."""
    return value if math.isfinite(value) else None
