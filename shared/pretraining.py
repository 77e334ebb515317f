"""Language-model pre-training of an LSTM on the training texts, before it learns the task (Dai & Le, 2015).

The forward half of the stack learns to predict the next word, the backward half the one before, with a sampled softmax
whose output vectors are the embedding itself (Press & Wolf, 2017). The weights of embedding and stack stay; the rest is
thrown away.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from shared import training
from shared.config import TrainingConfig
from shared.pipelines import StreamBatches, with_cardinality
from shared.sampled_softmax import SampledSoftmax

NEGATIVES = 512
"""Words drawn as wrong answers, the same for a whole batch."""
STRETCH = 50
"""Words in a row of a batch."""
FIRST_WORD = 2
"""Numbers below (padding, unknown) are no targets."""


class LanguageModel(keras.Model):
    """From word numbers to the mean negative log likelihood of each row's words, in nats, by sampled softmax.

    Args:
        embedding: the `Embedding` layer, `(vocabulary_size, features)`; numbers are words by falling frequency.
        sequence: model from `[vectors, mask]` to hidden states `(batch, time, units)`, of which with `bidirectional` the
            first half has read what is before, the second half what is after.
        bidirectional: whether there is a second half.
        seed: of the words drawn.
    """

    def __init__(self, embedding: keras.layers.Layer, sequence: keras.Model, bidirectional: bool, seed: int) -> None:
        super().__init__(name="language_model")
        self.embedding = embedding
        self.sequence = sequence
        self.vocabulary_size = embedding.input_dim
        self.softmax = SampledSoftmax(self.vocabulary_size, NEGATIVES, seed)
        self.dropout = keras.layers.Dropout(0.1)
        count = 2 if bidirectional else 1
        self.projections = [keras.layers.Dense(embedding.output_dim, name=f"projection_{k}") for k in range(count)]
        for projection in self.projections:  # now, since an optimizer wants every weight from the start
            projection.build((None, None, sequence.output_shape[-1] // count))
        self.bias = self.add_weight(shape=(self.vocabulary_size,), initializer="zeros", name="word_bias")

    def call(self, numbers: Any, training: bool = False) -> Any:
        """From int32 `(batch, time)` without padding to float32 `(batch,)`."""
        numbers = ops.where(numbers < self.vocabulary_size, numbers, FIRST_WORD - 1)
        vectors = self.dropout(self.embedding(numbers), training=training)
        hidden = self.sequence([vectors, ops.ones_like(numbers, dtype="bool")], training=training)
        halves = ops.split(hidden, len(self.projections), axis=-1)
        losses = self._row_losses(self.projections[0](halves[0][:, :-1]), numbers[:, 1:])
        if len(halves) == 2:
            losses = (losses + self._row_losses(self.projections[1](halves[1][:, 1:]), numbers[:, :-1])) / 2
        return losses

    def _row_losses(self, hidden: Any, targets: Any) -> Any:
        """Returns each row's mean loss `(batch,)` of hidden states `(batch, time, features)` by `targets` `(batch, time)`."""
        losses = self.softmax.losses(hidden, targets, self.embedding.embeddings, self.bias)
        real = ops.cast(targets >= FIRST_WORD, "float32")
        return ops.sum(losses * real, axis=1) / ops.maximum(ops.sum(real, axis=1), 1.0)


def pretrain(
    embedding: keras.layers.Layer,
    sequence: keras.Model,
    bidirectional: bool,
    texts: tuple[list[np.ndarray], list[np.ndarray]],
    config: TrainingConfig,
    folder: Path,
) -> training.History:
    """Trains `embedding` and `sequence` in place as a language model of training texts, watched on validation texts.

    Args:
        embedding: as for `LanguageModel`.
        sequence: as for `LanguageModel`.
        bidirectional: as for `LanguageModel`.
        texts: word numbers `(length,)` of each training and of each validation text.
        config: settings of this training.
        folder: for its logs and checkpoints.
    """
    model = LanguageModel(embedding, sequence, bidirectional, config.seed)
    train, validation = (StreamBatches(part, config.batch_size, STRETCH, config.seed) for part in texts)
    held_out = with_cardinality(validation.epochs(0).take(validation.steps).cache(), validation.steps)
    return training.fit(model, train, held_out, config, folder, loss=training.identity_loss)
