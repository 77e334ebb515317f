"""The recogniser's signatures, and how a user's recordings become requests."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from shared.config import with_trained_defaults
from shared.evaluation import Score
from shared.signatures import make_signature
from shared.task import ExportSpec, Predictor
from tasks.speech import audio, data
from tasks.speech.batches import padded
from tasks.speech.config import AudioConfig, SpeechConfig
from tasks.speech.features import RATE
from tasks.speech.model import SPAN, STEP, Submodels, get_submodels, heard, steps_of
from tasks.speech.symbols import SPACE

SECONDS = STEP / RATE  # from step to step
BUFFER = SPAN - 1  # samples that wait in a stream at most
CHUNK = RATE // 10  # samples of the example, 100 ms
TOGETHER = 60 * RATE  # samples asked for at once, padding included, but for a single longer recording
TOLD = ("file", "text", "speaker", "names")  # of the settings, what a manifest of the same form is read by
EXAMPLES = tuple(str(audio.ROOT / "data" / "examples" / name) for name in ("seven.wav", "stop_left.wav"))
NOTHING, LETTER, BLANK_AFTER = 0, 1, 2  # what was said last


def export_spec(model: keras.Model, metadata: dict[str, Any]) -> ExportSpec:
    """Gives the Keras model its signatures.

    `serving_default`: `samples` float32 `(batch, samples)` in [-1, 1] at 16 kHz, padded on the right, and `length` int32
    `(batch,)`, how many are real; to `text` string `(batch,)`, `confidence` float32 `(batch,)`, the geometric mean of the
    likeliest symbols' probabilities, and `words` string, `start` and `end` float32 `(batch, words)`, each word with its
    time in seconds; "" and 0 behind the last.

    `step`, of a stack of one direction: `samples` and `length` as before, of any size, 100 ms being usual; `last`, boolean
    `(batch,)`, whether the recording ends here; and `memory` `(batch, numbers)`, zeros at first. It returns `text`, what
    has been recognised since, to be put behind what was, and `memory`, zeros after the last.
    """
    parts, answers = get_submodels(model), Answers(metadata["alphabet"])

    def whole(samples: Any, length: Any) -> dict[str, Any]:
        length = tf.clip_by_value(length, 0, tf.shape(samples)[1])
        found = heard(parts, {"samples": clean(samples), "length": length})
        return answers.whole(found["logs"], steps_of(length))

    request = sample_request()
    signatures = {"serving_default": make_signature(whole, request)}
    if parts.state_size is not None:
        stream = Stream(parts, answers)
        first = {
            "samples": request["samples"][:, :CHUNK],
            "length": np.array([CHUNK, CHUNK // 2], np.int32),
            "last": np.array([False, True]),
            "state": np.zeros((2, stream.state_size), np.float32),
        }
        signatures["step"] = make_signature(stream.step, first, fixed=("state",))
    return ExportSpec(model, signatures, metadata)


def clean(samples: Any) -> Any:
    """Returns samples in [-1, 1], what is no number being silence."""
    return tf.clip_by_value(tf.where(tf.math.is_finite(samples), samples, tf.zeros_like(samples)), -1.0, 1.0)


class Answers:
    """From log-probabilities to what a caller reads, in the graph.

    Args:
        alphabet: characters by number, from 1.
    """

    def __init__(self, alphabet: str) -> None:
        self.signs = tf.constant(["", *alphabet])
        self.space = alphabet.find(SPACE) + 1 or -1

    def emitted(self, logs: Any, count: Any, before: Any) -> tuple[Any, Any]:
        """Returns the likeliest symbols `(batch, steps)`, and which of them are said: no blank, no repetition.

        Args:
            logs: `(batch, steps, symbols)`.
            count: of the real steps.
            before: symbol of the step before the first, int32 `(batch,)`.
        """
        likeliest = tf.argmax(logs, axis=-1, output_type=tf.int32)
        real = tf.sequence_mask(count, tf.shape(likeliest)[1])
        previous = tf.concat([before[:, None], likeliest[:, :-1]], axis=1)
        return likeliest, real & (likeliest != 0) & (likeliest != previous)

    def text(self, likeliest: Any, said: Any, tail: Any) -> tuple[Any, Any]:
        """Returns the text that is said, string `(batch,)`, and what was said last, int32 `(batch,)`: nothing, a letter, or a
        blank after one. A blank is written when a letter follows, once, and none before the first.

        Args:
            likeliest: symbols `(batch, steps)`.
            said: which of them count.
            tail: what was said last before.
        """
        signs = tf.ragged.boolean_mask(likeliest, said).to_tensor(self.space)
        letter = signs != self.space
        real = tf.sequence_mask(tf.reduce_sum(tf.cast(said, tf.int32), axis=1), tf.shape(signs)[1])
        begun = (tail > NOTHING)[:, None] | (tf.cumsum(tf.cast(letter, tf.int32), axis=1, exclusive=True) > 0)
        parted = tf.concat([(tail == BLANK_AFTER)[:, None], ~letter[:, :-1]], axis=1)[:, : tf.shape(signs)[1]]
        written = tf.gather(self.signs, tf.where(letter, signs, 0))
        written = tf.where(letter & begun & parted, tf.strings.join([SPACE, written]), written)
        count = tf.reduce_sum(tf.cast(real, tf.int32), axis=1)
        last = tf.gather(tf.pad(letter, [[0, 0], [0, 1]]), tf.maximum(count - 1, 0), axis=1, batch_dims=1)
        ever = (tail > NOTHING) | tf.reduce_any(letter, axis=1)
        after = tf.where(last, LETTER, tf.where(ever, BLANK_AFTER, NOTHING))
        return tf.strings.reduce_join(written, axis=1), tf.where(count > 0, after, tail)

    def whole(self, logs: Any, count: Any) -> dict[str, Any]:
        """Returns the answers to whole utterances."""
        likeliest, said = self.emitted(logs, count, tf.zeros_like(count))
        best = tf.reduce_max(logs, axis=-1)
        real = tf.sequence_mask(count, tf.shape(best)[1], tf.float32)
        confidence = tf.exp(tf.reduce_sum(best * real, axis=1) / tf.maximum(tf.reduce_sum(real, axis=1), 1.0))
        text, _ = self.text(likeliest, said, tf.zeros_like(count))
        start, end = self._times(likeliest, said)
        most = (tf.shape(likeliest)[1] + 1) // 2  # words, by the steps alone: neighbours do not widen the answer
        return {
            "text": text,
            "confidence": confidence,
            "words": _widened(tf.strings.split(text), "", most),
            "start": _widened(start, 0.0, most),
            "end": _widened(end, 0.0, most),
        }

    def _times(self, likeliest: Any, said: Any) -> tuple[Any, Any]:
        """Returns when each word begins and ends, in seconds: ragged `(batch, words)`."""
        steps = tf.broadcast_to(tf.range(tf.shape(said)[1])[None], tf.shape(said))
        signs = tf.ragged.boolean_mask(likeliest, said).to_tensor(self.space)
        at = tf.ragged.boolean_mask(steps, said).to_tensor(0)
        blank = tf.fill([tf.shape(signs)[0], 1], self.space)
        letter = signs != self.space
        first = letter & (tf.concat([blank, signs[:, :-1]], axis=1) == self.space)
        final = letter & (tf.concat([signs[:, 1:], blank], axis=1) == self.space)
        start, end = (tf.ragged.boolean_mask(at, chosen) for chosen in (first, final))
        return tf.cast(start, tf.float32) * SECONDS, tf.cast(end + 1, tf.float32) * SECONDS


class Stream:
    """A recording in pieces of any size: the same symbols as of the whole.

    The memory holds the stack's states, the samples that no step has used up, on the right, how many they are, the last
    symbol, and what was written last.

    Args:
        parts: of a model whose stack has one direction.
        answers: how they are told.
    """

    def __init__(self, parts: Submodels, answers: Answers) -> None:
        assert parts.state_size is not None
        self.parts, self.answers = parts, answers
        self.state_size = parts.state_size + BUFFER + 3

    def step(self, samples: Any, length: Any, last: Any, memory: Any) -> dict[str, Any]:
        """See `export_spec`."""
        states, buffer, *rest = tf.split(memory, [self.parts.state_size, BUFFER, 1, 1, 1], axis=1)
        waiting, before, tail = (tf.cast(value[:, 0], tf.int32) for value in rest)
        length = tf.clip_by_value(length, 0, tf.shape(samples)[1])
        joined = tf.concat([buffer, clean(samples)], axis=1)
        total = waiting + length
        moved = _shifted(joined, BUFFER - waiting, total)
        whole_steps = tf.maximum(total - SPAN + STEP, 0) // STEP
        count = tf.where(last, steps_of(total), whole_steps)
        found = heard(self.parts, {"samples": moved, "length": total}, states, count)
        likeliest, said = self.answers.emitted(found["logs"], count, before)
        used = tf.where(last, total, count * STEP)
        left = tf.minimum(total - used, BUFFER)
        kept = _shifted(tf.pad(moved, [[0, 0], [BUFFER, 0]]), total, BUFFER + total)[:, :BUFFER]
        kept = tf.where(tf.range(BUFFER)[None] >= BUFFER - left[:, None], kept, 0.0)
        place = tf.maximum(count - 1, 0)
        symbol = tf.where(count > 0, tf.gather(likeliest, place, axis=1, batch_dims=1), before)
        text, tail = self.answers.text(likeliest, said, tail)
        numbers = [tf.cast(value, tf.float32)[:, None] for value in (left, symbol, tail)]
        after = tf.concat([found["state"], kept, *numbers], axis=1)
        return {
            "text": text,
            "state": tf.where(last[:, None], tf.zeros_like(after), after),
        }


def _widened(ragged: Any, empty: Any, width: Any) -> Any:
    """Returns rows of different lengths `(batch, width)`, `empty` on the right."""
    rows = ragged.to_tensor(empty)[:, :width]
    return tf.pad(rows, [[0, 0], [0, width - tf.shape(rows)[1]]], constant_values=empty)


def _shifted(values: Any, by: Any, end: Any) -> Any:
    """Returns each row from its own place `by` on, `(batch, size)`, zeros from the new place `end` on."""
    size = tf.shape(values)[1]
    places = tf.range(size)[None] + by[:, None]
    found = tf.gather(values, tf.minimum(places, size - 1), axis=1, batch_dims=1)
    return tf.where((places < size) & (tf.range(size)[None] < end[:, None]), found, 0.0)


def sample_request() -> dict[str, np.ndarray]:
    """Returns two recordings of a gliding tone, of 0.1 and 0.06 seconds."""
    time = np.arange(RATE // 10) / RATE
    tones = [np.round(0.3 * np.sin(2 * np.pi * (pitch + 900 * time) * time), 3) for pitch in (220, 440)]
    samples, length = padded([tones[0], tones[1][: RATE * 6 // 100]], np.float32)
    return {"samples": samples, "length": length}


def answered(call: Predictor, recordings: Sequence[np.ndarray]) -> list[dict[str, Any]]:
    """Returns an exported model's answers to recordings, float32 at 16 kHz each; those of like length are asked together."""
    order = np.argsort([len(samples) for samples in recordings], kind="stable")
    answers: list[dict[str, Any]] = [{} for _ in recordings]
    for rows in _together(order, [len(samples) for samples in recordings]):
        samples, length = padded([recordings[row] for row in rows], np.float32)
        found = call({"samples": samples, "length": length})
        for k, row in enumerate(rows):
            words = [word.decode() for word in found["words"][k] if word]
            times = {name: found[name][k][: len(words)].astype(float).round(2).tolist() for name in ("start", "end")}
            answers[row] = {
                "text": found["text"][k].decode(),
                "confidence": float(found["confidence"][k]),
                "words": words,
                **times,
            }
    return answers


def _together(order: np.ndarray, lengths: Sequence[int]) -> Iterator[np.ndarray]:
    """Yields recordings to be asked together: as many as fit into `TOGETHER` samples, one at least."""
    start = 0
    for end in range(1, len(order) + 1):
        if end == len(order) or (end + 1 - start) * lengths[order[end]] > TOGETHER:
            yield order[start:end]
            start = end


def predict(lines: Sequence[str], metadata: dict[str, Any], call: Predictor) -> Mapping[str, np.ndarray]:
    """Returns what is said in recordings, each line the path of one.

    Raises:
        DataError: one cannot be read.
    """
    answers = answered(call, [audio.read(Path(line).expanduser(), line) for line in lines])
    found = {}
    for name in answers[0]:
        column = np.empty(len(answers), object)
        column[:] = [answer[name] for answer in answers]
        found[name] = column
    return found


def score_file(config: SpeechConfig, source: str, metadata: dict[str, Any], call: Predictor) -> list[Score]:
    """Scores an exported model on a manifest, or a folder of recordings.

    Raises:
        DataError: they cannot be used.
    """
    from tasks.speech.evaluate import error_rates

    settings = with_trained_defaults(config.audio, {**dataclasses.asdict(AudioConfig()), **metadata["audio"]})
    frame = data.read(dataclasses.replace(config, audio=settings), source)
    stores = {store: audio.opened(store) for store in frame["store"].unique()}
    recordings = [audio.samples_of(stores[row.store], row.start, row.length) for row in frame.itertuples()]
    texts = [answer["text"] for answer in answered(call, recordings)]
    return error_rates("exported", frame["text"].tolist(), texts, frame["speaker"].tolist())
