"""The command line: what a user types, reads and gets as exit status. Help must not import TensorFlow."""

import hashlib
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from shared import task
from shared.cli import main
from tasks.sentiment import sample

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


@pytest.fixture
def sentiment(trained):
    return trained


@pytest.fixture
def predictions_for(sentiment, capsys):
    """Runs `predict --json` and returns the predictions."""

    def predict(*arguments):
        capsys.readouterr()
        assert main(["predict", "sentiment", "--models", sentiment.config.output, "--json", *arguments]) == 0
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return predict


@pytest.fixture
def error_line(capsys):
    """Runs a command that must fail, and returns its one line on standard error."""

    def run(*arguments):
        capsys.readouterr()
        assert main([str(argument) for argument in arguments]) == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1, lines
        assert lines[0].startswith("lstm-suite: ")
        return lines[0]

    return run


@pytest.fixture
def write(tmp_path):
    def file(name, content):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return file


def python(*arguments):
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


def contents(folder):
    """Checksum of every file below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def assert_valid(prediction, labels=("negative", "positive")):
    assert prediction["label"] in labels
    assert 0 <= prediction["probability"] <= 1
    assert prediction["probability"] == max(prediction["probabilities"])
    assert sum(prediction["probabilities"]) == pytest.approx(1, abs=1e-5)


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
    assert [row["column"] for row in summary["columns"]] == ["records", "text", "label"]


def test_check_summarizes_the_data_and_shows_the_next_command(capsys, write):
    lines = [f"{'good' if k % 2 else 'bad'} {k},{'up' if k % 2 else 'down'}" for k in range(200)]
    path = write("mine.csv", ("words,verdict\n" + "\n".join(lines)).encode())
    options = ["--data", str(path), "--columns.text", "words", "--columns.label", "verdict"]
    assert main(["check", "sentiment", *options]) == 0
    output = capsys.readouterr().out
    assert sum(map(int, re.findall(r"up (\d+)", output))) == 100
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
        (["train", "sentiment", "--data", "."], ["is a folder", "for example train.csv"]),
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


@pytest.fixture
def two_models(tmp_path):
    """Folder with the metadata of two versions, which were trained on different columns."""
    for number, column in ((1, "review"), (2, "comment")):
        folder = tmp_path / "models" / "sentiment" / str(number)
        folder.mkdir(parents=True)
        (folder / "task.json").write_text(json.dumps({"task": "sentiment", "columns": {"text": column}}))
    return tmp_path / "models"


@pytest.mark.parametrize(("version", "column"), [([], "comment"), (["--version=1"], "review")])
def test_the_columns_of_the_trained_version_are_the_defaults(two_models, capsys, version, column):
    with pytest.raises(SystemExit):
        main(["predict", "sentiment", "--models", str(two_models), *version, "--help"])
    assert f"(default: {column})" in capsys.readouterr().out


def test_a_version_of_an_older_suite_is_an_error(two_models, error_line):
    path = two_models / "sentiment" / "2" / "task.json"
    path.write_text(json.dumps({"task": "sentiment", "columns": {"words": "review"}}))
    line = error_line("predict", "sentiment", "--models", two_models, "a text")
    assert "Another version of the suite" in line
    assert "train the model again" in line


def test_help_with_a_broken_version_shows_the_defaults_of_the_task(two_models, capsys):
    (two_models / "sentiment" / "2" / "task.json").write_text("broken")
    with pytest.raises(SystemExit) as stop:
        main(["predict", "sentiment", "--models", str(two_models), "--help"])
    assert stop.value.code == 0
    assert "(default: text)" in capsys.readouterr().out


def test_a_version_and_a_keras_file_exclude_each_other(error_line):
    assert "not allowed with" in error_line("export", "sentiment", "--version", "1", "--keras-file", "model.keras")


@pytest.mark.parametrize("arguments", [["list", "--bogus"], ["train"], ["serve", "--port", "abc"], ["bogus"], []])
def test_a_command_line_that_cannot_be_parsed_is_an_error_with_a_hint(error_line, arguments):
    assert "--help." in error_line(*arguments)


def test_an_unknown_version_lists_the_existing_versions(sentiment, error_line):
    for command in (["predict", "sentiment", "a text"], ["evaluate", "sentiment", "--data", "x.csv"]):
        line = error_line(*command, "--models", sentiment.config.output, "--version", 99)
        assert "no version 99" in line


def test_predict_prints_a_table_with_labels(sentiment, capsys):
    assert main(["predict", "sentiment", "--models", sentiment.config.output, "A fine film.", "[bold]x[/bold]"]) == 0
    printed = capsys.readouterr().out
    assert "probability" in printed
    assert "[bold]x[/bold]" in printed
    assert "negative" in printed or "positive" in printed


@pytest.mark.parametrize(
    "arguments",
    [
        ["one", "two"],
        ["one", "--version", "1", "two"],
        ["--version", "1", "one", "two"],
        ["--version", "1", "--", "one", "two"],
    ],
)
def test_inputs_may_stand_before_and_after_options(predictions_for, arguments):
    assert [prediction["input"] for prediction in predictions_for(*arguments)] == ["one", "two"]


def test_inputs_may_start_with_a_dash(predictions_for):
    assert [prediction["input"] for prediction in predictions_for("--", "-5 stars", "--bad")] == ["-5 stars", "--bad"]


def test_arguments_files_and_stdin_give_the_same_predictions(predictions_for, write, monkeypatch):
    texts = ["Nobody would ever call the plot dull.", "naïve 悪い 😀"]
    by_argument = predictions_for(*texts)
    by_file = predictions_for("--data", str(write("lines.txt", "\n".join(texts).encode())))
    by_windows_file = predictions_for(
        "--data", str(write("crlf.txt", b"\xef\xbb\xbf" + "\r\n".join([*texts, ""]).encode()))
    )
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("\n".join([*texts, ""]).encode())))
    by_stdin = predictions_for()
    assert [prediction["input"] for prediction in by_argument] == texts
    assert by_argument == by_file == by_windows_file == by_stdin
    for prediction in by_argument:
        assert_valid(prediction)


def test_any_line_gets_a_valid_prediction(predictions_for, write):
    lines = [
        b"caf\xe9 \xff\xfe not UTF-8",
        b"",
        b" \t ",
        "😀😀 悪い映画 فيلم رائع фильм".encode(),
        b"nul \x00 byte",
        "one line \u2028 \x0b \x0c \x85 to the end".encode(),
        b"?!...",
        b"a wonderful film " * 65536,
        b"x" * (1 << 20),
    ]
    predictions = predictions_for("--data", str(write("lines.txt", b"\n".join(lines) + b"\n")))
    assert len(predictions) == len(lines)
    for prediction in predictions:
        assert_valid(prediction)
    assert predictions[0]["input"] == "caf� �� not UTF-8"
    assert predictions[1]["probabilities"] == predictions[2]["probabilities"]


def test_invalid_utf8_is_printed_in_the_table(sentiment, capsys, write):
    path = write("lines.txt", b"caf\xe9\n\n")
    assert main(["predict", "sentiment", "--models", sentiment.config.output, "--data", str(path)]) == 0
    assert "caf�" in capsys.readouterr().out


@pytest.mark.parametrize("source", ["file", "standard input"])
def test_empty_input_is_an_error(sentiment, error_line, write, monkeypatch, source):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    words = ["--data", write("empty.txt", b"")] if source == "file" else []
    line = error_line("predict", "sentiment", "--models", sentiment.config.output, *words)
    assert "empty" in line
    assert source == "file" or "Give at least one line" in line


def test_predict_names_a_missing_file(sentiment, error_line):
    line = error_line("predict", "sentiment", "--models", sentiment.config.output, "--data", "nowhere.txt")
    assert "nowhere.txt: no such file" in line


def test_predict_reads_the_formats_and_columns_that_train_reads(sentiment, capsys, predictions_for, write):
    texts = ["Nobody would ever call the plot dull.", "A dull, dull film."]
    rows = "".join(json.dumps({"id": k, "review": text}) + "\n" for k, text in enumerate(texts))
    path = write("reviews.jsonl", rows.encode())
    from_file = predictions_for("--data", str(path), "--columns.text", "review")
    assert from_file == predictions_for(*texts)


def test_evaluate_prints_metrics_as_json(sentiment, capsys, write):
    path = write("reviews.csv", sample.generate(60, seed=7).to_csv(index=False).encode())
    assert main(["evaluate", "sentiment", "--models", sentiment.config.output, "--data", str(path), "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert {"accuracy", "f1_macro", "log_loss"} <= set(scores)
    assert all(set(score) == {"value", "low", "high"} for score in scores.values())
    assert scores["accuracy"]["low"] <= scores["accuracy"]["value"] <= scores["accuracy"]["high"]


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")
def test_an_undefined_metric_is_null_in_json(sentiment, capsys, write):
    reviews = sample.generate(20, seed=7).query("label == 'positive'")
    path = write("reviews.csv", reviews.to_csv(index=False).encode())
    assert main(["evaluate", "sentiment", "--models", sentiment.config.output, "--data", str(path), "--json"]) == 0
    scores = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert scores["roc_auc"]["value"] is None
    assert 0 <= scores["accuracy"]["value"] <= 1


def test_evaluate_names_the_row_with_an_unknown_label(sentiment, error_line, write):
    path = write("reviews.csv", b"text,label\nfine,positive\nso so,middling\n")
    line = error_line("evaluate", "sentiment", "--models", sentiment.config.output, "--data", path)
    assert f'{path}, row 2: label "middling"' in line
    assert "(negative, positive)" in line


@pytest.mark.parametrize("source", [[], ["--data", "sample"]])
def test_evaluate_requires_a_file(sentiment, error_line, source):
    assert "--data" in error_line("evaluate", "sentiment", "--models", sentiment.config.output, *source)


@pytest.mark.parametrize(
    "content",
    [
        b"review,stars\nfine,5\n",
        b"text,label\n" + b"".join(b"text %d,good\n" % k for k in range(100)),
        b"text,label\nfine,\n",
    ],
)
def test_a_failed_training_does_not_change_exported_versions(sentiment, error_line, write, content):
    folder = sentiment.version.parent
    before = contents(folder)
    path = write("bad.csv", content)
    error_line("train", "sentiment", "--preset", "sample", "--data", path, "--output", sentiment.config.output)
    assert contents(folder) == before
    assert sentiment.version / "saved_model.pb" in list(sentiment.version.iterdir())


def test_an_export_from_the_keras_file_gives_the_same_predictions(sentiment, predictions_for, tmp_path):
    model = sentiment.version / "model.keras"
    assert main(["export", "sentiment", "--keras-file", str(model), "--models", str(tmp_path)]) == 0
    assert (tmp_path / "sentiment" / "1" / "saved_model.pb").is_file()
    texts = ["Nobody would ever call the plot dull.", "dreadful", ""]
    expected, exported = predictions_for(*texts), predictions_for(*texts, "--models", str(tmp_path))
    for a, b in zip(expected, exported, strict=True):
        assert a["label"] == b["label"]
        assert a["probabilities"] == pytest.approx(b["probabilities"], abs=1e-5)


@pytest.mark.parametrize(
    "damage",
    [
        "text",
        "cut",
        "altered",
    ],
)
def test_a_broken_keras_file_is_an_error_and_nothing_is_published(sentiment, error_line, write, tmp_path, damage):
    whole = (sentiment.version / "model.keras").read_bytes()
    at = whole.index(b"config.json") + 20
    broken = {
        "text": b"no model",
        "cut": whole[: len(whole) // 2],
        "altered": whole[:at] + b"\xff" * 9 + whole[at + 9 :],
    }
    path = write("model.keras", broken[damage])
    write("task.json", (sentiment.version / "task.json").read_bytes())
    assert f"{path}: cannot be loaded as a Keras model" in error_line(
        "export", "sentiment", "--keras-file", path, "--models", tmp_path / "new"
    )
    assert not list(tmp_path.glob("new/sentiment/*"))


def test_a_keras_file_without_metadata_is_an_error(sentiment, error_line, write, tmp_path):
    path = write("model.keras", (sentiment.version / "model.keras").read_bytes())
    line = error_line("export", "sentiment", "--keras-file", path, "--models", tmp_path / "new")
    assert f"{tmp_path / 'task.json'}: missing or broken" in line


def test_an_interruption_prints_a_hint_and_exits_with_130(capsys, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("shared.cli.task_commands.load_task_modules", interrupt)
    assert main(["train", "sentiment", "--preset", "sample"]) == 130
    assert "Run the same command again to continue" in capsys.readouterr().err
    monkeypatch.setattr("shared.task.list_task_names", interrupt)
    assert main(["list"]) == 130
    assert capsys.readouterr().err == "lstm-suite: interrupted.\n"
