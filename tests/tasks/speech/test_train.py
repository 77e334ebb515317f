"""Training can be interrupted, and takes its statistics from training alone."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from shared.errors import DataError
from shared.sources import Origin, Splits
from tasks.speech import audio, train
from tasks.speech.config import AugmentConfig
from tasks.speech.features import HOP, RATE, WIDTH
from tasks.speech.model import get_submodels


@pytest.fixture
def splits(spoken):
    parts = spoken.iloc[:16], spoken.iloc[16:24], spoken.iloc[24:28]
    return Splits(*(part.reset_index(drop=True) for part in parts), origin=Origin("tones", "made up", "0", "none", ""))


@pytest.fixture(params=["whole", "streaming"])
def any_config(request, config, streaming):
    chosen = config if request.param == "whole" else streaming
    augment = AugmentConfig(noise=0.8, time_masks=1, frequency_masks=1, frequency_width=4)
    return dataclasses.replace(chosen, augment=augment, training=dataclasses.replace(config.training, epochs=3))


def test_a_run_that_is_taken_up_again_ends_where_it_would_have(any_config, splits, tmp_path, interrupted):
    """The changes of the recordings, the masks and the order go on too."""
    whole = train.train_model(any_config, splits, tmp_path / "whole")

    interrupted(lambda: train.train_model(any_config, splits, tmp_path / "parts"))
    again = train.train_model(any_config, splits, tmp_path / "parts")
    for one, other in zip(whole.model.get_weights(), again.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_language_model_that_is_none_is_told_before_training(config, splits, tmp_path):
    decoding = dataclasses.replace(config.decoding, language_model=str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="no exported next-word model"):
        train.train_model(dataclasses.replace(config, decoding=decoding), splits, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_test_split_is_not_looked_at(any_config, splits, tmp_path):
    broken = splits.test.assign(store="nowhere", text=None)
    before = train.train_model(any_config, splits, tmp_path / "one").model.get_weights()
    after = train.train_model(any_config, dataclasses.replace(splits, test=broken), tmp_path / "other").model.get_weights()
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)


def test_mixed_precision_trains_and_comes_back_in_float32(any_config, splits, tmp_path):
    fast = dataclasses.replace(any_config, training=dataclasses.replace(any_config.fit, precision="mixed_bfloat16"))
    trained_model = train.train_model(fast, splits, tmp_path)
    assert {weight.dtype for weight in trained_model.model.weights} == {"float32"}
    assert {layer.compute_dtype for layer in get_submodels(trained_model.model).reading.layers} == {"float32"}
    losses = [epoch["loss"] for epoch in trained_model.history.epochs]
    assert losses[-1] < losses[0]
    samples = {"samples": np.zeros((1, RATE), np.float32), "length": np.array([RATE], np.int32)}
    assert np.isfinite(trained_model.model.predict_on_batch(samples)).all()


@pytest.mark.parametrize("normalization", ["training", "level"])
def test_statistics_are_those_of_librosa_over_all_frames(splits, config, normalization):
    import librosa

    features = dataclasses.replace(config.features, normalization=normalization)
    found = train.statistics_of(splits.train, dataclasses.replace(config, features=features))
    frames = []
    for row in splits.train.itertuples():
        samples = audio.samples_of(audio.opened(row.store), row.start, row.length)
        if normalization == "level":
            samples = (samples - samples.mean()) * 0.1 / samples.std()
        mel = librosa.feature.melspectrogram(
            y=samples, sr=RATE, n_fft=WIDTH, hop_length=HOP, center=False, n_mels=config.features.mels,
            fmin=config.features.lowest, fmax=config.features.highest,
        )  # fmt: skip
        frames.append(np.log(mel + 1e-6).T)
    expected = np.concatenate(frames)
    np.testing.assert_allclose(found, [expected.mean(axis=0), expected.std(axis=0)], atol=1e-3)
