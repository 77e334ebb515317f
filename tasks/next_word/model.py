"""The language model: words, an LSTM that reads them, and the distribution of the word to come.

    text ─ words ─ embedding ─ LSTM stack ─ projection ─ product with the embedding ─ log-probabilities

The output vectors are the embedding (Press & Wolf, 2017), through a stock `ReversibleEmbedding`. Its last column meets a
constant 1 on the way out, and so is each word's bias.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from shared import sampled_softmax
from shared.lstm import LSTMStack, gather_last_step
from tasks.next_word import words
from tasks.next_word.config import NextWordConfig

SCALE = 0.05  # of the embedding at the start, uniform


@dataclass(frozen=True)
class Submodels:
    """The trained parts of a model (see `SubmodelBuilder`), by which it is judged, served and taken word by word."""

    vectorization: keras.layers.Layer
    """From separated text to word token_ids."""
    reader: keras.Model
    """From `token_ids` int32 `(batch, time)`, `length` int32 `(batch,)` and `memory` `(batch, state_size)` to `hidden` `(batch,
    time, embedding_size)` and the memory after the last word."""
    head: keras.Model
    """From `hidden` `(batch, time, embedding_size)` to log-probabilities of the next word `(batch, time, vocabulary_size)`."""

    @property
    def state_size(self) -> int:
        """Numbers in a text's memory."""
        return int(self.reader.input["state"].shape[-1])

    @property
    def vocabulary(self) -> list[str]:
        """Words by number, "" and `[UNK]` first."""
        return [str(word) for word in self.vectorization.get_vocabulary()]


def get_submodels(model: keras.Model) -> Submodels:
    """Returns the parts of a model that `SubmodelBuilder.whole` made, also of one that was loaded."""
    embedding = model.get_layer("embedding")
    return Submodels(model.get_layer("words"), _reader(embedding, model.get_layer("inner")), _head(embedding))


def copied(model: keras.Model) -> Submodels:
    """Returns the parts of a model that `SubmodelBuilder.whole` made, with weights of their own."""
    embedding = model.get_layer("embedding")
    own = type(embedding).from_config(embedding.get_config())
    own.build()
    inner = keras.models.clone_model(model.get_layer("inner"))
    own.set_weights(embedding.get_weights())
    inner.set_weights(model.get_layer("inner").get_weights())
    return Submodels(model.get_layer("words"), _reader(own, inner), _head(own))


class SubmodelBuilder:
    """The model's parts, which share their weights in training, in serving and word by word.

    Args:
        config: sizes and regularisation.
        vocabulary_size: words with padding and the unknown one.

    Attributes:
        embedding: words' vectors, for input and for output. It stands in no nested model: two that shared it would each be
            loaded with their own.
        inner: from `vectors`, `length` and `memory` to `hidden` and the memory after the last word (see `Submodels`).
        reader: as in `Submodels`.
        head: as in `Submodels`.
    """

    def __init__(self, config: NextWordConfig, vocabulary_size: int) -> None:
        self.config = config
        size = config.model.embedding_size
        start = keras.initializers.RandomUniform(-SCALE, SCALE)
        self.embedding = keras.layers.ReversibleEmbedding(
            vocabulary_size, size, embeddings_initializer=start, name="embedding"
        )
        self.stack = LSTMStack(config.lstm)
        self.projection = keras.layers.Dense(size - 1, name="projection")
        self.state_size = 2 * sum(config.lstm.units)
        vectors = keras.Input((None, size), name="vectors")
        length = keras.Input((), dtype="int32", name="length")
        memory = keras.Input((self.state_size,), name="state")
        steps = ops.cumsum(ops.ones_like(vectors[..., 0], dtype="int32"), axis=1)
        states = self.stack.unpack_states(memory)
        hidden, after = self.stack.sequence_with_states(vectors, states, steps <= ops.expand_dims(length, -1))
        outputs = {"hidden": self.projected(hidden), "state": ops.cast(self.stack.pack_states(after), "float32")}
        inputs = {"vectors": vectors, "length": length, "state": memory}
        self.inner = keras.Model(inputs, outputs, name="inner")
        self.reader, self.head = _reader(self.embedding, self.inner), _head(self.embedding)

    def projected(self, hidden: Any) -> Any:
        """Returns the stack's outputs in the width of the vectors, the last column 1."""
        narrow = self.projection(hidden)
        return ops.concatenate([narrow, ops.ones_like(narrow[..., :1])], axis=-1)

    def whole(self, vocabulary: Sequence[str]) -> keras.Model:
        """Returns the model of `model.keras`: separated text `(batch,)` (see `words.separated`) to log-probabilities of the
        next word `(batch, vocabulary_size)`."""
        text = keras.Input((), dtype="string", name="text")
        token_ids = words.tail(words.from_line_start(words.vectorization_of(vocabulary, self.config.text.unit)(text)))
        real = ops.not_equal(token_ids, words.PADDING)
        length = ops.sum(ops.cast(real, "int32"), axis=1)
        nothing = ops.repeat(ops.zeros_like(ops.cast(token_ids[:, :1], "float32")), self.state_size, axis=1)
        after = self.inner({"vectors": self.embedding(token_ids), "length": length, "state": nothing})
        last = gather_last_step(after["hidden"], real)
        return keras.Model(text, _log_probabilities(self.embedding, last), name="next_word")


def _reader(embedding: keras.layers.Layer, inner: keras.Model) -> keras.Model:
    token_ids = keras.Input((None,), dtype="int32", name="token_ids")
    length = keras.Input((), dtype="int32", name="length")
    memory = keras.Input(inner.input["state"].shape[1:], name="state")
    after = inner({"vectors": embedding(token_ids), "length": length, "state": memory})
    return keras.Model({"token_ids": token_ids, "length": length, "state": memory}, after, name="reader")


def _head(embedding: keras.layers.Layer) -> keras.Model:
    hidden = keras.Input((None, embedding.output_dim), name="hidden")
    return keras.Model(hidden, _log_probabilities(embedding, hidden), name="head")


def _log_probabilities(embedding: keras.layers.Layer, hidden: Any) -> Any:
    return ops.log_softmax(ops.cast(embedding(hidden, reverse=True), "float32"), axis=-1)


class Trainer(keras.Model):
    """Truncated back-propagation through time: from stretches of text to what each row loses, the states carried on.

    Args:
        views: the model's parts.
        rows: of a batch, the same for training and validation.
    """

    def __init__(self, views: SubmodelBuilder, rows: int) -> None:
        super().__init__(name="trainer")
        config = views.config.model
        self.views = views
        self.embedding, self.reader, self.head = views.embedding, views.reader, views.head
        self.input_dropout = keras.layers.SpatialDropout1D(config.input_dropout)
        self.output_dropout = keras.layers.SpatialDropout1D(config.output_dropout)
        self.word_dropout = keras.layers.SpatialDropout1D(config.word_dropout)
        size = self.embedding.input_dim
        self.softmax = None
        if 0 < config.negatives < size:
            self.softmax = sampled_softmax.SampledSoftmax(size, config.negatives, views.config.training.seed)
        self.memories = {
            name: self.add_weight(shape=(rows, views.state_size), initializer="zeros", trainable=False, name=name)
            for name in ("training_memory", "validation_memory")
        }

    def call(self, batch: dict[str, Any], training: bool = False) -> Any:
        """From a batch of `shared.pipelines.ContiguousBatches` to the mean negative log likelihood of each row's words, in
        nats, float32 `(batch,)`."""
        token_ids, targets = batch["token_ids"][:, :-1], batch["token_ids"][:, 1:]
        memory = self.memories["training_memory" if training else "validation_memory"]
        before = ops.expand_dims(batch["is_continued"], -1) * memory
        vectors = self._vectors(token_ids, training)
        hidden, after = self._read(vectors, before, training)
        memory.assign(ops.stop_gradient(after))
        if training and self.softmax is not None:
            losses = self.softmax.losses(hidden, targets, self.embedding.embeddings, None)
        else:
            found = ops.take_along_axis(self.head(hidden), ops.expand_dims(targets, -1), axis=-1)
            losses = -found[..., 0]
        return ops.mean(losses, axis=1)

    def _vectors(self, token_ids: Any, training: bool) -> Any:
        vectors = self.input_dropout(self.embedding(token_ids), training=training)
        if training and self.views.config.model.word_dropout:
            kept = self.word_dropout(ops.ones((1, 1, self.embedding.input_dim)), training=True)
            vectors = vectors * ops.cast(ops.expand_dims(ops.take(kept[0, 0], token_ids), -1), vectors.dtype)
        return vectors

    def _read(self, vectors: Any, memory: Any, training: bool) -> tuple[Any, Any]:
        stack = self.views.stack
        states = stack.unpack_states(ops.cast(memory, vectors.dtype))
        hidden, after = stack.sequence_with_states(vectors, states)
        hidden = self.output_dropout(hidden, training=training)
        return self.views.projected(hidden), ops.cast(stack.pack_states(after), "float32")
