"""Steps, padding and states of the acoustic model, its loss, and a test that it can learn."""

from __future__ import annotations

import dataclasses
from itertools import product

import keras
import numpy as np
import pytest
from keras import ops

from shared.decoding.ctc_greedy import decode_greedily
from shared.decoding.ctc_symbols import decode_path, encode_text
from shared.training import loop
from tasks.speech import evaluate
from tasks.speech.batches import RecordingBatches, iterate_recordings, pad_rows
from tasks.speech.evaluate import compute_log_probabilities
from tasks.speech.model import (
    FINAL_STEPS,
    STEP_LENGTH,
    STEP_WINDOW,
    SubmodelBuilder,
    Trainer,
    count_character_errors,
    count_steps,
    ctc_loss,
    get_submodels,
    run_submodels,
)
from tests.tasks.speech.conftest import ALPHABET, tone


def run_on(submodels, samples, length):
    """Returns the log-probabilities `(batch, steps, symbols)` of padded samples."""
    inputs = {"samples": ops.convert_to_tensor(samples), "length": ops.convert_to_tensor(length)}
    return ops.convert_to_numpy(run_submodels(submodels, inputs)["log_probabilities"])


def run_on_recordings(builder, *recordings):
    """Returns the log-probabilities of each recording, without padding."""
    samples, length = pad_rows(list(recordings), np.float32)
    rows = run_on(builder.submodels, samples, length)
    return [row[:steps] for row, steps in zip(rows, count_steps(length), strict=True)]


@pytest.fixture(params=["builder", "rms_builder", "streaming_builder"])
def any_builder(request):
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("length", [1, 159, 640, 641, 1471, 1472, 4000])
def test_there_is_one_step_per_40_ms_rounded_up(any_builder, length):
    samples = tone("abc")[:length]
    (log_probabilities,) = run_on_recordings(any_builder, samples)
    assert len(log_probabilities) == -(-length // STEP_LENGTH) + FINAL_STEPS
    np.testing.assert_allclose(np.exp(log_probabilities).sum(axis=-1), 1, rtol=1e-5)


def test_the_output_does_not_depend_on_padding_or_other_recordings(any_builder):
    short, long = tone("ab"), tone("cabca")
    (alone,) = run_on_recordings(any_builder, short)
    together = run_on_recordings(any_builder, short, long)
    np.testing.assert_allclose(together[0], alone, rtol=1e-5, atol=1e-5)
    samples, length = pad_rows([short, long], np.float32)
    samples[0, len(short) :] = 0.7
    padded = run_on(any_builder.submodels, samples, length)
    np.testing.assert_allclose(padded[0, : len(alone)], alone, rtol=1e-5, atol=1e-5)


def test_a_step_of_a_unidirectional_model_depends_only_on_samples_up_to_the_end_of_its_window(streaming_builder):
    samples = tone("abcab")
    (before,) = run_on_recordings(streaming_builder, samples)
    changed = samples.copy()
    position = 9000
    changed[position:] = tone("c", 1.0)[: len(samples) - position]
    (after,) = run_on_recordings(streaming_builder, changed)
    unchanged_steps = (position - STEP_WINDOW) // STEP_LENGTH + 1
    np.testing.assert_allclose(after[:unchanged_steps], before[:unchanged_steps], atol=1e-6)
    assert np.abs(after[unchanged_steps:] - before[unchanged_steps:]).max() > 1e-2


@pytest.mark.parametrize("name", ["builder", "rms_builder"])
def test_statistics_of_the_recording_remove_its_volume(name, request):
    builder = request.getfixturevalue(name)
    samples, length = tone("abc"), np.array([len(tone("abc"))], np.int32)
    quiet, loud = (
        builder.feature_extractor.predict_on_batch({"samples": volume * samples[None], "length": length})
        for volume in (0.5, 1.0)
    )
    assert np.median(np.abs(quiet - loud)) < 0.1  # not 0, because of the power floor
    assert np.std(loud) > 0.5


def test_statistics_of_the_training_split_keep_the_volume(streaming_builder):
    samples, length = tone("abc"), np.array([len(tone("abc"))], np.int32)
    quiet, loud = (
        streaming_builder.feature_extractor.predict_on_batch({"samples": volume * samples[None], "length": length})
        for volume in (0.5, 1.0)
    )
    assert np.median(loud - quiet) == pytest.approx(2 * np.log(2) / 3, abs=0.1)  # the standard deviation is 3


def test_a_loaded_model_has_the_same_submodels(any_builder, tmp_path):
    any_builder.full_model().save(tmp_path / "model.keras")
    submodels = get_submodels(keras.models.load_model(tmp_path / "model.keras", compile=False))
    samples, length = pad_rows([tone("ab"), tone("cab")], np.float32)
    np.testing.assert_allclose(
        run_on(submodels, samples, length), run_on(any_builder.submodels, samples, length), atol=1e-6
    )


@pytest.mark.parametrize("text", ["a", "ab", "bb", "c a"])
def test_the_loss_sums_over_all_alignments_of_a_text(text):
    """The expected value comes from all paths: one symbol per step, repetitions merged, `BLANK_ID` removed."""
    steps, symbols = 5, len(ALPHABET) + 1
    values = np.random.default_rng(0).normal(size=(1, steps + 2, symbols))
    log_probabilities = (values - np.log(np.exp(values).sum(axis=-1, keepdims=True))).astype(np.float32)
    paths = [path for path in product(range(symbols), repeat=steps) if decode_path(path, ALPHABET) == text]
    likelihood = sum(np.exp(sum(log_probabilities[0, k, symbol] for k, symbol in enumerate(path))) for path in paths)
    labels = np.pad(encode_text(text, ALPHABET), (0, 2))[None]
    arguments = (labels, np.array([len(text)], np.int32), log_probabilities, np.array([steps], np.int32))
    loss = ctc_loss(*map(ops.convert_to_tensor, arguments))
    assert float(loss[0]) == pytest.approx(-np.log(likelihood), rel=1e-4)


def test_the_loss_of_an_empty_text_is_that_of_silence_in_every_step():
    rng = np.random.default_rng(0)
    log_probabilities = ops.log_softmax(ops.convert_to_tensor(rng.normal(size=(3, 6, 5)).astype(np.float32)))
    labels = ops.convert_to_tensor(np.array([[0, 0], [2, 1], [0, 0]], np.int32))
    arguments = [ops.convert_to_tensor(np.array(values, np.int32)) for values in ([0, 2, 0], [6, 6, 4])]
    losses = ops.convert_to_numpy(ctc_loss(labels, arguments[0], log_probabilities, arguments[1]))
    silence = -ops.convert_to_numpy(log_probabilities)[..., 0]
    assert losses[[0, 2]] == pytest.approx([silence[0].sum(), silence[2, :4].sum()], rel=1e-5)
    alone = ctc_loss(labels[1:2], arguments[0][1:2], log_probabilities[1:2], arguments[1][1:2])
    assert losses[1] == pytest.approx(float(alone[0]), rel=1e-5)


def with_warp(builder, warp):
    builder.config = dataclasses.replace(
        builder.config, augment=dataclasses.replace(builder.config.augment, vocal_tract_warp=warp)
    )
    return Trainer(builder)


def test_warping_stretches_the_frequency_axis_and_keeps_the_order_of_the_bands(builder):
    increasing = ops.tile(ops.arange(16, dtype="float32")[None, None], (200, 3, 1))
    warped = ops.convert_to_numpy(with_warp(builder, 0.2)._warp_features(increasing))
    factors = warped[:, 0, 5] / 5
    assert 0.8 <= factors.min() < 0.84
    assert 1.16 < factors.max() <= 1.2
    expected = np.minimum(np.arange(16) * factors[:, None], 15)
    np.testing.assert_allclose(warped, np.repeat(expected[:, None], 3, axis=1), atol=1e-4)
    unchanged = ops.convert_to_numpy(with_warp(builder, 0.0)._warp_features(increasing))
    np.testing.assert_array_equal(unchanged, increasing)


def test_masks_differ_each_time_and_leave_most_features(builder):
    trainer = Trainer(builder)
    features = ops.ones((3, 100, 16))
    first, second = (
        ops.convert_to_numpy(trainer._mask_features(features, ops.convert_to_tensor([16_000] * 3))) for _ in range(2)
    )
    assert set(np.unique(first)) == {0.0, 1.0}
    assert not np.array_equal(first, second)
    masked_bands, masked_frames = (first == 0).all(axis=1).sum(axis=1), (first == 0).all(axis=2).sum(axis=1)
    assert masked_frames.max() <= 2 * 11  # two masks of a tenth of the recording
    assert masked_bands.max() <= 2 * 16
    assert first.mean() > 0.1


def test_the_model_learns_to_transcribe_tones(recordings, config, tmp_path):
    keras.utils.set_random_seed(0)
    training_config = dataclasses.replace(config.training, epochs=80, learning_rate=2e-2, patience=80)
    augment = dataclasses.replace(config.augment, time_masks=0, frequency_masks=0)
    builder = SubmodelBuilder(dataclasses.replace(config, training=training_config, augment=augment), len(ALPHABET) + 1)
    train, test = recordings.iloc[:32], recordings.iloc[32:]
    loop.fit(
        Trainer(builder),
        RecordingBatches(train, ALPHABET, 4),
        RecordingBatches(test, ALPHABET, 4).evaluation_batches(),
        training_config,
        tmp_path,
        loss=loop.identity_loss,
    )
    log_probabilities = compute_log_probabilities(builder.full_model(), list(iterate_recordings(train)))
    texts = [decode_greedily(recording, ALPHABET) for recording in log_probabilities]
    assert np.mean([text == reference for text, reference in zip(texts, train["text"], strict=True)]) > 0.8


def decode_with_visible_spaces(log_probabilities):
    """Returns the greedily decoded text with "_" for each space, because jiwer strips spaces."""
    return decode_path(log_probabilities.argmax(axis=-1).tolist(), ALPHABET).replace(" ", "_")


def test_the_errors_that_select_the_epoch_are_those_of_jiwer():
    rng = np.random.default_rng(0)
    log_probabilities = np.log(rng.dirichlet(np.full(len(ALPHABET) + 1, 0.3), (8, 12))).astype(np.float32)
    step_count = np.array([12, 9, 12, 1, 7, 12, 5, 3], np.int32)
    log_probabilities[6, :, 0] = 9.0  # an empty text
    references = ["".join(rng.choice(list(ALPHABET.strip()), rng.integers(1, 6))) for _ in step_count]
    labels, _ = pad_rows([encode_text(text, ALPHABET) for text in references], np.int32)
    errors = count_character_errors(ops.convert_to_tensor(labels), ops.convert_to_tensor(log_probabilities), step_count)
    texts = [decode_with_visible_spaces(row[:n]) for row, n in zip(log_probabilities, step_count, strict=True)]
    expected = evaluate.count_character_errors(references, texts)[:, 0]
    np.testing.assert_array_equal(ops.convert_to_numpy(errors), expected)


def test_the_error_rate_of_an_epoch_is_that_of_all_its_symbols(builder, recordings):
    trainer = Trainer(builder)
    trainer.compile(loss=loop.identity_loss)
    frame = recordings.iloc[:10]
    batches = RecordingBatches(frame, ALPHABET, 4)
    metrics = trainer.evaluate(batches.evaluation_batches(), verbose=0, return_dict=True)
    texts = [
        decode_with_visible_spaces(row)
        for row in compute_log_probabilities(builder.full_model(), list(iterate_recordings(frame)))
    ]
    errors, symbols = evaluate.count_character_errors(frame["text"].tolist(), texts).sum(axis=0)
    rate = errors / symbols
    assert metrics["character_error_rate"] == pytest.approx(rate, rel=1e-5)
    assert rate < metrics[trainer.monitored_metric] < rate + 0.1  # the loss decides between equal error rates
