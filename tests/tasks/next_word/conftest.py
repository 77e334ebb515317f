"""A little text, and an untrained model of it, for the next-word task's tests."""

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
        lstm=LSTMConfig(units=(7, 6)),
        training=TrainingConfig(epochs=2, batch_size=2, learning_rate=1e-2),
        text=TextConfig(fewest=1),
        model=ModelConfig(embedding_size=5, input_dropout=0, output_dropout=0, stretch=4, negatives=0),
    )


@pytest.fixture
def views(config) -> SubmodelBuilder:
    """Untrained, its weights stirred so that words differ."""
    keras.utils.set_random_seed(0)
    views = SubmodelBuilder(config, len(VOCABULARY) + 2)
    rng = np.random.default_rng(0)
    for model in (views.reader, views.head):
        model.set_weights([rng.normal(0, 0.7, weight.shape) for weight in model.get_weights()])
    return views


@pytest.fixture
def model(views) -> keras.Model:
    return views.whole(VOCABULARY)


@pytest.fixture
def parts(model) -> Submodels:
    return get_submodels(model)
