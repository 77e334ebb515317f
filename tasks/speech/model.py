"""The recogniser: samples to features, a front that reduces time, the LSTM stack, and a symbol or none each 40 ms.

    samples ─ log-mel, 100 a second ─ normalised ─ two convolutions, 25 a second ─ LSTM stack ─ log-probabilities of symbols

All before the stack is a function of a finite window: step k reads the samples from `k * STEP` on, `SPAN` of them. So a
stream needs but the samples that no step has used up, and the states of the stack.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from shared.lstm import LSTMStack
from tasks.speech.config import SpeechConfig
from tasks.speech.features import HOP, WIDTH, levelled, log_mel, mel_layer

REDUCTION = 4  # frames for each step of the stack
KERNEL, STRIDE = 3, 2  # of both convolutions, in time and frequency
FRAMES = KERNEL + STRIDE * (KERNEL - 1)  # that one step reads
STEP = REDUCTION * HOP  # samples from step to step, 40 ms
SPAN = (FRAMES - 1) * HOP + WIDTH  # samples that one step reads, 92 ms
TAIL = 6  # steps of silence that are read behind the end, so that the last sounds can be told
BLANK = 0  # number of the symbol that stands for none
LEAST = 1e-3  # deviation of a band
A_LITTLE = 1e-3  # of the loss, beside the errors, when an epoch is chosen


@dataclass(frozen=True)
class Submodels:
    """The trained parts of a model (see `SubmodelBuilder`), by which it is judged and served."""

    hearing: keras.Model
    """From `samples` float32 `(batch, samples)`, zeros behind `length` int32 `(batch,)`, to normalised features `(batch, frames,
    mels)`, zeros behind the end."""
    reading: keras.Model
    """From `features`, `count` int32 `(batch,)`, how many steps are real, and, of a stack of one direction, `memory` `(batch,
    numbers)`, to `logs`, log-probabilities of symbols `(batch, steps, symbols)`, and `memory` after the last."""

    @property
    def state_size(self) -> int | None:
        """Numbers in the stack's memory; None where it needs the whole utterance."""
        inputs = self.reading.input
        return int(inputs["state"].shape[-1]) if "state" in inputs else None


def get_submodels(model: keras.Model) -> Submodels:
    """Returns the parts of a model that `SubmodelBuilder.whole` made, also of one that was loaded."""
    return Submodels(model.get_layer("hearing"), model.get_layer("reading"))


class SubmodelBuilder:
    """The model's parts, which share their weights in training, in serving and in a stream.

    Args:
        config: sizes and regularisation.
        symbols: how many, with the blank.
        statistics: mean and deviation of each band on the training split, `(2, mels)`, where the features are normalised by them.
    """

    def __init__(self, config: SpeechConfig, symbols: int, statistics: np.ndarray | None = None) -> None:
        self.config, self.symbols = config, symbols
        self.stack = LSTMStack(config.lstm)
        self.hearing = self._hearing(statistics)
        self.reading = self._reading()
        self.parts = Submodels(self.hearing, self.reading)

    def whole(self) -> keras.Model:
        """Returns the model of `model.keras`: whole utterances to log-probabilities `(batch, steps, symbols)`, uniform behind
        the end."""
        inputs = _inputs()
        return keras.Model(inputs, heard(self.parts, inputs)["logs"], name="speech")

    def _hearing(self, statistics: np.ndarray | None) -> keras.Model:
        config, inputs = self.config.features, _inputs()
        real = ops.cumsum(ops.ones_like(inputs["samples"], dtype="int32"), axis=1) <= inputs["length"][:, None]
        samples = ops.where(real, inputs["samples"], ops.zeros_like(inputs["samples"]))
        if config.normalization == "level":
            samples = levelled(samples, inputs["length"])
        samples = ops.pad(
            samples, [[0, 0], [0, SPAN - 1 + TAIL * STEP]]
        )  # the last step with sound begins with the last samples
        frames = log_mel(samples, mel_layer(config))
        number = ops.cumsum(ops.ones_like(frames[..., 0], dtype="int32"), axis=1) - 1
        begun = ops.cast(number * HOP < inputs["length"][:, None], "float32")[..., None]
        if config.normalization != "utterance":
            if statistics is None:
                raise ValueError("Normalising by training needs its statistics.")
            mean, deviation = (ops.convert_to_tensor(row.astype(np.float32)) for row in statistics)
        else:
            count = ops.maximum(ops.sum(begun, axis=1, keepdims=True), 1.0)
            mean = ops.sum(frames * begun, axis=1, keepdims=True) / count
            variance = ops.sum(ops.square(frames - mean) * begun, axis=1, keepdims=True) / count
            deviation = ops.sqrt(variance)
        features = (frames - mean) / ops.maximum(deviation, LEAST) * begun
        return keras.Model(inputs, features, name="hearing")

    def _reading(self) -> keras.Model:
        config = self.config.model
        features = keras.Input((None, self.config.features.mels), name="features")
        count = keras.Input((), dtype="int32", name="count")
        inputs = {"features": features, "count": count}
        hidden = ops.expand_dims(features, -1)
        for k in range(2):
            hidden = ops.pad(hidden, [[0, 0], [0, 0], [1, 1], [0, 0]])  # of the bands, not of time
            hidden = keras.layers.Conv2D(config.filters, KERNEL, STRIDE, name=f"front_{k}")(hidden)
            hidden = keras.layers.LayerNormalization(axis=[2, 3], name=f"front_{k}_norm")(hidden)
            hidden = ops.silu(hidden)
        hidden = keras.layers.Reshape((-1, hidden.shape[2] * hidden.shape[3]))(hidden)
        hidden = keras.layers.Dropout(config.input_dropout, name="input_dropout")(hidden)
        number = ops.cumsum(ops.ones_like(hidden[..., 0], dtype="int32"), axis=1)
        real = number <= count[:, None]
        outputs = {}
        if self.config.lstm.bidirectional:
            hidden = self.stack.sequence(hidden, real)
        else:
            inputs["state"] = keras.Input((2 * sum(self.config.lstm.units),), name="state")
            hidden, after = self.stack.sequence_with_states(hidden, self.stack.unpack_states(inputs["state"]), real)
            outputs["state"] = ops.cast(self.stack.pack_states(after), "float32")
        hidden = keras.layers.Dropout(config.output_dropout, name="output_dropout")(hidden)
        logits = keras.layers.Dense(self.symbols, dtype="float32", name="symbols")(hidden)
        logits = logits * ops.cast(real, "float32")[..., None]
        return keras.Model(inputs, {"logs": ops.log_softmax(logits, axis=-1), **outputs}, name="reading")


def steps_of(length: Any) -> Any:
    """Returns how many steps so many samples make: one for each `STEP` begun, and `TAIL` behind the end."""
    return (length + STEP - 1) // STEP + TAIL


def heard(parts: Submodels, inputs: Mapping[str, Any], memory: Any = None, count: Any = None) -> dict[str, Any]:
    """Returns what `reading` makes of samples: `logs`, and `memory` of a stack of one direction.

    Args:
        parts: of the model.
        inputs: `samples` and `length`.
        memory: of the stack, before; nothing when left out.
        count: steps that are real; those of a whole utterance when left out.
    """
    features = parts.hearing(dict(inputs))
    count = steps_of(inputs["length"]) if count is None else count
    given = {"features": features, "count": count}
    if parts.state_size is not None:
        if memory is None:
            none = ops.zeros_like(ops.cast(inputs["length"], "float32"))[:, None]
            memory = ops.repeat(none, parts.state_size, axis=1)
        given["state"] = memory
    return parts.reading(given)


def ctc_losses(labels: Any, label_length: Any, logs: Any, count: Any) -> Any:
    """Returns the negative log likelihood of each row's labels over all ways to spell them out in time, in nats, `(batch,)`.

    On TensorFlow by its operation for sparse labels, which is many times as fast on a processor as the dense one; a text
    that does not fit into its steps has loss 0 there.

    Args:
        labels: int32 `(batch, symbols)`, 0 for padding.
        label_length: int32 `(batch,)`.
        logs: log-probabilities of symbols, the blank first, `(batch, steps, symbols)`.
        count: real steps, int32 `(batch,)`.
    """
    if keras.backend.backend() != "tensorflow":
        return ops.ctc_loss(labels, logs, label_length, count, mask_index=BLANK)
    import tensorflow as tf

    sparse = tf.sparse.from_dense(labels)
    sparse = tf.SparseTensor(sparse.indices, sparse.values - 1, sparse.dense_shape)  # the operation's blank is the last
    turned = tf.transpose(tf.concat([logs[..., 1:], logs[..., :1]], axis=-1), [1, 0, 2])
    return tf.compat.v1.nn.ctc_loss(sparse, turned, count, ignore_longer_outputs_than_inputs=True)


def character_errors(labels: Any, logs: Any, count: Any) -> Any:
    """Returns how many symbols of the likeliest text of each row are wrong, missing or too many, float32 `(batch,)`; each blank
    counts, as the report's tidied texts do not have it.

    On TensorFlow alone, which has the operation.

    Args:
        labels: int32 `(batch, symbols)`, 0 for padding.
        logs: log-probabilities of symbols, the blank first, `(batch, steps, symbols)`.
        count: real steps, int32 `(batch,)`.
    """
    import tensorflow as tf

    likeliest = tf.argmax(logs, axis=-1, output_type=tf.int32)
    previous = tf.pad(likeliest[:, :-1], [[0, 0], [1, 0]])
    said = tf.sequence_mask(count, tf.shape(likeliest)[1]) & (likeliest != BLANK) & (likeliest != previous)
    heard = tf.ragged.boolean_mask(likeliest, said).to_sparse()
    return tf.ensure_shape(tf.edit_distance(heard, tf.sparse.from_dense(labels), normalize=False), [None])


def _inputs() -> dict[str, Any]:
    return {"samples": keras.Input((None,), name="samples"), "length": keras.Input((), dtype="int32", name="length")}


class Trainer(keras.Model):
    """From recordings and what was said in them to the loss of each, by connectionist temporal classification (Graves et al.,
    2006).

    Args:
        views: the model's parts.

    Attributes:
        watched: what tells the best epoch: the errors that the likeliest symbols make, since the loss rises again where a
            recogniser grows sure of itself, and a little of the loss, which decides between epochs of equal errors; on other
            backends than TensorFlow the loss alone.
    """

    def __init__(self, views: SubmodelBuilder) -> None:
        super().__init__(name="trainer", autocast=False)  # samples and losses stay float32 in mixed precision
        self.errors, self.watched = None, "loss"
        if keras.backend.backend() == "tensorflow":
            self.errors = keras.metrics.Mean(name="character_error_rate")
            self.choice = keras.metrics.Mean(name="errors_and_loss")
            self.watched = self.choice.name
        self.hearing, self.reading = views.hearing, views.reading
        self.parts, self.augment = views.parts, views.config.augment
        self.seeds = keras.random.SeedGenerator(views.config.training.seed)

    def call(self, batch: dict[str, Any], training: bool = False) -> Any:
        """From `samples`, `length`, `labels` int32 `(batch, symbols)`, 0 for padding, and `label_length`, to the negative log
        likelihood of each text by its number of symbols, in nats, float32 `(batch,)`."""
        count = steps_of(batch["length"])
        features = self.hearing({"samples": batch["samples"], "length": batch["length"]})
        if training:
            features = self._masked(self._warped(features), batch["length"])
        given = {"features": features, "count": count}
        if self.parts.state_size is not None:
            given["state"] = ops.zeros((ops.shape(features)[0], self.parts.state_size))
        logs = self.reading(given, training=training)["logs"]
        losses = ctc_losses(batch["labels"], batch["label_length"], logs, count)
        symbols = ops.cast(ops.maximum(batch["label_length"], 1), "float32")
        if self.errors is not None:
            rates = character_errors(batch["labels"], logs, count) / symbols
            self.errors.update_state(rates, sample_weight=symbols)
            self.choice.update_state(rates + A_LITTLE * losses / symbols, sample_weight=symbols)
        return losses / symbols

    def _warped(self, features: Any) -> Any:
        """Reads the bands of each recording as if its voice's vocal tract were longer or shorter, `(batch, frames, mels)`: each
        at another place, between two."""
        if not self.augment.warp:
            return features
        rows, bands = ops.shape(features)[0], features.shape[2]
        drawn = keras.random.uniform((rows, 1, 1), seed=self.seeds)
        factor = 1.0 + self.augment.warp * (2.0 * drawn - 1.0)
        numbers = ops.arange(bands, dtype="float32")
        place = ops.minimum(numbers[None, None, :] * factor, float(bands - 1))  # (batch, 1, bands) read from
        share = ops.relu(1.0 - ops.abs(numbers[None, :, None] - place))  # (batch, bands, bands), of each there
        return ops.matmul(features, share)

    def _masked(self, features: Any, length: Any) -> Any:
        """Blanks out stretches of time and ranges of bands, others in each recording: 0 is each band's mean."""
        rows = ops.shape(features)[0]
        frames = ops.cast(length // HOP, "float32")
        kept = ops.ones_like(features)
        for axis, count, width, size in (
            (1, self.augment.time_masks, ops.minimum(float(self.augment.time_width), frames / 10), frames),
            (2, self.augment.frequency_masks, float(self.augment.frequency_width), float(features.shape[2])),
        ):
            place = ops.cumsum(ops.ones_like(features), axis=axis) - 1
            for _ in range(count):
                wide = keras.random.uniform((rows,), seed=self.seeds) * width
                start = keras.random.uniform((rows,), seed=self.seeds) * ops.maximum(size - wide, 0.0)
                inside = ops.logical_and(place >= start[:, None, None], place < (start + wide)[:, None, None])
                kept = kept * (1.0 - ops.cast(inside, "float32"))
        return features * kept
