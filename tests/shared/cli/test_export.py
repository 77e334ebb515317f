"""`export`, and what a failed command leaves: published versions are complete or absent."""

import hashlib

import pytest

from shared.cli import main

pytestmark = pytest.mark.only_task("sentiment")


def contents(folder):
    """Checksum of every file below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


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
        assert a["probability_positive"] == pytest.approx(b["probability_positive"], abs=1e-5)


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


def test_a_version_and_a_keras_file_exclude_each_other(error_line):
    assert "not allowed with" in error_line("export", "sentiment", "--version", "1", "--keras-file", "model.keras")
