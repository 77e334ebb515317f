"""What `LSTMStack` promises about its numbers, held against NumPy, against itself and against fixed literals."""

from collections.abc import Sequence

import keras
import numpy as np
import pytest
import tensorflow as tf

from shared.config import LSTMConfig
from shared.lstm import LSTMStack, State, disable_cudnn, masked_max, masked_mean
from tests.shared.numpy_lstm import Weights, backward, forward

FEATURES = 3
LENGTHS = (3, 7, 5)


def close(got: object, want: object) -> None:
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


def close_states(got: Sequence[State], want: Sequence[State]) -> None:
    for (h, c), (h_want, c_want) in zip(got, want, strict=True):
        close(h, h_want)
        close(c, c_want)


def random(*shape: int, seed: int = 0, scale: float = 1.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, scale, shape).astype("float32")


def randomise(model: keras.Model) -> None:
    """Moves every weight away from its initial value, so that zero biases and unit scales hide nothing."""
    for k, weight in enumerate(model.trainable_weights):
        weight.assign(random(*weight.shape, seed=100 + k, scale=0.5))


def whole(stack: LSTMStack) -> keras.Model:
    """The stack as a model over whole sequences, with random weights."""
    x = keras.Input((None, FEATURES))
    model = keras.Model(x, stack.sequence(x))
    randomise(model)
    return model


def weights_of(layer: keras.layers.LSTM) -> Weights:
    return Weights(*(np.asarray(w, "float64") for w in layer.cell.get_weights()))


def random_states(units: tuple[int, ...], batch: int) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(random(batch, u, seed=20 + k), random(batch, u, seed=30 + k)) for k, u in enumerate(units)]


def test_outputs_equal_fixed_numbers():
    """The literals come from `torch.nn.LSTM` in float64 with the same weights: a third, independent implementation."""
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
    close(outputs, [[[-0.39013654, 0.01749578], [-0.05960966, 0.37546476], [0.03392134, 0.07215464]]])
    close(h, [[0.03392134, 0.07215464]])
    close(c, [[0.12220651, 0.09897354]])
    close(stack.last(x), [[0.03392134, 0.07215464]])


@pytest.mark.parametrize("units", [(5,), (5, 4)])
def test_outputs_states_and_gradients_equal_the_equations(units):
    stack = LSTMStack(LSTMConfig(units=units))
    model = whole(stack)
    x, start = tf.constant(random(2, 6, FEATURES)), random_states(units, batch=2)
    pull, pull_h, pull_c = random(2, 6, units[-1], seed=1), random(2, units[-1], seed=2), random(2, units[-1], seed=3)

    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs, states = stack.sequence_with_states(x, start)
        h, c = states[-1]
        loss = tf.reduce_sum(outputs * pull) + tf.reduce_sum(h * pull_h) + tf.reduce_sum(c * pull_c)
    d_x, *d_weights = tape.gradient(loss, [x, *model.trainable_weights])

    hidden, traces = x.numpy(), []
    for k, layer in enumerate(stack.recurrent):
        hidden, h, c, trace = forward(hidden, weights_of(layer), *start[k])
        traces.append(trace)
        close(states[k][0], h)
        close(states[k][1], c)
    close(outputs, hidden)

    gradient, expected = pull, []
    for k in reversed(range(len(units))):
        gradient, d_layer = backward(traces[k], weights_of(stack.recurrent[k]), gradient, pull_h, pull_c)
        expected = [*d_layer, *expected]
        pull_h = pull_c = np.zeros(())  # only the highest layer's states are in the loss
    close(d_x, gradient)
    assert len(d_weights) == len(expected)
    for got, want in zip(d_weights, expected, strict=True):
        close(got, want)


def test_residual_then_normalisation_stand_between_the_layers():
    stack = LSTMStack(LSTMConfig(units=(4, 4), residual=True, layer_normalization=True))
    whole(stack)
    x = random(2, 6, FEATURES)
    hidden = x
    for k, layer in enumerate(stack.recurrent):
        outputs = forward(hidden, weights_of(layer))[0] + (hidden if k > 0 else 0)
        scaled = (outputs - outputs.mean(-1, keepdims=True)) / np.sqrt(outputs.var(-1, keepdims=True) + 1e-3)
        gamma, beta = stack.normalization[k].get_weights()
        hidden = scaled * gamma + beta
    close(stack.sequence(x), hidden)


def test_a_bidirectional_stack_reads_each_row_from_both_ends_of_its_real_part():
    stack = LSTMStack(LSTMConfig(units=(4,), bidirectional=True))
    whole(stack)
    x, mask = padded(junk=50.0)
    outputs, last = stack.sequence(x, mask), stack.last(x, mask)
    both = stack.recurrent[0]
    for row, length in enumerate(LENGTHS):
        real = x[row : row + 1, :length]
        ahead, h_ahead, *_ = forward(real, weights_of(both.forward_layer))
        back, h_back, *_ = forward(real[:, ::-1], weights_of(both.backward_layer))
        close(outputs[row : row + 1, :length], np.concatenate([ahead, back[:, ::-1]], axis=-1))
        close(last[row : row + 1], np.concatenate([h_ahead, h_back], axis=-1))
        close(stack.last(real), np.concatenate([h_ahead, h_back], axis=-1))
    assert last.shape[-1] == stack.output_size == 8


CAUSAL = [
    LSTMConfig(units=(5,)),
    LSTMConfig(units=(5, 4)),
    LSTMConfig(units=(4, 4, 4), residual=True, layer_normalization=True, dropout=0.3, recurrent_dropout=0.3),
]


@pytest.mark.parametrize("config", CAUSAL, ids=["one layer", "two layers", "residual and normalised"])
@pytest.mark.parametrize("from_zero", [True, False], ids=["from zeros", "from given states"])
def test_the_step_repeated_equals_the_sequence(config, from_zero):
    stack = LSTMStack(config)
    x_t, flat = keras.Input((FEATURES,)), stack.state_inputs()
    stepwise = keras.Model([x_t, *flat], stack.step(x_t, stack.pair_states(flat)))  # the step builds the layers by itself
    whole(stack)
    x, states = tf.constant(random(2, 7, FEATURES)), random_states(config.units, batch=2)
    if from_zero:
        states = [(np.zeros_like(h), np.zeros_like(c)) for h, c in states]
    outputs, after = stack.sequence_with_states(x, None if from_zero else states)
    for t in range(x.shape[1]):
        y, states = stepwise([x[:, t], *(tf.constant(part) for state in states for part in state)])
        close(y, outputs[:, t])
    close_states(states, after)


@pytest.mark.parametrize("config", CAUSAL, ids=["one layer", "two layers", "residual and normalised"])
def test_a_sequence_taken_up_in_the_middle_equals_the_whole(config):
    stack = LSTMStack(config)
    whole(stack)
    x, start = random(2, 7, FEATURES), random_states(config.units, batch=2)
    outputs, after = stack.sequence_with_states(x, start)
    first, halfway = stack.sequence_with_states(x[:, :3], start)
    second, end = stack.sequence_with_states(x[:, 3:], halfway)
    close(np.concatenate([first, second], axis=1), outputs)
    close_states(end, after)
    assert np.abs(stack.sequence(x) - outputs).max() > 0.01  # the given states do count


def padded(junk: float) -> tuple[np.ndarray, np.ndarray]:
    """Rows of different lengths, `junk` after their ends, and the mask of what is real."""
    mask = np.arange(max(LENGTHS)) < np.array(LENGTHS)[:, None]
    return np.where(mask[..., None], random(len(LENGTHS), max(LENGTHS), FEATURES), np.float32(junk)), mask


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("extras", [False, True], ids=["plain", "residual and normalised"])
def test_padding_and_batch_mates_change_nothing(bidirectional, extras):
    config = LSTMConfig((4, 4), bidirectional=bidirectional, residual=extras, layer_normalization=extras)
    stack = LSTMStack(config)
    whole(stack)
    x, mask = padded(junk=50.0)
    outputs, last = np.asarray(stack.sequence(x, mask)), stack.last(x, mask)
    for row, length in enumerate(LENGTHS):
        alone = x[row : row + 1, :length]
        expected = np.asarray(stack.sequence(alone))
        close(outputs[row, :length], expected[0])
        close(last[row : row + 1], stack.last(alone))
        close(masked_mean(outputs, mask)[row], expected[0].mean(axis=0))
        close(masked_max(outputs, mask)[row], expected[0].max(axis=0))
        if not bidirectional:
            _, states = stack.sequence_with_states(x, mask=mask)
            of_row = [(h[row : row + 1], c[row : row + 1]) for h, c in states]
            close_states(of_row, stack.sequence_with_states(alone)[1])


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_pooling_leaves_padded_steps_out(dtype):
    sequence = keras.ops.cast(
        [[[-0.5, 0.25], [-0.75, 0.5], [0.9, 1.0]], [[-1.0, -0.25], [1.0, 1.0], [1.0, 1.0]]], dtype
    )
    mask = np.array([[True, True, False], [True, False, False]])
    close(keras.ops.cast(masked_mean(sequence, mask), "float32"), [[-0.625, 0.375], [-1.0, -0.25]])
    close(keras.ops.cast(masked_max(sequence, mask), "float32"), [[-0.5, 0.5], [-1.0, -0.25]])


@pytest.mark.parametrize(("units", "rates"), [((4, 4), {"dropout": 0.5}), ((4,), {"recurrent_dropout": 0.5})], ids=str)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_dropout_is_active_in_training_only(units, rates, bidirectional):
    dropping = whole(LSTMStack(LSTMConfig(units, bidirectional=bidirectional, **rates)))
    keeping = whole(LSTMStack(LSTMConfig(units, bidirectional=bidirectional)))  # `randomise` gives both equal weights
    x = random(2, 6, FEATURES)
    close(dropping(x, training=False), keeping(x, training=False))
    close(keeping(x, training=True), keeping(x, training=False))
    first, second = np.asarray(dropping(x, training=True)), np.asarray(dropping(x, training=True))
    assert np.abs(first - keeping(x)).max() > 0.01
    assert np.abs(first - second).max() > 0.01  # a fresh mask for each call


def test_nothing_is_dropped_after_the_last_layer():
    model = whole(LSTMStack(LSTMConfig((4,), dropout=0.9)))
    x = random(2, 6, FEATURES)
    close(model(x, training=True), model(x, training=False))


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"units": ()}, "units"),
        ({"units": (0,)}, "units"),
        ({"dropout": 1.0}, "dropout"),
        ({"dropout": -0.1}, "dropout"),
        ({"recurrent_dropout": 1.0}, "recurrent_dropout"),
        ({"units": (4, 5), "residual": True}, "Residual.*units"),
    ],
)
def test_impossible_settings_are_refused_by_name(settings, field):
    with pytest.raises(ValueError, match=rf"\b{field}\b"):
        LSTMConfig(**settings)


def test_a_bidirectional_stack_neither_steps_nor_takes_up_states():
    stack = LSTMStack(LSTMConfig(units=(4,), bidirectional=True))
    states = random_states((4,), batch=2)
    with pytest.raises(ValueError, match="bidirectional"):
        stack.step(random(2, FEATURES), states)
    with pytest.raises(ValueError, match="bidirectional"):
        stack.sequence_with_states(random(2, 5, FEATURES), states)


def test_disable_cudnn_reaches_plain_bidirectional_and_nested_layers():
    plain = LSTMStack(LSTMConfig((4, 4)), name="plain")
    both = LSTMStack(LSTMConfig((4,), bidirectional=True), name="both")
    x = keras.Input((None, FEATURES))
    nested = keras.Model(x, both.sequence(x))
    model = keras.Model(x, nested(plain.sequence(keras.layers.Dense(FEATURES)(x))[..., :FEATURES]))
    layers = [*plain.recurrent, both.recurrent[0].forward_layer, both.recurrent[0].backward_layer]
    assert all(layer.use_cudnn for layer in layers)
    disable_cudnn(model)
    assert [layer.use_cudnn for layer in layers] == [False] * 4


def test_states_laid_side_by_side_are_the_states():
    stack = LSTMStack(LSTMConfig(units=(3, 2)))
    rng = np.random.default_rng(0)
    states = [tuple(rng.normal(size=(4, units)).astype("float32") for _ in range(2)) for units in (3, 2)]
    packed = stack.pack_states(states)
    np.testing.assert_array_equal(np.asarray(packed), np.concatenate([*states[0], *states[1]], axis=-1))
    for pair, expected in zip(stack.unpack_states(packed), states, strict=True):
        for value, wanted in zip(pair, expected, strict=True):
            np.testing.assert_array_equal(value, wanted)
