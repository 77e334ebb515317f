"""Language-model pre-training of an LSTM stack on the training texts, before it is trained for a task (Dai & Le, 2015).

The forward half of the stack learns to predict the next word, the backward half the word before. The loss is a sampled
softmax whose output vectors are those of the embedding layer (Press & Wolf, 2017). The trained weights of the embedding and the
stack are kept; the other weights are discarded.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from shared.config import TrainingConfig
from shared.data.pipelines import with_cardinality
from shared.data.stream_batches import StreamBatches
from shared.layers.sampled_softmax import SampledSoftmax
from shared.progress import report_stage
from shared.training import loop
from shared.training.checkpoints import History

NEGATIVE_SAMPLES = 512
"""Number of negative samples, shared by all words of a batch."""
BPTT_LENGTH = 50
"""Words per training segment: gradients flow back over at most this many time steps."""
FIRST_WORD_ID = 2
"""The smallest token id of a word; smaller ids (padding, unknown) are not targets."""


class LanguageModel(keras.Model):
    """Maps token ids to the mean negative log likelihood of each row's words, in nats, estimated by a sampled softmax.

    Args:
        embedding: an `Embedding` layer, `(vocabulary_size, features)`; its token ids are sorted by falling word frequency.
        sequence: model from `[vectors, mask]` to hidden states `(batch, time, units)`. If `bidirectional`, the first half of
            the units at a time step depends only on its word and earlier words, the second half only on its word and later
            words, as in a bidirectional stack of one layer.
        bidirectional: whether the hidden states have a backward half.
        seed: random seed of the negative samples.
    """

    def __init__(self, embedding: keras.layers.Layer, sequence: keras.Model, bidirectional: bool, seed: int) -> None:
        super().__init__(name="language_model")
        self.embedding = embedding
        self.sequence = sequence
        self.vocabulary_size = embedding.input_dim
        self.softmax = SampledSoftmax(self.vocabulary_size, NEGATIVE_SAMPLES, seed)
        self.dropout = keras.layers.Dropout(0.1)
        count = 2 if bidirectional else 1
        self.projections = [keras.layers.Dense(embedding.output_dim, name=f"projection_{k}") for k in range(count)]
        for projection in self.projections:  # built here because the optimizer needs all weights before the first step
            projection.build((None, None, sequence.output_shape[-1] // count))
        self.bias = self.add_weight(shape=(self.vocabulary_size,), initializer="zeros", name="word_bias")

    def call(self, token_ids: Any, training: bool = False) -> Any:
        """Returns the mean loss of each row, float32 `(batch,)`, in nats per word.

        Args:
            token_ids: int32 `(batch, time)` without padding; an id of at least `vocabulary_size` counts as unknown.
            training: whether dropout is active.
        """
        token_ids = ops.where(token_ids < self.vocabulary_size, token_ids, FIRST_WORD_ID - 1)
        vectors = self.dropout(self.embedding(token_ids), training=training)
        hidden = self.sequence([vectors, ops.ones_like(token_ids, dtype="bool")], training=training)
        halves = ops.split(hidden, len(self.projections), axis=-1)
        losses = self._row_losses(self.projections[0](halves[0][:, :-1]), token_ids[:, 1:])
        if len(halves) == 2:
            losses = (losses + self._row_losses(self.projections[1](halves[1][:, 1:]), token_ids[:, :-1])) / 2
        return losses

    def _row_losses(self, hidden: Any, targets: Any) -> Any:
        """Returns the mean loss of each row `(batch,)`.

        Args:
            hidden: `(batch, time, features)`.
            targets: token ids to predict from them, `(batch, time)`; ids below `FIRST_WORD_ID` do not count.
        """
        losses = self.softmax.losses(hidden, targets, self.embedding.embeddings, self.bias)
        weight = ops.cast(targets >= FIRST_WORD_ID, "float32")
        return ops.sum(losses * weight, axis=1) / ops.maximum(ops.sum(weight, axis=1), 1.0)


def pretrain(
    embedding: keras.layers.Layer,
    sequence: keras.Model,
    bidirectional: bool,
    texts: tuple[list[np.ndarray], list[np.ndarray]],
    config: TrainingConfig,
    folder: Path,
) -> History:
    """Trains `embedding` and `sequence` in place as a language model.

    Args:
        embedding: as for `LanguageModel`.
        sequence: as for `LanguageModel`.
        bidirectional: as for `LanguageModel`.
        texts: token ids `(length,)` of each training text, and of each validation text; early stopping uses the latter.
        config: settings of this training.
        folder: folder for its logs and checkpoints.

    Returns:
        Losses of each epoch.

    Raises:
        ValueError: the training or the validation texts have fewer than `BPTT_LENGTH` words in total.
        SuiteError: as for `shared.training.loop.fit`.
    """
    report_stage("Pre-training as a language model")
    model = LanguageModel(embedding, sequence, bidirectional, config.seed)
    train, validation = (StreamBatches(part, config.batch_size, BPTT_LENGTH, config.seed) for part in texts)
    validation_batches = with_cardinality(validation.epochs(0).take(validation.steps).cache(), validation.steps)
    return loop.fit(model, train, validation_batches, config, folder, loss=loop.identity_loss)
