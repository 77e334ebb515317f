"""`shared.cli`: what a user types, reads and gets as exit status; TensorFlow stays out of help."""

import hashlib
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from shared.cli import main
from tasks.sentiment import sample

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("tensorflow", "keras", "tensorflow_datasets", "sklearn", "matplotlib")

LIGHT = f"""
import sys
from shared.cli import main
for arguments in (["--help"], ["list"], ["train", "sentiment", "--help"], ["evaluate", "sentiment", "--help"]):
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
def ask(sentiment, capsys):
    """Runs `predict --json` and returns the answers."""

    def predict(*arguments):
        capsys.readouterr()
        assert main(["predict", "sentiment", "--output", sentiment.config.output, "--json", *arguments]) == 0
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return predict


@pytest.fixture
def complaint(capsys):
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


def assert_defined(answer, labels=("negative", "positive")):
    assert answer["label"] in labels
    assert 0 <= answer["probability"] <= 1
    assert answer["probability"] == max(answer["probabilities"])
    assert sum(answer["probabilities"]) == pytest.approx(1, abs=1e-5)


def test_help_and_listing_come_without_tensorflow():
    done = python("-c", LIGHT)
    assert done.returncode == 0, done.stderr
    for word in ("list", "train", "evaluate", "predict", "recalibrate", "export", "demo", "sentiment", "--text-column"):
        assert word in done.stdout


def test_the_installed_command_runs():
    done = subprocess.run(
        [Path(sys.executable).with_name("lstm-suite"), "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: lstm-suite")


def test_a_task_is_trained_by_its_module_too():
    done = python("-m", "tasks.sentiment.train", "--help")
    assert done.returncode == 0, done.stderr
    assert "usage: lstm-suite train sentiment" in done.stdout
    assert "--text-column" in done.stdout


def test_list_shows_tasks_presets_and_the_newest_version(sentiment, capsys, tmp_path):
    assert main(["list", "--output", sentiment.config.output]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "sentiment" in line]
    assert "sample default large" in line
    assert sentiment.version.name in line.split("│")[-2]
    assert main(["list", "--output", str(tmp_path)]) == 0
    assert "none yet" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["train", "evaluate", "recalibrate"])
def test_help_of_a_task_lists_every_setting(capsys, command):
    with pytest.raises(SystemExit) as stop:
        main([command, "sentiment", "--help"])
    assert stop.value.code == 0
    printed = capsys.readouterr().out
    for option in ("--text-column", "--data", "--lstm.units", "--training.epochs", "--group-column", "--output"):
        assert option in printed


def test_check_tells_what_is_understood_and_what_to_do_next(capsys, write):
    lines = [f"{'good' if k % 2 else 'bad'} {k},{'up' if k % 2 else 'down'}" for k in range(200)]
    path = write("mine.csv", ("words,verdict\n" + "\n".join(lines)).encode())
    options = ["--data", str(path), "--text-column", "words", "--label-column", "verdict"]
    assert main(["check", "sentiment", *options]) == 0
    found = capsys.readouterr().out
    assert sum(map(int, re.findall(r"up (\d+)", found))) == 100
    assert f"train sentiment --preset default --data {path} --text-column words" in found


def test_check_names_the_row_that_is_wrong(complaint, write):
    path = write("mine.csv", b"text,label\ngood,up\nbad,\n")
    assert f"{path}, row 2" in complaint("check", "sentiment", "--data", path)


def test_help_of_a_preset_shows_its_own_defaults(capsys):
    with pytest.raises(SystemExit):
        main(["train", "sentiment", "--preset", "sample", "--help"])
    assert "(default: sample)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "sentimant"], ['no task "sentimant"', "Choose one of", "sentiment"]),
        (["evaluate", "sentimant"], ['no task "sentimant"', "sentiment"]),
        (["predict", "sentimant", "a text"], ['no task "sentimant"', "sentiment"]),
        (["export", "sentimant", "--model", "model.keras"], ['no task "sentimant"', "sentiment"]),
        (["train", "sentiment", "--preset", "huge"], ['no preset "huge"', "sample, default, large"]),
        (["train", "sentiment", "--lstm.units", "0"], ["sentiment", "`units`", "positive", "(0,)"]),
        (["train", "sentiment", "--training.epochs", "0"], ["sentiment", "`epochs`", "at least 1", "0"]),
        (["train", "sentiment", "--test-fraction", "1.5"], ["sentiment", "`test_fraction`", "(0, 1)", "1.5"]),
        (["train", "sentiment", "--data", "nowhere.csv"], ["nowhere.csv", "no such file", "Check the path"]),
        (["train", "sentiment", "--data", "."], ["is a folder", "for example train.csv"]),
        (["train", "sentiment", "--data", "no_such_set"], ['"no_such_set"', "Check the spelling"]),
        (["predict", "sentiment", "a text"], ["no exported version", "lstm-suite train sentiment"]),
        (["evaluate", "sentiment", "--data", "x.csv"], ["no exported version", "lstm-suite train sentiment"]),
        (["recalibrate", "sentiment", "--data", "x.csv"], ["sentiment", "no calibration to be renewed"]),
        (["recalibrate", "stock", "--data", "x.csv"], ["no exported version", "lstm-suite train stock"]),
        (["recalibrate", "stock"], ["name newer records with --data"]),
        (["predict", "sentiment", "--file", "nowhere.txt"], ["nowhere.txt", "No such file", "one input a line"]),
        (["predict", "sentiment", "--file", "."], ["directory", "one input a line"]),
        (["export", "sentiment", "--model", "model.h5"], ["model.h5", "expected a .keras file"]),
        (["export", "sentiment", "--model", "model.keras"], ["model.keras", "expected a .keras file"]),
    ],
)
def test_a_slip_is_one_line_and_status_2(complaint, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    line = complaint(*arguments)
    assert all(word in line for word in words), line
    assert not (tmp_path / "saved_models").exists()


def test_a_missing_column_names_those_there(complaint, write, tmp_path):
    path = write("reviews.csv", b"review,stars\nfine,5\n")
    line = complaint("train", "sentiment", "--data", path, "--output", tmp_path / "models")
    assert f'{path}: no column "text". It has review, stars' in line


@pytest.mark.parametrize(
    "arguments", [["train", "sentiment", "--lstm.unit", "3"], ["predict", "sentiment", "--bogus", "text"], ["train"]]
)
def test_an_unknown_option_is_status_2_without_a_traceback(capsys, arguments):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    printed = capsys.readouterr().err
    assert printed
    assert "Traceback" not in printed


def test_an_unknown_version_names_those_there(sentiment, complaint):
    for command in (["predict", "sentiment", "a text"], ["evaluate", "sentiment", "--data", "x.csv"]):
        line = complaint(*command, "--output", sentiment.config.output, "--version", 99)
        assert "no version 99; there: 1." in line


def test_predict_prints_a_table_with_the_model_s_labels(sentiment, capsys):
    assert main(["predict", "sentiment", "--output", sentiment.config.output, "A fine film.", "[bold]x[/bold]"]) == 0
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
def test_inputs_may_stand_before_and_behind_options(ask, arguments):
    assert [answer["input"] for answer in ask(*arguments)] == ["one", "two"]


def test_inputs_may_begin_with_a_dash(ask):
    assert [answer["input"] for answer in ask("--", "-5 stars", "--bad")] == ["-5 stars", "--bad"]


def test_a_review_gets_the_same_answer_by_every_way(ask, write, monkeypatch):
    texts = ["Nobody would ever call the plot dull.", "naïve 悪い 😀"]
    by_argument = ask(*texts)
    by_file = ask("--file", str(write("lines.txt", "\n".join(texts).encode())))
    by_file_of_windows = ask("--file", str(write("crlf.txt", b"\xef\xbb\xbf" + "\r\n".join([*texts, ""]).encode())))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("\n".join([*texts, ""]).encode())))
    by_stdin = ask()
    assert [answer["input"] for answer in by_argument] == texts
    assert by_argument == by_file == by_file_of_windows == by_stdin
    for answer in by_argument:
        assert_defined(answer)


def test_any_line_gets_a_defined_answer(ask, write):
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
    answers = ask("--file", str(write("lines.txt", b"\n".join(lines) + b"\n")))
    assert len(answers) == len(lines)
    for answer in answers:
        assert_defined(answer)
    assert answers[0]["input"] == "caf� �� not UTF-8"
    assert answers[1]["probabilities"] == answers[2]["probabilities"]


def test_bytes_that_are_not_utf8_fit_in_the_table(sentiment, capsys, write):
    path = write("lines.txt", b"caf\xe9\n\n")
    assert main(["predict", "sentiment", "--output", sentiment.config.output, "--file", str(path)]) == 0
    assert "caf�" in capsys.readouterr().out


@pytest.mark.parametrize("by", ["file", "stdin"])
def test_no_input_at_all_is_refused(sentiment, complaint, write, monkeypatch, by):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    place = ["--file", write("empty.txt", b"")] if by == "file" else []
    line = complaint("predict", "sentiment", "--output", sentiment.config.output, *place)
    assert "is empty; give at least one line" in line


def test_evaluate_gives_metrics_as_json(sentiment, capsys, write):
    path = write("reviews.csv", sample.generate(60, seed=7).to_csv(index=False).encode())
    assert main(["evaluate", "sentiment", "--output", sentiment.config.output, "--data", str(path), "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert {"accuracy", "f1_macro", "log_loss"} <= set(scores)
    assert all(set(score) == {"value", "low", "high"} for score in scores.values())
    assert scores["accuracy"]["low"] <= scores["accuracy"]["value"] <= scores["accuracy"]["high"]


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")
def test_a_metric_that_is_not_defined_is_null_in_json(sentiment, capsys, write):
    reviews = sample.generate(20, seed=7).query("label == 'positive'")
    path = write("reviews.csv", reviews.to_csv(index=False).encode())
    assert main(["evaluate", "sentiment", "--output", sentiment.config.output, "--data", str(path), "--json"]) == 0
    scores = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert scores["roc_auc"]["value"] is None
    assert 0 <= scores["accuracy"]["value"] <= 1


def test_evaluate_names_the_row_of_a_label_the_model_does_not_know(sentiment, complaint, write):
    path = write("reviews.csv", b"text,label\nfine,positive\nso so,middling\n")
    line = complaint("evaluate", "sentiment", "--output", sentiment.config.output, "--data", path)
    assert f'{path}, row 2: label "middling"' in line
    assert "(negative, positive)" in line


@pytest.mark.parametrize("source", [[], ["--data", "sample"]])
def test_evaluate_wants_a_file(sentiment, complaint, source):
    assert "with --data" in complaint("evaluate", "sentiment", "--output", sentiment.config.output, *source)


@pytest.mark.parametrize(
    "content",
    [
        b"review,stars\nfine,5\n",
        b"text,label\n" + b"".join(b"text %d,good\n" % k for k in range(100)),
        b"text,label\nfine,\n",
    ],
)
def test_training_that_fails_leaves_the_exported_version_as_it_was(sentiment, complaint, write, content):
    folder = sentiment.version.parent
    before = contents(folder)
    path = write("bad.csv", content)
    complaint("train", "sentiment", "--preset", "sample", "--data", path, "--output", sentiment.config.output)
    assert contents(folder) == before
    assert sentiment.version / "saved_model.pb" in list(sentiment.version.iterdir())


def test_export_from_the_keras_file_answers_the_same(sentiment, ask, tmp_path):
    model = sentiment.version / "model.keras"
    assert main(["export", "sentiment", "--model", str(model), "--output", str(tmp_path)]) == 0
    assert (tmp_path / "sentiment" / "1" / "saved_model.pb").is_file()
    texts = ["Nobody would ever call the plot dull.", "dreadful", ""]
    expected, got = ask(*texts), ask(*texts, "--output", str(tmp_path))
    for a, b in zip(expected, got, strict=True):
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
def test_a_broken_keras_file_is_refused_and_nothing_is_published(sentiment, complaint, write, tmp_path, damage):
    whole = (sentiment.version / "model.keras").read_bytes()
    at = whole.index(b"config.json") + 20
    broken = {
        "text": b"no model",
        "cut": whole[: len(whole) // 2],
        "altered": whole[:at] + b"\xff" * 9 + whole[at + 9 :],
    }
    path = write("model.keras", broken[damage])
    write("task.json", (sentiment.version / "task.json").read_bytes())
    assert f"{path}: cannot be opened" in complaint(
        "export", "sentiment", "--model", path, "--output", tmp_path / "new"
    )
    assert not list(tmp_path.glob("new/sentiment/*"))


def test_a_keras_file_without_its_facts_is_refused(sentiment, complaint, write, tmp_path):
    path = write("model.keras", (sentiment.version / "model.keras").read_bytes())
    line = complaint("export", "sentiment", "--model", path, "--output", tmp_path / "new")
    assert f"{tmp_path / 'task.json'}: missing or broken" in line


def test_an_interruption_is_told_as_one(capsys, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("shared.cli._train", interrupt)
    assert main(["train", "sentiment"]) == 130
    assert "takes training up again" in capsys.readouterr().err
    monkeypatch.setattr("shared.cli._list", interrupt)
    assert main(["list"]) == 130
    assert capsys.readouterr().err == "lstm-suite: interrupted.\n"
