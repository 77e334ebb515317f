"""`tasks.sentiment.train` on few texts: every precision trains, an interrupted run resumes, too few words skip the pre-training."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pandas as pd
import pytest

from shared import workflow
from shared.data.notices import collect_notices
from shared.training import loop
from tasks.sentiment import data, train
from tasks.sentiment.config import PRESETS, AugmentConfig, ModelConfig, SentimentConfig

SMALL = dataclasses.replace(
    PRESETS["sample"],
    augment=AugmentConfig(),
    model=ModelConfig(embedding_size=8, ngram_buckets=4093),
    training=dataclasses.replace(
        PRESETS["sample"].training, epochs=2, batch_size=64, pretraining_epochs=2, adversarial_epsilon=0.02
    ),
)


def with_training(config: SentimentConfig, **options) -> SentimentConfig:
    return dataclasses.replace(config, training=dataclasses.replace(config.training, **options))


@pytest.fixture(scope="module")
def splits():
    full = data.load(SMALL)
    return dataclasses.replace(full, train=full.train.head(400), validation=full.validation.head(100))


def weights_of(trained_model) -> list[np.ndarray]:
    return [np.asarray(w) for w in trained_model.components["lstm"].get_weights() if np.asarray(w).dtype.kind == "f"]


class _Interrupt(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt


@pytest.mark.parametrize("stage", ["pre-training", "training"])
def test_an_interrupted_run_resumes_and_ends_with_the_same_weights(splits, tmp_path, monkeypatch, stage):
    uninterrupted = workflow.train_model(train.TASK, SMALL, splits, tmp_path / "uninterrupted")
    original = loop._StopWhenDiverged
    stages = iter(["pre-training", "training"])
    with monkeypatch.context() as patch:
        patch.setattr(loop, "_StopWhenDiverged", lambda: _Interrupt() if next(stages) == stage else original())
        with pytest.raises(KeyboardInterrupt):
            workflow.train_model(train.TASK, SMALL, splits, tmp_path / "interrupted")
    resumed = workflow.train_model(train.TASK, SMALL, splits, tmp_path / "interrupted")
    for weight, expected in zip(weights_of(resumed), weights_of(uninterrupted), strict=True):
        np.testing.assert_array_equal(weight, expected)


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_is_used_in_both_trainings_and_the_model_is_float32(splits, tmp_path, monkeypatch, precision):
    optimizers = []
    original = loop.fit

    def recording_fit(model, *arguments, **options):
        history = original(model, *arguments, **options)
        optimizers.append(type(model.optimizer).__name__)
        return history

    monkeypatch.setattr(loop, "fit", recording_fit)
    trained_model = workflow.train_model(
        train.TASK, with_training(SMALL, precision=precision, epochs=1), splits, tmp_path
    )
    assert optimizers == ["LossScaleOptimizer" if precision == "mixed_float16" else "AdamW"] * 2
    assert np.isfinite(np.concatenate([w.ravel() for w in weights_of(trained_model)])).all()
    policies = {layer.dtype_policy.name for layer in trained_model.model._flatten_layers() if layer.weights}
    assert policies == {"float32"}


def test_too_few_words_for_pretraining_are_a_notice(splits, tmp_path):
    few_words = dataclasses.replace(splits, validation=splits.validation.head(10).assign(text="good film"))
    with collect_notices() as notices:
        workflow.train_model(train.TASK, with_training(SMALL, epochs=1), few_words, tmp_path)
    assert "was not pre-trained: the training split and the validation split need at least" in notices[0].message
    assert not (tmp_path / "pretraining").exists()


def test_balanced_classes_and_focal_loss_train_another_model(splits, tmp_path):
    labels = np.where(np.arange(len(splits.train)) % 8, "positive", splits.train["label"])
    unequal = dataclasses.replace(splits, train=splits.train.assign(label=labels))
    options = {"epochs": 1, "pretraining_epochs": 0, "adversarial_epsilon": 0.0}
    models = [
        workflow.train_model(train.TASK, with_training(SMALL, **options, **extra), unequal, tmp_path / str(k))
        for k, extra in enumerate(({}, {"class_weights": "balanced"}, {"focal_gamma": 2.0}))
    ]
    texts = np.array(splits.validation["text"].tolist(), object)
    rare = [float(np.asarray(model.components["lstm"](texts))[:, 0].mean()) for model in models]
    assert rare[1] > rare[0]
    assert rare[2] != rare[0]


def test_without_the_ngram_model_the_classifier_is_the_lstm(splits, tmp_path):
    config = dataclasses.replace(SMALL, model=ModelConfig(embedding_size=8, ngram_order=0))
    config = with_training(config, pretraining_epochs=0, adversarial_epsilon=0.0)
    trained_model = workflow.train_model(train.TASK, config, splits, tmp_path)
    text = keras.ops.convert_to_tensor(["a dull film", "a fine film"])
    np.testing.assert_allclose(trained_model.model(text), trained_model.components["lstm"](text), atol=1e-6)


def test_a_model_with_three_classes_trains(splits, tmp_path):
    third = splits.train.head(90).assign(text=lambda f: "neither " + f["text"], label="neutral")
    more = dataclasses.replace(splits, train=pd.concat([splits.train, third], ignore_index=True))
    trained_model = workflow.train_model(train.TASK, with_training(SMALL, pretraining_epochs=0), more, tmp_path)
    assert trained_model.metadata["labels"] == ["negative", "neutral", "positive"]
    probabilities = np.asarray(trained_model.model(keras.ops.convert_to_tensor(["a dull film"])))
    assert probabilities.shape == (1, 3)
    np.testing.assert_allclose(probabilities.sum(), 1.0, atol=1e-5)
