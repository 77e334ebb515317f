"""The names in a manifest find their recordings, however they are written."""

from __future__ import annotations

import unicodedata
import zipfile

import pytest
import soundfile

from shared.errors import DataError
from tasks.speech.folders import Folder
from tasks.speech.timing import SAMPLE_RATE
from tests.tasks.speech.conftest import tone

NAMES = ("a.wav", "Clips/b.WAV", "Clips/sub/c.flac", "Clips/Ü ß.wav", "Clips/d.e.wav", "one/x.wav", "two/x.wav")


@pytest.fixture(params=["folder", "archive"])
def folder(request, tmp_path):
    root = tmp_path / "set"
    for name in NAMES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(root / name, tone("a"), SAMPLE_RATE)
    if request.param == "folder":
        return Folder(root)
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for name in NAMES:
            archive.write(root / name, name)
    return Folder(tmp_path / "set.zip")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *((name, name) for name in NAMES),
        ("A.WAV", "a.wav"),
        ('"a.wav"', "a.wav"),
        (" ‘a.wav’ ", "a.wav"),
        ("Clips\\b.WAV", "Clips/b.WAV"),
        ("C:\\Users\\me\\clips\\b.wav", "Clips/b.WAV"),
        ("\\\\server\\share\\clips\\sub\\c.flac", "Clips/sub/c.flac"),
        ("/home/me/data/Clips/sub/c.flac", "Clips/sub/c.flac"),
        ("data/Clips/b.WAV", "Clips/b.WAV"),
        ("Clips/sub/c", "Clips/sub/c.flac"),
        ("Clips/sub/c.mp3", "Clips/sub/c.flac"),
        ("Clips/d.e", "Clips/d.e.wav"),
        (unicodedata.normalize("NFD", "Clips/Ü ß.wav"), "Clips/Ü ß.wav"),
        ("file:///data/a.wav", "a.wav"),
        ("https://host/data/a.wav", "a.wav"),
        ("C:\\two\\x.wav", "two/x.wav"),
    ],
)
def test_a_name_finds_its_recording(folder, name, expected):
    assert folder.find(name) == expected


@pytest.mark.parametrize("name", ["c.flac", "x.wav", "C:\\other\\x.wav", "", "..", "Clips", "nowhere.wav"])
def test_a_name_that_is_unknown_or_ambiguous_finds_nothing(folder, name):
    assert folder.find(name) is None


def test_a_missing_recording_at_a_url_has_to_be_downloaded(folder):
    with pytest.raises(DataError, match=r"list\.csv, row 2: s3://bucket/b\.mp3 is a URL\. Download the recordings"):
        folder.require("s3://bucket/b.mp3", "list.csv, row 2")
