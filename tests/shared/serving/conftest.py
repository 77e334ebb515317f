"""A small model with several kinds of signatures, and a server with this model."""

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


class SmallModel(tf.Module):
    """A model whose outputs contain its version."""

    def __init__(self, version: int) -> None:
        super().__init__()
        self.version = tf.Variable(version)

    @tf.function(input_signature=[tf.TensorSpec([None], STRING, name="text")])
    def classify(self, text):
        length = tf.strings.length(text)
        probability = tf.cast(length, FLOAT) / 100
        return {
            "label": tf.strings.upper(text),
            "probabilities": tf.stack([probability, 1 - probability], axis=1),
            "version": tf.zeros_like(length) + self.version,
        }

    @tf.function(
        input_signature=[tf.TensorSpec([None, None], FLOAT, name="samples"), tf.TensorSpec([None], INT, name="length")]
    )
    def total(self, samples, length):
        mask = tf.sequence_mask(length, tf.shape(samples)[1], FLOAT)
        return {"sum": tf.reduce_sum(samples * mask, axis=1)}

    @tf.function(input_signature=[tf.TensorSpec([None], INT, name="k")])
    def choosy(self, k):
        with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(k > 0), ["k must be above 0", k])]):
            return {"twice": 2 * k, "sound_bytes": tf.strings.as_string(k)}


def write_version(folder: Path, version: int) -> Path:
    """Writes a version of the small model."""
    model = SmallModel(version)
    signatures = {"serving_default": model.classify, "total": model.total, "choosy": model.choosy}
    staging = folder / f".{version}"
    tf.saved_model.save(model, str(staging), signatures=signatures)
    return staging.rename(folder / str(version))


@pytest.fixture(scope="session")
def versions(tmp_path_factory) -> Path:
    """A folder with versions 1 and 2 of the small model."""
    folder = tmp_path_factory.mktemp("versions")
    for version in (1, 2):
        write_version(folder, version)
    return folder


@pytest.fixture
def models_folder(versions, tmp_path) -> Path:
    """A folder of models: `small` with version 1."""
    shutil.copytree(versions / "1", tmp_path / "models" / "small" / "1")
    return tmp_path / "models"


class Client(NamedTuple):
    """A client of a server, for both APIs."""

    server: Server

    def http(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """Returns status and JSON of a response; sends a body that is not bytes as JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path, content, headers or {})
        response = connection.getresponse()
        text = response.read()
        connection.close()
        return response.status, json.loads(text) if text[:1] in (b"{", b"[") else text.decode()

    def post(self, name: str, body: Any, **headers: str) -> tuple[int, Any]:
        return self.http("POST", f"/v1/models/{name}:predict", body, headers)

    def prediction_stub(self) -> prediction_service_pb2_grpc.PredictionServiceStub:
        return prediction_service_pb2_grpc.PredictionServiceStub(self.channel())

    def model_stub(self) -> model_service_pb2_grpc.ModelServiceStub:
        return model_service_pb2_grpc.ModelServiceStub(self.channel())

    def channel(self) -> grpc.Channel:
        return grpc.insecure_channel(f"127.0.0.1:{self.server.grpc_port}")

    def wait_until_ready(self) -> Client:
        assert self.server.repository.first_scan_done.wait(60)
        assert self.http("GET", "/livez")[0] == 200
        return self


def start_server(models: Path, **settings: Any) -> Client:
    """Starts a server on free ports and returns a client."""
    settings = {"port": 0, "grpc_port": 0, "poll_interval": 0.1, **settings}
    server = Server(Settings(models, **settings))
    server.start()
    deadline = time.monotonic() + 30
    while not server._rest_server.started:
        assert time.monotonic() < deadline, "the server does not start"
        time.sleep(0.01)
    return Client(server).wait_until_ready()


@pytest.fixture(scope="package")
def client(versions, tmp_path_factory):
    """Client of a server with both versions, for tests that do not change the server."""
    models = tmp_path_factory.mktemp("models")
    shutil.copytree(versions, models / "small")
    client = start_server(models)
    yield client
    client.server.stop()


TEXTS = ["good", "a longer one", "é"]
PREDICTIONS = [
    {"label": text.upper(), "probabilities": [len(text) / 100, 1 - len(text) / 100], "version": 2}
    for text in ("good", "a longer one")
]


def is_close(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal, numbers to 1e-5."""
    if isinstance(one, dict):
        return set(one) == set(other) and all(is_close(value, other[key]) for key, value in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(is_close, one, other))
    return one == other if isinstance(one, str) else bool(np.isclose(one, other, atol=1e-5))
