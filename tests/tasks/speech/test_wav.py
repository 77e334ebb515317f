"""The graph decodes .wav files as `audio.read` does."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
import tensorflow as tf

from tasks.speech import audio, sample, serving, wav
from tests.tasks.speech import wav_files
from tests.tasks.speech.conftest import ALPHABET, tone

TONE = tone("ab")
DATA = wav_files.pcm(TONE)


@pytest.fixture(scope="module")
def decode():
    function = tf.function(wav.decode_wav, input_signature=[tf.TensorSpec([], tf.string)])
    return lambda content: function(tf.constant(content)).numpy()


@pytest.fixture(scope="module")
def speech():
    return sample.speak("seven three left")


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 16_001])
def test_speech_at_any_rate_equals_that_of_libsndfile_and_soxr(decode, speech, rate, channels):
    import soxr

    samples = soxr.resample(speech, 16_000, rate)
    file = io.BytesIO()
    gains = np.linspace(0.5, 1, channels)
    soundfile.write(file, samples[:, None] * gains, rate, format="WAV", subtype="PCM_16")
    expected = audio.read(file.getvalue(), "a.wav")
    actual = decode(file.getvalue())
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, atol=5e-4)


@pytest.mark.parametrize(
    "content",
    [
        wav_files.wav(DATA, size=0),
        wav_files.wav(DATA, size=0xFFFFFFFF, before=wav_files.chunk(b"LIST", b"INFOISFT" + bytes(18))),
        wav_files.wav(DATA, before=wav_files.chunk(b"LIST", b"INFOx")),
        wav_files.wav(DATA, after=wav_files.chunk(b"LIST", b"INFOx")),
        wav_files.wav(DATA, tag=0xFFFE),
        wav_files.wav(DATA + b"\0"),
    ],
)
def test_any_header_is_read(decode, content):
    np.testing.assert_allclose(decode(content), TONE, atol=1e-4)


@pytest.mark.parametrize(
    ("content", "received"),
    [
        (b"", "no .wav file with samples"),
        (b"\xff\xd8\xff\xe0" + bytes(100), "no .wav file with samples"),
        (wav_files.wav(b""), "0 samples per channel"),
        (wav_files.wav(DATA, bits=24), "format 1, 1 channels, 16000 Hz, 24 bits"),
        (wav_files.wav(DATA, tag=3, bits=32), "format 3, 1 channels, 16000 Hz, 32 bits"),
        (wav_files.wav(DATA, rate=1), "1 Hz"),
        (wav_files.wav(DATA, rate=2_000_000_000), "2000000000 Hz"),
        (wav_files.wav(DATA, channels=0), "0 channels"),
        (wav_files.wav(DATA)[:30], "no .wav file with samples"),
        (wav_files.wav(DATA, before=wav_files.chunk(b"junk", b"") * 2000), "no .wav file with samples"),
    ],
)
def test_other_bytes_are_an_error_that_says_what_was_received(decode, content, received):
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        decode(content)
    assert "wav must hold 16-bit PCM .wav files" in str(error.value)
    assert received in str(error.value)


def test_the_channel_of_the_model_is_used():
    samples = np.stack([TONE, -TONE], axis=1)
    stereo = wav_files.wav(wav_files.pcm(samples), channels=2)
    np.testing.assert_allclose(wav.decode_wav(tf.constant(stereo)), 0, atol=1e-4)
    np.testing.assert_allclose(wav.decode_wav(tf.constant(stereo), "1"), -TONE, atol=1e-4)
    np.testing.assert_allclose(wav.decode_wav(tf.constant(wav_files.wav(DATA)), "1"), TONE, atol=1e-4)
    with pytest.raises(tf.errors.InvalidArgumentError, match="there is no channel 2; the recording has 2 channels"):
        wav.decode_wav(tf.constant(stereo), "2")


def test_files_of_different_length_have_the_outputs_of_serving_default(builder):
    metadata = {"task": "speech", "alphabet": ALPHABET}
    signatures = serving.export_spec(builder.full_model(), metadata).signatures
    recordings = [tone("cab"), tone("b"), tone("ca")]
    files = [wav_files.wav(wav_files.pcm(samples)) for samples in recordings]
    outputs = signatures["transcribe_wav"].function(wav=tf.constant(files))
    for row, content in enumerate(files):
        samples = audio.read(content, "a.wav")
        expected = signatures["serving_default"].function(
            samples=tf.constant(samples[None]), length=tf.constant([len(samples)])
        )
        assert outputs["text"][row] == expected["text"][0]
        np.testing.assert_allclose(outputs["confidence"][row], expected["confidence"][0], atol=1e-5)
