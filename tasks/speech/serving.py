"""The signatures of the model, and the conversion of recordings to requests."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from shared.config import PredictOptions
from shared.decoding.ctc_greedy import GreedyDecoder
from shared.errors import DataError
from shared.export.signatures import make_signature
from shared.export.state_stamp import STAMP_SIZE, StateStamp
from shared.task import ExportSpec, Inputs, Predictions, Predictor, line_table
from tasks.speech import audio, user_files
from tasks.speech.batches import pad_rows
from tasks.speech.config import SpeechConfig
from tasks.speech.model import STEP_WINDOW, Submodels, get_submodels, run_submodels
from tasks.speech.timing import SAMPLE_RATE, STEP_LENGTH, count_steps

STEP_SECONDS = STEP_LENGTH / SAMPLE_RATE
BUFFER_SIZE = STEP_WINDOW - 1  # maximum number of samples of a stream that wait for the next step
CHUNK_LENGTH = SAMPLE_RATE // 10  # samples in the example request of `step`, 100 ms
MAX_BATCH_SAMPLES = 60 * SAMPLE_RATE
"""Samples per request, padding included; a longer recording is a request of its own."""
RECORDINGS_PER_CHUNK = 256
"""Recordings of a file that are in memory at once."""
EXAMPLES = tuple(str(audio.ROOT / "data" / "examples" / name) for name in ("seven.wav", "stop_left.wav"))


def export_spec(model: keras.Model, metadata: dict[str, Any]) -> ExportSpec:
    """Builds the signatures of the Keras model.

    `serving_default` takes `samples` float32 `(batch, samples)` in [-1, 1] at 16 kHz, padded on the right, and `length` int32
    `(batch,)`, the number of valid samples. It returns `text` strings `(batch,)`; `confidence` float32 `(batch,)`, the geometric mean
    of the probabilities of the most probable symbols; and `words` strings, `start` and `end` float32 in seconds, each
    `(batch, words)`, with "" and 0 after the last word.

    `step`, only if the LSTM is unidirectional, transcribes a stream. It takes `samples` and `length` of the next chunk, of any size,
    usually 100 ms; `last` bool `(batch,)`, whether the recording ends with this chunk; and `state` float32 `(batch, state_size)`,
    zeros at the beginning. It returns `text` strings `(batch,)`, which continue the previous text, and the next `state`, zeros after
    the last chunk.
    """
    submodels, decoder = get_submodels(model), GreedyDecoder(metadata["alphabet"])

    def transcribe(samples: Any, length: Any) -> dict[str, Any]:
        length = tf.clip_by_value(length, 0, tf.shape(samples)[1])
        outputs = run_submodels(submodels, {"samples": clean_samples(samples), "length": length})
        return decode_recordings(decoder, outputs["log_probabilities"], count_steps(length))

    request = example_request()
    signatures = {"serving_default": make_signature(transcribe, request)}
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
    """Returns samples in [-1, 1]; NaN and infinite samples become 0."""
    return tf.clip_by_value(tf.where(tf.math.is_finite(samples), samples, tf.zeros_like(samples)), -1.0, 1.0)


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


def predict_recordings(predictor: Predictor, recordings: Sequence[np.ndarray]) -> list[dict[str, Any]]:
    """Returns the outputs of an exported model for each recording; recordings with similar length are in the same request.

    Args:
        predictor: calls `serving_default`.
        recordings: samples of each recording, float32 `(samples,)` in [-1, 1] at 16 kHz.
    """
    order = np.argsort([len(samples) for samples in recordings], kind="stable")
    results: list[dict[str, Any]] = [{} for _ in recordings]
    for rows in _batches(order, [len(samples) for samples in recordings]):
        samples, length = pad_rows([recordings[row] for row in rows], np.float32)
        outputs = predictor({"samples": samples, "length": length})
        for k, row in enumerate(rows):
            words = [word.decode() for word in outputs["words"][k] if word]
            times = {name: outputs[name][k][: len(words)].astype(float).round(2).tolist() for name in ("start", "end")}
            results[row] = {
                "text": outputs["text"][k].decode(),
                "confidence": float(outputs["confidence"][k]),
                "words": words,
                **times,
            }
    return results


def _batches(order: np.ndarray, lengths: Sequence[int]) -> Iterator[np.ndarray]:
    """Yields the indices of the recordings of each request: as many as fit into `MAX_BATCH_SAMPLES`, at least one."""
    start = 0
    for end in range(1, len(order) + 1):
        if end == len(order) or (end + 1 - start) * lengths[order[end]] > MAX_BATCH_SAMPLES:
            yield order[start:end]
            start = end


def read_inputs(
    config: SpeechConfig, source: str, metadata: dict[str, Any], options: PredictOptions
) -> Iterator[Inputs]:
    """Reads recordings for `predict`; texts are not needed (see `tasks.speech.user_files.list_recordings`).

    Raises:
        DataError: the source or a recording cannot be used.
    """
    rows, paths = user_files.list_recordings(config, source, options.skips_errors)
    for start in range(0, len(paths), RECORDINGS_PER_CHUNK):
        end = min(start + RECORDINGS_PER_CHUNK, len(paths))
        chunk = rows.iloc[start:end].reset_index(drop=True)
        yield _read_recordings(chunk, paths[start:end], source, options, start, end / len(paths))


def parse_inputs(
    config: SpeechConfig, lines: Sequence[str], metadata: dict[str, Any], options: PredictOptions
) -> Inputs:
    """Reads the recordings with these paths.

    Raises:
        DataError: a recording is missing or cannot be read.
    """
    return _read_recordings(line_table(lines), lines, "input", options)


def _read_recordings(
    rows: pd.DataFrame,
    paths: Sequence[str],
    source: str,
    options: PredictOptions,
    first_row: int = 0,
    progress: float = 1.0,
) -> Inputs:
    recordings, positions, errors = [], [], dict[int, str]()
    for k, path in enumerate(paths):
        try:
            recordings.append(audio.read_path(path))
            positions.append(k)
        except DataError as error:
            if not options.skips_errors:
                raise DataError(f"{source}, row {first_row + k + 1}: {error}") from error
            errors[k] = str(error)
    return Inputs(rows, recordings, np.array(positions, np.int64), errors, progress)


def predict(
    recordings: Sequence[np.ndarray], metadata: dict[str, Any], predictor: Predictor, options: PredictOptions
) -> Predictions:
    """Returns the outputs of an exported model for recordings, in their order.

    Args:
        recordings: samples of each recording, float32 `(samples,)` in [-1, 1] at 16 kHz.
        metadata: metadata of the model.
        predictor: calls `serving_default`.
        options: options of `predict`.

    Returns:
        `text` strings, `confidence` floats, and `words`, `start` and `end`, lists of equal length; object arrays `(recordings,)`.
    """
    return _as_outputs(predict_recordings(predictor, recordings))


def prediction_table(
    inputs: Inputs, predictions: Predictions, metadata: dict[str, Any], options: PredictOptions
) -> pd.DataFrame:
    """Returns the columns `text`, `confidence` and `words`: JSON, a list of objects with `word`, `start` and `end` in seconds."""
    words = [
        [{"word": word, "start": start, "end": end} for word, start, end in zip(*spans, strict=True)]
        for spans in zip(*(predictions[name] for name in ("words", "start", "end")), strict=True)
    ]
    return pd.DataFrame(
        {
            "text": predictions["text"],
            "confidence": predictions["confidence"].astype(np.float32),
            "words": np.array([json.dumps(spans, ensure_ascii=False) for spans in words], object),
        }
    )


def predict_labelled(records: pd.DataFrame, metadata: dict[str, Any], predictor: Predictor) -> Predictions:
    """Returns the outputs of an exported model for a table from `tasks.speech.data.load` (see `predict`)."""
    caches = {path: audio.open_cache(path) for path in records["cache_file"].unique()}
    recordings = [audio.get_samples(caches[row.cache_file], row.start, row.length) for row in records.itertuples()]
    return _as_outputs(predict_recordings(predictor, recordings))


def _as_outputs(results: Sequence[Mapping[str, Any]]) -> Predictions:
    """Returns the values of all recordings by name, object arrays `(recordings,)`."""
    outputs = {name: np.empty(len(results), object) for name in results[0]}
    for name, column in outputs.items():
        column[:] = [result[name] for result in results]
    return outputs


def read_records(config: SpeechConfig, source: str, metadata: dict[str, Any]) -> pd.DataFrame:
    """Reads a manifest, or a folder or .zip file of recordings with texts, into the form of the test split.

    Raises:
        DataError: the source cannot be used.
    """
    return user_files.read(config, source)
