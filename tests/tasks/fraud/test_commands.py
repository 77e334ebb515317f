"""From yesterday's transactions and today's to today's scores with reasons: the commands of the README, as a user runs them."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest

from shared.cli import main
from tasks.fraud import sample
from tests.test_readme_commands import ROOT, split_command

pytestmark = pytest.mark.only_task("fraud")


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A folder with yesterday.csv, which has forty days and labels, today.csv without labels, and both.csv."""
    frame = sample.generate(sample.SAMPLE, seed=9)
    day = frame["TX_DATETIME"].dt.normalize()
    frame = frame[day >= day.max() - pd.Timedelta(days=40)].drop(columns="TX_FRAUD_SCENARIO")
    is_today = frame["TX_DATETIME"].dt.normalize() == day.max()
    cards = frame.loc[is_today, "CUSTOMER_ID"].unique()[:40]
    is_today &= frame["CUSTOMER_ID"].isin(cards)
    frame[~is_today & (frame["TX_DATETIME"] < day.max())].to_csv(tmp_path / "yesterday.csv", index=False)
    frame[is_today].drop(columns="TX_FRAUD").to_csv(tmp_path / "today.csv", index=False)
    both = pd.concat([pd.read_csv(tmp_path / "yesterday.csv"), pd.read_csv(tmp_path / "today.csv")])
    both.to_csv(tmp_path / "both.csv", index=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(trained, files, capsys):
    """Runs a command with the trained model, and returns what it prints."""

    def call(words):
        capsys.readouterr()
        assert main([*words, "--models", trained.config.output]) == 0
        return capsys.readouterr()

    return call


def readme_command(pattern):
    text = (ROOT / "tasks" / "fraud" / "README.md").read_text(encoding="utf-8")
    return split_command(re.search(rf"^    lstm-suite ({pattern}.*)$", text, re.MULTILINE)[1])


def test_the_readme_commands_score_today_given_yesterday(run, files):
    whole = run(["predict", "fraud", "--data", "both.csv", "--to", "both_scores.csv"])
    assert "without the earlier transactions" in whole.err
    today = pd.read_csv("today.csv")
    expected = pd.read_csv("both_scores.csv")["probability"].to_numpy()[-len(today) :]

    words = readme_command("predict fraud .*--history")
    assert {"--reasons", "--to"} <= set(words)
    assert "without the earlier" not in run(words).err
    scores = pd.read_csv("scores.csv")
    pd.testing.assert_frame_equal(scores[today.columns], today)
    np.testing.assert_allclose(scores["probability"], expected, atol=1e-5)
    assert list(scores.columns[-6:]) == [f"reason_{k}{end}" for k in (1, 2, 3) for end in ("", "_contribution")]
    assert scores.notna().all().all()
    contributions = scores[[f"reason_{k}_contribution" for k in (1, 2, 3)]].to_numpy()
    assert (np.diff(contributions, axis=1) <= 1e-6).all()

    summary = run(readme_command("state fraud update")).out
    assert f"transactions added: {len(pd.read_csv('yesterday.csv')):,}" in summary
    run(readme_command("predict fraud .*--store"))
    np.testing.assert_allclose(pd.read_csv("scores.csv")["probability"], expected, atol=1e-5)
    shown = json.loads(run([*readme_command("state fraud show"), "--json"]).out)
    assert shown["transactions"] == len(expected) + len(pd.read_csv("yesterday.csv"))
    assert shown["newest_files"][-1].startswith("today.csv")
    labels = pd.read_csv("today.csv").assign(TX_FRAUD=0)
    labels.to_csv("labels.csv", index=False)
    assert f"labels added: {len(labels)}" in run(readme_command("state fraud label")).out


def test_the_first_reason_is_the_amount_or_the_terminal_that_the_model_learned_to_suspect(run, files):
    """A huge amount, and a usual amount at a terminal whose labelled transactions are all fraud."""
    past = pd.read_csv("yesterday.csv")
    terminal = past["TERMINAL_ID"].value_counts().index[0]
    past.loc[past["TERMINAL_ID"] == terminal, "TX_FRAUD"] = 1
    past.to_csv("yesterday.csv", index=False)
    frauds = past.groupby("TERMINAL_ID")["TX_FRAUD"].sum()
    genuine = frauds.index[frauds == 0][0]
    card = past["CUSTOMER_ID"].value_counts().index[0]
    amount = past.loc[past["CUSTOMER_ID"] == card, "TX_AMOUNT"].median()
    rows = pd.DataFrame(
        {"TX_DATETIME": f"{past['TX_DATETIME'].max()[:10]} 23:59:58", "CUSTOMER_ID": card}, index=[0, 1]
    )
    rows.assign(TERMINAL_ID=[terminal, genuine], TX_AMOUNT=[amount, 5_000.0]).to_csv("today.csv", index=False)
    printed = run(["predict", "fraud", "--data", "today.csv", "--history", "yesterday.csv", "--reasons", "--json"]).out
    first, second = map(json.loads, printed.splitlines())
    assert first["reason_1"].startswith("the terminal has 16 frauds among its newest 16 labelled transactions")
    assert second["reason_1"].startswith("amount 5000.00 is ")
    assert first["reason_1_contribution"] > 0.5
    assert second["reason_1_contribution"] > 0.5


def test_a_store_that_does_not_exist_is_an_error_of_one_line(trained, files, capsys):
    words = ["predict", "fraud", "--data", "today.csv", "--store", "none.sqlite", "--models", trained.config.output]
    assert main(words) == 2
    assert "none.sqlite: no state store" in capsys.readouterr().err
    assert not (files / "none.sqlite").exists()


def test_the_store_stays_as_it_is_if_the_scores_cannot_be_written(trained, run, files, capsys, monkeypatch):
    run(readme_command("state fraud update"))
    before = json.loads(run([*readme_command("state fraud show"), "--json"]).out)

    def full_disk(*arguments):
        raise OSError("No space left on device")

    words = [*readme_command("predict fraud .*--store"), "--models", trained.config.output]
    assert "--update" in words
    with monkeypatch.context() as patch:
        patch.setattr("shared.data.table_writers.Path.replace", full_disk)
        assert main(words) == 2
    assert "cannot be written" in capsys.readouterr().err
    assert json.loads(run([*readme_command("state fraud show"), "--json"]).out) == before
