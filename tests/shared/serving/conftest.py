"""A small model with signatures of several kinds, and a server of it."""

from __future__ import annotations

import http.client
import json
import shutil
import time
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from shared.serving.server import Server, Settings

STRING, FLOAT, INT = tf.string, tf.float32, tf.int32


class Small(tf.Module):
    """Answers differ by `version`, so that it can be told which one gave them."""

    def __init__(self, version: int) -> None:
        super().__init__()
        self.version = tf.Variable(version)

    @tf.function(input_signature=[tf.TensorSpec([None], STRING, name="text")])
    def classify(self, text):
        length = tf.strings.length(text)
        share = tf.cast(length, FLOAT) / 100
        return {
            "label": tf.strings.upper(text),
            "probabilities": tf.stack([share, 1 - share], axis=1),
            "version": tf.zeros_like(length) + self.version,
        }

    @tf.function(
        input_signature=[tf.TensorSpec([None, None], FLOAT, name="samples"), tf.TensorSpec([None], INT, name="length")]
    )
    def total(self, samples, length):
        real = tf.sequence_mask(length, tf.shape(samples)[1], FLOAT)
        return {"sum": tf.reduce_sum(samples * real, axis=1)}

    @tf.function(input_signature=[tf.TensorSpec([None], INT, name="k")])
    def choosy(self, k):
        with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(k > 0), ["k must be above 0", k])]):
            return {"twice": 2 * k, "sound_bytes": tf.strings.as_string(k)}


def write(folder: Path, version: int) -> Path:
    """Writes a version of the small model."""
    model = Small(version)
    signatures = {"serving_default": model.classify, "total": model.total, "choosy": model.choosy}
    aside = folder / f".{version}"
    tf.saved_model.save(model, str(aside), signatures=signatures)
    return aside.rename(folder / str(version))


@pytest.fixture(scope="session")
def written(tmp_path_factory) -> Path:
    """A folder that holds versions 1 and 2 of the small model."""
    folder = tmp_path_factory.mktemp("written")
    for version in (1, 2):
        write(folder, version)
    return folder


@pytest.fixture
def folder(written, tmp_path) -> Path:
    """Of models: `small` in version 1."""
    shutil.copytree(written / "1", tmp_path / "models" / "small" / "1")
    return tmp_path / "models"


class Client(NamedTuple):
    """Speaks to a server in both ways."""

    server: Server

    def http(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """Returns status and JSON of an answer; a body that is no bytes is sent as JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path, content, headers or {})
        answer = connection.getresponse()
        found = answer.read()
        connection.close()
        return answer.status, json.loads(found) if found[:1] in (b"{", b"[") else found.decode()

    def post(self, name: str, body: Any, **headers: str) -> tuple[int, Any]:
        return self.http("POST", f"/v1/models/{name}:predict", body, headers)

    def stub(self) -> prediction_service_pb2_grpc.PredictionServiceStub:
        return prediction_service_pb2_grpc.PredictionServiceStub(self.channel())

    def models(self) -> model_service_pb2_grpc.ModelServiceStub:
        return model_service_pb2_grpc.ModelServiceStub(self.channel())

    def channel(self) -> grpc.Channel:
        return grpc.insecure_channel(f"127.0.0.1:{self.server.grpc_port}")

    def ready(self) -> Client:
        """Waits until the models are there."""
        assert self.server.repository.looked.wait(60)
        assert self.http("GET", "/livez")[0] == 200
        return self


def serving(folder: Path, **settings: Any) -> Client:
    """Starts a server of a folder at free ports."""
    server = Server(Settings(folder, port=0, grpc_port=0, seconds=0.1, **settings))
    server.start()
    deadline = time.monotonic() + 30
    while not server._rest.started:
        assert time.monotonic() < deadline, "the server does not start"
        time.sleep(0.01)
    return Client(server).ready()


@pytest.fixture(scope="package")
def client(written, tmp_path_factory):
    """A server of both versions, for tests that leave it as it is."""
    models = tmp_path_factory.mktemp("models")
    shutil.copytree(written, models / "small")
    found = serving(models)
    yield found
    found.server.stop()


TEXTS = ["good", "a longer one", "é"]
ANSWERS = [
    {"label": text.upper(), "probabilities": [len(text) / 100, 1 - len(text) / 100], "version": 2}
    for text in ("good", "a longer one")
]


def near(one: Any, other: Any) -> bool:
    """Whether two answers in JSON are the same, numbers to 1e-5."""
    if isinstance(one, dict):
        return set(one) == set(other) and all(near(value, other[key]) for key, value in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(near, one, other))
    return one == other if isinstance(one, str) else bool(np.isclose(one, other, atol=1e-5))
