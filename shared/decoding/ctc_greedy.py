"""Greedy CTC decoding: the most probable symbol of each step, repetitions merged, `BLANK_ID` removed (Graves et al., 2006).

`GreedyDecoder` runs in the TensorFlow graph, so that an exported model contains it. It decodes complete sequences, with the words and
their steps, or one sequence in chunks of any size.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from shared.decoding.ctc_symbols import BLANK_ID, SPACE, decode_path

MIN_PROBABILITY = 1e-6
NO_TEXT, AFTER_CHARACTER, AFTER_SPACE = 0, 1, 2
"""What a text ends with: nothing yet, a character, or a space that is not written yet."""


def decode_greedily(log_probabilities: np.ndarray, alphabet: str) -> str:
    """Returns the text of the most probable symbol of each step, with one space between two words and none at the ends.

    Args:
        log_probabilities: of the symbols, float `(steps, symbols)`; the first one is `BLANK_ID`. Any increasing function of the
            probabilities gives the same text.
        alphabet: characters of the model; the character at index k has the symbol id k + 1.
    """
    text = decode_path(log_probabilities.argmax(axis=-1).tolist(), alphabet)
    return SPACE.join(word for word in text.split(SPACE) if word)


class GreedyDecoder:
    """Decodes the most probable symbol of each step into text, inside the TensorFlow graph.

    Spaces are written as by `decode_greedily`: one between two words, none at the ends.

    Args:
        alphabet: characters of the model; the character at index k has the symbol id k + 1.
        calibration: slope a and intercept b of the confidence of a word, sigmoid(a logit(p) + b), where p is the geometric mean of the
            probabilities of its characters. (1, 0) is p itself.
        min_confidence: texts with a lower confidence are not written.
    """

    STATE_SIZE = 2
    """Size of the state of `decode_chunk`: the last symbol, and what the text ends with."""

    def __init__(
        self, alphabet: str, calibration: tuple[float, float] = (1.0, 0.0), min_confidence: float = 0.0
    ) -> None:
        self.calibration, self.min_confidence = calibration, min_confidence
        self.characters = tf.constant(["", *alphabet])
        self.space_id = alphabet.find(SPACE) + 1 or -1  # -1 if the alphabet has no space

    def decode(self, log_probabilities: Any, step_count: Any) -> dict[str, Any]:
        """Returns the texts of complete sequences, and their words with the steps.

        Args:
            log_probabilities: natural logarithms of the probabilities of the symbols, float32 `(batch, steps, symbols)`; the first
                one is `BLANK_ID`.
            step_count: number of valid steps, int32 `(batch,)`.

        Returns:
            `text` string `(batch,)`; and `words` string, `word_confidence` float32 in [0, 1], `start_step` and `end_step` int32, each
            `(batch, words)`, with "" and 0 after the last word. Steps are counted from 0. `start_step` writes the first character of a
            word, and `end_step` is the step after the one that writes its last character; repetitions of that character do not count.
            `confidence` float32 `(batch,)` in [0, 1] is the geometric mean of the confidences of the words; without words, that of the
            probabilities of `BLANK_ID`, 1 without steps.
        """
        symbols, is_written = self._select_symbols(log_probabilities, step_count, tf.zeros_like(step_count))
        text, _ = self._write_text(symbols, is_written, tf.zeros_like(step_count))
        start_step, end_step = self._word_steps(symbols, is_written)
        max_words = (tf.shape(symbols)[1] + 1) // 2  # depends only on the steps, not on the other texts of the batch
        best = tf.reduce_max(log_probabilities, axis=-1)
        word_confidence = _pad_ragged(self._word_confidence(symbols, is_written, best), 0.0, max_words)
        word_count = start_step.row_lengths()
        is_word = tf.sequence_mask(word_count, max_words, tf.float32)
        log_confidence = tf.math.log(tf.maximum(word_confidence, MIN_PROBABILITY)) * is_word
        confidence = tf.exp(tf.reduce_sum(log_confidence, axis=1) / tf.maximum(tf.cast(word_count, tf.float32), 1.0))
        is_step = tf.sequence_mask(step_count, tf.shape(best)[1], tf.float32)
        silence = tf.reduce_sum(log_probabilities[..., BLANK_ID] * is_step, axis=1)
        silence = tf.exp(silence / tf.maximum(tf.reduce_sum(is_step, axis=1), 1.0))
        has_text = (word_count > 0) & (confidence >= self.min_confidence)
        outputs = {
            "words": _pad_ragged(tf.strings.split(text, SPACE), "", max_words),
            "word_confidence": word_confidence,
            "start_step": _pad_ragged(start_step, 0, max_words),
            "end_step": _pad_ragged(end_step, 0, max_words),
        }
        return {
            "text": tf.where(has_text, text, ""),
            "confidence": tf.where(has_text, confidence, silence),
            **{name: tf.where(has_text[:, None], value, tf.zeros_like(value)) for name, value in outputs.items()},
        }

    def _word_confidence(self, symbols: Any, is_written: Any, best: Any) -> tf.RaggedTensor:
        """Returns the confidence of each word, ragged float32 `(batch, words)`.

        Args:
            symbols: symbol ids `(batch, steps)`.
            is_written: mask of the symbols that are written, `(batch, steps)`.
            best: log-probability of each of these symbols, float32 `(batch, steps)`.
        """
        written, is_first, is_last = self._word_limits(symbols, is_written)
        is_character = tf.cast(written != self.space_id, tf.float32)
        scores = tf.ragged.boolean_mask(best, is_written).to_tensor(0.0) * is_character
        sums, counts = (
            tf.ragged.boolean_mask(tf.cumsum(values, axis=1), is_last)
            - tf.ragged.boolean_mask(tf.cumsum(values, axis=1, exclusive=True), is_first)
            for values in (scores, is_character)
        )
        slope, intercept = self.calibration
        probability = tf.clip_by_value(tf.exp(sums / counts), MIN_PROBABILITY, 1.0 - MIN_PROBABILITY)
        return tf.sigmoid(slope * (tf.math.log(probability) - tf.math.log(1.0 - probability)) + intercept)

    def decode_chunk(self, log_probabilities: Any, step_count: Any, state: Any) -> tuple[Any, Any]:
        """Returns the text that the next steps of a sequence add, and the next state.

        The texts of all chunks, one after the other, are the `text` of `decode`, whatever the sizes of the chunks.

        Args:
            log_probabilities: of the symbols, float32 `(batch, steps, symbols)`, at least one step; the first symbol is
                `BLANK_ID`.
            step_count: number of valid steps, int32 `(batch,)`; 0 for a sequence that waits.
            state: int32 `(batch, STATE_SIZE)`, zeros at the beginning of a sequence.

        Returns:
            Text, string `(batch,)`, and the next state, int32 `(batch, STATE_SIZE)`.
        """
        previous, ending = state[:, 0], state[:, 1]
        symbols, is_written = self._select_symbols(log_probabilities, step_count, previous)
        last_symbol = tf.gather(symbols, tf.maximum(step_count - 1, 0), axis=1, batch_dims=1)
        last_symbol = tf.where(step_count > 0, last_symbol, previous)
        text, ending = self._write_text(symbols, is_written, ending)
        return text, tf.stack([last_symbol, ending], axis=1)

    def _select_symbols(self, log_probabilities: Any, step_count: Any, previous: Any) -> tuple[Any, Any]:
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

    def _write_text(self, symbols: Any, is_written: Any, ending: Any) -> tuple[Any, Any]:
        """Returns the text, string `(batch,)`, and what the text of the sequence now ends with, int32 `(batch,)`.

        A space is written only when a character follows, only once, and not before the first character.

        Args:
            symbols: symbol ids `(batch, steps)`.
            is_written: mask of the symbols that are written, `(batch, steps)`.
            ending: what the text ended with before, int32 `(batch,)`: `NO_TEXT`, `AFTER_CHARACTER` or `AFTER_SPACE`.
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

    def _word_steps(self, symbols: Any, is_written: Any) -> tuple[Any, Any]:
        """Returns the step that writes the first character of each word, and the step after that of its last one.

        Both are ragged int32 `(batch, words)`.
        """
        all_steps = tf.broadcast_to(tf.range(tf.shape(is_written)[1])[None], tf.shape(is_written))
        _, is_first, is_last = self._word_limits(symbols, is_written)
        steps = tf.ragged.boolean_mask(all_steps, is_written).to_tensor(0)
        start_step, last_step = (tf.ragged.boolean_mask(steps, mask) for mask in (is_first, is_last))
        return start_step, last_step + 1

    def _word_limits(self, symbols: Any, is_written: Any) -> tuple[Any, Any, Any]:
        """Returns the written symbols, int32 `(batch, written)`, padded with the space, and masks of the first and the last character of
        each word."""
        written = tf.ragged.boolean_mask(symbols, is_written).to_tensor(self.space_id)
        space = tf.fill([tf.shape(written)[0], 1], self.space_id)
        is_character = written != self.space_id
        is_first = is_character & (tf.concat([space, written[:, :-1]], axis=1) == self.space_id)
        is_last = is_character & (tf.concat([written[:, 1:], space], axis=1) == self.space_id)
        return written, is_first, is_last


def _pad_ragged(ragged: Any, value: Any, width: Any) -> Any:
    """Returns the rows of a ragged tensor as `(batch, width)`, padded with `value` on the right."""
    rows = ragged.to_tensor(value)[:, :width]
    return tf.pad(rows, [[0, 0], [0, width - tf.shape(rows)[1]]], constant_values=value)
