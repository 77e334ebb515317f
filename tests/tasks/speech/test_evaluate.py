"""The error rates are those of jiwer, and a trained model is scored beside its baseline."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from shared import workflow
from shared.data.sources import Origin, Splits
from tasks.speech import train
from tasks.speech.config import DecodingConfig
from tasks.speech.evaluate import (
    count_character_errors,
    count_word_errors,
    find_worst,
    score_texts,
    word_error_rate_by_speaker,
)
from tests.evaluations import evaluate


@pytest.fixture(scope="module")
def evaluated(recordings, config, tmp_path_factory):
    frames = recordings.iloc[:24], recordings.iloc[24:32], recordings.iloc[32:]
    origin = Origin("tones", "generated", "0", "none", "")
    splits = Splits(*(frame.reset_index(drop=True) for frame in frames), origin=origin)
    decoding = DecodingConfig(beam_width=8, language_model_weights=(0.5,), word_bonuses=(0.0, 1.0))
    config = dataclasses.replace(config, decoding=decoding)
    trained_model = workflow.train_model(train.TASK, config, splits, tmp_path_factory.mktemp("run"))
    return trained_model, splits, evaluate("speech", trained_model, splits, config)


def test_every_model_has_every_metric(evaluated):
    scores = {(s.model, s.metric): s for s in evaluated[2].scores}
    models, metrics = ({key[k] for key in scores} for k in (0, 1))
    assert models == {"exported", "greedy", "dtw_nearest_neighbor"}
    assert metrics == {"word_error_rate", "character_error_rate", "accuracy"}
    assert len(scores) == len(models) * len(metrics)
    assert scores["dtw_nearest_neighbor", "accuracy"].value >= 0.3  # the tones differ enough for the baseline


def test_the_plots_are_written(evaluated, tmp_path):
    assert {"spectrogram.png", "confusion.png"} <= set(evaluated[2].description.plots)
    for name, draw in evaluated[2].description.plots.items():
        draw(tmp_path / name)
        assert (tmp_path / name).stat().st_size > 5000


def test_errors_are_substitutions_deletions_and_insertions():
    references = ["go left now", "stop", "a b"]
    hypotheses = ["go right", "stop please", "a b"]
    np.testing.assert_array_equal(count_word_errors(references, hypotheses), [[2, 3], [1, 1], [0, 2]])
    np.testing.assert_array_equal(count_character_errors(["abc"], ["axc d"]), [[3, 3]])
    scores = score_texts("exported", references, hypotheses, ["x", "y", "z"])
    rates = {score.metric: score.value for score in scores}
    assert rates["word_error_rate"] == pytest.approx(3 / 6)
    assert rates["accuracy"] == pytest.approx(1 / 3)


def test_words_in_a_recording_without_speech_are_insertions():
    np.testing.assert_array_equal(count_word_errors(["", ""], ["", "a b"]), [[0, 0], [2, 0]])
    np.testing.assert_array_equal(count_character_errors([""], ["a b"]), [[3, 0]])


def test_an_empty_hypothesis_deletes_all_words():
    np.testing.assert_array_equal(count_word_errors(["a b c"], [""]), [[3, 3]])


def test_the_intervals_resample_the_speakers():
    references, hypotheses = ["a"] * 40, ["a"] * 20 + ["b"] * 20
    separate = score_texts("m", references, hypotheses, [f"s{k // 5}" for k in range(40)])[0]
    mixed = score_texts("m", references, hypotheses, [f"s{k % 8}" for k in range(40)])[0]
    assert separate.high - separate.low > 3 * (mixed.high - mixed.low)


def test_error_rates_by_speaker_and_the_worst_recordings():
    references, hypotheses = ["a b", "c d", "e"], ["x y", "c d", "f"]
    assert word_error_rate_by_speaker(references, hypotheses, ["u", "u", "v"]) == {"u": 0.5, "v": 1.0}
    assert [row["recording"] for row in find_worst(references, hypotheses, ["1", "2", "3"])] == ["1", "3"]
