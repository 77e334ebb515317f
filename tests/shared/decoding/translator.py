"""A small character-level translator, built as a task builds its model: the toys of the tests train, export and decode it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from shared.config import BidirectionalLSTMConfig, LSTMConfig
from shared.decoding import beam, generation
from shared.export.signatures import make_signature
from shared.layers.attention import CrossAttention
from shared.layers.encoder_decoder import EncoderDecoder, Source
from shared.task import ExportSpec

END_ID, END = 2, "\n"
"""The end token also stands before each source and each target, so that no sequence is empty."""
UNITS = 48
MAX_LENGTH = 16
BEAM_WIDTH = 3


class Translator:
    """Submodels that share their weights.

    Args:
        vocabulary_size: number of characters, with padding, the unknown character and the end token.

    Attributes:
        core: model from `source` and `target` ids, int32 `(batch, time)` each, to logits `(batch, target time, vocabulary_size)`.
        encoder: model from `source` ids to the source and the initial states.
        step: model from token ids `(batch,)`, the source and the states to logits `(batch, vocabulary_size)` and the next states.
    """

    def __init__(self, vocabulary_size: int) -> None:
        self.embedding = keras.layers.Embedding(vocabulary_size, 16, name="embedding")
        self.logits = keras.layers.Dense(vocabulary_size, name="logits")
        self.pair = EncoderDecoder(
            BidirectionalLSTMConfig((UNITS,), bidirectional=True),
            LSTMConfig((UNITS,)),
            CrossAttention("additive", UNITS),
        )
        source_ids, target_ids = (keras.Input((None,), dtype="int32", name=name) for name in ("source", "target"))
        source, states = self._encode(source_ids)
        outputs, _ = self.pair.decode(self.embedding(target_ids), source, states)
        self.core = keras.Model([source_ids, target_ids], self.logits(outputs), name="core")
        self._build_submodels()

    def _encode(self, source_ids: Any) -> tuple[Source, list[Any]]:
        return self.pair.encode(self.embedding(source_ids), ops.not_equal(source_ids, 0))

    def _build_submodels(self) -> None:
        source_ids = keras.Input((None,), dtype="int32", name="source")
        source, states = self._encode(source_ids)
        self.encoder = keras.Model(source_ids, [source, keras.tree.flatten(states)], name="encoder")
        token_ids, source, states = (
            keras.Input((), dtype="int32"),
            self.pair.source_inputs(),
            self.pair.decoder.state_inputs(),
        )
        output, next_states = self.pair.step(self.embedding(token_ids), source, self.pair.decoder.pair_states(states))
        self.step = keras.Model(
            [token_ids, list(source), states], [self.logits(output), keras.tree.flatten(next_states)], name="step"
        )

    def full_model(self, characters: str) -> keras.Model:
        """Returns the model for `model.keras`, from `source` and `target` texts to log-probabilities of the target."""
        vectorization = keras.layers.TextVectorization(
            standardize=None, split="character", vocabulary=[END, *characters], name="vectorization"
        )
        texts = [keras.Input((), dtype="string", name=name) for name in ("source", "target")]
        logits = self.core([encode(vectorization, text) for text in texts])
        return keras.Model(texts, ops.log_softmax(logits), name="translator")

    @classmethod
    def from_model(cls, model: keras.Model) -> Translator:
        """Returns the submodels of a model from `full_model`, such as one that was loaded from a file."""
        core = model.get_layer("core")
        translator = cls(core.output.shape[-1])
        translator.embedding, translator.logits = core.get_layer("embedding"), core.get_layer("logits")
        translator.pair.reuse_layers(core)
        translator.core = core
        translator._build_submodels()
        return translator

    def start(self, source_ids: Any, beam_width: int = 1) -> tuple[Callable[..., Any], Any, Any]:
        """Returns the step function for a source, the logits of the first token, and the state."""
        source, states = self.encoder(source_ids)
        logits, states = self.step([tf.fill([tf.shape(source_ids)[0]], END_ID), list(source), states])
        source = beam.repeat_rows(list(source), beam_width)
        return lambda token_ids, states: self.step([token_ids, source, states]), logits, states


def encode(vectorization: keras.layers.Layer, text: Any) -> Any:
    """Returns the token ids of texts `(batch,)`, int32 `(batch, time)`, with the end token before each text."""
    token_ids = ops.cast(vectorization(text), "int32")
    return ops.pad(token_ids + 0, [[0, 0], [1, 0]], constant_values=END_ID)


def export_spec(model: keras.Model) -> ExportSpec:
    """Builds the signatures of a model from `Translator.full_model`: from `text` strings `(batch,)` to `text` and scores."""
    translator, vectorization = Translator.from_model(model), model.get_layer("vectorization")
    characters = tf.constant(["", "", "", *vectorization.get_vocabulary()[END_ID + 1 :]])

    def join(token_ids: tf.Tensor) -> tf.Tensor:
        return tf.strings.reduce_join(tf.gather(characters, token_ids), axis=-1)

    def greedy(text: tf.Tensor) -> dict[str, tf.Tensor]:
        step, logits, states = translator.start(encode(vectorization, text))
        sequences = generation.greedy(step, logits, states, MAX_LENGTH, END_ID)
        return {"text": join(sequences.token_ids), "log_probability": sequences.log_probabilities}

    def search(width: int) -> Callable[..., dict[str, tf.Tensor]]:
        def search_texts(text: tf.Tensor) -> dict[str, tf.Tensor]:
            step, logits, states = translator.start(encode(vectorization, text), width)
            hypotheses = beam.beam_search(step, logits, states, MAX_LENGTH, width, END_ID)
            return {
                "text": join(hypotheses.token_ids),
                "log_probability": hypotheses.log_probabilities,
                "score": hypotheses.scores,
            }

        return search_texts

    letters = "".join(vectorization.get_vocabulary()[END_ID + 1 :])
    request = {"text": np.array([letters[:2], letters[2:9], "", "\u2603"], object)}
    functions = {"serving_default": greedy, "beam": search(BEAM_WIDTH), "beam_1": search(1)}
    signatures = {name: make_signature(function, request) for name, function in functions.items()}
    return ExportSpec(model, signatures, {"task": "toy"})


def train(pairs: Sequence[tuple[str, str]], epochs: int, seed: int = 0) -> keras.Model:
    """Trains a translator on pairs of source and target, and returns its full model."""
    keras.utils.set_random_seed(seed)
    characters = "".join(sorted({character for pair in pairs for text in pair for character in text}))
    translator = Translator(len(characters) + 3)
    model = translator.full_model(characters)
    vectorization = model.get_layer("vectorization")
    source_ids, target_ids = (encode(vectorization, tf.constant(texts)) for texts in zip(*pairs, strict=True))
    labels = encode(vectorization, tf.constant([f"{target}{END}" for _, target in pairs]))[:, 1:]
    steps = epochs * (len(pairs) // 64)
    translator.core.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-2, steps), clipnorm=1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0),
        jit_compile=False,
    )
    translator.core.fit([source_ids, target_ids], labels, batch_size=64, epochs=epochs, verbose=0)
    return model
