"""The command line: what a user types, reads and gets as exit status. Help must not import TensorFlow."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from shared import task
from shared.cli import main

ROOT = Path(__file__).resolve().parents[3]


HEAVY = ("tensorflow", "keras", "tensorflow_datasets", "sklearn", "matplotlib")


HELP_WITHOUT_TENSORFLOW = f"""
import sys
from shared.cli import main
for arguments in (
    ["--help"], ["--version"], ["list"], ["train", "--help"], ["check", "--help"],
    ["train", "sentiment", "--help"], ["evaluate", "sentiment", "--help"],
):
    try:
        status = main(arguments)
    except SystemExit as stop:
        status = stop.code
    heavy = [name for name in {HEAVY!r} if name in sys.modules]
    assert not status and not heavy, (arguments, status, heavy)
"""


pytestmark = pytest.mark.only_task("sentiment")


def python(*arguments):
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


def test_help_and_list_do_not_import_tensorflow():
    done = python("-c", HELP_WITHOUT_TENSORFLOW)
    assert done.returncode == 0, done.stderr
    for word in (
        "list",
        "train",
        "evaluate",
        "predict",
        "recalibrate",
        "export",
        "demo",
        "sentiment",
        "--columns.text",
    ):
        assert word in done.stdout


def test_the_installed_command_runs():
    done = subprocess.run(
        [Path(sys.executable).with_name("lstm-suite"), "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: lstm-suite")


def test_the_module_of_the_command_line_runs_it():
    done = python("-m", "shared.cli", "train", "sentiment", "--help")
    assert done.returncode == 0, done.stderr
    assert "usage: lstm-suite train sentiment" in done.stdout
    assert "--columns.text" in done.stdout


def test_list_shows_tasks_presets_and_newest_versions(sentiment, capsys, tmp_path):
    assert main(["list", "--models", sentiment.config.output]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "sentiment" in line]
    assert "sample default large" in line
    assert sentiment.version.name in line.split("│")[-2]
    assert main(["list", "--models", str(tmp_path)]) == 0
    assert "none yet" in capsys.readouterr().out


TRAINING_OPTIONS = ("--output", "--no-resume", "--preset", "--split.group", "--lstm.units", "--training.epochs")


MODEL_OPTIONS = ("--models", "--version")


@pytest.mark.parametrize(
    ("command", "present", "absent"),
    [
        ("train", TRAINING_OPTIONS, MODEL_OPTIONS),
        ("check", TRAINING_OPTIONS, MODEL_OPTIONS),
        ("evaluate", MODEL_OPTIONS, TRAINING_OPTIONS),
        ("predict", MODEL_OPTIONS, TRAINING_OPTIONS),
        ("recalibrate", MODEL_OPTIONS, TRAINING_OPTIONS),
    ],
)
def test_help_of_a_command_shows_the_options_that_it_takes(capsys, command, present, absent):
    with pytest.raises(SystemExit) as stop:
        main([command, "stock" if command == "recalibrate" else "sentiment", "--help"])
    assert stop.value.code == 0
    help_text = capsys.readouterr().out
    for option in ("--data", "--columns.", "--json", *present):
        assert option in help_text
    for option in absent:
        assert option not in help_text


@pytest.mark.parametrize(
    ("command", "name", "option", "is_present"),
    [
        ("recalibrate", "stock", "--yahoo-period", True),
        ("predict", "stock", "--yahoo-period", False),
        ("evaluate", "stock", "--yahoo-period", False),
        ("predict", "speech", "--recordings", True),
        ("evaluate", "speech", "--recordings", True),
    ],
)
def test_an_option_of_a_source_is_offered_where_the_source_is_read(capsys, command, name, option, is_present):
    with pytest.raises(SystemExit):
        main([command, name, "--help"])
    assert (option in capsys.readouterr().out) == is_present


@pytest.mark.parametrize("command", ["train", "check", "evaluate", "predict", "recalibrate"])
def test_help_without_a_task_lists_the_tasks(capsys, command):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    help_text = capsys.readouterr().out
    assert f"usage: lstm-suite {command} TASK" in help_text
    names = [name for name in task.list_task_names() if command != "recalibrate" or task.has_recalibration(name)]
    assert re.findall(r"^  ([a-z_]+) ", help_text, re.MULTILINE) == names


@pytest.mark.parametrize("command", ["evaluate", "predict", "recalibrate"])
def test_a_training_option_is_unknown_to_commands_for_exported_models(error_line, command):
    line = error_line(command, "stock", "--data", "x.csv", "--training.epochs", "3")
    assert "unknown option --training.epochs" in line


def test_version_prints_the_version_of_the_suite(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert re.fullmatch(r"lstm-suite \d+\.\d+\.\d+\n", capsys.readouterr().out)


def test_list_and_check_print_json(sentiment, capsys, write):
    assert main(["list", "--models", sentiment.config.output, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    (row,) = [row for row in rows if row["task"] == "sentiment"]
    assert row["newest_version"] == int(sentiment.version.name)
    assert row["presets"] == ["sample", "default", "large"]
    path = write("mine.csv", b"text,label\n" + b"".join(b"good %d,up\nbad %d,down\n" % (k, k) for k in range(100)))
    assert main(["check", "sentiment", "--data", str(path), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["data"] == str(path)
    assert [row["column"] for row in summary["columns"]] == ["records", "text", "label", "class balance", "scripts"]


def test_check_summarizes_the_data_and_shows_the_next_command(capsys, write):
    lines = [f"{'good' if k % 2 else 'bad'} {k},{'up' if k % 2 else 'down'}" for k in range(200)]
    path = write("mine.csv", ("words,verdict\n" + "\n".join(lines)).encode())
    options = ["--data", str(path), "--columns.text", "words", "--columns.label", "verdict"]
    assert main(["check", "sentiment", *options]) == 0
    output = capsys.readouterr().out
    (labels,) = [line for line in output.splitlines() if line.startswith("│ label")]
    assert sum(map(int, re.findall(r"up (\d+)", labels))) == 100
    assert f"train sentiment --preset default --data {path} --columns.text words" in output


def test_check_names_the_invalid_row(error_line, write):
    path = write("mine.csv", b"text,label\ngood,up\nbad,\n")
    assert f"{path}, row 2" in error_line("check", "sentiment", "--data", path)


def test_help_of_a_preset_shows_its_defaults(capsys):
    with pytest.raises(SystemExit):
        main(["train", "sentiment", "--preset", "sample", "--help"])
    assert "(default: sample)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "sentimant"], ['no task "sentimant"', "Choose one of", "sentiment"]),
        (["evaluate", "sentimant"], ['no task "sentimant"', "sentiment"]),
        (["predict", "sentimant", "a text"], ['no task "sentimant"', "sentiment"]),
        (["export", "sentimant", "--keras-file", "model.keras"], ['no task "sentimant"', "sentiment"]),
        (["train", "sentiment", "--preset", "huge"], ['no preset "huge"', "sample, default, large"]),
        (["train", "sentiment", "--lstm.units", "0"], ["sentiment", "--lstm.units", "positive", "Received: 0"]),
        (["train", "sentiment", "--training.epochs", "0"], ["sentiment", "--training.epochs", "at least 1", "0"]),
        (
            ["train", "sentiment", "--split.test-fraction", "1.5"],
            ["sentiment", "--split.test-fraction", "(0, 1)", "1.5"],
        ),
        (["train", "sentiment", "--data", "nowhere.csv"], ["nowhere.csv", "no such file", "Check the path"]),
        (["train", "sentiment", "--data", "."], ["is a folder without text files", "for example with positive/1.txt"]),
        (["train", "sentiment", "--data", "no_such_set"], ['"no_such_set"', "Check the spelling"]),
        (["predict", "sentiment", "a text"], ["no exported version", "lstm-suite train sentiment"]),
        (["evaluate", "sentiment", "--data", "x.csv"], ["no exported version", "lstm-suite train sentiment"]),
        (["recalibrate", "sentiment", "--data", "x.csv"], ["sentiment", "no recalibration", "Train it again"]),
        (["recalibrate", "stock", "--data", "x.csv"], ["no exported version", "lstm-suite train stock"]),
        (["recalibrate", "stock"], ["no new data", "--data"]),
        (["train", "sentiment"], ["sentiment", "no data", "--data imdb_reviews", "--preset sample"]),
        (["check", "stock"], ["stock", "no data", "--data yahoo:"]),
        (["evaluate", "sentiment"], ["no data", "--data"]),
        (["predict", "sentiment", "a text", "--data", "x.csv"], ["inputs and --data exclude each other"]),
        (["export", "sentiment"], ["no exported version"]),
        (["export", "sentiment", "--keras-file", "model.h5"], ["model.h5", "expected a .keras file"]),
        (["export", "sentiment", "--keras-file", "model.keras"], ["model.keras", "expected a .keras file"]),
    ],
)
def test_a_user_error_prints_one_line_and_exits_with_2(error_line, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    line = error_line(*arguments)
    assert all(word in line for word in words), line
    assert not (tmp_path / "saved_models").exists()


def test_a_missing_column_lists_the_existing_columns(error_line, write, tmp_path):
    path = write("reviews.csv", b"review,stars\nfine,5\n")
    line = error_line("train", "sentiment", "--data", path, "--output", tmp_path / "models")
    assert f'{path}: no column "text". The columns are review, stars' in line


@pytest.mark.parametrize(
    "arguments", [["train", "sentiment", "--lstm.unit", "3"], ["predict", "sentiment", "--lstm.unit", "text"]]
)
def test_an_unknown_option_is_an_error(error_line, arguments):
    assert "unknown option --lstm.unit" in error_line(*arguments)


@pytest.mark.parametrize("arguments", [["list", "--bogus"], ["train"], ["serve", "--port", "abc"], ["bogus"], []])
def test_a_command_line_that_cannot_be_parsed_is_an_error_with_a_hint(error_line, arguments):
    assert "--help." in error_line(*arguments)


def test_an_interruption_prints_a_hint_and_exits_with_130(capsys, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("shared.cli.task_commands.load_task_modules", interrupt)
    assert main(["train", "sentiment", "--preset", "sample"]) == 130
    assert "Run the same command again to continue" in capsys.readouterr().err
    monkeypatch.setattr("shared.task.list_task_names", interrupt)
    assert main(["list"]) == 130
    assert capsys.readouterr().err == "lstm-suite: interrupted.\n"
