"""Every command of the front page is run here, on files such as it names, or by the test that is named for it."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest

from shared import cli
from tests.test_readme_commands import COMMAND, ROOT, words_of
from tests.user_files import PEOPLE, WORDS

RUN_BY = {
    "train sentiment": "tests/contract/conftest.py",  # `trained` stands on the sample; the data set is TFDS's stand-in
    "train stock --data yahoo:": "tests/tasks/stock/test_yahoo.py",
    "recalibrate stock": "tests/tasks/stock/test_recalibration.py",
    "serve": "tests/shared/serving/test_server.py",
    "new": "tests/shared/test_new_task.py",
}
"""What would need a network, a server or minutes."""
FRONT = list(dict.fromkeys(COMMAND.findall((ROOT / "README.md").read_text(encoding="utf-8"))))


def payments(folder):
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


def novel(folder):
    rng, words = np.random.default_rng(0), [word for text in WORDS.values() for word in text]
    lines = [" ".join(rng.choice(words, 12)) for _ in range(2_000)]
    (folder / "novel.txt").write_text("\n".join(lines), encoding="utf-8")


def prices(folder):
    rng, days = np.random.default_rng(0), pd.bdate_range("2021-01-04", periods=1_000)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, len(days))))
    pd.DataFrame({"Symbol": "OAK", "Date": days, "Close": close}).to_csv(folder / "prices.csv", index=False)


def calls(folder):
    import soundfile

    rng, rows = np.random.default_rng(0), []
    for k in range(80):
        soundfile.write(folder / f"{k}.wav", rng.normal(0, 0.1, 20_000), 16_000)
        rows.append({"path": f"{k}.wav", "transcript": "hello again", "caller": PEOPLE[k % 8]})
    pd.DataFrame(rows).to_csv(folder / "calls.csv", index=False)


def in_a_folder_of(folder, monkeypatch):
    shutil.copytree(ROOT / "data" / "examples", folder / "data" / "examples")
    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.argv", ["lstm-suite"])


OF_FILES = [line for line in FRONT if line.startswith(("train", "check")) and "--data" in line and "yahoo:" not in line]
ASKED = [line for line in FRONT if line.startswith(("predict", "evaluate", "serve-config"))]


@pytest.mark.parametrize("command", OF_FILES)
def test_what_names_a_file_understands_it(command, tmp_path, monkeypatch):
    for make in (payments, novel, prices, calls):
        make(tmp_path)
    in_a_folder_of(tmp_path, monkeypatch)
    assert cli.main(["check", *words_of(command)[1:]]) == 0


@pytest.mark.only_task("sentiment")
def test_what_a_trained_model_is_asked(trained, tmp_path, monkeypatch, capfd):
    in_a_folder_of(tmp_path, monkeypatch)
    (tmp_path / "saved_models").mkdir()
    (tmp_path / "saved_models" / "sentiment").symlink_to(trained.version.parent)
    labels = trained.run.trained_model.metadata["labels"]
    rows = [f"a wonderful film,{labels[-1]}", f"a dull film,{labels[0]}"] * 5
    (tmp_path / "yours.csv").write_text("\n".join(["text,label", *rows]))
    assert {line.split()[0] for line in ASKED} == {"predict", "evaluate", "serve-config"}
    for line in ASKED:
        assert cli.main(words_of(line)) == 0, line
    said = capfd.readouterr().out
    assert any(label in said for label in labels)
    assert (tmp_path / "serving" / "compose.yaml").is_file()


def test_no_command_is_left():
    left = [command for command in FRONT if command not in OF_FILES and command not in ASKED]
    for command in left:
        assert any(command.startswith(begin) for begin in RUN_BY), command
    for begin, path in RUN_BY.items():
        assert any(command.startswith(begin) for command in left), f"{begin} is not on the page any more"
        assert (ROOT / path).is_file()
