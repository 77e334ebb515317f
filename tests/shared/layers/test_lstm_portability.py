"""Saved `LSTMStack` models open without the code of this repository and give the same results on another Keras backend."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from shared.config import BidirectionalLSTMConfig, LSTMConfig
from shared.layers.lstm import LSTMStack, masked_max, masked_mean

FEATURES = 3
CONFIGS = {
    "causal": LSTMConfig((4, 4), residual=True, layer_normalization=True),
    "bidirectional": BidirectionalLSTMConfig((4, 5), bidirectional=True),
}
MODELS = ["causal", "bidirectional", "step"]

LOAD_WITHOUT_SOURCES = """
import sys
import numpy as np

class ImportBlocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("shared", "tasks"):
            raise ImportError(f"{name} must not be imported here")

sys.meta_path.insert(0, ImportBlocker())
try:
    import shared
except ImportError:
    pass
else:
    raise SystemExit("the sources can be imported")

import keras
for name in sys.argv[1:]:
    with np.load(f"{name}_inputs.npz") as inputs:
        outputs = keras.models.load_model(f"{name}.keras")([keras.ops.convert_to_tensor(a) for a in inputs.values()])
    np.savez(f"{name}_outputs.npz", *[np.asarray(a) for a in keras.tree.flatten(outputs)])
"""

COMPUTE_ON_JAX = """
import sys
import keras
import numpy as np
from tests.shared.layers.test_lstm_portability import build_model, compute_outputs, set_weights, train_once

assert keras.backend.backend() == "jax"
for name in sys.argv[1:]:
    model = build_model(name)
    set_weights(model)
    np.savez(f"{name}_outputs.npz", *compute_outputs(name, model))
    if name == "causal":
        np.savez("trained.npz", *train_once(name, model))
"""


def build_model(name: str) -> keras.Model:
    """Returns a model with all outputs for whole sequences, or a model of one step."""
    if name == "step":
        stack = LSTMStack(CONFIGS["causal"])
        x_t, states = keras.Input((FEATURES,)), stack.state_inputs()
        return keras.Model([x_t, *states], stack.step(x_t, stack.pair_states(states)))
    stack = LSTMStack(CONFIGS[name])
    x, mask = keras.Input((None, FEATURES)), keras.Input((None,), dtype="bool")
    sequence = stack.sequence(x, mask)
    valid = ops.where(ops.expand_dims(mask, -1), sequence, 0.0)  # padded steps are undefined, so they are not compared
    return keras.Model([x, mask], [valid, stack.last(x, mask), masked_mean(sequence, mask), masked_max(sequence, mask)])


def example_inputs(name: str) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    if name == "step":
        return [rng.normal(size=(2, width)).astype("float32") for width in (FEATURES, 4, 4, 4, 4)]
    return [rng.normal(size=(2, 6, FEATURES)).astype("float32"), np.arange(6) < np.array([[4], [6]])]


def set_weights(model: keras.Model) -> None:
    """Sets random weights, the same on all backends."""
    rng = np.random.default_rng(1)
    for weight in model.trainable_weights:
        weight.assign(rng.normal(0, 0.5, weight.shape))


def compute_outputs(name: str, model: keras.Model) -> list[np.ndarray]:
    return keras.tree.flatten(model.predict_on_batch(example_inputs(name)))


def train_once(name: str, model: keras.Model) -> list[np.ndarray]:
    """Returns the weights after one step of stochastic gradient descent."""
    model = keras.Model(model.inputs, model.outputs[1])  # one output compiles faster
    model.compile(keras.optimizers.SGD(0.1), loss="mse")
    model.train_on_batch(example_inputs(name), np.ones((2, model.output.shape[-1])))
    return [w.numpy() for w in model.trainable_weights]


def run(script: str, directory: Path, **environment: str) -> None:
    process = subprocess.run(
        [sys.executable, "-c", script, *MODELS],
        cwd=directory,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr[-3000:]


def assert_close(file: Path, expected: list[np.ndarray]) -> None:
    with np.load(file) as actual:
        assert len(actual.files) == len(expected)
        for a, b in zip(actual.values(), expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_saved_models_load_without_the_sources(tmp_path):
    expected = {}
    for name in MODELS:
        model = build_model(name)
        set_weights(model)
        model.save(tmp_path / f"{name}.keras")
        np.savez(tmp_path / f"{name}_inputs.npz", *example_inputs(name))
        expected[name] = compute_outputs(name, model)
    run(LOAD_WITHOUT_SOURCES, tmp_path, PYTHONPATH="")
    for name in MODELS:
        assert_close(tmp_path / f"{name}_outputs.npz", expected[name])


def test_same_weights_give_the_same_outputs_and_training_step_on_jax(tmp_path):
    pytest.importorskip("jax")
    run(COMPUTE_ON_JAX, tmp_path, KERAS_BACKEND="jax", JAX_PLATFORMS="cpu", PYTHONPATH=str(Path(__file__).parents[3]))
    for name in MODELS:
        model = build_model(name)
        set_weights(model)
        assert_close(tmp_path / f"{name}_outputs.npz", compute_outputs(name, model))
        if name == "causal":
            assert_close(tmp_path / "trained.npz", train_once(name, model))
