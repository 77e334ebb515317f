"""A state continues only in the version that made it; the example pins its requests to this version."""

from __future__ import annotations

import shutil
import time

import grpc
import numpy as np
import pytest
import tensorflow as tf

from examples.stream_client import PinnedStream
from shared.export.state_stamp import StateStamp
from tests.shared.serving.conftest import start_server
from tests.shared.serving.test_rpc import create_request

SPECS = {"x": tf.TensorSpec([None], tf.float32), "state": tf.TensorSpec([None, 3], tf.float32)}


class SumModel(tf.Module):
    """A model whose `step` adds up its inputs, times the number of the version."""

    def __init__(self, version: int) -> None:
        super().__init__()
        self.factor = tf.Variable(float(version))

    def get_weights(self):
        return [self.factor.numpy()]

    def step(self, x, state):
        state = state + self.factor * x[:, None]
        return {"sum": state[:, 0], "state": state}


def write_version(folder, version):
    model = SumModel(version)
    step = tf.function(StateStamp(model, {}).step(model.step)).get_concrete_function(**SPECS)
    tf.saved_model.save(model, str(folder / f".{version}"), signatures={"step": step})
    (folder / f".{version}").rename(folder / str(version))


@pytest.fixture
def client(tmp_path):
    """Client of a server with version 1; `tmp_path` is the folder of the models."""
    (tmp_path / "sum").mkdir()
    write_version(tmp_path / "sum", 1)
    client = start_server(tmp_path)
    yield client
    client.server.stop()


def publish(client, folder, number):
    write_version(folder / "sum", number)
    deadline = time.monotonic() + 30
    while client.server.repository.find_version("sum").version != number:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_pinned_stream_continues_when_a_new_version_is_published(client, tmp_path):
    address = f"http://127.0.0.1:{client.server.port}"
    stream = PinnedStream(address, "sum")
    assert [stream.step({"x": 1.0})["sum"], stream.step({"x": 2.0})["sum"]] == [1.0, 3.0]
    publish(client, tmp_path, 2)
    assert stream.step({"x": 3.0}) == {"sum": 6.0}
    assert PinnedStream(address, "sum").step({"x": 3.0}) == {"sum": 6.0}  # a new stream uses the new version
    publish(client, tmp_path, 3)
    shutil.rmtree(tmp_path / "sum" / "1")
    while 1 in client.server.repository.models["sum"]:
        time.sleep(0.02)
    with pytest.raises(SystemExit, match="begin the sequence again"):
        stream.step({"x": 1.0})


def test_another_version_refuses_a_state_in_both_apis(client, tmp_path):
    body = {"signature_name": "step", "instances": [{"x": 1.0, "state": [0, 0, 0]}]}
    status, response = client.post("sum", body)
    assert status == 200
    state = response["predictions"][0]["state"]
    publish(client, tmp_path, 2)
    body["instances"][0]["state"] = state
    status, response = client.post("sum", body)
    assert status == 400
    assert "state is from another version of this model" in response["error"]
    assert "/versions/N" in response["error"]
    request = create_request("sum", "step", x=np.float32([1]), state=np.float32([state]))
    with pytest.raises(grpc.RpcError) as error:
        client.prediction_stub().Predict(request, timeout=30)
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "model_spec.version" in error.value.details()
    request.model_spec.version.value = 1
    assert client.prediction_stub().Predict(request, timeout=30).outputs
    assert client.http("POST", "/v1/models/sum/versions/1:predict", body)[0] == 200


def test_a_state_of_another_size_gets_the_same_hint(client):
    body = {"signature_name": "step", "instances": [{"x": 1.0, "state": [0, 0]}]}
    status, response = client.post("sum", body)
    assert status == 400
    assert "Is the state from another version of this model?" in response["error"]
