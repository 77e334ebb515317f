"""A state is accepted by the version that made it and refused by every other one; zeros begin a stream in any version."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from shared.export.state_stamp import STAMP_SIZE, StateStamp, fingerprint


def build_model(bias=0.0):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, kernel_initializer="ones")])
    model.layers[0].bias.assign([bias])
    return model


def count(**inputs):
    """A step whose state counts its calls."""
    return {"y": inputs["x"], "state": inputs["state"] + 1.0}


def make_step(bias=0.0, metadata=None):
    return tf.function(StateStamp(build_model(bias), metadata or {}).step(count))


ZERO, X = tf.zeros((2, 3 + STAMP_SIZE)), tf.zeros(2)


def test_the_version_that_made_a_state_continues_it():
    step, state = make_step(), ZERO
    for k in range(1, 4):
        state = step(x=X, state=state)["state"]
        np.testing.assert_array_equal(state[:, :3], k)
    assert (state[:, 3].numpy() == fingerprint(build_model(), {})).all()
    np.testing.assert_array_equal(make_step()(x=X, state=state)["state"][:, :3], 4)  # the same model, loaded again


@pytest.mark.parametrize("other", [{"bias": 1.0}, {"metadata": {"alphabet": "ab"}}])
def test_another_version_refuses_a_state_and_says_how_to_pin(other):
    state = make_step()(x=X, state=ZERO)["state"]
    assert make_step(**other)(x=X, state=ZERO)["state"].shape == state.shape
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"state is from another version.*/versions/N"):
        make_step(**other)(x=X, state=state)


def test_a_row_of_another_version_among_new_streams_is_refused():
    state = make_step()(x=X, state=ZERO)["state"].numpy()
    state[0] = 0
    make_step()(x=X, state=tf.constant(state))
    with pytest.raises(tf.errors.InvalidArgumentError, match="another version"):
        make_step(1.0)(x=X, state=tf.constant(state))


def test_a_state_that_ends_as_zeros_begins_a_new_stream_in_any_version():
    def end(**inputs):
        return {"state": tf.zeros_like(inputs["state"])}

    ended = StateStamp(build_model(), {}).step(end)(state=ZERO)["state"]
    np.testing.assert_array_equal(ended, 0)


def test_a_state_with_nan_is_refused_by_name():
    state = make_step()(x=X, state=ZERO)["state"].numpy()
    state[0, 1] = np.nan
    with pytest.raises(tf.errors.InvalidArgumentError, match="state must be finite"):
        make_step()(x=X, state=tf.constant(state))


def test_fingerprints_of_many_models_differ_and_are_exact_in_float32():
    model = build_model()
    values = [fingerprint(model, {"seed": k}) for k in range(200)]
    assert len(set(values)) == 200
    assert all(0 < value < 2**24 and float(np.float32(value)) == value for value in values)
