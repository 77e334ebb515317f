"""Recordings of any kind are read alike; what is none is refused by name."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
import soundfile

from shared.errors import DataError
from tasks.speech import audio
from tasks.speech.features import RATE
from tests.tasks.speech.conftest import tone


def near(found, expected, tolerance=0.02):
    """Whether two recordings are the same but for the edges, where resampling rings."""
    size = min(len(found), len(expected))
    return np.sqrt(np.mean((found[200 : size - 200] - expected[200 : size - 200]) ** 2)) < tolerance


@pytest.mark.parametrize(
    ("name", "subtype"),
    [
        ("a.wav", "PCM_16"),
        ("a.wav", "PCM_24"),
        ("a.wav", "FLOAT"),
        ("a.wav", "PCM_U8"),
        ("a.flac", "PCM_16"),
        ("a.ogg", None),
        ("a.mp3", None),
    ],
)
@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
def test_any_format_and_rate_gives_the_same_samples(tmp_path, name, subtype, rate):
    expected = tone("ab")
    soundfile.write(tmp_path / name, audio_at(expected, rate), rate, subtype=subtype)
    found = audio.read(tmp_path / name, name)
    assert found.dtype == np.float32
    assert abs(len(found) - len(expected)) < (0.1 * RATE if name == "a.mp3" else 10)
    if name != "a.mp3":  # which is shifted by its own frames
        assert near(found, expected)
    assert audio.read((tmp_path / name).read_bytes(), name).shape == found.shape


def audio_at(samples, rate):
    import librosa

    return samples if rate == RATE else librosa.resample(samples, orig_sr=RATE, target_sr=rate)


def test_channels_are_averaged(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.stack([tone("a"), -tone("a")], axis=1), RATE, subtype="FLOAT")
    np.testing.assert_allclose(audio.read(tmp_path / "a.wav", "a"), 0, atol=1e-6)


def test_clipped_sound_stays_within_one(tmp_path):
    soundfile.write(tmp_path / "a.wav", 5 * tone("a"), RATE, subtype="FLOAT")
    assert np.abs(audio.read(tmp_path / "a.wav", "a")).max() == 1


def test_integers_of_any_depth_are_scaled():
    loud = np.array([0, 2**14, -(2**14)])
    np.testing.assert_allclose(audio.at_rate(loud.astype(np.int64), RATE, ""), [0, 0.5, -0.5])  # as TFDS has them
    np.testing.assert_allclose(audio.at_rate(loud.astype(np.int16), RATE, ""), [0, 0.5, -0.5])
    np.testing.assert_allclose(audio.at_rate(loud.astype(np.int32) * 2**16, RATE, ""), [0, 0.5, -0.5])
    np.testing.assert_allclose(audio.at_rate(np.array([0, -(2**15)], np.int64), RATE, ""), [0, -1])
    np.testing.assert_allclose(audio.at_rate(np.array([[2**14, 0]], np.int16), RATE, ""), [0.25])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"hello, this is no sound", ["x.wav, row 3", "cannot be read as sound"]),
        (b"", ["x.wav, row 3", "cannot be read as sound"]),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", ["x.wav, row 3", "cannot be read as sound"]),
    ],
)
def test_what_is_no_sound_is_refused_by_name(content, words):
    with pytest.raises(DataError) as error:
        audio.read(content, "x.wav, row 3")
    assert all(word in str(error.value) for word in words)


def cut_short(path):
    soundfile.write(path, tone("abc"), RATE)
    whole = path.read_bytes()
    return whole[: len(whole) // 2]


def test_of_a_wav_file_cut_short_what_is_there_is_taken(tmp_path):
    found = audio.read(cut_short(tmp_path / "a.wav"), "a.wav")
    assert 0.3 * len(tone("abc")) < len(found) < len(tone("abc"))
    assert near(found, tone("abc"), 0.01)


def test_of_an_mp3_file_cut_short_what_is_there_is_taken(tmp_path):
    path = tmp_path / "a.mp3"
    soundfile.write(path, tone("abcabcabc"), RATE)
    whole = path.read_bytes()
    found = audio.read(whole[: len(whole) // 2], "a.mp3")
    assert 0.3 * len(tone("abcabcabc")) < len(found) < 0.8 * len(tone("abcabcabc"))


def test_a_flac_file_cut_short_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"a\.flac: cannot be read as sound"):
        audio.read(cut_short(tmp_path / "a.flac"), "a.flac")


@pytest.mark.parametrize(
    ("samples", "words"),
    [(np.array([0, np.nan]), "no numbers"), (np.array([np.inf]), "no numbers"), (np.zeros(0), "no sound")],
)
def test_samples_that_cannot_be_heard_are_refused(samples, words):
    with pytest.raises(DataError, match=words):
        audio.at_rate(samples, RATE, "a.wav")


def test_recordings_of_a_folder_and_of_a_zip_file_are_the_same(tmp_path):
    inside = tmp_path / "set" / "deep"
    inside.mkdir(parents=True)
    soundfile.write(inside / "a.wav", tone("a"), RATE)
    (tmp_path / "set" / "notes.txt").write_text("no recording")
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.write(inside / "a.wav", "deep/a.wav")
    folder, archive = audio.Folder(tmp_path / "set"), audio.Folder(tmp_path / "set.zip")
    assert folder.names() == archive.names() == ["deep/a.wav"]
    np.testing.assert_array_equal(folder.read("deep/a.wav", ""), archive.read("deep/a.wav", ""))
    for one in (folder, archive):
        with pytest.raises(DataError, match=r"row 2: no recording b\.wav"):
            one.require("b.wav", "list.csv, row 2")


def test_recordings_are_kept_once_and_come_back_to_16_bits(tmp_path):
    sounds = [tone("a"), tone("bc")]
    path, lengths = audio.kept(("key",), iter(sounds), tmp_path)
    again, _ = audio.kept(("key",), iter([]), tmp_path)
    assert again == path
    assert lengths.tolist() == [len(sound) for sound in sounds]
    store = audio.opened(str(path))
    np.testing.assert_allclose(audio.samples_of(store, lengths[0], lengths[1]), sounds[1], atol=1e-4)
    other, _ = audio.kept(("other",), iter(sounds[:1]), tmp_path)
    assert other != path


def test_what_fails_half_way_is_not_kept(tmp_path):
    def failing():
        yield tone("a")
        raise DataError("the second is broken")

    with pytest.raises(DataError):
        audio.kept(("key",), failing(), tmp_path)
    assert list(tmp_path.iterdir()) == []
