"""The signatures of the model, and the conversion of recordings to requests."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from shared.decoding.ctc_greedy import GreedyDecoder
from shared.export.signatures import make_signature
from shared.export.state_stamp import STAMP_SIZE, StateStamp
from shared.task import ExportSpec, Inputs, Predictions, Predictor
from tasks.speech import audio, wav
from tasks.speech.batches import iterate_recordings, pad_rows
from tasks.speech.config import PredictOptions
from tasks.speech.decoder import STEP_SECONDS, confidence_settings, load_decoder
from tasks.speech.input_config import MEAN_CHANNEL
from tasks.speech.model import STEP_WINDOW, Submodels, get_submodels, run_submodels
from tasks.speech.subtitles import format_transcript, word_objects
from tasks.speech.timing import SAMPLE_RATE, STEP_LENGTH, count_steps
from tasks.speech.transcription import Blocks, RecordingTranscript, transcribe_all

BUFFER_SIZE = STEP_WINDOW - 1  # maximum number of samples of a stream that wait for the next step
CHUNK_LENGTH = SAMPLE_RATE // 10  # samples in the example request of `step`, 100 ms
MAX_SAMPLE = 1.5
"""Absolute value up to which samples count as slightly too loud; greater ones are integers that were not scaled."""
EXAMPLES = tuple(str(audio.ROOT / "data" / "examples" / name) for name in ("seven.wav", "stop_left.wav"))


def export_spec(model: keras.Model, metadata: dict[str, Any]) -> ExportSpec:
    """Builds the signatures of the Keras model.

    `serving_default` takes `samples` float32 `(batch, samples)` in [-1, 1] at 16 kHz, padded on the right, and `length` int32
    `(batch,)`, the number of valid samples. It decodes greedily, and returns `text` strings `(batch,)`; `words` strings,
    `word_confidence` float32 in [0, 1], `start` and `end` float32 in seconds, each `(batch, words)`, with "" and 0 after the last word;
    and `confidence` float32 `(batch,)` in [0, 1], the geometric mean of the confidences of the words, or without words the probability
    that nothing was said.

    `log_probabilities` takes the same inputs, and returns `log_probabilities` float32 `(batch, steps, symbols)`, one step per 40 ms, for
    decoders with a language model, such as `tasks.speech.decoder.Decoder`.

    `transcribe_wav` takes `wav` strings `(batch,)`, the bytes of 16-bit PCM .wav files of any rate and number of channels, and returns the
    same outputs.

    `step`, only if the LSTM is unidirectional, transcribes a stream. It takes `samples` and `length` of the next chunk, of any size,
    usually 100 ms; `last` bool `(batch,)`, whether the recording ends with this chunk; and `state` float32 `(batch, state_size)`,
    zeros at the beginning. It returns `text` strings `(batch,)`, which continue the previous text; the next `state`, zeros after
    the last chunk; and `log_probabilities` of the new steps, with their number `step_count` int32 `(batch,)`.
    """
    submodels = get_submodels(model)
    decoder = GreedyDecoder(metadata["alphabet"], **confidence_settings(metadata, "greedy"))

    def run(samples: Any, length: Any) -> tuple[Any, Any]:
        length = tf.clip_by_value(length, 0, tf.shape(samples)[1])
        outputs = run_submodels(submodels, {"samples": clean_samples(samples), "length": length})
        return outputs["log_probabilities"], count_steps(length)

    def transcribe(samples: Any, length: Any) -> dict[str, Any]:
        return decode_recordings(decoder, *run(samples, length))

    def compute_log_probabilities(samples: Any, length: Any) -> dict[str, Any]:
        return {"log_probabilities": run(samples, length)[0]}

    request = example_request()
    channel = metadata.get("audio", {}).get("channel", MEAN_CHANNEL)
    signatures = {
        "serving_default": make_signature(transcribe, request),
        "transcribe_wav": make_signature(wav.transcribe_wav(transcribe, channel), wav.example_request()),
        "log_probabilities": make_signature(compute_log_probabilities, request),
    }
    if submodels.state_size is not None:
        recognizer = StreamRecognizer(submodels, decoder)
        first_chunk = {
            "samples": request["samples"][:, :CHUNK_LENGTH],
            "length": np.array([CHUNK_LENGTH, CHUNK_LENGTH // 2], np.int32),
            "last": np.array([False, True]),
            "state": np.zeros((2, recognizer.state_size + STAMP_SIZE), np.float32),
        }
        step = StateStamp(model, metadata).step(recognizer.step)
        signatures["step"] = make_signature(step, first_chunk, fixed=("state",))
    return ExportSpec(model, signatures, metadata)


def clean_samples(samples: Any) -> Any:
    """Returns samples in [-1, 1]; NaN and infinite samples become 0. Greater values than `MAX_SAMPLE` are an error of the request."""
    samples = tf.where(tf.math.is_finite(samples), samples, tf.zeros_like(samples))
    message = "samples must be in [-1, 1]; divide 16-bit samples by 32768"
    is_valid = tf.reduce_all(tf.abs(samples) <= MAX_SAMPLE)
    with tf.control_dependencies([tf.debugging.Assert(is_valid, [message])]):
        return tf.clip_by_value(samples, -1.0, 1.0)


def decode_recordings(decoder: GreedyDecoder, log_probabilities: Any, step_count: Any) -> dict[str, Any]:
    """Returns the outputs of `serving_default` (see `export_spec`).

    Args:
        decoder: decoder with the alphabet of the model.
        log_probabilities: of the symbols, `(batch, steps, symbols)`.
        step_count: number of valid steps, int32 `(batch,)`.
    """
    outputs = decoder.decode(log_probabilities, step_count)
    steps = {"start": outputs.pop("start_step"), "end": outputs.pop("end_step")}
    return {**outputs, **{name: tf.cast(step, tf.float32) * STEP_SECONDS for name, step in steps.items()}}


class StreamRecognizer:
    """Transcribes a recording in chunks of any size; the text is that of the whole recording.

    The state consists of the LSTM states, the buffer of samples that wait for the next step, aligned on the right, the number of these
    samples, and the state of the decoder.

    Args:
        submodels: submodels of a model whose LSTM is unidirectional.
        decoder: decoder with the alphabet of the model.
    """

    def __init__(self, submodels: Submodels, decoder: GreedyDecoder) -> None:
        assert submodels.state_size is not None
        self.submodels, self.decoder = submodels, decoder
        self.state_size = submodels.state_size + BUFFER_SIZE + 1 + decoder.STATE_SIZE

    def step(self, samples: Any, length: Any, last: Any, state: Any) -> dict[str, Any]:
        """Returns the outputs of the signature `step` (see `export_spec`)."""
        sizes = [self.submodels.state_size, BUFFER_SIZE, 1, self.decoder.STATE_SIZE]
        lstm_state, buffer, buffered, decoder_state = tf.split(state, sizes, axis=1)
        buffered, decoder_state = tf.cast(buffered[:, 0], tf.int32), tf.cast(decoder_state, tf.int32)
        length = tf.clip_by_value(length, 0, tf.shape(samples)[1])
        total = buffered + length
        available = tf.concat([buffer, clean_samples(samples)], axis=1)
        available = _shift_left(available, BUFFER_SIZE - buffered, total)
        complete_steps = tf.maximum(total - STEP_WINDOW + STEP_LENGTH, 0) // STEP_LENGTH
        step_count = tf.where(last, count_steps(total), complete_steps)
        outputs = run_submodels(self.submodels, {"samples": available, "length": total}, lstm_state, step_count)
        text, decoder_state = self.decoder.decode_chunk(outputs["log_probabilities"], step_count, decoder_state)
        used = tf.where(last, total, step_count * STEP_LENGTH)
        remaining = tf.minimum(total - used, BUFFER_SIZE)
        next_buffer = _shift_left(tf.pad(available, [[0, 0], [BUFFER_SIZE, 0]]), total, BUFFER_SIZE + total)
        next_buffer = next_buffer[:, :BUFFER_SIZE]
        is_remaining = tf.range(BUFFER_SIZE)[None] >= BUFFER_SIZE - remaining[:, None]
        next_buffer = tf.where(is_remaining, next_buffer, 0.0)
        next_counters = [tf.cast(value, tf.float32) for value in (remaining[:, None], decoder_state)]
        next_state = tf.concat([outputs["state"], next_buffer, *next_counters], axis=1)
        return {
            "text": text,
            "log_probabilities": outputs["log_probabilities"],
            "step_count": step_count,
            "state": tf.where(last[:, None], tf.zeros_like(next_state), next_state),
        }


def _shift_left(values: Any, offset: Any, end: Any) -> Any:
    """Returns each row shifted to the left by its `offset`, `(batch, size)`, with 0 from the new index `end` on."""
    size = tf.shape(values)[1]
    indices = tf.range(size)[None] + offset[:, None]
    shifted = tf.gather(values, tf.minimum(indices, size - 1), axis=1, batch_dims=1)
    return tf.where((indices < size) & (tf.range(size)[None] < end[:, None]), shifted, 0.0)


def example_request() -> dict[str, np.ndarray]:
    """Returns a request with two tones that rise in pitch, of 0.1 and 0.06 seconds."""
    time = np.arange(SAMPLE_RATE // 10) / SAMPLE_RATE
    tones = [np.round(0.3 * np.sin(2 * np.pi * (pitch + 900 * time) * time), 3) for pitch in (220, 440)]
    samples, length = pad_rows([tones[0], tones[1][: SAMPLE_RATE * 6 // 100]], np.float32)
    return {"samples": samples, "length": length}


def predict(
    recordings: Sequence[Blocks], metadata: dict[str, Any], predictor: Predictor, options: PredictOptions
) -> Predictions:
    """Returns the transcripts of an exported model for recordings, in their order.

    Args:
        recordings: the blocks of each recording (see `tasks.speech.transcription`).
        metadata: metadata of the model.
        predictor: calls `log_probabilities`.
        options: options of `predict`.

    Returns:
        `transcript`, of type `RecordingTranscript`, and `text`, strings; object arrays `(recordings,)`.
    """
    hot_words = dict.fromkeys(options.hot_words, options.hot_word_weight)
    decoder = load_decoder(metadata, options.language_model, hot_words)
    return _as_outputs(transcribe_all(predictor, recordings, decoder))


def prediction_table(
    inputs: Inputs, predictions: Predictions, metadata: dict[str, Any], options: PredictOptions
) -> pd.DataFrame:
    """Returns the columns `text`, `confidence` and `words`: JSON, a list of objects with `word`, `start` and `end` in seconds, and
    `confidence`; and with `--format`, the column `document`."""
    transcripts: Sequence[RecordingTranscript] = predictions["transcript"]
    words = [json.dumps(word_objects(transcript.words), ensure_ascii=False) for transcript in transcripts]
    columns = {
        "text": predictions["text"],
        "confidence": np.array([transcript.confidence for transcript in transcripts], np.float32),
        "words": np.array(words, object),
    }
    if options.document_column is not None:
        documents = [format_transcript(transcript, options.format) for transcript in transcripts]
        columns[options.document_column] = np.array(documents, object)
    return pd.DataFrame(columns)


def predict_labelled(records: pd.DataFrame, metadata: dict[str, Any], predictor: Predictor) -> Predictions:
    """Returns the transcripts of an exported model for a table from `tasks.speech.data.load` (see `predict`)."""
    recordings = ([samples] for samples in iterate_recordings(records))
    return _as_outputs(transcribe_all(predictor, recordings, load_decoder(metadata)))


def _as_outputs(transcripts: Sequence[RecordingTranscript]) -> Predictions:
    outputs = {name: np.empty(len(transcripts), object) for name in ("transcript", "text")}
    outputs["transcript"][:] = transcripts
    outputs["text"][:] = [transcript.text for transcript in transcripts]
    return outputs
