"""Settings that cannot work are refused by name, before anything is trained."""

import pytest

from shared.config import LSTMConfig
from tasks.sentiment.config import HeadConfig, SentimentConfig, TextConfig, WideConfig


@pytest.mark.parametrize(
    ("config", "settings"),
    [
        (TextConfig, {"vocabulary_size": 2}),
        (TextConfig, {"sequence_length": 0}),
        (TextConfig, {"crop": 0}),
        (HeadConfig, {"embedding_size": 0}),
        (HeadConfig, {"dropout": 1.0}),
        (HeadConfig, {"word_dropout": -0.1}),
        (HeadConfig, {"adversarial": -1.0}),
        (HeadConfig, {"pretraining_learning_rate": 0.0}),
        (WideConfig, {"ngrams": 4}),
        (WideConfig, {"buckets": 1}),
        (WideConfig, {"words": 0}),
        (SentimentConfig, {"test_fraction": 0.0}),
    ],
)
def test_a_setting_that_cannot_work_is_named(config, settings):
    (name, value), *_ = settings.items()
    with pytest.raises(ValueError, match=f"{name}.*{value}"):
        config(**settings)


def test_pretraining_of_two_bidirectional_layers_is_refused_with_the_remedy():
    deep = LSTMConfig(units=(8, 8), bidirectional=True)
    with pytest.raises(ValueError, match=r"--head\.pretraining-epochs 0"):
        SentimentConfig(lstm=deep, head=HeadConfig(pretraining_epochs=1))
    assert SentimentConfig(lstm=deep).lstm.units == (8, 8)
