"""Error rates are those of the field, and a trained model is judged beside its baseline."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from shared.sources import Origin, Splits
from tasks.speech import train
from tasks.speech.config import DecodingConfig
from tasks.speech.evaluate import (
    by_speaker,
    character_errors,
    chosen_fusion,
    error_rates,
    evaluate,
    greedy,
    word_errors,
    worst,
)


@pytest.fixture(scope="module")
def judged(spoken, config, tmp_path_factory):
    parts = spoken.iloc[:24], spoken.iloc[24:32], spoken.iloc[32:]
    splits = Splits(
        *(part.reset_index(drop=True) for part in parts), origin=Origin("tones", "made up", "0", "none", "")
    )
    config = dataclasses.replace(config, decoding=DecodingConfig(beam=8, weights=(0.5,), bonuses=(0.0, 1.0)))
    trained_model = train.train_model(config, splits, tmp_path_factory.mktemp("run"))
    return trained_model, splits, evaluate(trained_model, splits, config)


def test_every_model_has_every_score(judged):
    scores = {(s.model, s.metric): s for s in judged[2].scores}
    models, metrics = ({key[k] for key in scores} for k in (0, 1))
    assert models == {"exported", "language_model", "dtw_nearest_neighbor"}
    assert metrics == {"word_error_rate", "character_error_rate", "accuracy"}
    assert len(scores) == len(models) * len(metrics)
    assert scores["dtw_nearest_neighbor", "accuracy"].value >= 0.3  # tones are told apart by their sound


def test_known_words_alone_are_said_where_asked_for(judged, config):
    trained_model, splits, _ = judged
    alphabet = trained_model.metadata["alphabet"]
    taken = {}
    for words in ("any", "known"):
        decoding = DecodingConfig(beam=4, weights=(0.5,), bonuses=(0.0,), words=words)
        taken[words] = chosen_fusion(trained_model.model, splits, dataclasses.replace(config, decoding=decoding), alphabet)
    assert taken["any"].words is None
    assert taken["known"].words == {word for text in splits.train["text"] for word in text.split()}


def test_plots_can_be_drawn(judged, tmp_path):
    assert {"spectrogram.png", "confusion.png"} <= set(judged[2].plots)
    for name, draw in judged[2].plots.items():
        draw(tmp_path / name)
        assert (tmp_path / name).stat().st_size > 5000


def test_errors_are_wrong_missing_and_added_words():
    said = ["go left now", "stop", "a b"]
    heard = ["go right", "stop please", "a b"]
    np.testing.assert_array_equal(word_errors(said, heard), [[2, 3], [1, 1], [0, 2]])
    np.testing.assert_array_equal(character_errors(["abc"], ["axc d"]), [[3, 3]])
    rates = {score.metric: score.value for score in error_rates("exported", said, heard, ["x", "y", "z"])}
    assert rates["word_error_rate"] == pytest.approx(3 / 6)
    assert rates["accuracy"] == pytest.approx(1 / 3)


def test_nothing_heard_is_all_words_missing():
    np.testing.assert_array_equal(word_errors(["a b c"], [""]), [[3, 3]])


def test_intervals_are_over_speakers():
    said, heard = ["a"] * 40, ["a"] * 20 + ["b"] * 20
    apart = error_rates("m", said, heard, [f"s{k // 5}" for k in range(40)])[0]
    mixed = error_rates("m", said, heard, [f"s{k % 8}" for k in range(40)])[0]
    assert apart.high - apart.low > 3 * (mixed.high - mixed.low)


def test_speakers_and_the_worst_are_told():
    said, heard = ["a b", "c d", "e"], ["x y", "c d", "f"]
    assert by_speaker(said, heard, ["u", "u", "v"]) == {"u": 0.5, "v": 1.0}
    assert [row["recording"] for row in worst(said, heard, ["1", "2", "3"])] == ["1", "3"]


def test_greedy_takes_the_likeliest_symbol_of_each_step():
    logs = np.log(np.array([[0.1, 0.8, 0.1], [0.1, 0.8, 0.1], [0.8, 0.1, 0.1], [0.1, 0.8, 0.1]]))
    assert greedy(logs, "ab") == "aa"
