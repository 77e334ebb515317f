"""The whole recipe on few texts: every precision trains, an interrupted run resumes, too few words are told."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pandas as pd
import pytest

from shared import training
from shared.errors import SuiteError
from tasks.sentiment import data, train
from tasks.sentiment.config import PRESETS, HeadConfig, SentimentConfig, WideConfig

SMALL = dataclasses.replace(
    PRESETS["sample"],
    training=dataclasses.replace(PRESETS["sample"].training, epochs=2, batch_size=64),
    head=HeadConfig(embedding_size=8, pretraining_epochs=2, adversarial=0.02),
    wide=WideConfig(buckets=4093),
)


@pytest.fixture(scope="module")
def splits():
    whole = data.load(SMALL)
    return dataclasses.replace(whole, train=whole.train.head(400), validation=whole.validation.head(100))


def weights(trained_model) -> list[np.ndarray]:
    return [np.asarray(w) for w in trained_model.components["lstm"].get_weights() if np.asarray(w).dtype.kind == "f"]


class _Interrupt(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt


@pytest.mark.parametrize("stage", ["pre-training", "training"])
def test_an_interrupted_run_resumes_to_the_uninterrupted_weights(splits, tmp_path, monkeypatch, stage):
    whole = train.train_model(SMALL, splits, tmp_path / "whole")
    real = training._StopWhenDiverged
    calls = iter(["pre-training", "training"])
    with monkeypatch.context() as patch:
        patch.setattr(training, "_StopWhenDiverged", lambda: _Interrupt() if next(calls) == stage else real())
        with pytest.raises(KeyboardInterrupt):
            train.train_model(SMALL, splits, tmp_path / "halves")
    resumed = train.train_model(SMALL, splits, tmp_path / "halves")
    for weight, expected in zip(weights(resumed), weights(whole), strict=True):
        np.testing.assert_array_equal(weight, expected)


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_runs_through_the_recipe_and_comes_out_in_float32(splits, tmp_path, monkeypatch, precision):
    optimizers = []
    real = training.fit

    def watched(model, *arguments, **options):
        history = real(model, *arguments, **options)
        optimizers.append(type(model.optimizer).__name__)
        return history

    monkeypatch.setattr(training, "fit", watched)
    config = dataclasses.replace(SMALL, training=dataclasses.replace(SMALL.training, precision=precision, epochs=1))
    trained_model = train.train_model(config, splits, tmp_path)
    assert optimizers == ["LossScaleOptimizer" if precision == "mixed_float16" else "AdamW"] * 2
    assert np.isfinite(np.concatenate([w.ravel() for w in weights(trained_model)])).all()
    policies = {layer.dtype_policy.name for layer in trained_model.model._flatten_layers() if layer.weights}
    assert policies == {"float32"}


def test_too_few_words_for_pretraining_name_the_remedy(splits, tmp_path):
    few = dataclasses.replace(splits, validation=splits.validation.head(10).assign(text="good film"))
    with pytest.raises(SuiteError, match=r"--head\.pretraining-epochs 0"):
        train.train_model(SMALL, few, tmp_path)


def test_without_ngrams_and_adversarial_training_the_lstm_answers_alone(splits, tmp_path):
    head = HeadConfig(embedding_size=8, adversarial=0.0)
    config: SentimentConfig = dataclasses.replace(SMALL, head=head, wide=WideConfig(ngrams=0))
    trained_model = train.train_model(config, splits, tmp_path)
    text = keras.ops.convert_to_tensor(["a dull film", "a fine film"])
    np.testing.assert_allclose(trained_model.model(text), trained_model.components["lstm"](text), atol=1e-6)


def test_three_classes_train_too(splits, tmp_path):
    third = splits.train.head(90).assign(text=lambda f: "neither " + f["text"], label="neutral")
    more = dataclasses.replace(splits, train=pd.concat([splits.train, third], ignore_index=True))
    trained_model = train.train_model(dataclasses.replace(SMALL, head=HeadConfig(embedding_size=8)), more, tmp_path)
    assert trained_model.metadata["labels"] == ["negative", "neutral", "positive"]
    probabilities = np.asarray(trained_model.model(keras.ops.convert_to_tensor(["a dull film"])))
    assert probabilities.shape == (1, 3)
    np.testing.assert_allclose(probabilities.sum(), 1.0, atol=1e-5)
