"""A recording in the body of a request gives the transcript of `predict`, in several formats."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
import soundfile
import tensorflow as tf

from shared.errors import DataError
from shared.export import publishing
from tasks.speech import media, serving
from tasks.speech.config import PredictOptions
from tasks.speech.timing import SAMPLE_RATE
from tests.shared.serving.conftest import start_server
from tests.tasks.speech.conftest import CONFIG, babble, randomized
from tests.tasks.speech.test_decoder import metadata_with

METADATA = metadata_with(["cab", "bca cab"], is_closed=False, weight=0.2) | {"task": "speech", "columns": {}}


def encoded(samples, file_format="WAV", rate=SAMPLE_RATE):
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=file_format)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def spec():
    return serving.export_spec(randomized(CONFIG).full_model(), METADATA)


@pytest.fixture(scope="module")
def call(spec):
    def run(signature, request):
        outputs = spec.signatures[signature].function(**{name: tf.constant(value) for name, value in request.items()})
        return {name: value.numpy() for name, value in outputs.items()}

    return run


@pytest.mark.parametrize("file_format", ["WAV", "FLAC", "OGG"])
def test_a_recording_of_any_format_gives_its_transcript(call, file_format):
    content, media_type = media.respond(call, METADATA, encoded(babble(40_000), file_format), {})
    result = json.loads(content)
    assert media_type == "application/json"
    assert len(result["text"]) > 2
    assert result["text"].split() == [word["word"] for part in result["segments"] for word in part["words"]]


def test_the_text_is_that_of_predict(call):
    samples = np.round(babble(40_000).clip(-1, 1) * 2**15 / 2) / 2**15
    content, _ = media.respond(call, METADATA, encoded(samples), {"language_model": "false"})
    options = PredictOptions(language_model=False)
    predictor = lambda request: call("log_probabilities", request)  # noqa: E731
    expected = serving.predict([[samples.astype(np.float32)]], METADATA, predictor, options)["text"][0]
    assert json.loads(content)["text"] == expected


def test_options_choose_format_and_words(call):
    content, media_type = media.respond(call, METADATA, encoded(babble(40_000)), {"format": "srt"})
    assert b"-->" in content
    assert media_type.startswith("application/x-subrip")
    hot = {"hot_words": "aaa,bbb", "hot_word_weight": "40"}
    text = json.loads(media.respond(call, METADATA, encoded(babble(40_000)), hot)[0])["text"]
    assert {"aaa", "bbb"} & set(text.split())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"form": "srt"}, "There is no option form"),
        ({"format": "doc"}, "format must be one of json, txt, srt, vtt"),
        ({"channel": "left"}, "channel must be mean or the number of a channel"),
        ({"language_model": "maybe"}, "language_model must be true or false"),
        ({"hot_word_weight": "much"}, "hot_word_weight must be a number"),
        ({"hot_word_weight": "nan"}, "hot_word_weight must be from 0 to 100"),
        ({"hot_words": "dog"}, "the model cannot write"),
    ],
)
def test_a_wrong_option_is_named(call, options, message):
    with pytest.raises(DataError, match=message):
        media.respond(call, METADATA, encoded(babble(8000)), options)


def test_the_server_takes_recordings(spec, tmp_path):
    publishing.publish(spec, tmp_path / "speech")
    client = start_server(tmp_path)
    try:
        path, body = "/v1/models/speech:predict", encoded(babble(40_000), "FLAC")
        status, result = client.http("POST", path, body, {"Content-Type": "audio/flac"})
        assert (status, len(result["text"]) > 2) == (200, True)
        status, text = client.http("POST", f"{path}?format=txt", body, {"Content-Type": "audio/flac"})
        assert (status, text.split()) == (200, result["text"].split())
        status, error = client.http("POST", path, b"no sound", {"Content-Type": "audio/wav"})
        assert status == 400
        assert "the body" in error["error"]
        status, error = client.http("POST", path, body, {"Content-Type": "image/png"})
        assert status == 400
        assert "does not take a body of the type image/png" in error["error"]
        missing = client.http("POST", "/v1/models/none:predict", body, {"Content-Type": "audio/wav"})
        assert missing[0] == 404
    finally:
        client.server.stop()
