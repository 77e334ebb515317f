"""Files that cannot be read are named with their conversion; .wav files with a wrong size are read."""

from __future__ import annotations

import numpy as np
import pytest

from shared.errors import DataError
from tasks.speech import audio
from tasks.speech.containers import SIZE_CORRECT, SIZE_WRONG, TRUNCATED, conversion_command
from tests.tasks.speech.conftest import tone
from tests.tasks.speech.wav_files import chunk, pcm, wav

SAMPLES = tone("ab")
DATA = pcm(SAMPLES)


@pytest.mark.parametrize("is_path", [True, False])
@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (wav(DATA), SIZE_CORRECT),
        (wav(DATA, size=0), SIZE_WRONG),
        (wav(DATA, size=0xFFFFFFFF, before=chunk(b"LIST", b"INFOISFT" + bytes(18))), SIZE_WRONG),
        (wav(DATA, size=0x7FFFF000), SIZE_WRONG),
        (wav(DATA, size=3200), SIZE_WRONG),
        (wav(DATA, before=chunk(b"LIST", b"INFOx")), SIZE_CORRECT),
        (wav(DATA, before=chunk(b"junk", b"abcde", is_padded=False)), SIZE_CORRECT),
        (wav(DATA, after=chunk(b"LIST", b"INFOx")), SIZE_CORRECT),
        (wav(DATA, after=bytes(8000)), SIZE_CORRECT),
        (wav(DATA, after=b"TAG" + bytes(range(125))), SIZE_CORRECT),
        (wav(DATA + b"\0"), SIZE_CORRECT),
        (wav(DATA + DATA)[: len(wav(DATA))], TRUNCATED),
    ],
)
def test_the_samples_of_a_wav_file_are_found_whatever_its_header_states(tmp_path, content, problem, is_path):
    (tmp_path / "a.wav").write_bytes(content)
    recording = audio.decode(tmp_path / "a.wav" if is_path else content, "a.wav")
    assert abs(len(recording.samples) - len(SAMPLES)) <= 1
    np.testing.assert_allclose(recording.samples[: len(SAMPLES)], SAMPLES, atol=1e-4)
    assert recording.measurements["size_problem"] == problem


def test_a_wav_file_without_samples_stays_empty():
    for content in (wav(b""), wav(b"", after=chunk(b"LIST", b"INFOx")), wav(b"", size=0)):
        with pytest.raises(DataError, match="has no samples"):
            audio.read(content, "a.wav")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("call.m4a", b"\0\0\0\x20ftypM4A " + bytes(50), "Convert it: ffmpeg -i call.m4a call.flac"),
        ("call.wav", b"\0\0\0\x20ftypM4A " + bytes(50), "MPEG-4 .*: ffmpeg -i call.wav call.flac"),
        ("my call.aac", b"\xff\xf1\x50\x80" + bytes(50), "ffmpeg -i 'my call.aac' 'my call.flac'"),
        ("call.amr", b"#!AMR\n" + bytes(50), "AMR .*: ffmpeg -i call.amr call.flac"),
        ("call.webm", b"\x1aE\xdf\xa3" + bytes(50), "WebM .*: ffmpeg -i call.webm call.flac"),
        ("call.wma", b"0&\xb2u\x8ef\xcf\x11" + bytes(50), "Windows Media .*: ffmpeg -i call.wma call.flac"),
        ("call.g722", bytes(50), "cannot be read as audio .*ffmpeg -i call.g722 call.flac"),
        ("call.raw", bytes(50), "ffmpeg -f s16le -ar 16000 -ac 1 -i call.raw call.flac"),
        ("call.wav", wav(bytes(50), tag=0x161), "cannot be read as audio .*ffmpeg -i call.wav call.flac"),
        ("call.sph", b"NIST_1A\n   1024\nsample_coding -s4 lpc \nend_head\n".ljust(2048), "sph2pipe -f rif call.sph"),
        ("call.wav", b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(50), "a JPEG picture"),
        ("call.wav", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("call.mp3", b"<!DOCTYPE html><title>404", "a web page. Download"),
        ("call.wav", b"", "the file is empty"),
    ],
)
def test_a_file_that_cannot_be_read_is_explained(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=f"row 3: .*{message}"):
        audio.read(tmp_path / name, "row 3")


def test_bytes_without_a_name_get_a_name_with_their_suffix():
    with pytest.raises(DataError, match=r"ffmpeg -i recording\.amr recording\.flac"):
        audio.read(b"#!AMR\n" + bytes(50), "request")


def test_a_flac_file_is_not_converted_to_itself():
    assert conversion_command("C:\\calls\\a.flac") == "ffmpeg -i a.flac a.wav"
