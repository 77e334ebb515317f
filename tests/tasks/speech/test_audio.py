"""Recordings of any format give the same samples; a file that is not audio is rejected by name."""

from __future__ import annotations

import tracemalloc
import zipfile

import numpy as np
import pytest
import soundfile

from shared.errors import DataError
from tasks.speech import audio, folders
from tasks.speech.timing import SAMPLE_RATE
from tests.tasks.speech.conftest import tone


def is_close(samples, expected, tolerance=0.02):
    """Returns whether two recordings are equal except at their ends, where resampling causes ripples."""
    size = min(len(samples), len(expected))
    return np.sqrt(np.mean((samples[200 : size - 200] - expected[200 : size - 200]) ** 2)) < tolerance


@pytest.mark.parametrize(
    ("name", "subtype"),
    [
        ("a.wav", "PCM_16"),
        ("a.wav", "PCM_24"),
        ("a.wav", "FLOAT"),
        ("a.wav", "PCM_32"),
        ("a.wav", "PCM_U8"),
        ("a.wav", "ULAW"),
        ("a.wav", "ALAW"),
        ("a.aiff", None),
        ("a.au", None),
        ("a.w64", None),
        ("a.caf", None),
        ("a.flac", "PCM_16"),
        ("a.ogg", None),
        ("a.mp3", None),
    ],
)
@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
def test_any_format_and_sample_rate_gives_the_same_samples(tmp_path, name, subtype, rate):
    expected = tone("ab")
    soundfile.write(tmp_path / name, resample(expected, rate), rate, subtype=subtype)
    samples = audio.read(tmp_path / name, name)
    assert samples.dtype == np.float32
    assert abs(len(samples) - len(expected)) < (0.1 * SAMPLE_RATE if name == "a.mp3" else 10)
    if name != "a.mp3":  # mp3 shifts the samples by some of its frames
        assert is_close(samples, expected)
    assert audio.read((tmp_path / name).read_bytes(), name).shape == samples.shape


@pytest.mark.parametrize("subtype", ["GSM610", "IMA_ADPCM", "MS_ADPCM", "G721_32"])
def test_encodings_in_blocks_are_read(tmp_path, subtype):
    soundfile.write(tmp_path / "a.wav", tone("ab"), SAMPLE_RATE, subtype=subtype)
    samples = audio.read(tmp_path / "a.wav", "a.wav")
    assert 0 <= len(samples) - len(tone("ab")) < 2000  # the last block is complete
    assert is_close(samples, tone("ab"), 0.15)


def resample(samples, rate):
    import librosa

    return samples if rate == SAMPLE_RATE else librosa.resample(samples, orig_sr=SAMPLE_RATE, target_sr=rate)


def test_channels_are_averaged(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.stack([tone("a"), -tone("a")], axis=1), SAMPLE_RATE, subtype="FLOAT")
    np.testing.assert_allclose(audio.read(tmp_path / "a.wav", "a"), 0, atol=1e-6)


def test_a_channel_can_be_selected(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.stack([tone("a"), -tone("a")], axis=1), SAMPLE_RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "mono.wav", tone("a"), SAMPLE_RATE, subtype="FLOAT")
    np.testing.assert_allclose(audio.read(tmp_path / "a.wav", "a", "1"), -tone("a"), atol=1e-6)
    np.testing.assert_allclose(audio.read(tmp_path / "mono.wav", "a", "1"), tone("a"), atol=1e-6)
    message = r"row 3: there is no channel 2; the channels of the recording are 0 to 1. Change --audio.channel"
    with pytest.raises(DataError, match=message):
        audio.read(tmp_path / "a.wav", "row 3", "2")


@pytest.mark.parametrize(("name", "options"), [("a.sph", {"format": "NIST"}), ("a.rf64", {"format": "RF64"})])
def test_formats_that_a_suffix_does_not_name_are_read(tmp_path, name, options):
    soundfile.write(tmp_path / name, tone("ab"), SAMPLE_RATE, **options)
    np.testing.assert_allclose(audio.read(tmp_path / name, name), tone("ab"), atol=1e-4)


@pytest.mark.parametrize(
    ("name", "rate", "options"),
    [
        *(("a.flac", rate, {}) for rate in (8_000, 16_000, 44_100, 48_000)),
        ("a.mp3", 44_100, {}),
        ("a.ogg", 48_000, {"subtype": "OPUS"}),
    ],
)
def test_blocks_are_those_of_the_whole_recording(tmp_path, name, rate, options):
    samples = np.random.default_rng(0).normal(0, 0.1, (7 * rate + 5, 2))
    soundfile.write(tmp_path / name, samples, rate, **options)
    decoded = soundfile.read(tmp_path / name, dtype="float32")[0].mean(axis=1)
    expected = np.clip(resample_at_once(decoded, rate), -1, 1)
    whole = audio.read(tmp_path / name, name)
    np.testing.assert_allclose(whole[: len(expected)], expected, atol=1e-4)
    for seconds in (0.3, 2.5, 100):
        blocks = list(audio.read_blocks(tmp_path / name, seconds))
        assert {len(block) for block in blocks[:-1]} <= {round(seconds * SAMPLE_RATE)}
        np.testing.assert_array_equal(np.concatenate(blocks), whole)


def resample_at_once(samples, rate):
    import soxr

    return soxr.resample(samples, rate, SAMPLE_RATE, quality="HQ")


def test_memory_does_not_grow_with_the_length_of_a_recording(tmp_path):
    with soundfile.SoundFile(tmp_path / "long.wav", "w", 48_000, 2, subtype="PCM_16") as file:
        for _ in range(120):
            file.write(np.zeros((48_000, 2), np.int16))
    tracemalloc.start()
    count = sum(map(len, audio.read_blocks(tmp_path / "long.wav", 10)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 120 * SAMPLE_RATE
    assert peak < 12e6  # the whole recording has 46 MB, and 8 MB at 16 kHz


def test_a_long_recording_is_rejected_only_where_a_limit_is_given(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone("a"), SAMPLE_RATE)
    assert len(audio.decode(tmp_path / "a.wav", "a.wav").samples) == len(tone("a"))
    with pytest.raises(DataError, match=r"a\.wav: the recording is longer than .* hour. Cut it at pauses"):
        audio.decode(tmp_path / "a.wav", "a.wav", max_seconds=0.1)


def test_floating_point_samples_that_are_integers_are_rejected(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone("a") * 32768, SAMPLE_RATE, subtype="FLOAT")
    with pytest.raises(DataError, match=r"a\.wav: floating-point samples must be in \[-1, 1\].*Divide 16-bit samples"):
        audio.read(tmp_path / "a.wav", "a.wav")


def test_samples_outside_the_range_are_clipped(tmp_path):
    soundfile.write(tmp_path / "a.wav", 5 * tone("a"), SAMPLE_RATE, subtype="FLOAT")
    assert np.abs(audio.read(tmp_path / "a.wav", "a")).max() == 1


def test_integers_of_any_depth_are_scaled():
    samples = np.array([0, 2**14, -(2**14)])
    as_in_tfds = samples.astype(np.int64)
    np.testing.assert_allclose(audio.convert_samples(as_in_tfds, SAMPLE_RATE, ""), [0, 0.5, -0.5])
    np.testing.assert_allclose(audio.convert_samples(samples.astype(np.int16), SAMPLE_RATE, ""), [0, 0.5, -0.5])
    int32 = samples.astype(np.int32) * 2**16
    np.testing.assert_allclose(audio.convert_samples(int32, SAMPLE_RATE, ""), [0, 0.5, -0.5])
    np.testing.assert_allclose(audio.convert_samples(np.array([0, -(2**15)], np.int64), SAMPLE_RATE, ""), [0, -1])
    np.testing.assert_allclose(audio.convert_samples(np.array([[2**14, 0]], np.int16), SAMPLE_RATE, ""), [0.25])


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b"hello, this is not audio", ["x.wav, row 3", "cannot be read as audio"]),
        (b"", ["x.wav, row 3", "the file is empty"]),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", ["x.wav, row 3", "cannot be read as audio"]),
    ],
)
def test_a_file_that_is_not_audio_is_rejected_by_name(content, parts):
    with pytest.raises(DataError) as error:
        audio.read(content, "x.wav, row 3")
    assert all(part in str(error.value) for part in parts)


def first_half(path):
    soundfile.write(path, tone("abc"), SAMPLE_RATE)
    content = path.read_bytes()
    return content[: len(content) // 2]


def test_a_truncated_wav_file_gives_the_samples_that_it_has(tmp_path):
    samples = audio.read(first_half(tmp_path / "a.wav"), "a.wav")
    assert 0.3 * len(tone("abc")) < len(samples) < len(tone("abc"))
    assert is_close(samples, tone("abc"), 0.01)


def test_a_truncated_mp3_file_gives_the_samples_that_it_has(tmp_path):
    path = tmp_path / "a.mp3"
    soundfile.write(path, tone("abcabcabc"), SAMPLE_RATE)
    content = path.read_bytes()
    samples = audio.read(content[: len(content) // 2], "a.mp3")
    assert 0.3 * len(tone("abcabcabc")) < len(samples) < 0.8 * len(tone("abcabcabc"))


def test_a_truncated_flac_file_is_rejected(tmp_path):
    with pytest.raises(DataError, match=r"a\.flac: cannot be read as audio"):
        audio.read(first_half(tmp_path / "a.flac"), "a.flac")


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.array([0, np.nan]), "NaN or infinite"),
        (np.array([np.inf]), "NaN or infinite"),
        (np.zeros(0), "has no samples"),
    ],
)
def test_unusable_samples_are_rejected(samples, message):
    with pytest.raises(DataError, match=f"a.wav: the recording .*{message}"):
        audio.convert_samples(samples, SAMPLE_RATE, "a.wav")


def test_a_folder_and_a_zip_file_give_the_same_recordings(tmp_path):
    subfolder = tmp_path / "set" / "deep"
    subfolder.mkdir(parents=True)
    soundfile.write(subfolder / "a.wav", tone("a"), SAMPLE_RATE)
    (tmp_path / "set" / "notes.txt").write_text("not a recording")
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.write(subfolder / "a.wav", "deep/a.wav")
    folder, archive = folders.Folder(tmp_path / "set"), folders.Folder(tmp_path / "set.zip")
    assert folder.names() == archive.names() == ["deep/a.wav"]
    np.testing.assert_array_equal(folder.read("deep/a.wav", ""), archive.read("deep/a.wav", ""))
    paths = [str(tmp_path / name / "deep" / "a.wav") for name in ("set", "set.zip")]
    one, other = (np.concatenate(list(folders.open_path(path)[0])) for path in paths[:2])
    np.testing.assert_array_equal(one, other)
    for source in (folder, archive):
        with pytest.raises(DataError, match=r"row 2: there is no recording b\.wav"):
            source.require("b.wav", "list.csv, row 2")
    with pytest.raises(DataError, match=r"b\.wav: there is no recording b\.wav in .*set\.zip"):
        folders.open_path(str(tmp_path / "set.zip" / "b.wav"))


def test_recordings_are_cached_once_with_16_bits(tmp_path):
    sounds = [tone("a"), tone("bc")]
    path, lengths = audio.cache_recordings(("key",), iter(sounds), tmp_path)
    same_path, _ = audio.cache_recordings(("key",), iter([]), tmp_path)
    assert same_path == path
    assert lengths.tolist() == [len(sound) for sound in sounds]
    cache = audio.open_cache(str(path))
    np.testing.assert_allclose(audio.get_samples(cache, lengths[0], lengths[1]), sounds[1], atol=1e-4)
    other_path, _ = audio.cache_recordings(("other",), iter(sounds[:1]), tmp_path)
    assert other_path != path


def test_measurements_are_cached_with_the_samples(tmp_path):
    recordings = [audio.Recording(tone("a"), {"channels": 2}), audio.Recording(tone("bc"), {"channels": 1})]
    for source in (recordings, []):
        _, table = audio.cache_measured(("key",), source, tmp_path)
        assert table["channels"].tolist() == [2, 1]
        assert table["length"].tolist() == [len(tone("a")), len(tone("bc"))]


def test_nothing_is_cached_after_an_error(tmp_path):
    def fail_at_the_second():
        yield tone("a")
        raise DataError("the second recording is broken")

    with pytest.raises(DataError):
        audio.cache_recordings(("key",), fail_at_the_second(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_long_recording_is_read_in_blocks_and_a_short_one_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "MAX_KEPT_SECONDS", 1.0)
    monkeypatch.setattr(folders, "BLOCK_SECONDS", 0.5)
    samples = np.random.default_rng(0).normal(0, 0.1, 2 * SAMPLE_RATE).astype(np.float32)
    for name, part in (("long.wav", samples), ("short.wav", samples[:8000])):
        soundfile.write(tmp_path / name, part, SAMPLE_RATE, subtype="FLOAT")
    long, measured = folders.open_path(str(tmp_path / "long.wav"))
    assert [len(block) for block in long] == [8000] * 4
    np.testing.assert_allclose(np.concatenate(list(long)), samples, atol=1e-6)
    assert measured == {}
    (short,), measured = folders.open_path(str(tmp_path / "short.wav"))
    assert len(short) == 8000
    assert measured


def test_a_mistake_at_the_end_of_a_long_recording_is_found_when_it_is_opened(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "MAX_KEPT_SECONDS", 1.0)
    samples = np.zeros(2 * SAMPLE_RATE, np.float32)
    samples[-1] = np.nan
    soundfile.write(tmp_path / "nan.wav", samples, SAMPLE_RATE, subtype="FLOAT")
    with pytest.raises(DataError, match="NaN"):
        folders.open_path(str(tmp_path / "nan.wav"))
