"""A folder with models is served; for any other folder, the message says what it is and where models are."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.cli import main
from shared.errors import SuiteError
from shared.serving.model_folders import list_models, locate_models


def add_model(folder, *names):
    for name in names:
        (folder / name / "1").mkdir(parents=True)
        (folder / name / "1" / "saved_model.pb").touch()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder `saved_models` in the working directory."""
    monkeypatch.chdir(tmp_path)
    Path("saved_models").mkdir()
    return Path("saved_models")


def test_models_of_the_demo_are_served_until_there_are_others(folder):
    add_model(folder / "demo", "stock", "fraud")
    located, notice = locate_models(folder)
    assert located == folder / "demo"
    assert "serving those of the demo in saved_models/demo: fraud, stock" in notice
    add_model(folder, "sentiment")
    assert locate_models(folder) == (folder, "")


def test_an_empty_folder_is_served_with_a_notice_of_what_it_contains(folder):
    assert "contains nothing" in locate_models(folder)[1]
    for name in ("README.md", "runs", "x1", "x2", "x3", "x4"):
        (folder / name).touch()
    located, notice = locate_models(folder)
    assert located == folder
    assert "README.md, runs, x1, x2, x3 and 1 more" in notice
    assert "saved_models/NAME/VERSION/saved_model.pb" in notice


@pytest.mark.parametrize("name", ["saved_model", ".", "saved_models/stock", "saved_models/stock/1"])
def test_a_wrong_folder_is_an_error_that_names_the_folder_of_the_models(folder, name):
    add_model(folder, "stock")
    with pytest.raises(SuiteError, match=r"There are models in .*saved_models: stock\. Use --models .*saved_models\."):
        locate_models(Path(name))


def test_models_two_folders_below_are_found(folder):
    add_model(folder / "demo", "stock")
    with pytest.raises(SuiteError, match="Use --models saved_models/demo"):
        locate_models(Path())


def test_without_any_model_the_error_says_how_to_make_one(folder):
    with pytest.raises(SuiteError, match=r"does not exist\. Train a model first"):
        locate_models(Path("nowhere"))


def test_a_folder_with_a_number_is_no_model_without_a_saved_model(folder):
    (folder / "data" / "2024").mkdir(parents=True)
    assert list_models(folder) == []


def test_serve_takes_the_models_of_the_demo_and_checks_the_names(folder, monkeypatch, capsys):
    """After `make demo`, `lstm-suite serve` works without further options."""
    add_model(folder / "demo", "stock")
    served = []

    class RecordingServer:
        port = grpc_port = 1

        def __init__(self, settings):
            served.append(settings.models)

        def run(self):
            pass

    monkeypatch.setattr("shared.serving.server.Server", RecordingServer)
    monkeypatch.setattr("shared.serving.logs.configure_logging", lambda *_: None)
    assert main(["serve"]) == 0
    assert served == [Path("saved_models/demo")]
    captured = capsys.readouterr()
    assert "serving those of the demo in saved_models/demo: stock" in captured.err
    assert "Serving saved_models/demo at http://127.0.0.1:1 (REST)" in captured.out
    assert main(["serve", "--host", "::1", "--model", "stock"]) == 0
    assert "http://[::1]:1 (REST) and [::1]:1 (gRPC)" in capsys.readouterr().out
    for words, message in (
        (["--model", "stocks"], "has no model stocks. The models are: stock"),
        (["--port", "9000", "--grpc-port", "9000"], "both 9000"),
        (["--port", "65536"], "from 0 to 65535"),
        (["--grpc-port", "-1"], "from 0 to 65535"),
        (["--timeout", "0"], "a number above 0"),
        (["--max-requests", "2.5"], "an integer above 0"),
        (["--models", "nowhere"], "Use --models saved_models/demo"),
    ):
        assert main(["serve", *words]) == 2
        assert message in capsys.readouterr().err
