"""The sampled loss estimates the full loss, no half reads its target, and training changes the shared weights."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from shared.config import BidirectionalLSTMConfig, TrainingConfig
from shared.data.stream_batches import StreamBatches
from shared.layers.lstm import LSTMStack
from shared.training import pretraining

VOCABULARY = 30


def build_submodels(bidirectional: bool) -> tuple[keras.layers.Embedding, keras.Model]:
    keras.utils.set_random_seed(1)
    embedding = keras.layers.Embedding(VOCABULARY, 8)
    embedding.build((None, None))
    vectors, mask = keras.Input((None, 8)), keras.Input((None,), dtype="bool")
    stack = LSTMStack(BidirectionalLSTMConfig(units=(6,), bidirectional=bidirectional))
    return embedding, keras.Model([vectors, mask], stack.sequence(vectors, mask=mask))


def test_sampled_loss_is_close_to_the_full_softmax():
    embedding, sequence = build_submodels(bidirectional=False)
    embedding.set_weights([np.random.default_rng(0).normal(0, 1, (VOCABULARY, 8))])
    model = pretraining.LanguageModel(embedding, sequence, False, seed=0)
    token_ids = np.random.default_rng(0).integers(2, VOCABULARY, (4, 20))
    model(token_ids)
    mean = np.mean([ops.convert_to_numpy(model(token_ids)) for _ in range(20)])
    hidden = model.sequence([embedding(token_ids), ops.ones((4, 20), "bool")])
    table = ops.convert_to_numpy(embedding.embeddings)
    logits = ops.convert_to_numpy(model.projections[0](hidden[:, :-1])) @ table.T
    exact = -np.take_along_axis(ops.convert_to_numpy(ops.log_softmax(logits)), token_ids[:, 1:, None], axis=-1).mean()
    assert mean == pytest.approx(exact, rel=0.05)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_neither_half_reads_the_word_it_predicts(bidirectional):
    """The model cannot learn to predict random words, unless a target leaks into the input."""
    embedding, sequence = build_submodels(bidirectional)
    rng = np.random.default_rng(0)
    model = pretraining.LanguageModel(embedding, sequence, bidirectional, seed=0)
    model.compile(keras.optimizers.Adam(0.02), loss=lambda targets, losses: losses)
    batches = [rng.integers(2, VOCABULARY, (64, 10)) for _ in range(60)]
    losses = [model.train_on_batch(batch, np.zeros(64)) for batch in batches]
    assert np.mean(losses[-10:]) > 0.97 * np.log(VOCABULARY - 2)


def test_pretraining_learns_a_pattern_and_changes_the_shared_weights(tmp_path):
    embedding, sequence = build_submodels(bidirectional=True)
    before = sequence.get_weights() + embedding.get_weights()
    texts = [np.arange(2 + k % 5, 2 + k % 5 + 20) for k in range(200)]
    config = TrainingConfig(epochs=30, batch_size=16, learning_rate=0.02, weight_decay=0.0)
    history = pretraining.pretrain(embedding, sequence, True, (texts, texts[:40]), config, tmp_path)
    losses = [epoch["val_loss"] for epoch in history.epochs]
    assert losses[-1] < 0.5 * np.log(VOCABULARY)
    for old, new in zip(before, sequence.get_weights() + embedding.get_weights(), strict=True):
        assert (old != new).any()


def test_stream_contains_each_time_step_once_in_an_order_of_seed_and_epoch():
    texts = [np.full(7, k) for k in range(1, 11)]
    stream = StreamBatches(texts, batch_size=3, segment_length=5, seed=4)
    first = [x.numpy() for x, _ in stream.epochs(0).take(stream.steps)]
    assert [len(x) for x in first] == [3, 3, 3, 3, 2]
    values, counts = np.unique(np.concatenate(first), return_counts=True)
    assert values.tolist() == list(range(1, 11))
    assert counts.tolist() == [7] * 10
    second = [x.numpy() for x, _ in stream.epochs(0).skip(stream.steps).take(stream.steps)]
    resumed = [x.numpy() for x, _ in StreamBatches(texts, 3, 5, seed=4).epochs(1).take(stream.steps)]
    assert all((a == b).all() for a, b in zip(second, resumed, strict=True))
    assert any((a != b).any() for a, b in zip(first, second, strict=True))


def test_stream_shorter_than_a_segment_raises_an_error():
    with pytest.raises(ValueError, match="at least 50 time steps"):
        StreamBatches([np.arange(3)], batch_size=2, segment_length=50)
