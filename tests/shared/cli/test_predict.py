"""`predict` and `evaluate`: from arguments, files and standard input to predictions and scores of an exported version."""

import io
import json
import re
import sys

import pytest

from shared.cli import main
from tasks.sentiment import sample

pytestmark = pytest.mark.only_task("sentiment")


def assert_valid(prediction, labels=("negative", "positive")):
    assert prediction["label"] in labels
    assert 0 <= prediction["probability"] <= 1
    probabilities = [prediction[f"probability_{label}"] for label in labels]
    assert prediction["probability"] == max(probabilities)
    assert sum(probabilities) == pytest.approx(1, abs=1e-5)


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
    assert predictions[1]["probability_positive"] == predictions[2]["probability_positive"]


def test_a_file_in_a_code_page_is_read_with_a_notice(sentiment, capsys, write):
    path = write("lines.txt", b"caf\xe9\n\n")
    assert main(["predict", "sentiment", "--models", sentiment.config.output, "--data", str(path)]) == 0
    output = capsys.readouterr()
    assert "café" in output.out
    assert "cp1252" in output.err


def test_invalid_utf8_is_printed_in_the_table(sentiment, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"caf\xe9\n")))
    assert main(["predict", "sentiment", "--models", sentiment.config.output]) == 0
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
    expected = [
        {"id": k, "review": prediction.pop("input"), **prediction}
        for k, prediction in enumerate(predictions_for(*texts))
    ]
    assert [list(row.items()) for row in from_file] == [list(row.items()) for row in expected]


def test_evaluate_prints_metrics_as_json(sentiment, capsys, write):
    path = write("reviews.csv", sample.generate(60, seed=7).to_csv(index=False).encode())
    assert main(["evaluate", "sentiment", "--models", sentiment.config.output, "--data", str(path), "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert {"accuracy", "f1_macro", "log_loss"} <= set(scores)
    assert all(set(score) == {"value", "low", "high"} for score in scores.values())
    assert scores["accuracy"]["low"] <= scores["accuracy"]["value"] <= scores["accuracy"]["high"]


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")
def test_evaluate_prints_titles_and_units_and_no_undefined_interval(sentiment, capsys, write):
    path = write("some.csv", b"text,label\nA wonderful film,positive\n")
    assert main(["evaluate", "sentiment", "--models", sentiment.config.output, "--data", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "accuracy %" in printed
    assert "100.00" in printed
    assert "nan to" not in printed


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


def predict_file(sentiment, source, target, *words):
    arguments = ["--models", sentiment.config.output, "--data", str(source), "--to", str(target), *words]
    return main(["predict", "sentiment", *arguments])


def test_a_prediction_column_with_the_name_of_an_input_column_gets_a_suffix(sentiment, write, tmp_path, capsys):
    path = write("reviews.csv", b"label,text\nmine,fine\n")
    assert predict_file(sentiment, path, tmp_path / "out.csv") == 0
    header = ["label", "text", "label_predicted", "probability", "probability_negative", "probability_positive"]
    assert (tmp_path / "out.csv").read_text().splitlines()[0] == ",".join(header)
    messages = capsys.readouterr().err
    assert 'The input has a column "label"' in messages
    assert "Wrote 1 rows" in messages


def test_a_record_that_cannot_be_read_stops_the_command_or_is_skipped(sentiment, write, tmp_path, capsys):
    path = write(
        "reviews.jsonl", b'{"id": 1, "text": "fine"}\n{"id": 2, "text": null}\n{"id": 3, "te\n{"text": "dull"}\n'
    )
    target = tmp_path / "out.jsonl"
    target.write_text("before")
    assert predict_file(sentiment, path, target) == 2
    assert "row 3" in capsys.readouterr().err or target.read_text() == "before"
    assert target.read_text() == "before"
    assert predict_file(sentiment, path, target, "--on-error", "skip") == 0
    rows = [json.loads(line) for line in target.read_text().splitlines()]
    assert [row["label"] is None for row in rows] == [False, True, True, False]
    assert [row["id"] for row in rows] == [1, 2, None, None]
    assert rows[0]["error"] is None
    assert rows[1]["error"] == 'column "text" is null. Fill it in or drop the row.'
    assert "character" in rows[2]["error"]
    assert list(rows[0]) == list(rows[1])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl", "reviews.jsonl"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--to", "out.xlsx"], "--to must name a file that ends in .csv"),
        (["--to", "nowhere/out.csv"], "there is no folder nowhere"),
        (["--to", "out.csv", "--json"], "exclude each other"),
        (["--on-error", "ignore"], "on-error"),
    ],
)
def test_invalid_options_are_reported_before_the_model_loads(error_line, monkeypatch, tmp_path, words, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("shared.cli.task_commands.load_task_modules", lambda name: pytest.fail("the task was loaded"))
    assert message in error_line("predict", "sentiment", "--models", tmp_path, *words, "a text")


def test_the_file_of_the_inputs_is_not_overwritten(error_line, tmp_path, write):
    path = write("reviews.csv", b"text\nfine\n")
    line = error_line("predict", "sentiment", "--models", tmp_path, "--data", path, "--to", path)
    assert "is the file of --data" in line


def test_columns_that_do_not_fit_into_the_terminal_are_named(sentiment, write, capsys):
    path = write("reviews.csv", b"text,note\n" + b"a fine film " * 10 + b"," + b"x" * 70 + b"\n")
    assert main(["predict", "sentiment", "--models", sentiment.config.output, "--data", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "probability_positive" in printed
    assert "Columns without space: note. Write all columns with --to" in printed


def test_explanations_are_texts_with_brackets_where_the_output_is_no_terminal(sentiment, capsys):
    capsys.readouterr()
    text = "This film seemed wonderful to us."
    assert main(["predict", "sentiment", "--models", sentiment.config.output, "--explain", text]) == 0
    output = capsys.readouterr().out
    line = output.splitlines()[-1]
    assert "[" in line
    assert "contribution" not in output
    assert re.sub(r"\[(\S+) [+-]\d+\.\d\d\]", r"\1", line) == text
