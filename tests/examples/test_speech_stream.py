"""The example writes, from a file and from raw samples, what the whole recording gives."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
import tensorflow as tf

from examples import speech_stream
from shared import export
from tasks.speech import serving
from tests.tasks.speech.conftest import ALPHABET, CONFIG, STREAMING, stirred, tone


def exported(config, folder):
    metadata = {"task": "speech", "audio": {}, "alphabet": ALPHABET}
    return export.publish(serving.export_spec(stirred(config).whole(), metadata), folder)


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    return exported(STREAMING, tmp_path_factory.mktemp("speech"))


def test_file_and_raw_samples_give_the_text_of_the_whole(version, tmp_path):
    samples = np.round(np.concatenate([tone("cab"), tone("bca")]) * 2**15).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", samples, speech_stream.RATE)
    signature = tf.saved_model.load(str(version)).signatures["serving_default"]
    sound = tf.constant(samples[None] / np.float32(2**15), tf.float32)
    whole = signature(samples=sound, length=tf.constant([len(samples)]))["text"].numpy()[0].decode()
    assert len(whole) > 3
    sources = (speech_stream.of_file(str(tmp_path / "a.wav")), speech_stream.of_raw(io.BytesIO(samples.tobytes())))
    for chunks in sources:
        pieces = list(speech_stream.said(speech_stream.Listener(str(version)), chunks))
        assert "".join(pieces) == whole
        assert pieces[0] != whole


def test_a_model_of_whole_utterances_is_refused(tmp_path):
    version = exported(CONFIG, tmp_path)
    with pytest.raises(SystemExit, match="--preset streaming"):
        speech_stream.Listener(str(version))
