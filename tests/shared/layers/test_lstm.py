"""The outputs, states and gradients of `LSTMStack` against NumPy, against each other and against fixed numbers."""

from collections.abc import Sequence

import keras
import numpy as np
import pytest
import tensorflow as tf

from shared.config import BidirectionalLSTMConfig, LSTMConfig
from shared.layers.lstm import LSTMStack, State, disable_cudnn, masked_max, masked_mean
from tests.shared.layers.numpy_lstm import Weights, backward, forward

FEATURES = 3
LENGTHS = (3, 7, 5)


def assert_close(actual: object, expected: object) -> None:
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


def assert_states_close(actual: Sequence[State], expected: Sequence[State]) -> None:
    for (h, c), (h_expected, c_expected) in zip(actual, expected, strict=True):
        assert_close(h, h_expected)
        assert_close(c, c_expected)


def random_array(*shape: int, seed: int = 0, scale: float = 1.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, scale, shape).astype("float32")


def randomize_weights(model: keras.Model) -> None:
    """Sets all weights to fixed random values; initial biases of 0 and scales of 1 could hide an error."""
    for k, weight in enumerate(model.trainable_weights):
        weight.assign(random_array(*weight.shape, seed=100 + k, scale=0.5))


def sequence_model(stack: LSTMStack) -> keras.Model:
    """Returns the stack as a model of whole sequences, with random weights."""
    x = keras.Input((None, FEATURES))
    model = keras.Model(x, stack.sequence(x))
    randomize_weights(model)
    return model


def read_weights(layer: keras.layers.LSTM) -> Weights:
    return Weights(*(np.asarray(w, "float64") for w in layer.cell.get_weights()))


def random_states(units: tuple[int, ...], batch: int) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(random_array(batch, u, seed=20 + k), random_array(batch, u, seed=30 + k)) for k, u in enumerate(units)]


def test_outputs_equal_fixed_numbers():
    """The numbers come from `torch.nn.LSTM` in float64 with the same weights: a third, independent implementation."""
    stack = LSTMStack(LSTMConfig(units=(2,)))
    x = np.array([[[1.0, -1.0], [0.5, 2.0], [-1.5, 0.0]]], "float32")
    stack.sequence(x)
    stack.recurrent[0].set_weights(
        [
            np.array([[0.1, -0.2, 0.3, 0.4, -0.5, 0.6, 0.7, -0.8], [-0.3, 0.2, 0.1, -0.4, 0.6, 0.5, -0.7, 0.8]]),
            np.array([[0.2, 0.1, -0.1, 0.3, 0.5, -0.4, 0.2, 0.6], [-0.6, 0.4, 0.2, -0.1, 0.3, 0.7, -0.5, 0.1]]),
            np.array([0.0, 0.1, 1.0, 0.9, -0.1, 0.2, 0.3, -0.2]),
        ]
    )
    outputs, [(h, c)] = stack.sequence_with_states(x)
    assert_close(outputs, [[[-0.39013654, 0.01749578], [-0.05960966, 0.37546476], [0.03392134, 0.07215464]]])
    assert_close(h, [[0.03392134, 0.07215464]])
    assert_close(c, [[0.12220651, 0.09897354]])
    assert_close(stack.last(x), [[0.03392134, 0.07215464]])


@pytest.mark.parametrize("units", [(5,), (5, 4)])
def test_outputs_states_and_gradients_equal_the_numpy_implementation(units):
    stack = LSTMStack(LSTMConfig(units=units))
    model = sequence_model(stack)
    x, start = tf.constant(random_array(2, 6, FEATURES)), random_states(units, batch=2)
    d_outputs, d_h, d_c = (
        random_array(2, 6, units[-1], seed=1),
        random_array(2, units[-1], seed=2),
        random_array(2, units[-1], seed=3),
    )

    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs, states = stack.sequence_with_states(x, start)
        h, c = states[-1]
        loss = tf.reduce_sum(outputs * d_outputs) + tf.reduce_sum(h * d_h) + tf.reduce_sum(c * d_c)
    d_x, *d_weights = tape.gradient(loss, [x, *model.trainable_weights])

    hidden, traces = x.numpy(), []
    for k, layer in enumerate(stack.recurrent):
        hidden, h, c, trace = forward(hidden, read_weights(layer), *start[k])
        traces.append(trace)
        assert_close(states[k][0], h)
        assert_close(states[k][1], c)
    assert_close(outputs, hidden)

    gradient, expected = d_outputs, []
    for k in reversed(range(len(units))):
        gradient, d_layer = backward(traces[k], read_weights(stack.recurrent[k]), gradient, d_h, d_c)
        expected = [*d_layer, *expected]
        d_h = d_c = np.zeros(())  # the loss includes only the states of the last layer
    assert_close(d_x, gradient)
    assert len(d_weights) == len(expected)
    for actual_gradient, expected_gradient in zip(d_weights, expected, strict=True):
        assert_close(actual_gradient, expected_gradient)


def test_residual_connection_comes_before_layer_normalization():
    stack = LSTMStack(LSTMConfig(units=(4, 4), residual=True, layer_normalization=True))
    sequence_model(stack)
    x = random_array(2, 6, FEATURES)
    hidden = x
    for k, layer in enumerate(stack.recurrent):
        outputs = forward(hidden, read_weights(layer))[0] + (hidden if k > 0 else 0)
        scaled = (outputs - outputs.mean(-1, keepdims=True)) / np.sqrt(outputs.var(-1, keepdims=True) + 1e-3)
        gamma, beta = stack.normalization[k].get_weights()
        hidden = scaled * gamma + beta
    assert_close(stack.sequence(x), hidden)


def test_bidirectional_stack_reads_the_valid_steps_of_each_row_from_both_ends():
    stack = LSTMStack(BidirectionalLSTMConfig(units=(4,), bidirectional=True))
    sequence_model(stack)
    x, mask = padded_batch(padding_value=50.0)
    outputs, last = stack.sequence(x, mask), stack.last(x, mask)
    layer = stack.recurrent[0]
    for row, length in enumerate(LENGTHS):
        valid = x[row : row + 1, :length]
        forward_outputs, h_forward, *_ = forward(valid, read_weights(layer.forward_layer))
        backward_outputs, h_backward, *_ = forward(valid[:, ::-1], read_weights(layer.backward_layer))
        assert_close(
            outputs[row : row + 1, :length], np.concatenate([forward_outputs, backward_outputs[:, ::-1]], axis=-1)
        )
        assert_close(last[row : row + 1], np.concatenate([h_forward, h_backward], axis=-1))
        assert_close(stack.last(valid), np.concatenate([h_forward, h_backward], axis=-1))
    assert last.shape[-1] == stack.output_size == 8


CAUSAL = [
    LSTMConfig(units=(5,)),
    LSTMConfig(units=(5, 4)),
    LSTMConfig(units=(4, 4, 4), residual=True, layer_normalization=True, dropout=0.3, recurrent_dropout=0.3),
]


@pytest.mark.parametrize("config", CAUSAL, ids=["one layer", "two layers", "residual and normalized"])
@pytest.mark.parametrize("from_zero", [True, False], ids=["from zeros", "from random states"])
def test_repeated_steps_equal_the_sequence(config, from_zero):
    stack = LSTMStack(config)
    x_t, flat = keras.Input((FEATURES,)), stack.state_inputs()
    step_model = keras.Model([x_t, *flat], stack.step(x_t, stack.pair_states(flat)))  # `step` builds the layers
    sequence_model(stack)
    x, states = tf.constant(random_array(2, 7, FEATURES)), random_states(config.units, batch=2)
    if from_zero:
        states = [(np.zeros_like(h), np.zeros_like(c)) for h, c in states]
    outputs, after = stack.sequence_with_states(x, None if from_zero else states)
    for t in range(x.shape[1]):
        y, states = step_model([x[:, t], *(tf.constant(part) for state in states for part in state)])
        assert_close(y, outputs[:, t])
    assert_states_close(states, after)


@pytest.mark.parametrize("config", CAUSAL, ids=["one layer", "two layers", "residual and normalized"])
def test_two_parts_with_states_passed_between_them_equal_the_whole_sequence(config):
    stack = LSTMStack(config)
    sequence_model(stack)
    x, start = random_array(2, 7, FEATURES), random_states(config.units, batch=2)
    outputs, after = stack.sequence_with_states(x, start)
    first, middle = stack.sequence_with_states(x[:, :3], start)
    second, end = stack.sequence_with_states(x[:, 3:], middle)
    assert_close(np.concatenate([first, second], axis=1), outputs)
    assert_states_close(end, after)
    assert np.abs(stack.sequence(x) - outputs).max() > 0.01  # the initial states have an effect


def padded_batch(padding_value: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns rows of different lengths, filled with `padding_value` after their ends, and the mask of valid steps."""
    mask = np.arange(max(LENGTHS)) < np.array(LENGTHS)[:, None]
    values = random_array(len(LENGTHS), max(LENGTHS), FEATURES)
    return np.where(mask[..., None], values, np.float32(padding_value)), mask


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("extras", [False, True], ids=["plain", "residual and normalized"])
def test_outputs_do_not_depend_on_padding_or_other_rows(bidirectional, extras):
    config = BidirectionalLSTMConfig((4, 4), bidirectional=bidirectional, residual=extras, layer_normalization=extras)
    stack = LSTMStack(config)
    sequence_model(stack)
    x, mask = padded_batch(padding_value=50.0)
    outputs, last = np.asarray(stack.sequence(x, mask)), stack.last(x, mask)
    for row, length in enumerate(LENGTHS):
        alone = x[row : row + 1, :length]
        expected = np.asarray(stack.sequence(alone))
        assert_close(outputs[row, :length], expected[0])
        assert_close(last[row : row + 1], stack.last(alone))
        assert_close(masked_mean(outputs, mask)[row], expected[0].mean(axis=0))
        assert_close(masked_max(outputs, mask)[row], expected[0].max(axis=0))
        if not bidirectional:
            _, states = stack.sequence_with_states(x, mask=mask)
            of_row = [(h[row : row + 1], c[row : row + 1]) for h, c in states]
            assert_states_close(of_row, stack.sequence_with_states(alone)[1])


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_pooling_ignores_padded_steps(dtype):
    sequence = keras.ops.cast(
        [[[-0.5, 0.25], [-0.75, 0.5], [0.9, 1.0]], [[-1.0, -0.25], [1.0, 1.0], [1.0, 1.0]]], dtype
    )
    mask = np.array([[True, True, False], [True, False, False]])
    assert_close(keras.ops.cast(masked_mean(sequence, mask), "float32"), [[-0.625, 0.375], [-1.0, -0.25]])
    assert_close(keras.ops.cast(masked_max(sequence, mask), "float32"), [[-0.5, 0.5], [-1.0, -0.25]])


@pytest.mark.parametrize(("units", "rates"), [((4, 4), {"dropout": 0.5}), ((4,), {"recurrent_dropout": 0.5})], ids=str)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_dropout_is_active_in_training_only(units, rates, bidirectional):
    with_dropout = sequence_model(LSTMStack(BidirectionalLSTMConfig(units, bidirectional=bidirectional, **rates)))
    without_dropout = sequence_model(
        LSTMStack(BidirectionalLSTMConfig(units, bidirectional=bidirectional))
    )  # has the same weights
    x = random_array(2, 6, FEATURES)
    assert_close(with_dropout(x, training=False), without_dropout(x, training=False))
    assert_close(without_dropout(x, training=True), without_dropout(x, training=False))
    first, second = np.asarray(with_dropout(x, training=True)), np.asarray(with_dropout(x, training=True))
    assert np.abs(first - without_dropout(x)).max() > 0.01
    assert np.abs(first - second).max() > 0.01  # each call has a new mask


def test_no_dropout_after_the_last_layer():
    model = sequence_model(LSTMStack(LSTMConfig((4,), dropout=0.9)))
    x = random_array(2, 6, FEATURES)
    assert_close(model(x, training=True), model(x, training=False))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"units": ()}, r"^--lstm\.units "),
        ({"units": (0,)}, r"^--lstm\.units "),
        ({"dropout": 1.0}, r"^--lstm\.dropout "),
        ({"dropout": -0.1}, r"^--lstm\.dropout "),
        ({"recurrent_dropout": 1.0}, r"^--lstm\.recurrent-dropout "),
        ({"units": (4, 5), "residual": True}, r"^--lstm\.residual .*--lstm\.units 4 5"),
    ],
)
def test_invalid_settings_raise_an_error_that_names_the_option(settings, message):
    with pytest.raises(ValueError, match=message):
        LSTMConfig(**settings)


def test_bidirectional_stack_rejects_steps_and_initial_states():
    stack = LSTMStack(BidirectionalLSTMConfig(units=(4,), bidirectional=True))
    states = random_states((4,), batch=2)
    with pytest.raises(ValueError, match="bidirectional"):
        stack.step(random_array(2, FEATURES), states)
    with pytest.raises(ValueError, match="bidirectional"):
        stack.sequence_with_states(random_array(2, 5, FEATURES), states)


def test_disable_cudnn_includes_unidirectional_bidirectional_and_nested_layers():
    unidirectional = LSTMStack(LSTMConfig((4, 4)), name="unidirectional")
    bidirectional = LSTMStack(BidirectionalLSTMConfig((4,), bidirectional=True), name="bidirectional")
    x = keras.Input((None, FEATURES))
    nested = keras.Model(x, bidirectional.sequence(x))
    model = keras.Model(x, nested(unidirectional.sequence(keras.layers.Dense(FEATURES)(x))[..., :FEATURES]))
    directions = bidirectional.recurrent[0].forward_layer, bidirectional.recurrent[0].backward_layer
    layers = [*unidirectional.recurrent, *directions]
    assert all(layer.use_cudnn for layer in layers)
    disable_cudnn(model)
    assert [layer.use_cudnn for layer in layers] == [False] * 4


def test_packed_states_are_concatenated_and_unpack_to_the_same_states():
    stack = LSTMStack(LSTMConfig(units=(3, 2)))
    rng = np.random.default_rng(0)
    states = [tuple(rng.normal(size=(4, units)).astype("float32") for _ in range(2)) for units in (3, 2)]
    packed = stack.pack_states(states)
    np.testing.assert_array_equal(np.asarray(packed), np.concatenate([*states[0], *states[1]], axis=-1))
    for pair, expected in zip(stack.unpack_states(packed), states, strict=True):
        for actual_state, expected_state in zip(pair, expected, strict=True):
            np.testing.assert_array_equal(actual_state, expected_state)
