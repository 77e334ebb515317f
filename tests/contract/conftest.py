"""What the promises of all tasks are tried with: the signatures of a trained version, and how answers are compared."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf


def export_spec(trained):
    return trained.task.export_spec(trained.run.trained_model.model, trained.run.trained_model.metadata)


def assert_close(answer, expected):
    assert set(answer) == set(expected)
    for name, value in expected.items():
        if np.asarray(value).dtype.kind == "f":
            np.testing.assert_allclose(answer[name], value, atol=1e-5, rtol=0)
        else:
            np.testing.assert_array_equal(answer[name], value)


@pytest.fixture
def signatures(trained):
    return signatures_of(export_spec(trained), trained.version)


def signatures_of(served, version):
    """By name: the signature of a written version, a request for it, and the spec that it was made of."""
    loaded = tf.saved_model.load(str(version))
    return {name: (_Kept(loaded, name), one.example_request, one) for name, one in served.signatures.items()}


class _Kept:
    """A signature that keeps its model: by itself it does not hold the variables."""

    def __init__(self, loaded, name):
        self.loaded, self.signature = loaded, loaded.signatures[name]

    def __call__(self, **tensors):
        return self.signature(**tensors)


def answer(signature, request):
    return {k: v.numpy() for k, v in signature(**{k: tf.constant(v) for k, v in request.items()}).items()}
