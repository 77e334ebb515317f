"""A resumed run reaches the weights of an uninterrupted run; training ends with the best weights, in float32."""

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

from shared.config import LSTMConfig, TrainingConfig
from shared.data.sequence_batches import SequenceBatches
from shared.errors import SuiteError
from shared.layers.lstm import LSTMStack, masked_mean
from shared.training import loop
from shared.training.checkpoints import History

CONFIG = TrainingConfig(epochs=4, batch_size=8, learning_rate=0.01, patience=4, seed=3)


def small_model() -> keras.Model:
    keras.utils.set_random_seed(CONFIG.seed)
    token_ids = keras.Input((None,), dtype="int32")
    mask = ops.not_equal(token_ids, 0)
    hidden = keras.layers.SpatialDropout1D(0.3)(keras.layers.Embedding(20, 6)(token_ids))
    hidden = LSTMStack(LSTMConfig(units=(5, 5), dropout=0.3, recurrent_dropout=0.2)).sequence(hidden, mask=mask)
    return keras.Model(token_ids, keras.layers.Dense(2)(masked_mean(hidden, mask)))


def random_batches(count: int = 60) -> SequenceBatches:
    rng = np.random.default_rng(0)
    sequences = [rng.integers(1, 20, rng.integers(2, 12)) for _ in range(count)]
    labels = np.array([int(s[0] > s[-1]) for s in sequences])
    return SequenceBatches(sequences, labels, CONFIG.batch_size, seed=CONFIG.seed, crop_length=8, replacement_rate=0.1)


def run(folder: Path, config: TrainingConfig = CONFIG, stop_after: int | None = None) -> tuple[keras.Model, History]:
    """Trains `small_model`; with `stop_after`, Ctrl-C interrupts the epoch after that many epochs."""
    model = small_model()
    data = random_batches()
    validation = random_batches(30).evaluation_batches()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    if stop_after is None:
        return model, loop.fit(model, data, validation, config, folder, loss)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "_StopWhenDiverged", lambda: _InterruptingCallback(stop_after, data.steps // 2))
        with pytest.raises(KeyboardInterrupt):
            loop.fit(model, data, validation, config, folder, loss)
    return model, History()


class _InterruptingCallback(keras.callbacks.Callback):
    def __init__(self, epochs: int, step: int) -> None:
        super().__init__()
        self.complete_epochs, self.step = epochs, step

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.epoch == self.complete_epochs and batch == self.step:
            raise KeyboardInterrupt


@pytest.mark.parametrize("stop_after", [0, 1, 3])
def test_run_interrupted_within_an_epoch_resumes_to_the_uninterrupted_weights(tmp_path, stop_after):
    uninterrupted, uninterrupted_history = run(tmp_path / "uninterrupted")
    run(tmp_path / "interrupted", stop_after=stop_after)
    resumed, history = run(tmp_path / "interrupted")
    for expected, weight in zip(uninterrupted.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)
    assert [e["val_loss"] for e in history.epochs] == [e["val_loss"] for e in uninterrupted_history.epochs]
    assert (tmp_path / "interrupted" / "log.csv").read_text() == (tmp_path / "uninterrupted" / "log.csv").read_text()


def test_an_epoch_of_small_data_has_several_passes_and_resumes_to_the_uninterrupted_weights(tmp_path):
    steps = random_batches().steps
    config = dataclasses.replace(CONFIG, min_steps=4 * steps + 1)  # 4 epochs with one pass have 4 * steps
    expected, history = run(tmp_path / "uninterrupted", config)
    assert int(expected.optimizer.iterations) == 4 * 2 * steps
    assert len(history.epochs) == 4
    run(tmp_path / "resumed", config, stop_after=2)
    resumed, _ = run(tmp_path / "resumed", config)
    for one, other in zip(resumed.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("min_steps", "steps", "passes"), [(0, 1, 1), (500, 1, 50), (500, 49, 2), (500, 50, 1)])
def test_large_data_have_one_pass_per_epoch(min_steps, steps, passes):
    assert loop.passes_per_epoch(TrainingConfig(epochs=10, min_steps=min_steps), steps) == passes


def test_killed_process_leaves_a_checkpoint_that_resumes_to_the_uninterrupted_weights(tmp_path):
    uninterrupted, _ = run(tmp_path / "uninterrupted")
    code = (
        "import sys, time; from pathlib import Path; from tests.shared.training import test_loop as t\n"
        "from shared.training.checkpoints import Checkpoints\n"
        "save = Checkpoints._save\n"
        "Checkpoints._save = lambda *a: (save(*a), time.sleep(2))\n"
        "t.run(Path(sys.argv[1]))"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "killed")], env=os.environ.copy())
    checkpoints = tmp_path / "killed" / "checkpoints"
    while not list(checkpoints.glob("epoch-*.npz")) and child.poll() is None:
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL, "the child process ended before it could be killed"
    assert list(checkpoints.glob("epoch-*.npz")), "the child process was killed before its first checkpoint"
    resumed, _ = run(tmp_path / "killed")
    for expected, weight in zip(uninterrupted.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)


def test_truncated_checkpoint_is_reported_and_the_previous_one_is_used(tmp_path, caplog):
    uninterrupted, _ = run(tmp_path / "uninterrupted")
    run(tmp_path / "truncated", stop_after=3)
    newest = sorted((tmp_path / "truncated" / "checkpoints").glob("*.npz"))[-1]
    newest.write_bytes(newest.read_bytes()[:1000])
    resumed, history = run(tmp_path / "truncated")
    assert f"{newest.name} is damaged" in caplog.text
    assert len(history.epochs) == CONFIG.epochs
    for expected, weight in zip(uninterrupted.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)


def test_finished_run_is_not_trained_again(tmp_path):
    first, _ = run(tmp_path)
    before = (tmp_path / "log.csv").stat().st_mtime_ns
    second, history = run(tmp_path)
    assert (tmp_path / "log.csv").stat().st_mtime_ns == before
    assert len(history.epochs) == CONFIG.epochs
    for expected, weight in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)


def test_checkpoint_of_a_different_model_raises_an_error_with_a_hint(tmp_path):
    run(tmp_path)
    token_ids = keras.Input((None,), dtype="int32")
    other = keras.Model(token_ids, keras.layers.Dense(2)(ops.mean(keras.layers.Embedding(20, 3)(token_ids), axis=1)))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    with pytest.raises(SuiteError, match="--no-resume"):
        loop.fit(other, random_batches(), random_batches(30).evaluation_batches(), CONFIG, tmp_path, loss)


def test_training_ends_with_the_weights_of_the_best_epoch(tmp_path):
    high_learning_rate = TrainingConfig(
        epochs=6, batch_size=8, learning_rate=1.0, gradient_clip=100.0, patience=2, seed=3
    )
    model, history = run(tmp_path, high_learning_rate)
    losses = [epoch["val_loss"] for epoch in history.epochs]
    assert history.best_epoch == int(np.argmin(losses)) + 1
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    assert model.evaluate(random_batches(30).evaluation_batches(), verbose=0) == pytest.approx(min(losses), rel=1e-4)


def test_nan_loss_raises_an_error_with_a_hint_and_saves_no_checkpoint(tmp_path):
    model = small_model()
    model.set_weights([np.full_like(weight, np.nan) for weight in model.get_weights()])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    with pytest.raises(SuiteError, match=r"epoch 1: the loss is infinite or NaN\. Lower --training\.learning-rate"):
        loop.fit(model, random_batches(), random_batches(30).evaluation_batches(), CONFIG, tmp_path, loss)
    assert not list(tmp_path.rglob("*.npz"))


def test_training_writes_tensorboard_and_csv_logs(tmp_path):
    run(tmp_path)
    lines = (tmp_path / "log.csv").read_text().splitlines()
    assert lines[0].startswith("epoch,")
    assert [line.split(",")[0] for line in lines[1:]] == ["1", "2", "3", "4"]
    assert list((tmp_path / "tensorboard").rglob("events.*"))


def test_mixed_precision_model_is_rebuilt_in_float32():
    with loop.precision("mixed_bfloat16"):
        trained = small_model()
    rebuilt = loop.in_float32(trained, "mixed_bfloat16", small_model)
    assert {layer.compute_dtype for layer in trained.layers if layer.weights} == {"bfloat16"}
    assert {layer.compute_dtype for layer in rebuilt.layers if layer.weights} == {"float32"}
    token_ids = np.array([[1, 2, 3, 0]])
    np.testing.assert_allclose(rebuilt(token_ids), np.float32(trained(token_ids)), atol=0.02)
    assert keras.config.dtype_policy().name == "float32"


def test_without_validation_all_epochs_are_trained_and_the_training_loss_selects_the_best(tmp_path):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    history = loop.fit(small_model(), random_batches(), None, dataclasses.replace(CONFIG, patience=1), tmp_path, loss)
    losses = [epoch["loss"] for epoch in history.epochs]
    assert len(losses) == CONFIG.epochs
    assert history.best_epoch == 1 + int(np.argmin(losses))
    assert not any("val_loss" in epoch for epoch in history.epochs)


class _NoisyBatches:
    """Batches of y = 3 x + 1 with strong noise: at a high learning rate the weights fluctuate around the best ones."""

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


def _noiseless_batches(x: np.ndarray):
    import tensorflow as tf

    return tf.data.Dataset.from_tensors((x, 3 * x + 1))


@pytest.mark.parametrize(("ema_decay", "is_average"), [(0.98, True), (0.99999, False), (0.0, False)])
def test_average_of_the_weights_is_used_only_if_it_is_better_on_validation(
    tmp_path, monkeypatch, ema_decay, is_average
):
    """The learning rate stays high. An average over nearly all steps is too slow to follow the weights, and is not used."""
    config = TrainingConfig(epochs=3, ema_decay=ema_decay)
    assert loop._optimizer(config, 50).use_ema is (ema_decay > 0)
    options = {"use_ema": ema_decay > 0, "ema_momentum": ema_decay}
    monkeypatch.setattr(loop, "_optimizer", lambda config, steps: keras.optimizers.SGD(0.2, **options))
    keras.utils.set_random_seed(0)
    inputs = keras.Input((1,))
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    x = np.linspace(-2, 2, 64, dtype=np.float32)[:, None]
    history = loop.fit(model, _NoisyBatches(), _noiseless_batches(x), config, tmp_path, "mse")
    loss = float(np.mean((model.predict(x, verbose=0) - 3 * x - 1) ** 2))
    best = min(epoch["val_loss"] for epoch in history.epochs)
    assert history.is_average is is_average
    assert loss < best if is_average else loss == pytest.approx(best, rel=1e-4)


class _IncreasingMetric(keras.metrics.Metric):
    """A metric that increases each time it is reset."""

    def __init__(self) -> None:
        super().__init__(name="increasing")
        self.resets = self.add_variable((), "zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        pass

    def result(self):
        return keras.ops.convert_to_tensor(self.resets)

    def reset_state(self):
        self.resets.assign_add(1)


def test_monitored_metric_selects_the_best_epoch(tmp_path):
    """The loss decreases in every epoch, while another metric increases."""
    keras.utils.set_random_seed(0)
    x = np.linspace(-2, 2, 64, dtype=np.float32)[:, None]
    best = {}
    for monitored_metric in ("loss", "increasing"):
        inputs = keras.Input((1,))
        model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
        config = TrainingConfig(epochs=3, patience=3, learning_rate=0.05)
        history = loop.fit(
            model,
            _NoisyBatches(),
            _noiseless_batches(x),
            config,
            tmp_path / monitored_metric,
            "mse",
            [_IncreasingMetric()],
            monitored_metric,
        )
        best[monitored_metric] = history.best_epoch
    assert best == {"loss": 3, "increasing": 1}
