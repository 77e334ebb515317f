"""Training resumes to the very result of an uninterrupted run, keeps the best weights, and exports in float32."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from shared import training
from shared.config import LSTMConfig, TrainingConfig
from shared.errors import SuiteError
from shared.lstm import LSTMStack, masked_mean
from shared.pipelines import SequenceBatches

CONFIG = TrainingConfig(epochs=4, batch_size=8, learning_rate=0.01, patience=4, seed=3)


def small_model() -> keras.Model:
    keras.utils.set_random_seed(CONFIG.seed)
    words = keras.Input((None,), dtype="int32")
    mask = ops.not_equal(words, 0)
    hidden = keras.layers.SpatialDropout1D(0.3)(keras.layers.Embedding(20, 6)(words))
    hidden = LSTMStack(LSTMConfig(units=(5, 5), dropout=0.3, recurrent_dropout=0.2)).sequence(hidden, mask=mask)
    return keras.Model(words, keras.layers.Dense(2)(masked_mean(hidden, mask)))


def batches(count: int = 60) -> SequenceBatches:
    rng = np.random.default_rng(0)
    sequences = [rng.integers(1, 20, rng.integers(2, 12)) for _ in range(count)]
    labels = np.array([int(s[0] > s[-1]) for s in sequences])
    return SequenceBatches(sequences, labels, CONFIG.batch_size, seed=CONFIG.seed, crop=8, replacement_rate=0.1)


def run(
    folder: Path, config: TrainingConfig = CONFIG, stop_after: int | None = None
) -> tuple[keras.Model, training.History]:
    """Trains; with `stop_after`, Ctrl-C comes in the middle of the epoch after that many."""
    model = small_model()
    data = batches()
    held_out = batches(30).evaluation_batches()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    if stop_after is None:
        return model, training.fit(model, data, held_out, config, folder, loss)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "_StopWhenDiverged", lambda: _Dies(stop_after, data.steps // 2))
        with pytest.raises(KeyboardInterrupt):
            training.fit(model, data, held_out, config, folder, loss)
    return model, training.History()


class _Dies(keras.callbacks.Callback):
    def __init__(self, epochs: int, step: int) -> None:
        super().__init__()
        self.left, self.step = epochs, step

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.epoch == self.left and batch == self.step:
            raise KeyboardInterrupt


@pytest.mark.parametrize("stop_after", [0, 1, 3])
def test_a_run_interrupted_in_the_middle_of_an_epoch_resumes_to_the_uninterrupted_weights(tmp_path, stop_after):
    whole, whole_history = run(tmp_path / "whole")
    run(tmp_path / "halves", stop_after=stop_after)
    resumed, history = run(tmp_path / "halves")
    for expected, weight in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)
    assert [e["val_loss"] for e in history.epochs] == [e["val_loss"] for e in whole_history.epochs]
    assert (tmp_path / "halves" / "log.csv").read_text() == (tmp_path / "whole" / "log.csv").read_text()


def test_a_killed_process_leaves_a_checkpoint_that_resumes_to_the_uninterrupted_weights(tmp_path):
    whole, _ = run(tmp_path / "whole")
    code = (
        "import sys, time; from pathlib import Path; from tests.shared import test_training as t\n"
        "save = t.training.Checkpoints._save\n"
        "t.training.Checkpoints._save = lambda *a: (save(*a), time.sleep(2))\n"
        "t.run(Path(sys.argv[1]))"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "killed")], env=os.environ.copy())
    checkpoints = tmp_path / "killed" / "checkpoints"
    while not list(checkpoints.glob("epoch-*.npz")) and child.poll() is None:
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL, "the child was done before it could be killed"
    assert list(checkpoints.glob("epoch-*.npz")), "the child died before its first checkpoint"
    resumed, _ = run(tmp_path / "killed")
    for expected, weight in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)


def test_a_checkpoint_cut_short_is_told_and_the_one_before_taken(tmp_path, caplog):
    whole, _ = run(tmp_path / "whole")
    run(tmp_path / "cut", stop_after=3)
    newest = sorted((tmp_path / "cut" / "checkpoints").glob("*.npz"))[-1]
    newest.write_bytes(newest.read_bytes()[:1000])
    resumed, history = run(tmp_path / "cut")
    assert f"{newest.name} is damaged" in caplog.text
    assert len(history.epochs) == CONFIG.epochs
    for expected, weight in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)


def test_a_finished_run_is_not_trained_again(tmp_path):
    first, _ = run(tmp_path)
    before = (tmp_path / "log.csv").stat().st_mtime_ns
    again, history = run(tmp_path)
    assert (tmp_path / "log.csv").stat().st_mtime_ns == before
    assert len(history.epochs) == CONFIG.epochs
    for expected, weight in zip(first.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)


def test_a_checkpoint_of_another_model_is_refused_with_the_remedy(tmp_path):
    run(tmp_path)
    words = keras.Input((None,), dtype="int32")
    other = keras.Model(words, keras.layers.Dense(2)(ops.mean(keras.layers.Embedding(20, 3)(words), axis=1)))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    with pytest.raises(SuiteError, match="--no-resume"):
        training.fit(other, batches(), batches(30).evaluation_batches(), CONFIG, tmp_path, loss)


def test_training_ends_at_the_best_epochs_weights(tmp_path):
    hurried = TrainingConfig(epochs=6, batch_size=8, learning_rate=1.0, gradient_clip=100.0, patience=2, seed=3)
    model, history = run(tmp_path, hurried)
    losses = [epoch["val_loss"] for epoch in history.epochs]
    assert history.best_epoch == int(np.argmin(losses)) + 1
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    assert model.evaluate(batches(30).evaluation_batches(), verbose=0) == pytest.approx(min(losses), rel=1e-4)


def test_a_loss_that_is_no_number_stops_with_the_remedy_and_keeps_no_checkpoint(tmp_path):
    model = small_model()
    model.set_weights([np.full_like(weight, np.nan) for weight in model.get_weights()])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    with pytest.raises(SuiteError, match=r"--fit\.learning-rate"):
        training.fit(model, batches(), batches(30).evaluation_batches(), CONFIG, tmp_path, loss)
    assert not list(tmp_path.rglob("*.npz"))


def test_logs_for_tensorboard_and_csv_are_written(tmp_path):
    run(tmp_path)
    lines = (tmp_path / "log.csv").read_text().splitlines()
    assert lines[0].startswith("epoch,")
    assert [line.split(",")[0] for line in lines[1:]] == ["1", "2", "3", "4"]
    assert list((tmp_path / "tensorboard").rglob("events.*"))


def test_mixed_precision_trains_and_comes_back_in_float32():
    with training.precision("mixed_bfloat16"):
        trained = small_model()
    plain = training.rebuild_in_float32(trained, small_model)
    assert {layer.compute_dtype for layer in trained.layers if layer.weights} == {"bfloat16"}
    assert {layer.compute_dtype for layer in plain.layers if layer.weights} == {"float32"}
    words = np.array([[1, 2, 3, 0]])
    np.testing.assert_allclose(plain(words), np.float32(trained(words)), atol=0.02)
    assert keras.config.dtype_policy().name == "float32"


def test_without_validation_every_epoch_is_trained_and_the_training_loss_chooses(tmp_path):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    history = training.fit(small_model(), batches(), None, dataclasses.replace(CONFIG, patience=1), tmp_path, loss)
    losses = [epoch["loss"] for epoch in history.epochs]
    assert len(losses) == CONFIG.epochs
    assert history.best_epoch == 1 + int(np.argmin(losses))
    assert not any("val_loss" in epoch for epoch in history.epochs)


class _Noise:
    """Batches of y = 3 x + 1 with much noise: at a high learning rate the weights dance about the best ones."""

    steps = 50

    def epochs(self, first: int):
        import tensorflow as tf

        def epoch(number):
            rng = np.random.default_rng(int(number))
            x = rng.normal(size=(self.steps * 4, 1)).astype(np.float32)
            return x, (3 * x + 1 + rng.normal(0, 3, x.shape)).astype(np.float32)

        def batched(number):
            x, y = tf.numpy_function(epoch, [number], [tf.float32, tf.float32])
            x, y = (tf.ensure_shape(value, [self.steps * 4, 1]) for value in (x, y))
            return tf.data.Dataset.from_tensor_slices((x, y)).batch(4)

        return tf.data.Dataset.range(first, 1000).flat_map(batched)


def _exact(x: np.ndarray):
    import tensorflow as tf

    return tf.data.Dataset.from_tensors((x, 3 * x + 1))


@pytest.mark.parametrize(("averaging", "taken"), [(0.98, True), (0.99999, False), (0.0, False)])
def test_the_average_of_the_weights_is_taken_where_validation_is_better_by_it(tmp_path, monkeypatch, averaging, taken):
    """At a learning rate that stays high; an average of nearly all steps lags behind, and is left."""
    config = TrainingConfig(epochs=3, averaging=averaging)
    assert training._optimizer(config, 50).use_ema is (averaging > 0)
    options = {"use_ema": averaging > 0, "ema_momentum": averaging}
    monkeypatch.setattr(training, "_optimizer", lambda config, steps: keras.optimizers.SGD(0.2, **options))
    keras.utils.set_random_seed(0)
    inputs = keras.Input((1,))
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    x = np.linspace(-2, 2, 64, dtype=np.float32)[:, None]
    history = training.fit(model, _Noise(), _exact(x), config, tmp_path, "mse")
    loss = float(np.mean((model.predict(x, verbose=0) - 3 * x - 1) ** 2))
    best = min(epoch["val_loss"] for epoch in history.epochs)
    assert history.averaged is taken
    assert loss < best if taken else loss == pytest.approx(best, rel=1e-4)


class _Rising(keras.metrics.Metric):
    """Greater each time that it begins anew."""

    def __init__(self) -> None:
        super().__init__(name="rising")
        self.begun = self.add_variable((), "zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        pass

    def result(self):
        return keras.ops.convert_to_tensor(self.begun)

    def reset_state(self):
        self.begun.assign_add(1)


def test_the_best_epoch_is_that_of_what_is_watched(tmp_path):
    """While the loss falls in every epoch, another metric rises."""
    keras.utils.set_random_seed(0)
    x = np.linspace(-2, 2, 64, dtype=np.float32)[:, None]
    best = {}
    for watched in ("loss", "rising"):
        inputs = keras.Input((1,))
        model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
        config = TrainingConfig(epochs=3, patience=3, learning_rate=0.05)
        history = training.fit(model, _Noise(), _exact(x), config, tmp_path / watched, "mse", [_Rising()], watched)
        best[watched] = history.best_epoch
    assert best == {"loss": 3, "rising": 1}
