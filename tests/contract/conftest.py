"""What the promises of all tasks are tried with: the signatures of a trained version, and how answers are compared."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf


def servable(trained):
    return trained.task.servable(trained.run.fitted.model, trained.run.fitted.facts)


def assert_close(answer, expected):
    assert set(answer) == set(expected)
    for name, value in expected.items():
        if np.asarray(value).dtype.kind == "f":
            np.testing.assert_allclose(answer[name], value, atol=1e-5, rtol=0)
        else:
            np.testing.assert_array_equal(answer[name], value)


@pytest.fixture
def signatures(trained):
    loaded = tf.saved_model.load(str(trained.version))
    return {
        name: (loaded.signatures[name], endpoint.request, endpoint)
        for name, endpoint in servable(trained).endpoints.items()
    }


def answer(signature, request):
    return {k: v.numpy() for k, v in signature(**{k: tf.constant(v) for k, v in request.items()}).items()}
