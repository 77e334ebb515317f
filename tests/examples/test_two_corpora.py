"""The example's manifest is one that the speech task takes, with the names of the digits as the other corpus writes them."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import soundfile

from examples import two_corpora
from tasks.speech import data
from tasks.speech.config import PRESETS


def zipped(path, *names):
    with zipfile.ZipFile(path, "w") as archive:
        for k, name in enumerate(names):
            sound = io.BytesIO()
            soundfile.write(sound, np.full(4000 + k, 0.1), 8000, format="FLAC")
            archive.writestr(name, sound.getvalue())


def test_both_corpora_are_read_as_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "an4").mkdir()
    said = ["ERASE SEVEN", "ZERO TWENTY ONE", "OH"]
    lines = [f"a{k}.flac,{'ann' if k else 'bob'},1.0,{text}" for k, text in enumerate(said)]
    (tmp_path / "an4" / "train.csv").write_text("\n".join(["file,speaker,seconds,text", *lines]) + "\n")
    zipped(tmp_path / "an4" / "train.zip", "a0.flac", "a1.flac", "a2.flac")
    zipped(
        tmp_path / "digits.zip",
        "recordings/",
        "recordings/7_theo_0.flac",
        "recordings/0_eve_12.flac",
        "._0_eve_12.flac",
    )
    two_corpora.main("an4/train.csv", "digits.zip", "voices")
    found = data.read(PRESETS["default"], "voices/voices.csv")
    assert found[["name", "text", "speaker"]].to_numpy().tolist() == [
        ["an4/a0.flac", "ERASE SEVEN", "bob"],
        ["an4/a1.flac", "ZERO TWENTY ONE", "ann"],
        ["an4/a2.flac", "OH", "ann"],
        ["fsdd/0_eve_12.flac", "ZERO", "eve"],
        ["fsdd/7_theo_0.flac", "SEVEN", "theo"],
    ]
