"""The signatures for whole recordings and for streams, and the files of `predict`."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import soundfile
import tensorflow as tf

from shared.data.notices import collect_notices
from shared.decoding.ctc_greedy import GreedyDecoder
from shared.errors import DataError
from shared.task import Inputs, trained_config
from tasks.speech import audio, folders, serving
from tasks.speech.batches import pad_rows
from tasks.speech.config import PredictOptions
from tasks.speech.decoder import load_decoder
from tasks.speech.evaluate import score
from tasks.speech.inputs import READERS
from tasks.speech.serving import STEP_SECONDS
from tasks.speech.timing import SAMPLE_RATE
from tests.shared.decoding.sequences import log_probabilities_of
from tests.tasks.speech.conftest import ALPHABET, babble, tone

OPTIONS = PredictOptions()

METADATA = {
    "task": "speech",
    "alphabet": ALPHABET,
    "columns": {"file": "path", "text": "sentence"},
    "language_model": None,
    "confidence": {name: {"calibration": [1.0, 0.0], "minimum": 0.0} for name in ("greedy", "language_model")},
}


@pytest.fixture
def signatures(streaming_builder):
    return serving.export_spec(streaming_builder.full_model(), METADATA).signatures


def transcribe(signatures, samples):
    outputs = signatures["serving_default"].function(
        samples=tf.constant(samples[None]), length=tf.constant([len(samples)], tf.int32)
    )
    return outputs["text"].numpy()[0].decode()


def transcribe_stream(signatures, samples, sizes):
    """Returns the text of a recording in chunks of these sizes, which repeat."""
    step = tf.function(signatures["step"].function)
    state = tf.zeros_like(signatures["step"].example_request["state"][:1])
    text, start, k = "", 0, 0
    while start < len(samples):
        size = sizes[k % len(sizes)]
        chunk = samples[start : start + size]
        outputs = step(
            samples=tf.constant(np.pad(chunk, (0, max(sizes) - len(chunk)), constant_values=0.5)[None]),
            length=tf.constant([len(chunk)], tf.int32),
            last=tf.constant([start + size >= len(samples)]),
            state=state,
        )
        state, text = outputs["state"], text + outputs["text"].numpy()[0].decode()
        start, k = start + size, k + 1
    np.testing.assert_array_equal(state, 0)
    return text


@pytest.mark.parametrize("sizes", [(1600,), (1,), (640,), (7, 1471, 333), (5000,), (100_000,)])
def test_chunks_of_any_size_give_the_text_of_the_whole_recording(signatures, sizes):
    count = 1500 if sizes == (1,) else 37_777
    samples = babble(count)
    expected = transcribe(signatures, samples)
    assert len(expected) > (0 if sizes == (1,) else 5)
    assert transcribe_stream(signatures, samples, sizes) == expected


def test_a_stream_does_not_depend_on_another_stream_that_waits(signatures):
    samples = tone("cab")
    step = signatures["step"]
    state = tf.zeros((2, step.example_request["state"].shape[1]))
    text = ""
    for start in range(0, len(samples), 1600):
        chunk = samples[start : start + 1600]
        both, _ = pad_rows([chunk, np.zeros(1600, np.float32)], np.float32)
        outputs = step.function(
            samples=tf.constant(both),
            length=tf.constant([len(chunk), 0], tf.int32),
            last=tf.constant([start + 1600 >= len(samples), False]),
            state=state,
        )
        state, text = outputs["state"], text + outputs["text"].numpy()[0].decode()
        assert outputs["text"].numpy()[1] == b""
    assert text == transcribe(signatures, samples)


def test_the_times_of_words_are_their_steps_in_seconds():
    log_probabilities = log_probabilities_of("__aab_ _ bb_bc_ ", ALPHABET)[None]
    outputs = serving.decode_recordings(GreedyDecoder(ALPHABET), log_probabilities, tf.constant([16]))
    assert list(outputs) == ["text", "confidence", "words", "word_confidence", "start", "end"]
    np.testing.assert_allclose(outputs["start"][0], np.array([2, 9, *[0] * 6]) * STEP_SECONDS, rtol=1e-6)
    np.testing.assert_allclose(outputs["end"][0], np.array([5, 14, *[0] * 6]) * STEP_SECONDS, rtol=1e-6)


@pytest.mark.parametrize(
    "samples",
    [np.zeros(8000), np.full(8000, np.nan), np.full(8000, np.inf), np.full(8000, 1.5), np.zeros(1), np.zeros(0)],
)
def test_any_samples_are_valid(signatures, samples):
    transcribe(signatures, samples.astype(np.float32))


@pytest.mark.parametrize("signature", ["serving_default", "step"])
def test_integers_that_were_not_scaled_are_an_error_of_the_request(signatures, signature):
    request = {name: value.copy() for name, value in signatures[signature].example_request.items()}
    request["samples"][0, 5] = 1200
    function = tf.function(signatures[signature].function)
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"samples must be in \[-1, 1\]; divide 16-bit samples by 32768"
    ):
        function(**{name: tf.constant(value) for name, value in request.items()})


def test_a_model_reads_the_channel_of_its_training(tmp_path):
    metadata = {**METADATA, "audio": {"channel": "1"}}
    soundfile.write(tmp_path / "a.wav", np.stack([tone("a"), tone("b")], 1), SAMPLE_RATE, subtype="FLOAT")
    config = trained_config(metadata)
    inputs = READERS.parse_inputs(config, [str(tmp_path / "a.wav")], metadata, OPTIONS)
    np.testing.assert_allclose(inputs.records[0][0], tone("b"), atol=1e-6)
    (tmp_path / "list.txt").write_text(str(tmp_path / "a.wav"))
    inputs = next(READERS.read_inputs(config, str(tmp_path / "list.txt"), metadata, OPTIONS))
    np.testing.assert_allclose(inputs.records[0][0], tone("b"), atol=1e-6)


def test_channels_that_cancel_each_other_are_a_notice(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.stack([tone("a"), -tone("a")], 1), SAMPLE_RATE)
    with collect_notices() as notices:
        READERS.parse_inputs(trained_config(METADATA), [str(tmp_path / "a.wav")], METADATA, OPTIONS)
    assert "channels that cancel each other" in str(notices[0])
    assert "--audio.channel 0" in str(notices[0])


def test_a_length_greater_than_the_number_of_samples_is_reduced(signatures):
    samples = tone("ab")
    function = signatures["serving_default"].function
    correct, too_great = (
        function(samples=tf.constant(samples[None]), length=tf.constant([n]))["text"] for n in (8000, 99_999)
    )
    assert correct.numpy() == too_great.numpy()


@pytest.fixture
def predictor(signatures):
    function = tf.function(signatures["log_probabilities"].function)  # without it, half an hour of audio takes minutes

    def predict(request):
        outputs = function(**{name: tf.constant(value) for name, value in request.items()})
        return {name: value.numpy() for name, value in outputs.items()}

    return predict


def test_predictions_are_in_the_order_of_the_files(predictor, signatures, tmp_path):
    texts = ["a", "cabc", "bc"]
    paths = []
    for text in texts:
        path = tmp_path / f"{text}.wav"
        soundfile.write(path, tone(text), SAMPLE_RATE, subtype="FLOAT")
        paths.append(str(path))
    inputs = READERS.parse_inputs(trained_config(METADATA), paths, METADATA, OPTIONS)
    outputs = serving.predict(inputs.records, METADATA, predictor, OPTIONS)
    separate = [serving.predict([[tone(text)]], METADATA, predictor, OPTIONS)["text"][0] for text in texts]
    assert outputs["text"].tolist() == separate
    table = serving.prediction_table(inputs, outputs, METADATA, OPTIONS)
    assert list(table) == ["text", "confidence", "words"]
    for text, words in zip(table["text"], table["words"], strict=True):
        assert [word["word"] for word in json.loads(words)] == text.split()


def test_the_greedy_text_of_the_decoder_is_that_of_the_graph(predictor, signatures):
    samples = babble(30_000)
    outputs = predictor({"samples": samples[None], "length": np.array([len(samples)], np.int32)})
    decoded = load_decoder(METADATA).decode(outputs["log_probabilities"][0])
    assert decoded.text == transcribe(signatures, samples)
    assert len(decoded.text) > 5


def test_the_steps_of_a_stream_have_the_log_probabilities_of_the_whole_recording(signatures, predictor):
    samples = babble(20_000)
    whole = predictor({"samples": samples[None], "length": np.array([len(samples)], np.int32)})["log_probabilities"][0]
    step, parts = signatures["step"], []
    state = tf.zeros_like(step.example_request["state"][:1])
    for start in range(0, len(samples), 3000):
        chunk = samples[start : start + 3000]
        is_last = start + 3000 >= len(samples)
        outputs = step.function(
            samples=tf.constant(chunk[None]), length=tf.constant([len(chunk)]), last=tf.constant([is_last]), state=state
        )
        parts.append(outputs["log_probabilities"].numpy()[0, : int(outputs["step_count"][0])])
        state = outputs["state"]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-4)


def test_a_format_gives_a_document_per_recording(predictor, tmp_path):
    inputs = Inputs(pd.DataFrame({"input": ["x.wav"]}), [[babble(30_000)]])
    options = PredictOptions(format="srt", to=tmp_path)
    outputs = serving.predict(inputs.records, METADATA, predictor, options)
    table = serving.prediction_table(inputs, outputs, METADATA, options)
    assert "-->" in table["document"][0]
    assert options.document_suffix == ".srt"


def write_manifest(folder, columns):
    """Writes two recordings and a manifest with these names of the columns."""
    lines = [",".join(columns)]
    for text in ("a", "cabc"):
        soundfile.write(folder / f"{text}.wav", tone(text), SAMPLE_RATE, subtype="PCM_16")
        lines.append(f"{text}.wav,{text}")
    (folder / "calls.csv").write_text("\n".join(lines) + "\n")
    return str(folder / "calls.csv")


def test_inputs_are_the_recordings_of_a_manifest(tmp_path):
    source = write_manifest(tmp_path, ["path", "sentence"])
    inputs = next(READERS.read_inputs(trained_config(METADATA), source, METADATA, OPTIONS))
    assert inputs.rows["sentence"].tolist() == ["a", "cabc"]
    for (samples,), text in zip(inputs.records, ("a", "cabc"), strict=True):
        np.testing.assert_allclose(samples, tone(text), atol=1e-4)
    with pytest.raises(DataError, match='no column "path"'):
        next(
            READERS.read_inputs(
                trained_config(METADATA), write_manifest(tmp_path, ["recording", "words"]), METADATA, OPTIONS
            )
        )


def test_a_labelled_manifest_is_scored(predictor, tmp_path, monkeypatch):
    monkeypatch.setattr(audio, "CACHE", tmp_path / "cache")
    source = write_manifest(tmp_path, ["path", "sentence"])
    records = READERS.read_records(trained_config(METADATA), source, METADATA)
    predictions = serving.predict_labelled(records, METADATA, predictor)
    from_files = serving.predict(
        [folders.open_path(str(tmp_path / f"{text}.wav"))[0] for text in ("a", "cabc")], METADATA, predictor, OPTIONS
    )
    assert predictions["text"].tolist() == from_files["text"].tolist()
    scores = score(records, predictions, METADATA)
    assert [s.metric for s in scores] == ["word_error_rate", "character_error_rate", "accuracy"]


def test_a_missing_file_is_named():
    with pytest.raises(DataError, match=r"nowhere\.wav: cannot be read as audio"):
        READERS.parse_inputs(trained_config(METADATA), ["nowhere.wav"], METADATA, OPTIONS)


@pytest.mark.parametrize("seconds", [1 / SAMPLE_RATE, 0.03, 2.0])
@pytest.mark.parametrize("kind", ["silence", "noise"])
def test_silence_and_noise_have_predictions(predictor, tmp_path, seconds, kind):
    count = max(1, int(seconds * SAMPLE_RATE))
    noise = np.random.default_rng(0).normal(0, 0.1, count)
    soundfile.write(tmp_path / "a.wav", noise if kind == "noise" else np.zeros(count), SAMPLE_RATE)
    outputs = serving.predict([folders.open_path(str(tmp_path / "a.wav"))[0]], METADATA, predictor, OPTIONS)
    table = serving.prediction_table(Inputs(pd.DataFrame({"input": ["a.wav"]}), []), outputs, METADATA, OPTIONS)
    assert table["text"].tolist() == [""]  # steady noise is no speech
    assert table["confidence"][0] == 1


def test_half_an_hour_is_transcribed_to_its_end(predictor):
    """The text of the last second is the same as alone, and it has the time of the recording."""
    half_hour, speech = np.zeros(30 * 60 * SAMPLE_RATE, np.float32), tone("cabca")
    half_hour[-len(speech) :] = speech
    outputs = serving.predict([[half_hour], [half_hour[-len(speech) - SAMPLE_RATE :]]], METADATA, predictor, OPTIONS)
    assert outputs["text"][0] == outputs["text"][1] != ""
    assert outputs["transcript"][0].words[-1].end > 30 * 60 - 2
