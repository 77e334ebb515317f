"""`EncoderDecoder`: steps against teacher forcing, padding, states of the encoder, and a model file."""

from __future__ import annotations

from typing import NamedTuple

import keras
import numpy as np
import pytest
from keras import ops

from shared.config import BidirectionalLSTMConfig, LSTMConfig
from shared.layers.attention import CrossAttention
from shared.layers.encoder_decoder import EncoderDecoder
from shared.layers.lstm import LSTMStack

SOURCE_SIZE, TARGET_SIZE = 3, 4
LENGTHS = (5, 2, 1)
TIME = 6


class Case(NamedTuple):
    """Settings of a pair."""

    encoder: LSTMConfig
    decoder: LSTMConfig
    score: str
    units: int


CASES = {
    "bidirectional": Case(BidirectionalLSTMConfig((4, 3), bidirectional=True), LSTMConfig((5,)), "additive", 7),
    "equal units": Case(LSTMConfig((5, 6)), LSTMConfig((5, 6)), "dot", 6),
    "residual and normalized": Case(
        LSTMConfig((3,)), LSTMConfig((5, 5), residual=True, layer_normalization=True, dropout=0.3), "general", 5
    ),
}


def random_array(*shape: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, shape).astype("float32")


SOURCE, TARGET = random_array(3, max(LENGTHS), SOURCE_SIZE, seed=1), random_array(3, TIME, TARGET_SIZE, seed=2)
MASK = np.arange(max(LENGTHS)) < np.array(LENGTHS)[:, None]


def make_pair(name: str) -> EncoderDecoder:
    case = CASES[name]
    return EncoderDecoder(case.encoder, case.decoder, CrossAttention(case.score, case.units))


def build(name: str) -> tuple[EncoderDecoder, keras.Model]:
    """Returns a pair with random weights, and its model with teacher forcing."""
    pair = make_pair(name)
    inputs = [
        keras.Input((None, SOURCE_SIZE), name="source"),
        keras.Input((None,), dtype="bool", name="mask"),
        keras.Input((None, TARGET_SIZE), name="target"),
    ]
    outputs, states = pair.decode(inputs[2], *pair.encode(inputs[0], inputs[1]))
    model = keras.Model(inputs, [outputs, *keras.tree.flatten(states)])
    for k, weight in enumerate(model.trainable_weights):
        weight.assign(random_array(*weight.shape, seed=10 + k) * 0.5)
    return pair, model


def step_model(pair: EncoderDecoder) -> keras.Model:
    """Returns a model of one step, with symbolic inputs for source and states."""
    vectors, source, states = keras.Input((TARGET_SIZE,)), pair.source_inputs(), pair.decoder.state_inputs()
    output, next_states = pair.step(vectors, source, pair.decoder.pair_states(states))
    return keras.Model([vectors, *source, *states], [output, *keras.tree.flatten(next_states)])


def run_steps(pair: EncoderDecoder) -> tuple[np.ndarray, list[np.ndarray]]:
    """Returns the outputs of repeated steps `(batch, time, size)`, and the last states."""
    step = step_model(pair)
    source, states = pair.encode(ops.convert_to_tensor(SOURCE), ops.convert_to_tensor(MASK))
    flat, outputs = keras.tree.flatten(states), []
    for t in range(TIME):
        output, *flat = step([ops.convert_to_tensor(TARGET[:, t]), *source, *flat])
        outputs.append(np.asarray(output))
    return np.stack(outputs, axis=1), flat


@pytest.mark.parametrize("name", CASES)
def test_repeated_steps_equal_teacher_forcing(name):
    pair, model = build(name)
    expected, *expected_states = model([SOURCE, MASK, TARGET])
    outputs, states = run_steps(pair)
    np.testing.assert_allclose(outputs, expected, atol=1e-5)
    for state, expected_state in zip(states, expected_states, strict=True):
        np.testing.assert_allclose(state, expected_state, atol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_padding_of_the_source_changes_nothing(name):
    _, model = build(name)
    expected = np.asarray(model([SOURCE, MASK, TARGET])[0])
    padded = np.where(MASK[..., None], SOURCE, 100).astype("float32")
    padded = np.pad(padded, [[0, 0], [0, 4], [0, 0]], constant_values=-100)
    outputs = model([padded, np.pad(MASK, [[0, 0], [0, 4]]), TARGET])[0]
    np.testing.assert_allclose(outputs, expected, atol=1e-6)
    for row, length in enumerate(LENGTHS):
        source = SOURCE[row : row + 1, :length]
        single = model([source, np.ones((1, length), bool), TARGET[row : row + 1]])[0]
        np.testing.assert_allclose(single[0], expected[row], atol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_an_output_depends_on_the_tokens_before_and_not_on_those_after(name):
    _, model = build(name)
    expected = np.asarray(model([SOURCE, MASK, TARGET])[0])
    changed = TARGET.copy()
    changed[:, 3:] += 1
    outputs = np.asarray(model([SOURCE, MASK, changed])[0])
    np.testing.assert_allclose(outputs[:, :3], expected[:, :3], atol=1e-6)
    assert np.abs(outputs[:, 3:] - expected[:, 3:]).max() > 1e-3


def test_final_states_of_an_encoder_with_equal_units_are_the_initial_states_of_the_decoder():
    pair, _ = build("equal units")
    assert pair.bridge is None
    _, states = pair.encode(ops.convert_to_tensor(SOURCE), ops.convert_to_tensor(MASK))
    _, expected = pair.encoder.sequence_with_states(ops.convert_to_tensor(SOURCE), mask=ops.convert_to_tensor(MASK))
    for state, expected_state in zip(keras.tree.flatten(states), keras.tree.flatten(expected), strict=True):
        np.testing.assert_allclose(state, expected_state, atol=1e-6)


def test_both_directions_of_the_encoder_reach_the_initial_states_and_the_values():
    pair, _ = build("bidirectional")
    sources = [SOURCE.copy() for _ in range(3)]
    sources[1][0, 0] += 1  # the first step of the longest row
    sources[2][0, -1] += 1  # its last step
    encoded = [pair.encode(ops.convert_to_tensor(source), ops.convert_to_tensor(MASK)) for source in sources]
    states = [np.asarray(states[0][0]) for _, states in encoded]
    assert all(np.abs(state[0] - states[0][0]).max() > 1e-4 for state in states[1:])
    assert all(np.abs(state[1:] - states[0][1:]).max() < 1e-6 for state in states[1:])
    values = [np.asarray(source.values) for source, _ in encoded]
    assert np.abs(values[2][0, 0] - values[0][0, 0]).max() > 1e-5  # the backward half has read the last step
    assert not values[0][~MASK].any()


def test_final_states_of_a_bidirectional_stack_are_those_of_its_two_halves():
    stack = LSTMStack(BidirectionalLSTMConfig((4,), bidirectional=True))
    mask = ops.convert_to_tensor(MASK)
    outputs, [(hidden, cell)] = stack.sequence_with_final_states(ops.convert_to_tensor(SOURCE), mask)
    assert hidden.shape == cell.shape == (3, 8)
    for row, length in enumerate(LENGTHS):
        np.testing.assert_allclose(hidden[row, :4], outputs[row, length - 1, :4], atol=1e-6)
        np.testing.assert_allclose(hidden[row, 4:], outputs[row, 0, 4:], atol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_a_loaded_model_has_the_same_outputs_and_steps(name, tmp_path):
    pair, model = build(name)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    expected = np.asarray(model([SOURCE, MASK, TARGET])[0])
    np.testing.assert_allclose(loaded([SOURCE, MASK, TARGET])[0], expected, atol=1e-6)
    reused = make_pair(name)
    reused.reuse_layers(loaded)
    np.testing.assert_allclose(run_steps(reused)[0], expected, atol=1e-5)
    assert reused.decoder.recurrent[0] is loaded.get_layer(pair.decoder.recurrent[0].name)


def test_gradients_reach_all_weights():
    _, model = build("bidirectional")
    model = keras.Model(model.inputs, model.outputs[0])
    before = [weight.numpy() for weight in model.trainable_weights]
    model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=False)
    model.train_on_batch([SOURCE, MASK, TARGET], np.zeros((3, TIME, 5)))
    for weight, old in zip(model.trainable_weights, before, strict=True):
        assert np.abs(np.asarray(weight) - old).max() > 0, weight.path


def test_a_bidirectional_decoder_is_rejected():
    config = BidirectionalLSTMConfig((4,), bidirectional=True)
    with pytest.raises(ValueError, match="must be unidirectional"):
        EncoderDecoder(config, config, CrossAttention("additive", 4))
