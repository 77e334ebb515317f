"""Every command of the main README runs here on files like those it names, or in the test that `TESTED_IN` names."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest

from shared import cli
from tests.test_readme_commands import COMMAND, ROOT, split_command
from tests.test_task_readmes import matches, parse_transcript, run_command
from tests.user_files import PEOPLE, WORDS

TESTED_IN = {
    "train sentiment --preset sample": "tests/conftest.py",
    "train sentiment --data imdb_reviews": "tests/tasks/sentiment/test_data.py",
    "train stock --data yahoo:": "tests/tasks/stock/test_yahoo.py",
    "predict fraud": "tests/tasks/fraud/test_commands.py",
    "generate next_word": "tests/tasks/next_word/test_generation.py",
    "recalibrate stock": "tests/tasks/stock/test_recalibration.py",
    "serve": "tests/shared/serving/test_server.py",
    "new": "tests/shared/cli/test_new_task.py",
}
"""Commands that need a network, a server or minutes, by their beginning."""
README_COMMANDS = list(dict.fromkeys(COMMAND.findall((ROOT / "README.md").read_text(encoding="utf-8"))))
DATA_COMMANDS = [
    line
    for line in README_COMMANDS
    if line.startswith(("train", "check")) and not any(line.startswith(start) for start in TESTED_IN)
]
FORECAST_COMMANDS = [line for line in README_COMMANDS if line.startswith("predict stock")]
MODEL_COMMANDS = [
    line
    for line in README_COMMANDS
    if line.startswith(("predict", "evaluate", "serve-config"))
    and line not in FORECAST_COMMANDS
    and not any(line.startswith(f"{start} ") for start in TESTED_IN)
]


def write_payments(folder):
    rng, count = np.random.default_rng(0), 800
    frame = pd.DataFrame(
        {
            "account": rng.integers(0, 50, count),
            "shop": rng.integers(0, 9, count),
            "when": pd.Timestamp("2025-03-01")
            + pd.to_timedelta(np.sort(rng.integers(0, 40 * 1440, count)), unit="min"),
            "euro": rng.gamma(2.0, 20.0, count).round(2),
            "chargeback": (rng.random(count) < 0.1).astype(int),
        }
    )
    frame.to_csv(folder / "payments.csv", index=False)


def write_novel(folder):
    rng, words = np.random.default_rng(0), [word for text in WORDS.values() for word in text]
    lines = [" ".join(rng.choice(words, 12)) for _ in range(2_000)]
    (folder / "novel.txt").write_text("\n".join(lines), encoding="utf-8")


def write_prices(folder):
    rng, days = np.random.default_rng(0), pd.bdate_range("2021-01-04", periods=1_000)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, len(days))))
    pd.DataFrame({"Symbol": "OAK", "Date": days, "Close": close}).to_csv(folder / "prices.csv", index=False)


def write_calls(folder):
    import soundfile

    rng, rows = np.random.default_rng(0), []
    for k in range(80):
        soundfile.write(folder / f"{k}.wav", rng.normal(0, 0.1, 20_000), 16_000)
        rows.append({"path": f"{k}.wav", "transcript": "hello again", "caller": PEOPLE[k % 8]})
    pd.DataFrame(rows).to_csv(folder / "calls.csv", index=False)


def enter_checkout(folder, monkeypatch):
    """Changes to a folder that has the example files of a checkout."""
    shutil.copytree(ROOT / "data" / "examples", folder / "data" / "examples")
    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.argv", ["lstm-suite"])


@pytest.mark.parametrize("command", DATA_COMMANDS)
def test_a_command_reads_the_file_that_it_names(command, tmp_path, monkeypatch):
    for write in (write_payments, write_novel, write_prices, write_calls):
        write(tmp_path)
    enter_checkout(tmp_path, monkeypatch)
    assert cli.main(["check", *split_command(command)[1:]]) == 0


@pytest.mark.only_task("sentiment")
def test_commands_for_exported_models_run(trained, tmp_path, monkeypatch, capfd):
    enter_checkout(tmp_path, monkeypatch)
    (tmp_path / "saved_models").mkdir()
    (tmp_path / "saved_models" / "sentiment").symlink_to(trained.version.parent)
    labels = trained.run.trained_model.metadata["labels"]
    rows = [f"a wonderful film,{labels[-1]}", f"a dull film,{labels[0]}"] * 5
    (tmp_path / "yours.csv").write_text("\n".join(["text,label", *rows]))
    assert {line.split()[0] for line in MODEL_COMMANDS} == {"predict", "evaluate", "serve-config"}
    for line in MODEL_COMMANDS:
        assert cli.main(split_command(line)) == 0, line
    output = capfd.readouterr().out
    assert any(label in output for label in labels)
    reviews, labelled = (pd.read_csv(path) for path in ("data/examples/reviews.csv", "labelled.csv"))
    assert labelled["review"].tolist() == reviews["review"].tolist()
    assert set(labelled["label"]) <= set(labels)
    assert labelled["probability"].between(0.5, 1).all()
    assert (tmp_path / "serving" / "compose.yaml").is_file()


@pytest.mark.only_task("stock")
def test_one_command_makes_the_forecast_of_next_week_from_a_file_of_yahoo(trained, tmp_path, monkeypatch):
    enter_checkout(tmp_path, monkeypatch)
    (tmp_path / "saved_models").mkdir()
    (tmp_path / "saved_models" / "stock").symlink_to(trained.version.parent)
    (command,) = FORECAST_COMMANDS
    assert cli.main(split_command(command)) == 0
    forecast = pd.read_csv("next_week.csv")
    assert forecast[["ticker", "last_date", "last_close"]].to_numpy().tolist() == [["OAK", "2024-01-05", 62.9595]]
    targets = [f"target_date_{horizon}d" for horizon in (1, 5, 20)]
    assert forecast[targets].to_numpy().tolist() == [
        ["2024-01-08", "2024-01-12", "2024-02-05"]
    ]  # a holiday on 2024-01-15
    quantiles = forecast.filter(regex="^price_q.*_5d$").iloc[0]
    assert quantiles.is_monotonic_increasing
    assert 50 < quantiles.min() < 62.9595 < quantiles.max() < 75


def test_the_transcript_of_check_is_what_the_command_prints(tmp_path, monkeypatch, capfd):
    enter_checkout(tmp_path, monkeypatch)
    transcript = dict(parse_transcript((ROOT / "README.md").read_text(encoding="utf-8")))
    command = "lstm-suite check sentiment --preset sample"
    status, output = run_command(command, capfd)
    assert status == 0
    assert matches(output, transcript[command]), "\n".join(output)


def test_every_command_is_tested():
    others = [
        command for command in README_COMMANDS if command not in (*DATA_COMMANDS, *MODEL_COMMANDS, *FORECAST_COMMANDS)
    ]
    for command in others:
        assert any(command.startswith(start) for start in TESTED_IN), command
    for start, path in TESTED_IN.items():
        assert any(command.startswith(start) for command in others), f"README.md no longer has {start}"
        assert (ROOT / path).is_file()
