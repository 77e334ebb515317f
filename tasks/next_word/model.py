"""The language model: token ids, an LSTM that reads them, and log-probabilities of the next word.

    text ─ token ids ─ embedding ─ LSTM stack ─ projection ─ product with the embedding ─ log-probabilities

The output layer uses the embedding matrix (Press & Wolf, 2017), through Keras's `ReversibleEmbedding`. The projection has one
column less than the embedding, and a constant 1 fills the last one: the last column of the embedding is the bias of each word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from shared.layers import sampled_softmax
from shared.layers.lstm import LSTMStack, gather_last_step
from tasks.next_word import tokenization
from tasks.next_word.config import NextWordConfig

EMBEDDING_RANGE = 0.05
"""Initial embedding weights are uniform between minus and plus this number."""


@dataclass(frozen=True)
class Submodels:
    """Submodels for evaluation, serving and single steps; they share the weights of the trained model."""

    vectorization: keras.layers.Layer
    """Layer from separated text to token ids."""
    encoder: keras.Model
    """Model from `token_ids` int32 `(batch, time)`, `length` int32 `(batch,)` and `state` `(batch, state_size)` to `hidden` `(batch,
    time, embedding_size)` and the `state` after the last valid time step."""
    head: keras.Model
    """Model from `hidden` `(batch, time, embedding_size)` to log-probabilities of the next word `(batch, time, vocabulary_size)`."""

    @property
    def state_size(self) -> int:
        """Size of the state of one text."""
        return int(self.encoder.input["state"].shape[-1])

    @property
    def vocabulary(self) -> list[str]:
        """Words by token id, "" and `[UNK]` first."""
        return [str(word) for word in self.vectorization.get_vocabulary()]


def get_submodels(model: keras.Model) -> Submodels:
    """Returns the submodels of a trained or loaded model from `SubmodelBuilder.full_model`; the weights are shared."""
    embedding = model.get_layer("embedding")
    encoder = _build_encoder(embedding, model.get_layer("recurrent"))
    return Submodels(model.get_layer("vectorization"), encoder, _build_head(embedding))


def copy_submodels(model: keras.Model) -> Submodels:
    """Returns the submodels of a model from `SubmodelBuilder.full_model` with copies of its weights."""
    embedding = model.get_layer("embedding")
    embedding_copy = type(embedding).from_config(embedding.get_config())
    embedding_copy.build()
    recurrent = keras.models.clone_model(model.get_layer("recurrent"))
    embedding_copy.set_weights(embedding.get_weights())
    recurrent.set_weights(model.get_layer("recurrent").get_weights())
    encoder = _build_encoder(embedding_copy, recurrent)
    return Submodels(model.get_layer("vectorization"), encoder, _build_head(embedding_copy))


class SubmodelBuilder:
    """Builds the submodels for training; all of them share their weights.

    Args:
        config: sizes and regularization.
        vocabulary_size: number of token ids, with padding and the unknown word.

    Attributes:
        embedding: layer with the input and output vectors of the words. It is in no nested model: Keras would load two nested models
            that share it with one copy each.
        recurrent: model from `vectors`, `length` and `state` to `hidden` and the next `state` (see `Submodels.encoder`).
        encoder: as in `Submodels`.
        head: as in `Submodels`.
    """

    def __init__(self, config: NextWordConfig, vocabulary_size: int) -> None:
        self.config = config
        size = config.model.embedding_size
        initializer = keras.initializers.RandomUniform(-EMBEDDING_RANGE, EMBEDDING_RANGE)
        self.embedding = keras.layers.ReversibleEmbedding(
            vocabulary_size, size, embeddings_initializer=initializer, name="embedding"
        )
        self.stack = LSTMStack(config.lstm)
        self.projection = keras.layers.Dense(size - 1, name="projection")
        self.state_size = 2 * sum(config.lstm.units)
        vectors = keras.Input((None, size), name="vectors")
        length = keras.Input((), dtype="int32", name="length")
        state = keras.Input((self.state_size,), name="state")
        step = ops.cumsum(ops.ones_like(vectors[..., 0], dtype="int32"), axis=1)
        states = self.stack.unpack_states(state)
        hidden, next_states = self.stack.sequence_with_states(vectors, states, step <= ops.expand_dims(length, -1))
        outputs = {
            "hidden": self.project(hidden),
            "state": ops.cast(self.stack.pack_states(next_states), "float32"),
        }
        inputs = {"vectors": vectors, "length": length, "state": state}
        self.recurrent = keras.Model(inputs, outputs, name="recurrent")
        self.encoder, self.head = _build_encoder(self.embedding, self.recurrent), _build_head(self.embedding)

    def project(self, hidden: Any) -> Any:
        """Projects outputs of the LSTM stack `(batch, time, units)` to `(batch, time, embedding_size)`; the last column is 1."""
        projected = self.projection(hidden)
        return ops.concatenate([projected, ops.ones_like(projected[..., :1])], axis=-1)

    def full_model(self, vocabulary: Sequence[str]) -> keras.Model:
        """Returns the model in `model.keras`.

        Its input is separated text `(batch,)` (see `tokenization.separate_tokens`), its output the log-probabilities of the next
        word `(batch, vocabulary_size)`.
        """
        text = keras.Input((), dtype="string", name="text")
        vectorization = tokenization.build_vectorization(vocabulary, self.config.text.unit)
        token_ids = tokenization.truncate_start(tokenization.prepend_line_end(vectorization(text)))
        mask = ops.not_equal(token_ids, tokenization.PADDING_ID)
        length = ops.sum(ops.cast(mask, "int32"), axis=1)
        zeros = ops.repeat(ops.zeros_like(ops.cast(token_ids[:, :1], "float32")), self.state_size, axis=1)
        outputs = self.recurrent({"vectors": self.embedding(token_ids), "length": length, "state": zeros})
        last = gather_last_step(outputs["hidden"], mask)
        return keras.Model(text, _log_probabilities(self.embedding, last), name="next_word")


def _build_encoder(embedding: keras.layers.Layer, recurrent: keras.Model) -> keras.Model:
    token_ids = keras.Input((None,), dtype="int32", name="token_ids")
    length = keras.Input((), dtype="int32", name="length")
    state = keras.Input(recurrent.input["state"].shape[1:], name="state")
    outputs = recurrent({"vectors": embedding(token_ids), "length": length, "state": state})
    return keras.Model({"token_ids": token_ids, "length": length, "state": state}, outputs, name="encoder")


def _build_head(embedding: keras.layers.Layer) -> keras.Model:
    hidden = keras.Input((None, embedding.output_dim), name="hidden")
    return keras.Model(hidden, _log_probabilities(embedding, hidden), name="head")


def _log_probabilities(embedding: keras.layers.Layer, hidden: Any) -> Any:
    return ops.log_softmax(ops.cast(embedding(hidden, reverse=True), "float32"), axis=-1)


class Trainer(keras.Model):
    """Truncated backpropagation through time: a model from segments of text to the loss of each row.

    The state continues from one batch to the next.

    Args:
        submodels: submodels to train.
        batch_size: rows of a batch, the same for training and validation.
    """

    def __init__(self, submodels: SubmodelBuilder, batch_size: int) -> None:
        super().__init__(name="trainer")
        config = submodels.config.model
        self.submodels = submodels
        self.embedding, self.encoder, self.head = submodels.embedding, submodels.encoder, submodels.head
        self.input_dropout = keras.layers.SpatialDropout1D(config.input_dropout)
        self.output_dropout = keras.layers.SpatialDropout1D(config.output_dropout)
        self.word_dropout = keras.layers.SpatialDropout1D(config.word_dropout)
        size = self.embedding.input_dim
        self.softmax = None
        if 0 < config.negative_samples < size:
            seed = submodels.config.training.seed
            self.softmax = sampled_softmax.SampledSoftmax(size, config.negative_samples, seed)
        self.carried_states = {
            name: self.add_weight(
                shape=(batch_size, submodels.state_size), initializer="zeros", trainable=False, name=name
            )
            for name in ("training_state", "validation_state")
        }

    def call(self, batch: dict[str, Any], training: bool = False) -> Any:
        """Returns the mean negative log likelihood of the words of each row, in nats, float32 `(batch,)`.

        Args:
            batch: inputs from `shared.data.stream_batches.ContiguousBatches`.
            training: apply dropout and the sampled softmax.
        """
        token_ids, targets = batch["token_ids"][:, :-1], batch["token_ids"][:, 1:]
        carried_state = self.carried_states["training_state" if training else "validation_state"]
        state = ops.expand_dims(batch["is_continued"], -1) * carried_state
        vectors = self._embed(token_ids, training)
        hidden, next_state = self._run_stack(vectors, state, training)
        carried_state.assign(ops.stop_gradient(next_state))
        if training and self.softmax is not None:
            losses = self.softmax.losses(hidden, targets, self.embedding.embeddings, None)
        else:
            log_probabilities = ops.take_along_axis(self.head(hidden), ops.expand_dims(targets, -1), axis=-1)
            losses = -log_probabilities[..., 0]
        return ops.mean(losses, axis=1)

    def _embed(self, token_ids: Any, training: bool) -> Any:
        vectors = self.input_dropout(self.embedding(token_ids), training=training)
        if training and self.submodels.config.model.word_dropout:
            word_mask = self.word_dropout(ops.ones((1, 1, self.embedding.input_dim)), training=True)
            vectors = vectors * ops.cast(ops.expand_dims(ops.take(word_mask[0, 0], token_ids), -1), vectors.dtype)
        return vectors

    def _run_stack(self, vectors: Any, state: Any, training: bool) -> tuple[Any, Any]:
        stack = self.submodels.stack
        states = stack.unpack_states(ops.cast(state, vectors.dtype))
        hidden, next_states = stack.sequence_with_states(vectors, states)
        hidden = self.output_dropout(hidden, training=training)
        return self.submodels.project(hidden), ops.cast(stack.pack_states(next_states), "float32")
