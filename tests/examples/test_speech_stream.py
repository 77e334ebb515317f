"""The example writes the text of the whole recording, from a file and from raw samples."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
import soundfile
import tensorflow as tf

from examples import speech_stream
from shared.export import publishing
from tasks.speech import serving
from tasks.speech.decoder import load_decoder
from tests.tasks.speech.conftest import CONFIG, STREAMING, babble, randomized, tone
from tests.tasks.speech.test_decoder import metadata_with


def export_version(config, folder):
    metadata = metadata_with(["cab", "bca cab"], is_closed=False, weight=0.2)
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


def test_a_stream_with_the_language_model_gives_the_text_of_the_beam_search(version):
    samples = babble(40_000)
    chunks = [samples[start : start + 1600] for start in range(0, len(samples), 1600)]
    lines = list(speech_stream.transcribe_chunks(speech_stream.LineTranscriber(str(version)), chunks))
    signature = tf.saved_model.load(str(version)).signatures["log_probabilities"]
    outputs = signature(samples=tf.constant(samples[None]), length=tf.constant([len(samples)]))
    decoder = load_decoder(json.loads((version / "task.json").read_text()))
    complete = [text for text, is_complete in lines if is_complete]
    assert complete == [decoder.text(outputs["log_probabilities"].numpy()[0])]
    assert len(complete[0]) > 3


def test_a_pause_ends_a_line(version):
    transcriber = speech_stream.LineTranscriber(str(version))
    pause = np.log(np.array([[0.96, 0.01, 0.01, 0.01, 0.01]] * 25, np.float32))
    transcriber.stream.run = lambda samples, last: {"log_probabilities": pause, "step_count": 25}
    assert transcriber.transcribe(np.zeros(0)) == ("", True)


def test_a_bidirectional_model_is_rejected(tmp_path):
    version = export_version(CONFIG, tmp_path)
    with pytest.raises(SystemExit, match="--preset streaming"):
        speech_stream.StreamTranscriber(str(version))
