"""Training learns what can be learned, and says what is too little."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from shared.errors import DataError
from shared.sources import Origin, Splits
from tasks.next_word import train, words
from tasks.next_word.evaluate import probabilities
from tasks.next_word.model import SubmodelBuilder, Trainer, get_submodels


def splits_of(lines: list[str]) -> Splits:
    frames = [pd.DataFrame({"text": part}) for part in (lines[: len(lines) // 2], lines[len(lines) // 2 :], lines[:5])]
    return Splits(*frames, origin=Origin("made up", "", "", "", ""))


@pytest.mark.parametrize("negatives", [0, 4])
def test_what_follows_from_the_word_before_is_learned(config, tmp_path, negatives):
    """With few wrong words drawn too: the whole softmax, that of the export, is learned by the sampled one."""
    config = replace(
        config,
        training=replace(config.training, epochs=12, learning_rate=3e-2, patience=12),
        model=replace(config.model, negatives=negatives, embedding_size=16),
    )
    splits = splits_of(["a b c d e f"] * 120)
    trained_model = train.train_model(config, splits, tmp_path)
    stream = words.stream_of(splits.test["text"].tolist(), trained_model.metadata["vocabulary"], config.text)
    found, _ = probabilities(get_submodels(trained_model.model), stream)
    assert np.exp(-np.log(found[8:]).mean()) < 1.5


def test_a_run_that_is_taken_up_again_ends_where_it_would_have(config, tmp_path, interrupted):
    """The draws of wrong words, the dropout masks and the carried state go on too."""
    model = replace(config.model, negatives=4, input_dropout=0.3, output_dropout=0.3, word_dropout=0.2)
    config = replace(config, model=model, training=replace(config.training, epochs=3))
    splits = splits_of(["a b c d e f", "g h i j"] * 40)
    whole = train.train_model(config, splits, tmp_path / "whole")

    interrupted(lambda: train.train_model(config, splits, tmp_path / "parts"))
    again = train.train_model(config, splits, tmp_path / "parts")
    for one, other in zip(whole.model.get_weights(), again.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_is_dropped_in_training_changes_the_loss(config):
    stretch = {"token_ids": np.arange(2, 42, dtype=np.int32).reshape(2, 20), "is_continued": np.zeros(2, np.float32)}
    for name in ("input_dropout", "output_dropout", "word_dropout"):
        views = SubmodelBuilder(replace(config, model=replace(config.model, **{name: 0.5})), 42)
        trainer = Trainer(views, rows=2)
        losses = [np.asarray(trainer(stretch, training=training)) for training in (True, True, False, False)]
        assert (losses[0] != losses[1]).any(), name
        np.testing.assert_array_equal(losses[2], losses[3])


def test_mixed_precision_exports_in_float32(config, tmp_path):
    config = replace(config, training=replace(config.training, epochs=1, precision="mixed_bfloat16"))
    trained_model = train.train_model(config, splits_of(["a b c d e f"] * 20), tmp_path)
    assert {weight.dtype for weight in trained_model.model.weights} == {"float32"}
    stream = words.stream_of(["a b c"], trained_model.metadata["vocabulary"], config.text)
    logs = np.asarray(get_submodels(trained_model.model).head(np.ones((1, 1, 5), np.float32)))
    assert np.exp(logs).sum() == pytest.approx(1, abs=1e-5)
    assert np.isfinite(probabilities(get_submodels(trained_model.model), stream)[0]).all()


def test_a_text_without_words_that_come_again_is_refused(config, tmp_path):
    with pytest.raises(DataError, match=r"--text\.fewest"):
        train.train_model(replace(config, text=replace(config.text, fewest=300)), splits_of(["a b c"] * 40), tmp_path)


def test_a_text_smaller_than_a_batch_is_refused(config, tmp_path):
    with pytest.raises(DataError, match=r"too few for a batch of 2 rows of 4.*--fit\.batch-size"):
        train.train_model(config, splits_of(["a b"] * 4), tmp_path)
