"""The example writes the text of the whole recording, from a file and from raw samples."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
import tensorflow as tf

from examples import speech_stream
from shared.export import publishing
from tasks.speech import serving
from tests.tasks.speech.conftest import ALPHABET, CONFIG, STREAMING, randomized, tone


def export_version(config, folder):
    metadata = {"task": "speech", "columns": {}, "alphabet": ALPHABET}
    return publishing.publish(serving.export_spec(randomized(config).full_model(), metadata), folder)


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    return export_version(STREAMING, tmp_path_factory.mktemp("speech"))


def test_a_file_and_raw_samples_give_the_text_of_the_whole_recording(version, tmp_path):
    samples = np.round(np.concatenate([tone("cab"), tone("bca")]) * 2**15).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", samples, speech_stream.SAMPLE_RATE)
    signature = tf.saved_model.load(str(version)).signatures["serving_default"]
    float_samples = tf.constant(samples[None] / np.float32(2**15), tf.float32)
    outputs = signature(samples=float_samples, length=tf.constant([len(samples)]))
    whole_text = outputs["text"].numpy()[0].decode()
    assert len(whole_text) > 3
    sources = (
        speech_stream.read_file(str(tmp_path / "a.wav")),
        speech_stream.read_stream(io.BytesIO(samples.tobytes())),
    )
    for chunks in sources:
        transcriber = speech_stream.StreamTranscriber(str(version))
        texts = list(speech_stream.transcribe_chunks(transcriber, chunks))
        assert "".join(texts) == whole_text
        assert texts[0] != whole_text


def test_a_bidirectional_model_is_rejected(tmp_path):
    version = export_version(CONFIG, tmp_path)
    with pytest.raises(SystemExit, match="--preset streaming"):
        speech_stream.StreamTranscriber(str(version))
