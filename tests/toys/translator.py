"""A small character-level translator, built and trained as a task does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from shared.config import BidirectionalLSTMConfig, LSTMConfig, TrainingConfig
from shared.data.epoch_batches import EpochBatches
from shared.decoding import beam, generation
from shared.export.signatures import make_signature
from shared.layers.attention import CrossAttention
from shared.layers.encoder_decoder import EncoderDecoder, Source
from shared.task import ExportSpec
from shared.training import loop
from shared.training.checkpoints import History

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


def export_spec(model: keras.Model, metadata: dict[str, Any]) -> ExportSpec:
    """Builds the signatures of a model from `Translator.full_model`: from `text` strings `(batch,)` to `text` and scores, and from
    `source` and `target` to the log-probability of the target."""
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

    def score(source: tf.Tensor, target: tf.Tensor) -> dict[str, tf.Tensor]:
        token_ids = encode(vectorization, tf.strings.join([target, END]))[:, 1:]
        steps = tf.gather(model([source, target]), token_ids, axis=2, batch_dims=2)
        return {"log_probability": tf.reduce_sum(tf.where(token_ids > 0, steps, 0.0), axis=1)}

    letters = "".join(vectorization.get_vocabulary()[END_ID + 1 :])
    request = {"text": np.array([letters[:2], letters[2:9], "", "\u2603"], object)}
    functions = {"serving_default": greedy, "beam": search(BEAM_WIDTH), "beam_1": search(1)}
    signatures = {name: make_signature(function, request) for name, function in functions.items()}
    pairs = {"source": request["text"], "target": request["text"][::-1].copy()}
    signatures["score"] = make_signature(score, pairs)
    return ExportSpec(model, signatures, metadata)


class PairBatches(EpochBatches):
    """Batches of source and target ids, with the target ids and the end token as labels.

    Args:
        pairs: texts of source and target.
        vectorization: layer from texts to character ids.
        batch_size: pairs per batch.
        seed: random seed of the order.
    """

    def __init__(
        self, pairs: Sequence[tuple[str, str]], vectorization: keras.layers.Layer, batch_size: int, seed: int
    ) -> None:
        ids = tf.TensorSpec((None, None), tf.int32)
        super().__init__(((ids, ids), ids), len(pairs), batch_size, seed)
        texts = zip(*((*pair, f"{pair[1]}{END}") for pair in pairs), strict=True)
        source, target, labels = (encode(vectorization, tf.constant(part)).numpy() for part in texts)
        self.arrays = (source, target, labels[:, 1:])

    def order(self, seed: int, epoch: int) -> np.ndarray:
        """Returns a random order of the pairs."""
        return np.random.default_rng((seed, epoch)).permutation(self.rows)

    def evaluation_order(self) -> np.ndarray:
        """Returns the order of the pairs."""
        return np.arange(self.rows)

    def collate(self, rows: np.ndarray, epoch: int) -> Any:
        """Returns the ids of the pairs, padded with 0 on the right."""
        source, target, labels = (array[rows] for array in self.arrays)
        return (source, target), labels


def train(
    pairs: Sequence[tuple[str, str]], validation: Sequence[tuple[str, str]], config: TrainingConfig, folder: Path
) -> tuple[keras.Model, History]:
    """Trains a translator on pairs of source and target.

    Returns:
        The full model, and the history of the training.
    """
    characters = "".join(sorted({character for pair in pairs for text in pair for character in text}))
    translator = Translator(len(characters) + 3)
    model = translator.full_model(characters)
    training, evaluation = (
        PairBatches(part, model.get_layer("vectorization"), config.batch_size, config.seed)
        for part in (pairs, validation)
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0)
    history = loop.fit(translator.core, training, evaluation.evaluation_batches(), config, folder, loss)
    return model, history
