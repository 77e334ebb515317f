"""Fixtures of the contract tests: the signatures of an exported version, and the comparison of outputs."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf


def build_export_spec(trained):
    model = trained.run.trained_model
    return trained.task.export_spec(model.model, model.metadata)


def assert_close(outputs, expected):
    assert set(outputs) == set(expected)
    for name, value in expected.items():
        if np.asarray(value).dtype.kind == "f":
            np.testing.assert_allclose(outputs[name], value, atol=1e-5, rtol=0)
        else:
            np.testing.assert_array_equal(outputs[name], value)


@pytest.fixture
def signatures(trained):
    return load_signatures(build_export_spec(trained), trained.version)


def load_signatures(export_spec, version):
    """Returns by name: the signature of a written version, an example request, and the `Signature` that it was made from."""
    loaded = tf.saved_model.load(str(version))
    return {
        name: (_LoadedSignature(loaded, name), signature.example_request, signature)
        for name, signature in export_spec.signatures.items()
    }


class _LoadedSignature:
    """A signature that keeps its model alive: a signature alone does not hold the variables."""

    def __init__(self, loaded, name):
        self.loaded, self.signature = loaded, loaded.signatures[name]

    def __call__(self, **tensors):
        return self.signature(**tensors)


def call_signature(signature, request):
    return {k: v.numpy() for k, v in signature(**{k: tf.constant(v) for k, v in request.items()}).items()}
