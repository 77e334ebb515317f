"""`tasks.sentiment.config`: invalid options raise an error that names the option, before training starts."""

import pytest

from shared.config import BidirectionalLSTMConfig
from tasks.sentiment.config import (
    AugmentConfig,
    ColumnsConfig,
    ModelConfig,
    SentimentConfig,
    SentimentSplitConfig,
    SentimentTrainingConfig,
    TextConfig,
)


@pytest.mark.parametrize(
    ("section", "options"),
    [
        (TextConfig, {"vocabulary_size": 2}),
        (TextConfig, {"sequence_length": 0}),
        (AugmentConfig, {"crop_length": 0}),
        (ModelConfig, {"embedding_size": 0}),
        (ModelConfig, {"output_dropout": 1.0}),
        (AugmentConfig, {"unknown_word_rate": -0.1}),
        (SentimentTrainingConfig, {"adversarial_epsilon": -1.0}),
        (SentimentTrainingConfig, {"pretraining_learning_rate": 0.0}),
        (SentimentTrainingConfig, {"epochs": 0}),
        (ModelConfig, {"ngram_order": 4}),
        (ColumnsConfig, {"label": "text"}),
        (ColumnsConfig, {"label": ("a", "text")}),
        (ModelConfig, {"ngram_buckets": 1}),
        (TextConfig, {"ngram_vocabulary_size": 2}),
        (TextConfig, {"ngram_sequence_length": 0}),
        (SentimentSplitConfig, {"test_fraction": 0.0}),
    ],
)
def test_an_invalid_option_is_named_with_its_value(section, options):
    ((name, value),) = options.items()
    received = value[-1] if isinstance(value, tuple) else value
    with pytest.raises(ValueError, match=f"--{section.SECTION}.{name.replace('_', '-')} .*{received}"):
        section(**options)


def test_pretraining_of_two_bidirectional_layers_is_an_error_with_a_fix():
    deep = BidirectionalLSTMConfig(units=(8, 8), bidirectional=True)
    with pytest.raises(ValueError, match=r"--lstm\.units 8 8.*--training\.pretraining-epochs 0"):
        SentimentConfig(lstm=deep, training=SentimentTrainingConfig(pretraining_epochs=1))
    assert SentimentConfig(lstm=deep).lstm.units == (8, 8)
