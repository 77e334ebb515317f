"""The signatures of the model, and the conversion of recordings to requests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from shared.export.signatures import make_signature
from shared.task import ExportSpec, Inputs, Predictions, Predictor
from tasks.speech import audio, data
from tasks.speech.batches import pad_rows
from tasks.speech.config import SpeechConfig
from tasks.speech.features import SAMPLE_RATE
from tasks.speech.model import STEP_LENGTH, STEP_WINDOW, Submodels, count_steps, get_submodels, run_submodels
from tasks.speech.symbols import BLANK_ID, SPACE

STEP_SECONDS = STEP_LENGTH / SAMPLE_RATE
BUFFER_SIZE = STEP_WINDOW - 1  # maximum number of samples of a stream that wait for the next step
CHUNK_LENGTH = SAMPLE_RATE // 10  # samples in the example request of `step`, 100 ms
MAX_BATCH_SAMPLES = 60 * SAMPLE_RATE
"""Samples per request, padding included; a longer recording is a request of its own."""
EXAMPLES = tuple(str(audio.ROOT / "data" / "examples" / name) for name in ("seven.wav", "stop_left.wav"))

NO_TEXT, AFTER_CHARACTER, AFTER_SPACE = 0, 1, 2
"""What a transcript ends with: nothing yet, a character, or a space that is not written yet."""


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
        return decoder.decode_recordings(outputs["log_probabilities"], count_steps(length))

    request = example_request()
    signatures = {"serving_default": make_signature(transcribe, request)}
    if submodels.state_size is not None:
        recognizer = StreamRecognizer(submodels, decoder)
        first_chunk = {
            "samples": request["samples"][:, :CHUNK_LENGTH],
            "length": np.array([CHUNK_LENGTH, CHUNK_LENGTH // 2], np.int32),
            "last": np.array([False, True]),
            "state": np.zeros((2, recognizer.state_size), np.float32),
        }
        signatures["step"] = make_signature(recognizer.step, first_chunk, fixed=("state",))
    return ExportSpec(model, signatures, metadata)


def clean_samples(samples: Any) -> Any:
    """Returns samples in [-1, 1]; NaN and infinite samples become 0."""
    return tf.clip_by_value(tf.where(tf.math.is_finite(samples), samples, tf.zeros_like(samples)), -1.0, 1.0)


class GreedyDecoder:
    """Decodes the most probable symbol of each step into text, inside the TensorFlow graph.

    Args:
        alphabet: characters of the model; the character at index k has the symbol id k + 1.
    """

    def __init__(self, alphabet: str) -> None:
        self.characters = tf.constant(["", *alphabet])
        self.space_id = alphabet.find(SPACE) + 1 or -1  # -1 if the alphabet has no space

    def select_symbols(self, log_probabilities: Any, step_count: Any, previous: Any) -> tuple[Any, Any]:
        """Returns the most probable symbol of each step, int32 `(batch, steps)`, and a mask of those that are written: valid steps
        whose symbol is neither `BLANK_ID` nor a repetition.

        Args:
            log_probabilities: of the symbols, `(batch, steps, symbols)`.
            step_count: number of valid steps, int32 `(batch,)`.
            previous: symbol of the step before the first one, int32 `(batch,)`.
        """
        symbols = tf.argmax(log_probabilities, axis=-1, output_type=tf.int32)
        is_valid = tf.sequence_mask(step_count, tf.shape(symbols)[1])
        before = tf.concat([previous[:, None], symbols[:, :-1]], axis=1)
        return symbols, is_valid & (symbols != BLANK_ID) & (symbols != before)

    def write_text(self, symbols: Any, is_written: Any, ending: Any) -> tuple[Any, Any]:
        """Returns the text, string `(batch,)`, and what the transcript now ends with, int32 `(batch,)`.

        A space is written only when a character follows, only once, and not before the first character.

        Args:
            symbols: symbol ids `(batch, steps)`.
            is_written: mask of the symbols that are written, `(batch, steps)`.
            ending: what the transcript ended with before, int32 `(batch,)`: `NO_TEXT`, `AFTER_CHARACTER` or `AFTER_SPACE`.
        """
        written = tf.ragged.boolean_mask(symbols, is_written).to_tensor(self.space_id)
        is_character = written != self.space_id
        count = tf.reduce_sum(tf.cast(is_written, tf.int32), axis=1)
        characters_before = tf.cumsum(tf.cast(is_character, tf.int32), axis=1, exclusive=True)
        has_text = (ending > NO_TEXT)[:, None] | (characters_before > 0)
        follows_space = tf.concat([(ending == AFTER_SPACE)[:, None], ~is_character[:, :-1]], axis=1)
        follows_space = follows_space[:, : tf.shape(written)[1]]
        texts = tf.gather(self.characters, tf.where(is_character, written, 0))
        texts = tf.where(is_character & has_text & follows_space, tf.strings.join([SPACE, texts]), texts)
        padded = tf.pad(is_character, [[0, 0], [0, 1]])
        ends_with_character = tf.gather(padded, tf.maximum(count - 1, 0), axis=1, batch_dims=1)
        has_any_text = (ending > NO_TEXT) | tf.reduce_any(is_character, axis=1)
        next_ending = tf.where(ends_with_character, AFTER_CHARACTER, tf.where(has_any_text, AFTER_SPACE, NO_TEXT))
        return tf.strings.reduce_join(texts, axis=1), tf.where(count > 0, next_ending, ending)

    def decode_recordings(self, log_probabilities: Any, step_count: Any) -> dict[str, Any]:
        """Returns the outputs of `serving_default` (see `export_spec`).

        Args:
            log_probabilities: of the symbols, `(batch, steps, symbols)`.
            step_count: number of valid steps, int32 `(batch,)`.
        """
        symbols, is_written = self.select_symbols(log_probabilities, step_count, tf.zeros_like(step_count))
        best = tf.reduce_max(log_probabilities, axis=-1)
        mask = tf.sequence_mask(step_count, tf.shape(best)[1], tf.float32)
        steps = tf.maximum(tf.reduce_sum(mask, axis=1), 1.0)
        confidence = tf.exp(tf.reduce_sum(best * mask, axis=1) / steps)
        text, _ = self.write_text(symbols, is_written, tf.zeros_like(step_count))
        start, end = self._word_times(symbols, is_written)
        max_words = (tf.shape(symbols)[1] + 1) // 2  # depends only on the steps, not on the other texts of the batch
        return {
            "text": text,
            "confidence": confidence,
            "words": _pad_ragged(tf.strings.split(text), "", max_words),
            "start": _pad_ragged(start, 0.0, max_words),
            "end": _pad_ragged(end, 0.0, max_words),
        }

    def _word_times(self, symbols: Any, is_written: Any) -> tuple[Any, Any]:
        """Returns the start and the end of each word in seconds, ragged `(batch, words)`."""
        all_steps = tf.broadcast_to(tf.range(tf.shape(is_written)[1])[None], tf.shape(is_written))
        written = tf.ragged.boolean_mask(symbols, is_written).to_tensor(self.space_id)
        steps = tf.ragged.boolean_mask(all_steps, is_written).to_tensor(0)
        space = tf.fill([tf.shape(written)[0], 1], self.space_id)
        is_character = written != self.space_id
        is_first = is_character & (tf.concat([space, written[:, :-1]], axis=1) == self.space_id)
        is_last = is_character & (tf.concat([written[:, 1:], space], axis=1) == self.space_id)
        start, end = (tf.ragged.boolean_mask(steps, mask) for mask in (is_first, is_last))
        return tf.cast(start, tf.float32) * STEP_SECONDS, tf.cast(end + 1, tf.float32) * STEP_SECONDS


class StreamRecognizer:
    """Transcribes a recording in chunks of any size; the text is that of the whole recording.

    The state consists of the LSTM states, the buffer of samples that wait for the next step, aligned on the right, the number of these
    samples, the last symbol, and what the transcript ends with.

    Args:
        submodels: submodels of a model whose LSTM is unidirectional.
        decoder: decoder with the alphabet of the model.
    """

    def __init__(self, submodels: Submodels, decoder: GreedyDecoder) -> None:
        assert submodels.state_size is not None
        self.submodels, self.decoder = submodels, decoder
        self.state_size = submodels.state_size + BUFFER_SIZE + 3

    def step(self, samples: Any, length: Any, last: Any, state: Any) -> dict[str, Any]:
        """Returns the outputs of the signature `step` (see `export_spec`)."""
        lstm_state, buffer, *scalars = tf.split(state, [self.submodels.state_size, BUFFER_SIZE, 1, 1, 1], axis=1)
        buffered, previous, ending = (tf.cast(value[:, 0], tf.int32) for value in scalars)
        length = tf.clip_by_value(length, 0, tf.shape(samples)[1])
        total = buffered + length
        available = tf.concat([buffer, clean_samples(samples)], axis=1)
        available = _shift_left(available, BUFFER_SIZE - buffered, total)
        complete_steps = tf.maximum(total - STEP_WINDOW + STEP_LENGTH, 0) // STEP_LENGTH
        step_count = tf.where(last, count_steps(total), complete_steps)
        outputs = run_submodels(self.submodels, {"samples": available, "length": total}, lstm_state, step_count)
        symbols, is_written = self.decoder.select_symbols(outputs["log_probabilities"], step_count, previous)
        used = tf.where(last, total, step_count * STEP_LENGTH)
        remaining = tf.minimum(total - used, BUFFER_SIZE)
        next_buffer = _shift_left(tf.pad(available, [[0, 0], [BUFFER_SIZE, 0]]), total, BUFFER_SIZE + total)
        next_buffer = next_buffer[:, :BUFFER_SIZE]
        is_remaining = tf.range(BUFFER_SIZE)[None] >= BUFFER_SIZE - remaining[:, None]
        next_buffer = tf.where(is_remaining, next_buffer, 0.0)
        last_symbol = tf.gather(symbols, tf.maximum(step_count - 1, 0), axis=1, batch_dims=1)
        last_symbol = tf.where(step_count > 0, last_symbol, previous)
        text, ending = self.decoder.write_text(symbols, is_written, ending)
        next_scalars = [tf.cast(value, tf.float32)[:, None] for value in (remaining, last_symbol, ending)]
        next_state = tf.concat([outputs["state"], next_buffer, *next_scalars], axis=1)
        return {
            "text": text,
            "state": tf.where(last[:, None], tf.zeros_like(next_state), next_state),
        }


def _pad_ragged(ragged: Any, value: Any, width: Any) -> Any:
    """Returns the rows of a ragged tensor as `(batch, width)`, padded with `value` on the right."""
    rows = ragged.to_tensor(value)[:, :width]
    return tf.pad(rows, [[0, 0], [0, width - tf.shape(rows)[1]]], constant_values=value)


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


def read_inputs(config: SpeechConfig, source: str, metadata: dict[str, Any]) -> Inputs:
    """Returns the paths of the recordings for `predict`; texts are not needed (see `tasks.speech.data.list_recordings`).

    Raises:
        DataError: the source cannot be used.
    """
    paths = data.list_recordings(config, source)
    return Inputs(paths, paths)


def predict(records: Sequence[str] | pd.DataFrame, metadata: dict[str, Any], predictor: Predictor) -> Predictions:
    """Returns the outputs of an exported model for recordings, in their order.

    Args:
        records: paths of recordings, or a table from `tasks.speech.data.load`.
        metadata: metadata of the model.
        predictor: calls `serving_default`.

    Returns:
        `text` strings, `confidence` floats, and `words`, `start` and `end`, lists of equal length; object arrays `(recordings,)`.

    Raises:
        DataError: a recording cannot be read.
    """
    if isinstance(records, pd.DataFrame):
        caches = {path: audio.open_cache(path) for path in records["cache_file"].unique()}
        recordings = [audio.get_samples(caches[row.cache_file], row.start, row.length) for row in records.itertuples()]
    else:
        recordings = [audio.read_path(path) for path in records]
    results = predict_recordings(predictor, recordings)
    outputs = {name: np.empty(len(results), object) for name in results[0]}
    for name, column in outputs.items():
        column[:] = [result[name] for result in results]
    return outputs


def read_records(config: SpeechConfig, source: str, metadata: dict[str, Any]) -> pd.DataFrame:
    """Reads a manifest, or a folder or .zip file of recordings with texts, into the form of the test split.

    Raises:
        DataError: the source cannot be used.
    """
    return data.read(config, source)
