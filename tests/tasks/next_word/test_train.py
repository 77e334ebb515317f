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
from tasks.next_word.model import Trainer, Views, parts_of


def splits_of(lines: list[str]) -> Splits:
    frames = [pd.DataFrame({"text": part}) for part in (lines[: len(lines) // 2], lines[len(lines) // 2 :], lines[:5])]
    return Splits(*frames, origin=Origin("made up", "", "", "", ""))


@pytest.mark.parametrize("negatives", [0, 4])
def test_what_follows_from_the_word_before_is_learned(config, tmp_path, negatives):
    """With few wrong words drawn too: the whole softmax, that of the export, is learned by the sampled one."""
    config = replace(
        config,
        fit=replace(config.fit, epochs=12, learning_rate=3e-2, patience=12),
        model=replace(config.model, negatives=negatives, embedding_size=16),
    )
    splits = splits_of(["a b c d e f"] * 120)
    fitted = train.fit(config, splits, tmp_path)
    stream = words.stream_of(splits.test["text"].tolist(), fitted.facts["vocabulary"], config.text)
    found, _ = probabilities(parts_of(fitted.model), stream)
    assert np.exp(-np.log(found[8:]).mean()) < 1.5


def test_a_run_that_is_taken_up_again_ends_where_it_would_have(config, tmp_path, interrupted):
    """The draws of wrong words, the dropout masks and the carried state go on too."""
    model = replace(config.model, negatives=4, input_dropout=0.3, output_dropout=0.3, word_dropout=0.2)
    config = replace(config, model=model, fit=replace(config.fit, epochs=3))
    splits = splits_of(["a b c d e f", "g h i j"] * 40)
    whole = train.fit(config, splits, tmp_path / "whole")

    interrupted(lambda: train.fit(config, splits, tmp_path / "parts"))
    again = train.fit(config, splits, tmp_path / "parts")
    for one, other in zip(whole.model.get_weights(), again.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_is_dropped_in_training_changes_the_loss(config):
    stretch = {"numbers": np.arange(2, 42, dtype=np.int32).reshape(2, 20), "goes_on": np.zeros(2, np.float32)}
    for name in ("input_dropout", "output_dropout", "word_dropout"):
        views = Views(replace(config, model=replace(config.model, **{name: 0.5})), 42)
        trainer = Trainer(views, rows=2)
        losses = [np.asarray(trainer(stretch, training=training)) for training in (True, True, False, False)]
        assert (losses[0] != losses[1]).any(), name
        np.testing.assert_array_equal(losses[2], losses[3])


def test_mixed_precision_exports_in_float32(config, tmp_path):
    config = replace(config, fit=replace(config.fit, epochs=1, precision="mixed_bfloat16"))
    fitted = train.fit(config, splits_of(["a b c d e f"] * 20), tmp_path)
    assert {weight.dtype for weight in fitted.model.weights} == {"float32"}
    stream = words.stream_of(["a b c"], fitted.facts["vocabulary"], config.text)
    logs = np.asarray(parts_of(fitted.model).head(np.ones((1, 1, 5), np.float32)))
    assert np.exp(logs).sum() == pytest.approx(1, abs=1e-5)
    assert np.isfinite(probabilities(parts_of(fitted.model), stream)[0]).all()


def test_a_text_without_words_that_come_again_is_refused(config, tmp_path):
    with pytest.raises(DataError, match=r"--text\.fewest"):
        train.fit(replace(config, text=replace(config.text, fewest=300)), splits_of(["a b c"] * 40), tmp_path)


def test_a_text_smaller_than_a_batch_is_refused(config, tmp_path):
    with pytest.raises(DataError, match=r"too few for a batch of 2 rows of 4.*--fit\.batch-size"):
        train.fit(config, splits_of(["a b"] * 4), tmp_path)
