"""Training learns a simple text, continues after an interruption, and rejects texts that are too short."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from shared import workflow
from shared.data.notices import collect_notices
from shared.data.sources import Origin, Splits
from shared.errors import DataError
from tasks.next_word import tokenization, train
from tasks.next_word.evaluate import probabilities
from tasks.next_word.model import SubmodelBuilder, Trainer, get_submodels


def make_splits(lines: list[str]) -> Splits:
    middle = len(lines) // 2
    frames = [pd.DataFrame({"text": part}) for part in (lines[:middle], lines[middle:], lines[:5])]
    return Splits(*frames, origin=Origin("synthetic", "", "", "", ""))


@pytest.mark.parametrize("negative_samples", [0, 4])
def test_training_learns_which_word_follows(config, tmp_path, negative_samples):
    """Also with few negative samples: training the sampled softmax improves the full softmax of the export."""
    config = replace(
        config,
        training=replace(config.training, epochs=12, learning_rate=3e-2, patience=12),
        model=replace(config.model, negative_samples=negative_samples, embedding_size=16),
    )
    splits = make_splits(["a b c d e f"] * 120)
    trained_model = workflow.train_model(train.TASK, config, splits, tmp_path)
    vocabulary = trained_model.metadata["vocabulary"]
    stream = tokenization.encode_stream(splits.test["text"].tolist(), vocabulary, config.text)
    values, _ = probabilities(get_submodels(trained_model.model), stream)
    assert np.exp(-np.log(values[8:]).mean()) < 1.5


def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_run(config, tmp_path, interrupted):
    """The negative samples, the dropout masks and the carried state also continue."""
    model = replace(config.model, negative_samples=4, input_dropout=0.3, output_dropout=0.3, word_dropout=0.2)
    config = replace(config, model=model, training=replace(config.training, epochs=3))
    splits = make_splits(["a b c d e f", "g h i j"] * 40)
    uninterrupted = workflow.train_model(train.TASK, config, splits, tmp_path / "uninterrupted")

    interrupted(lambda: workflow.train_model(train.TASK, config, splits, tmp_path / "resumed"))
    resumed = workflow.train_model(train.TASK, config, splits, tmp_path / "resumed")
    for expected, weight in zip(uninterrupted.model.get_weights(), resumed.model.get_weights(), strict=True):
        np.testing.assert_array_equal(expected, weight)


def test_dropout_changes_the_loss_only_in_training(config):
    batch = {"token_ids": np.arange(2, 42, dtype=np.int32).reshape(2, 20), "is_continued": np.zeros(2, np.float32)}
    for name in ("input_dropout", "output_dropout", "word_dropout"):
        builder = SubmodelBuilder(replace(config, model=replace(config.model, **{name: 0.5})), 42)
        trainer = Trainer(builder, batch_size=2)
        losses = [np.asarray(trainer(batch, training=training)) for training in (True, True, False, False)]
        assert (losses[0] != losses[1]).any(), name
        np.testing.assert_array_equal(losses[2], losses[3])


def test_mixed_precision_exports_a_float32_model(config, tmp_path):
    config = replace(config, training=replace(config.training, epochs=1, precision="mixed_bfloat16"))
    trained_model = workflow.train_model(train.TASK, config, make_splits(["a b c d e f"] * 20), tmp_path)
    assert {weight.dtype for weight in trained_model.model.weights} == {"float32"}
    submodels = get_submodels(trained_model.model)
    stream = tokenization.encode_stream(["a b c"], trained_model.metadata["vocabulary"], config.text)
    log_probabilities = np.asarray(submodels.head(np.ones((1, 1, 5), np.float32)))
    assert np.exp(log_probabilities).sum() == pytest.approx(1, abs=1e-5)
    assert np.isfinite(probabilities(submodels, stream)[0]).all()


def test_a_text_without_repeated_words_raises_an_error_with_the_option(config, tmp_path):
    config = replace(config, text=replace(config.text, min_count=300))
    with pytest.raises(DataError, match=r"--text\.min-count"):
        workflow.train_model(train.TASK, config, make_splits(["a b c"] * 40), tmp_path)


def test_a_text_shorter_than_a_batch_trains_in_smaller_batches_with_a_notice(config, tmp_path):
    with collect_notices() as notices:
        workflow.train_model(train.TASK, config, make_splits(["a b"] * 4), tmp_path)
    assert "so a batch has" in notices[0].message
    assert "--training.batch-size" in notices[0].hint
