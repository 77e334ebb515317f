"""A short vocabulary, and an untrained model of it, for the tests of the next-word task."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from shared.config import LSTMConfig, TrainingConfig
from tasks.next_word.config import ModelConfig, NextWordConfig, TextConfig
from tasks.next_word.model import SubmodelBuilder, Submodels, get_submodels

VOCABULARY = ["<eos>", "the", "cat", "sat", "on", "mat", ".", ",", "dog", "thing", "there"]


@pytest.fixture(scope="session")
def config() -> NextWordConfig:
    return NextWordConfig(
        text=TextConfig(min_count=1),
        model=ModelConfig(embedding_size=5, input_dropout=0, output_dropout=0, bptt_length=4, negative_samples=0),
        lstm=LSTMConfig(units=(7, 6)),
        training=TrainingConfig(epochs=2, batch_size=2, learning_rate=1e-2),
    )


@pytest.fixture
def builder(config) -> SubmodelBuilder:
    """Untrained submodels with random weights that are large enough for different words to have different probabilities."""
    keras.utils.set_random_seed(0)
    builder = SubmodelBuilder(config, len(VOCABULARY) + 2)
    rng = np.random.default_rng(0)
    for model in (builder.encoder, builder.head):
        model.set_weights([rng.normal(0, 0.7, weight.shape) for weight in model.get_weights()])
    return builder


@pytest.fixture
def model(builder) -> keras.Model:
    return builder.full_model(VOCABULARY)


@pytest.fixture
def submodels(model) -> Submodels:
    return get_submodels(model)
