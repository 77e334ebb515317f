"""Training can be resumed, and uses statistics of the training split only."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from shared import workflow
from shared.data.sources import Origin, Splits
from shared.errors import DataError
from tasks.speech import audio, train
from tasks.speech.config import AugmentConfig
from tasks.speech.features import normalize_rms
from tasks.speech.model import get_submodels
from tasks.speech.timing import FRAME_LENGTH, HOP_LENGTH, SAMPLE_RATE
from tasks.speech.voice_activity import find_loud, frame_energy


@pytest.fixture
def splits(recordings):
    frames = recordings.iloc[:16], recordings.iloc[16:24], recordings.iloc[24:28]
    origin = Origin("tones", "generated", "0", "none", "")
    return Splits(*(frame.reset_index(drop=True) for frame in frames), origin=origin)


@pytest.fixture(params=["bidirectional", "streaming"])
def any_config(request, config, streaming):
    selected = config if request.param == "bidirectional" else streaming
    augment = AugmentConfig(
        noise_rate=0.8, time_masks=1, frequency_masks=1, frequency_mask_width=4, silence_rate=0, noise_only_rate=0
    )
    return dataclasses.replace(selected, augment=augment, training=dataclasses.replace(config.training, epochs=3))


def test_a_resumed_run_gives_the_weights_of_an_uninterrupted_run(any_config, splits, tmp_path, interrupted):
    """The augmentation, the masks and the order of the batches also continue."""
    uninterrupted = workflow.train_model(train.TASK, any_config, splits, tmp_path / "uninterrupted")

    interrupted(lambda: workflow.train_model(train.TASK, any_config, splits, tmp_path / "resumed"))
    resumed = workflow.train_model(train.TASK, any_config, splits, tmp_path / "resumed")
    for one, other in zip(uninterrupted.model.get_weights(), resumed.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_wrong_language_model_is_reported_before_training(config, splits, tmp_path):
    decoding = dataclasses.replace(config.decoding, language_model=str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="not an exported next-word model"):
        workflow.train_model(train.TASK, dataclasses.replace(config, decoding=decoding), splits, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_training_does_not_use_the_test_split(any_config, splits, tmp_path):
    broken = dataclasses.replace(splits, test=splits.test.assign(cache_file="nowhere", text=None))
    before = workflow.train_model(train.TASK, any_config, splits, tmp_path / "one").model.get_weights()
    after = workflow.train_model(train.TASK, any_config, broken, tmp_path / "other").model.get_weights()
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)


def test_mixed_precision_gives_a_float32_model(any_config, splits, tmp_path):
    mixed = dataclasses.replace(any_config.training, precision="mixed_bfloat16")
    trained_model = workflow.train_model(train.TASK, dataclasses.replace(any_config, training=mixed), splits, tmp_path)
    assert {weight.dtype for weight in trained_model.model.weights} == {"float32"}
    layers = get_submodels(trained_model.model).acoustic_model.layers
    assert {layer.compute_dtype for layer in layers} == {"float32"}
    losses = [epoch["loss"] for epoch in trained_model.history.epochs]
    assert losses[-1] < losses[0]
    samples = {"samples": np.zeros((1, SAMPLE_RATE), np.float32), "length": np.array([SAMPLE_RATE], np.int32)}
    assert np.isfinite(trained_model.model.predict_on_batch(samples)).all()


@pytest.mark.parametrize("normalization", ["training", "rms"])
def test_the_statistics_are_those_of_the_loud_frames_by_librosa(splits, config, normalization):
    import librosa

    features = dataclasses.replace(config.features, normalization=normalization)
    statistics = train.band_statistics(splits.train, dataclasses.replace(config, features=features))
    frames = []
    for row in splits.train.itertuples():
        samples = audio.get_samples(audio.open_cache(row.cache_file), row.start, row.length)
        energy = frame_energy(samples[None])
        is_loud = np.asarray(find_loud(energy, np.ones(energy.shape, bool)))
        assert is_loud.any()
        if normalization == "rms":
            samples = np.asarray(normalize_rms(samples[None], is_loud))[0]
        mel = librosa.feature.melspectrogram(
            y=samples, sr=SAMPLE_RATE, n_fft=FRAME_LENGTH, hop_length=HOP_LENGTH, center=False,
            n_mels=config.features.mel_bands, fmin=config.features.min_frequency, fmax=config.features.max_frequency,
        )  # fmt: skip
        frames.append(np.log(mel + 1e-6).T[is_loud[0]])
    expected = np.concatenate(frames)
    np.testing.assert_allclose(statistics, [expected.mean(axis=0), expected.std(axis=0)], atol=1e-3)
