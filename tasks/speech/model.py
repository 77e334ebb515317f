"""The acoustic model: from samples to the log-probabilities of the output symbols, one step every 40 ms.

    samples ─ log-mel, 100 per second ─ normalization over speech ─ two convolutions, 25 per second ─ LSTM stack ─ symbol probabilities

Everything before the stack is a function of a window of the samples: step k reads `STEP_WINDOW` samples from `k * STEP_LENGTH` on.
So a stream needs only the samples that its next steps read, and the LSTM states. The symbols are those of connectionist temporal
classification (CTC): `BLANK_ID`, which stands for no character, and the characters of the alphabet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from shared.decoding.ctc_symbols import BLANK_ID
from shared.layers.lstm import LSTMStack
from tasks.speech.config import SpeechConfig
from tasks.speech.features import (
    SILENCE,
    is_valid_frame,
    log_mel,
    mel_layer,
    normalize_rms,
    speech_statistics,
    standardize,
    training_statistics,
)
from tasks.speech.timing import FINAL_STEPS, FRAME_LENGTH, HOP_LENGTH, STEP_LENGTH, count_steps
from tasks.speech.voice_activity import find_loud, find_speech, frame_energy

KERNEL_SIZE, STRIDE = 3, 2  # of both convolutions, in time and frequency
WINDOW_FRAMES = KERNEL_SIZE + STRIDE * (KERNEL_SIZE - 1)  # frames that one step reads
STEP_WINDOW = (WINDOW_FRAMES - 1) * HOP_LENGTH + FRAME_LENGTH  # samples that one step reads, 92 ms
STEPS_PER_SYMBOL = 4
"""Steps of a recording with an empty text that count as one symbol in the loss."""
LOSS_WEIGHT = 1e-3
"""Weight of the loss beside the error rate in the metric that selects the best epoch."""


@dataclass(frozen=True)
class Submodels:
    """The two submodels of a model (see `SubmodelBuilder`); evaluation and serving call them."""

    feature_extractor: keras.Model
    """Model from `samples` float32 `(batch, samples)` and `length` int32 `(batch,)`, the number of valid samples, to normalized
    features `(batch, frames, mel_bands)`. Without speech, and after the end of a recording, they are `SILENCE`; with statistics of the
    training split they are those of the sound, and 0 after the end."""
    acoustic_model: keras.Model
    """Model from `features`, `step_count` int32 `(batch,)`, the number of valid steps, and, if the stack is unidirectional, `state`
    `(batch, state_size)`, to `log_probabilities` of the symbols `(batch, steps, symbols)` and the `state` after the last valid
    step."""

    @property
    def state_size(self) -> int | None:
        """Size of the state of the LSTM stack; None if the stack is bidirectional."""
        inputs = self.acoustic_model.input
        return int(inputs["state"].shape[-1]) if "state" in inputs else None


def get_submodels(model: keras.Model) -> Submodels:
    """Returns the submodels of a model from `SubmodelBuilder.full_model`, which may be loaded from a file."""
    return Submodels(model.get_layer("feature_extractor"), model.get_layer("acoustic_model"))


class SubmodelBuilder:
    """Builds the submodels, which share their weights in training, serving and streaming.

    Args:
        config: sizes and regularization.
        symbols: number of output symbols, `BLANK_ID` included.
        statistics: mean and standard deviation of each band on the training split, `(2, mel_bands)`; None if each recording is
            normalized by its own statistics.
    """

    def __init__(self, config: SpeechConfig, symbols: int, statistics: np.ndarray | None = None) -> None:
        self.config, self.symbols = config, symbols
        self.stack = LSTMStack(config.lstm)
        self.feature_extractor = self._build_feature_extractor(statistics)
        self.acoustic_model = self._build_acoustic_model()
        self.submodels = Submodels(self.feature_extractor, self.acoustic_model)

    def full_model(self) -> keras.Model:
        """Returns the model that `model.keras` holds: from whole recordings to log-probabilities `(batch, steps, symbols)`, which
        are uniform after the last valid step."""
        inputs = _inputs()
        return keras.Model(inputs, run_submodels(self.submodels, inputs)["log_probabilities"], name="speech")

    def _build_feature_extractor(self, statistics: np.ndarray | None) -> keras.Model:
        config, inputs = self.config.features, _inputs()
        position = ops.cumsum(ops.ones_like(inputs["samples"], dtype="int32"), axis=1)  # counted from 1
        samples = ops.where(position <= inputs["length"][:, None], inputs["samples"], 0.0)
        padding = STEP_WINDOW - 1 + FINAL_STEPS * STEP_LENGTH  # a step may start at the last sample
        samples = ops.pad(samples, [[0, 0], [0, padding]])
        if config.normalization == "training":
            frames = log_mel(samples, mel_layer(config))
            is_valid = is_valid_frame(frames, inputs["length"])
            features = standardize(frames, *training_statistics(config, statistics))
            return keras.Model(inputs, ops.where(is_valid[..., None], features, 0.0), name="feature_extractor")
        energy = frame_energy(samples)
        is_valid = is_valid_frame(energy, inputs["length"])
        is_loud = find_loud(energy, is_valid)
        is_speech = find_speech(energy, is_valid)
        if config.normalization == "rms":
            samples = normalize_rms(samples, is_loud)
        frames = log_mel(samples, mel_layer(config))
        if config.normalization == "rms":
            mean, deviation = training_statistics(config, statistics)
        else:
            mean, deviation = speech_statistics(frames, is_loud)
        features = ops.where(is_speech[..., None], standardize(frames, mean, deviation), SILENCE)
        return keras.Model(inputs, features, name="feature_extractor")

    def _build_acoustic_model(self) -> keras.Model:
        config = self.config.model
        features = keras.Input((None, self.config.features.mel_bands), name="features")
        step_count = keras.Input((), dtype="int32", name="step_count")
        inputs = {"features": features, "step_count": step_count}
        hidden = ops.expand_dims(features, -1)
        for k in range(2):
            hidden = ops.pad(hidden, [[0, 0], [0, 0], [1, 1], [0, 0]])  # pads the bands, not the time
            hidden = keras.layers.Conv2D(config.filters, KERNEL_SIZE, STRIDE, name=f"convolution_{k}")(hidden)
            hidden = keras.layers.LayerNormalization(axis=[2, 3], name=f"convolution_{k}_norm")(hidden)
            hidden = ops.silu(hidden)
        hidden = keras.layers.Reshape((-1, hidden.shape[2] * hidden.shape[3]))(hidden)
        hidden = keras.layers.Dropout(config.input_dropout, name="input_dropout")(hidden)
        step = ops.cumsum(ops.ones_like(hidden[..., 0], dtype="int32"), axis=1)  # counted from 1
        mask = step <= step_count[:, None]
        outputs = {}
        if self.config.lstm.bidirectional:
            hidden = self.stack.sequence(hidden, mask)
        else:
            inputs["state"] = keras.Input((2 * sum(self.config.lstm.units),), name="state")
            states = self.stack.unpack_states(inputs["state"])
            hidden, next_states = self.stack.sequence_with_states(hidden, states, mask)
            outputs["state"] = ops.cast(self.stack.pack_states(next_states), "float32")
        hidden = keras.layers.Dropout(config.output_dropout, name="output_dropout")(hidden)
        logits = keras.layers.Dense(self.symbols, dtype="float32", name="symbols")(hidden)
        logits = logits * ops.cast(mask, "float32")[..., None]
        log_probabilities = ops.log_softmax(logits, axis=-1)
        return keras.Model(inputs, {"log_probabilities": log_probabilities, **outputs}, name="acoustic_model")


def run_submodels(
    submodels: Submodels, inputs: Mapping[str, Any], state: Any = None, step_count: Any = None
) -> dict[str, Any]:
    """Returns `log_probabilities` of the symbols and, if the stack is unidirectional, its next `state`.

    Args:
        submodels: submodels of the model.
        inputs: `samples` and `length`, the inputs of the feature extractor.
        state: state of the LSTM stack before the first step; zeros if None.
        step_count: number of valid steps, int32 `(batch,)`; the steps of a whole recording if None.
    """
    features = submodels.feature_extractor(dict(inputs))
    step_count = count_steps(inputs["length"]) if step_count is None else step_count
    acoustic_inputs = {"features": features, "step_count": step_count}
    if submodels.state_size is not None:
        if state is None:
            zeros = ops.zeros_like(ops.cast(inputs["length"], "float32"))[:, None]
            state = ops.repeat(zeros, submodels.state_size, axis=1)
        acoustic_inputs["state"] = state
    return submodels.acoustic_model(acoustic_inputs)


def ctc_loss(labels: Any, label_length: Any, log_probabilities: Any, step_count: Any) -> Any:
    """Returns the CTC loss of each row: the negative log-likelihood of its labels over all alignments, in nats, `(batch,)`.

    On TensorFlow, this uses the operation for sparse labels, which is many times faster on a CPU than the one for dense labels. Its
    loss of a text that is too long for its steps is 0. It rejects empty texts, whose loss is computed here: all steps must be
    `BLANK_ID`.

    Args:
        labels: symbol ids, int32 `(batch, symbols)`, 0 for padding.
        label_length: number of valid labels, int32 `(batch,)`.
        log_probabilities: of the symbols, float32 `(batch, steps, symbols)`; the first one is `BLANK_ID`.
        step_count: number of valid steps, int32 `(batch,)`.
    """
    if keras.backend.backend() != "tensorflow":
        return ops.ctc_loss(labels, log_probabilities, label_length, step_count, mask_index=BLANK_ID)
    import tensorflow as tf

    is_empty = tf.equal(label_length, 0)
    first = tf.one_hot(0, tf.shape(labels)[1], dtype=labels.dtype)
    sparse = tf.sparse.from_dense(tf.where(is_empty[:, None], first[None], labels))
    sparse = tf.SparseTensor(sparse.indices, sparse.values - 1, sparse.dense_shape)  # here BLANK_ID is last
    blank_last = tf.concat([log_probabilities[..., 1:], log_probabilities[..., :1]], axis=-1)
    time_major = tf.transpose(blank_last, [1, 0, 2])
    losses = tf.compat.v1.nn.ctc_loss(sparse, time_major, step_count, ignore_longer_outputs_than_inputs=True)
    is_step = tf.sequence_mask(step_count, tf.shape(log_probabilities)[1], log_probabilities.dtype)
    return tf.where(is_empty, -tf.reduce_sum(log_probabilities[..., BLANK_ID] * is_step, axis=1), losses)


def count_character_errors(labels: Any, log_probabilities: Any, step_count: Any) -> Any:
    """Returns the edit distance between the labels and the greedily decoded symbols of each row, float32 `(batch,)`.

    Unlike the scores of the report, it counts leading, trailing and repeated spaces. It needs TensorFlow.

    Args:
        labels: symbol ids, int32 `(batch, symbols)`, 0 for padding.
        log_probabilities: of the symbols, float32 `(batch, steps, symbols)`; the first one is `BLANK_ID`.
        step_count: number of valid steps, int32 `(batch,)`.
    """
    import tensorflow as tf

    best = tf.argmax(log_probabilities, axis=-1, output_type=tf.int32)
    previous = tf.pad(best[:, :-1], [[0, 0], [1, 0]])
    is_written = tf.sequence_mask(step_count, tf.shape(best)[1]) & (best != BLANK_ID) & (best != previous)
    decoded = tf.ragged.boolean_mask(best, is_written).to_sparse()
    return tf.ensure_shape(tf.edit_distance(decoded, tf.sparse.from_dense(labels), normalize=False), [None])


def _inputs() -> dict[str, Any]:
    return {"samples": keras.Input((None,), name="samples"), "length": keras.Input((), dtype="int32", name="length")}


class Trainer(keras.Model):
    """Model from recordings and their texts to the CTC loss of each recording (Graves et al., 2006).

    Args:
        builder: the submodels and their configuration.

    Attributes:
        monitored_metric: metric that selects the best epoch. It is the character error rate of greedy decoding plus a small
            multiple of the loss, which decides between epochs with equal error rates. The loss alone is a worse choice: it rises
            again when the model becomes too confident. On backends other than TensorFlow it is the loss.
    """

    def __init__(self, builder: SubmodelBuilder) -> None:
        super().__init__(name="trainer", autocast=False)  # samples and losses stay float32 in mixed precision
        self.error_rate, self.monitored_metric = None, "loss"
        if keras.backend.backend() == "tensorflow":
            self.error_rate = keras.metrics.Mean(name="character_error_rate")
            self.error_rate_and_loss = keras.metrics.Mean(name="error_rate_and_loss")
            self.monitored_metric = self.error_rate_and_loss.name
        self.feature_extractor, self.acoustic_model = builder.feature_extractor, builder.acoustic_model
        self.submodels, self.augment = builder.submodels, builder.config.augment
        self.seed_generator = keras.random.SeedGenerator(builder.config.training.seed)

    def call(self, batch: dict[str, Any], training: bool = False) -> Any:
        """Returns the negative log-likelihood of each text divided by its number of symbols, in nats, float32 `(batch,)`; for an empty
        text, by its steps / `STEPS_PER_SYMBOL`.

        Args:
            batch: `samples`, `length`, `labels` int32 `(batch, symbols)`, 0 for padding, and `label_length`.
            training: whether features are augmented and dropout is active.
        """
        step_count = count_steps(batch["length"])
        features = self.feature_extractor({"samples": batch["samples"], "length": batch["length"]})
        if training:
            features = self._mask_features(self._warp_features(features), batch["length"])
        inputs = {"features": features, "step_count": step_count}
        if self.submodels.state_size is not None:
            inputs["state"] = ops.zeros((ops.shape(features)[0], self.submodels.state_size))
        log_probabilities = self.acoustic_model(inputs, training=training)["log_probabilities"]
        losses = ctc_loss(batch["labels"], batch["label_length"], log_probabilities, step_count)
        steps_as_symbols = ops.cast(step_count, "float32") / STEPS_PER_SYMBOL
        symbols = ops.cast(batch["label_length"], "float32")
        symbols = ops.where(symbols > 0, symbols, steps_as_symbols)
        if self.error_rate is not None:
            rates = count_character_errors(batch["labels"], log_probabilities, step_count) / symbols
            self.error_rate.update_state(rates, sample_weight=symbols)
            self.error_rate_and_loss.update_state(rates + LOSS_WEIGHT * losses / symbols, sample_weight=symbols)
        return losses / symbols

    def _warp_features(self, features: Any) -> Any:
        """Warps the frequency axis of each recording by a random factor, as by a longer or shorter vocal tract; bands are
        interpolated linearly. `(batch, frames, mel_bands)`."""
        if not self.augment.vocal_tract_warp:
            return features
        rows, bands = ops.shape(features)[0], features.shape[2]
        uniform = keras.random.uniform((rows, 1, 1), seed=self.seed_generator)
        factor = 1.0 + self.augment.vocal_tract_warp * (2.0 * uniform - 1.0)
        band = ops.arange(bands, dtype="float32")
        source = ops.minimum(band[None, None, :] * factor, float(bands - 1))  # (batch, 1, bands)
        weights = ops.relu(1.0 - ops.abs(band[None, :, None] - source))  # (batch, source bands, bands)
        return ops.matmul(features, weights)

    def _mask_features(self, features: Any, length: Any) -> Any:
        """Sets random time spans and ranges of bands of each recording to 0, the mean of each band."""
        rows = ops.shape(features)[0]
        frames = ops.cast(length // HOP_LENGTH, "float32")
        mask = ops.ones_like(features)
        for axis, count, max_width, size in (
            (1, self.augment.time_masks, ops.minimum(float(self.augment.time_mask_width), frames / 10), frames),
            (2, self.augment.frequency_masks, float(self.augment.frequency_mask_width), float(features.shape[2])),
        ):
            position = ops.cumsum(ops.ones_like(features), axis=axis) - 1
            for _ in range(count):
                width = keras.random.uniform((rows,), seed=self.seed_generator) * max_width
                start = keras.random.uniform((rows,), seed=self.seed_generator) * ops.maximum(size - width, 0.0)
                end = start + width
                is_masked = ops.logical_and(position >= start[:, None, None], position < end[:, None, None])
                mask = mask * (1.0 - ops.cast(is_masked, "float32"))
        return features * mask
