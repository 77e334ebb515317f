"""Steps, padding and the states of the recogniser; and that it can learn."""

from __future__ import annotations

from itertools import product

import keras
import numpy as np
import pytest
from keras import ops

from shared import training
from tasks.speech import evaluate
from tasks.speech.batches import RecordingBatches, padded
from tasks.speech.evaluate import greedy, log_probabilities
from tasks.speech.model import (
    SPAN,
    STEP,
    TAIL,
    SubmodelBuilder,
    Trainer,
    character_errors,
    ctc_losses,
    get_submodels,
    heard,
    steps_of,
)
from tasks.speech.symbols import labels_of, text_of
from tests.tasks.speech.conftest import ALPHABET, tone


def logs_of(views, *recordings):
    samples, length = padded(list(recordings), np.float32)
    found = heard(views.parts, {"samples": ops.convert_to_tensor(samples), "length": ops.convert_to_tensor(length)})
    return [row[:count] for row, count in zip(ops.convert_to_numpy(found["logs"]), steps_of(length), strict=True)]


@pytest.fixture(params=["views", "level_views", "streaming_views"])
def any_views(request):
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("length", [1, 159, 640, 641, 1471, 1472, 4000])
def test_a_step_for_each_40_ms_begun(any_views, length):
    samples = tone("abc")[:length]
    (logs,) = logs_of(any_views, samples)
    assert len(logs) == -(-length // STEP) + TAIL
    np.testing.assert_allclose(np.exp(logs).sum(axis=-1), 1, rtol=1e-5)


def test_neighbours_and_what_lies_behind_the_end_change_nothing(any_views):
    short, long = tone("ab"), tone("cabca")
    (alone,) = logs_of(any_views, short)
    together = logs_of(any_views, short, long)
    np.testing.assert_allclose(together[0], alone, rtol=1e-5, atol=1e-5)
    samples, length = padded([short, long], np.float32)
    samples[0, len(short) :] = 0.7
    found = heard(any_views.parts, {"samples": ops.convert_to_tensor(samples), "length": ops.convert_to_tensor(length)})
    np.testing.assert_allclose(ops.convert_to_numpy(found["logs"])[0, : len(alone)], alone, rtol=1e-5, atol=1e-5)


def test_of_one_direction_the_future_changes_nothing_beyond_the_span_of_a_step(streaming_views):
    samples = tone("abcab")
    (before,) = logs_of(streaming_views, samples)
    changed = samples.copy()
    place = 9000
    changed[place:] = tone("c", 1.0)[: len(samples) - place]
    (after,) = logs_of(streaming_views, changed)
    same = (place - SPAN) // STEP + 1
    np.testing.assert_allclose(after[:same], before[:same], atol=1e-6)
    assert np.abs(after[same:] - before[same:]).max() > 1e-2


@pytest.mark.parametrize("which", ["views", "level_views"])
def test_a_louder_utterance_sounds_the_same_where_it_is_normalised_by_itself(which, request):
    views = request.getfixturevalue(which)
    samples, length = tone("abc"), np.array([len(tone("abc"))], np.int32)
    quiet, loud = (
        views.hearing.predict_on_batch({"samples": volume * samples[None], "length": length}) for volume in (0.5, 1.0)
    )
    assert np.median(np.abs(quiet - loud)) < 0.1  # but for the floor
    assert np.std(loud) > 0.5


def test_a_louder_utterance_sounds_louder_where_training_normalises(streaming_views):
    samples, length = tone("abc"), np.array([len(tone("abc"))], np.int32)
    quiet, loud = (
        streaming_views.hearing.predict_on_batch({"samples": volume * samples[None], "length": length})
        for volume in (0.5, 1.0)
    )
    assert np.median(loud - quiet) == pytest.approx(2 * np.log(2) / 3, abs=0.1)  # the deviation is 3


def test_a_model_read_from_its_file_has_the_same_parts(any_views, tmp_path):
    any_views.whole().save(tmp_path / "model.keras")
    parts = get_submodels(keras.models.load_model(tmp_path / "model.keras", compile=False))
    samples, length = padded([tone("ab"), tone("cab")], np.float32)
    inputs = {"samples": ops.convert_to_tensor(samples), "length": ops.convert_to_tensor(length)}
    np.testing.assert_allclose(
        ops.convert_to_numpy(heard(parts, inputs)["logs"]),
        ops.convert_to_numpy(heard(any_views.parts, inputs)["logs"]),
        atol=1e-6,
    )


@pytest.mark.parametrize("text", ["a", "ab", "bb", "c a"])
def test_the_loss_is_that_of_all_ways_to_spell_a_text_out(text):
    """Worked out by trying every way: the symbols of each step, repetitions joined, blanks dropped."""
    steps, symbols = 5, len(ALPHABET) + 1
    values = np.random.default_rng(0).normal(size=(1, steps + 2, symbols))
    logs = (values - np.log(np.exp(values).sum(axis=-1, keepdims=True))).astype(np.float32)
    ways = [way for way in product(range(symbols), repeat=steps) if text_of(way, ALPHABET) == text]
    likelihood = sum(np.exp(sum(logs[0, k, sign] for k, sign in enumerate(way))) for way in ways)
    labels = np.pad(labels_of(text, ALPHABET), (0, 2))[None]
    loss = ctc_losses(
        *map(ops.convert_to_tensor, (labels, np.array([len(text)], np.int32), logs)), ops.convert_to_tensor([steps])
    )
    assert float(loss[0]) == pytest.approx(-np.log(likelihood), rel=1e-4)


def test_bands_are_drawn_apart_or_together_and_keep_their_order(views):
    import dataclasses

    views.config = dataclasses.replace(views.config, augment=dataclasses.replace(views.config.augment, warp=0.2))
    rising = ops.tile(ops.arange(16, dtype="float32")[None, None], (200, 3, 1))
    found = ops.convert_to_numpy(Trainer(views)._warped(rising))
    factors = found[:, 0, 5] / 5
    assert 0.8 <= factors.min() < 0.84
    assert 1.16 < factors.max() <= 1.2
    expected = np.minimum(np.arange(16) * factors[:, None], 15)
    np.testing.assert_allclose(found, np.repeat(expected[:, None], 3, axis=1), atol=1e-4)
    views.config = dataclasses.replace(views.config, augment=dataclasses.replace(views.config.augment, warp=0.0))
    np.testing.assert_array_equal(ops.convert_to_numpy(Trainer(views)._warped(rising)), rising)


def test_masks_blank_out_other_stretches_each_time_and_leave_most(views):
    trainer = Trainer(views)
    features = ops.ones((3, 100, 16))
    once, again = (
        ops.convert_to_numpy(trainer._masked(features, ops.convert_to_tensor([16_000] * 3))) for _ in range(2)
    )
    assert set(np.unique(once)) == {0.0, 1.0}
    assert not np.array_equal(once, again)
    bands_gone, frames_gone = (once == 0).all(axis=1).sum(axis=1), (once == 0).all(axis=2).sum(axis=1)
    assert frames_gone.max() <= 2 * 11  # a tenth of the recording
    assert bands_gone.max() <= 2 * 16
    assert once.mean() > 0.1


def test_it_learns_to_spell_out_tones(spoken, config, tmp_path):
    import dataclasses

    keras.utils.set_random_seed(0)
    fit = dataclasses.replace(config.training, epochs=80, learning_rate=2e-2, patience=80)
    quiet = dataclasses.replace(config.augment, time_masks=0, frequency_masks=0)
    views = SubmodelBuilder(dataclasses.replace(config, training=fit, augment=quiet), len(ALPHABET) + 1)
    train, test = spoken.iloc[:32], spoken.iloc[32:]
    validation = RecordingBatches(test, ALPHABET, 4).evaluation_batches()
    training.fit(
        Trainer(views), RecordingBatches(train, ALPHABET, 4), validation, fit, tmp_path, loss=training.identity_loss
    )
    heard_texts = [greedy(logs, ALPHABET) for logs in log_probabilities(views.whole(), train)]
    assert np.mean([one == other for one, other in zip(heard_texts, train["text"], strict=True)]) > 0.8


def written(logs):
    """The likeliest text, its blanks as signs that jiwer does not strip."""
    return text_of(logs.argmax(axis=-1).tolist(), ALPHABET).replace(" ", "_")


def test_the_errors_that_choose_the_epoch_are_those_of_jiwer():
    rng = np.random.default_rng(0)
    logs = np.log(rng.dirichlet(np.full(len(ALPHABET) + 1, 0.3), (8, 12))).astype(np.float32)
    count = np.array([12, 9, 12, 1, 7, 12, 5, 3], np.int32)
    logs[6, :, 0] = 9.0  # says nothing
    said = ["".join(rng.choice(list(ALPHABET.strip()), rng.integers(1, 6))) for _ in count]
    labels, _ = padded([labels_of(text, ALPHABET) for text in said], np.int32)
    found = ops.convert_to_numpy(character_errors(ops.convert_to_tensor(labels), ops.convert_to_tensor(logs), count))
    spelled = [written(row[:n]) for row, n in zip(logs, count, strict=True)]
    np.testing.assert_array_equal(found, evaluate.character_errors(said, spelled)[:, 0])


def test_an_epochs_error_rate_is_of_all_its_symbols(views, spoken):
    trainer = Trainer(views)
    trainer.compile(loss=training.identity_loss)
    batches = RecordingBatches(spoken.iloc[:10], ALPHABET, 4)
    told = trainer.evaluate(batches.evaluation_batches(), verbose=0, return_dict=True)
    logs = log_probabilities(views.whole(), spoken.iloc[:10])
    spelled = [written(row) for row in logs]
    wrong, symbols = evaluate.character_errors(spoken["text"].tolist()[:10], spelled).sum(axis=0)
    assert told["character_error_rate"] == pytest.approx(wrong / symbols, rel=1e-5)
    assert wrong / symbols < told[trainer.monitored_metric] < wrong / symbols + 0.1  # of equal errors, the less loss
