"""The REST API has the responses and statuses of TensorFlow Serving."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.serving.rest import parse_path
from tests.shared.serving.conftest import PREDICTIONS, TEXTS, is_close


def test_rows_columns_and_bare_values(client):
    objects = [{"text": text} for text in TEXTS[:2]]
    for body in (
        {"instances": objects},
        {"instances": TEXTS[:2]},
        {"signature_name": "serving_default", "instances": objects},
    ):
        status, response = client.post("small", body)
        assert status == 200
        assert is_close(response["predictions"], PREDICTIONS)
    status, response = client.post("small", {"inputs": {"text": TEXTS[:2]}})
    assert status == 200
    assert is_close(response["outputs"]["probabilities"], [one["probabilities"] for one in PREDICTIONS])


def test_other_signatures_and_bytes(client):
    body = {
        "signature_name": "total",
        "instances": [{"samples": [1, 2, 3], "length": 2}, {"samples": [1, 1, 1], "length": 3}],
    }
    assert client.post("small", body) == (200, {"predictions": [3.0, 3.0]})
    body = {"signature_name": "choosy", "instances": [{"k": 7}]}
    assert client.post("small", body) == (200, {"predictions": [{"twice": 14, "sound_bytes": {"b64": "Nw=="}}]})


@pytest.mark.parametrize(
    ("path", "version"), [("", 2), ("/versions/1", 1), ("/labels/stable", 1), ("/labels/canary", 2)]
)
def test_versions_and_labels(client, path, version):
    status, response = client.http("POST", f"/v1/models/small{path}:predict", {"instances": ["a"]})
    assert (status, response["predictions"][0]["version"]) == (200, version)


def test_status_and_metadata(client):
    status, response = client.http("GET", "/v1/models/small")
    assert status == 200
    assert [(one["version"], one["state"], one["status"]) for one in response["model_version_status"]] == [
        (version, "AVAILABLE", {"error_code": "OK", "error_message": ""}) for version in ("2", "1")
    ]
    assert len(client.http("GET", "/v1/models/small/versions/1")[1]["model_version_status"]) == 1
    status, response = client.http("GET", "/v1/models/small/labels/stable/metadata")
    assert (status, response["model_spec"]["version"]) == (200, "1")
    assert set(response["metadata"]["signature_def"]) == {"signature_def"}
    signatures = response["metadata"]["signature_def"]["signature_def"]
    assert set(signatures) == {"serving_default", "total", "choosy"}
    samples = signatures["total"]["inputs"]["samples"]
    assert samples["dtype"] == "DT_FLOAT"
    assert [dim["size"] for dim in samples["tensor_shape"]["dim"]] == ["-1", "-1"]


VALID_BODY = json.dumps({"instances": ["a"]}).encode()
INVALID_REQUESTS = [
    ("GET", "/index", None, 404),
    ("GET", "/statuspage", None, 404),
    ("GET", "/v1/foo", None, 400),
    ("GET", "/v1/models", None, 400),
    ("GET", "/v1/models/small:predict", None, 400),
    ("POST", "/v1/models/small/metadata", VALID_BODY, 400),
    ("POST", "/v1/models/small", VALID_BODY, 400),
    ("POST", "/v1/models/small:classify", VALID_BODY, 400),
    ("OPTIONS", "/v1/models/small:predict", None, 400),
    ("PROPFIND", "/v1/models/small:predict", VALID_BODY, 405),
    ("POST", "/v1/models/small/versions/HELLO:predict", VALID_BODY, 400),
    ("POST", f"/v1/models/small/versions/{2**64 - 1}:predict", VALID_BODY, 400),
    ("POST", "/v1/models/small/versions/-1:predict", VALID_BODY, 400),
    ("POST", "/v1/models/small/versions/1/labels/stable:predict", VALID_BODY, 400),
    ("POST", "/v1/models/small/labels/x:predict", VALID_BODY, 400),
    ("POST", "/v1/models/big:predict", VALID_BODY, 404),
    ("POST", "/v1/models/small/versions/9:predict", VALID_BODY, 404),
    ("GET", "/v1/models/big", None, 404),
    ("GET", "/v1/models/small/versions/9", None, 404),
    ("POST", "/v1/models/small:predict", b"", 400),
    ("POST", "/v1/models/small:predict", b"not JSON", 400),
    ("POST", "/v1/models/small:predict", b'{"signature_name": 100, "instances": ["a"]}', 400),
    ("POST", "/v1/models/small:predict", b'{"signature_name": "x", "instances": ["a"]}', 400),
    ("POST", "/v1/models/small:predict", b'{"instances": ["a"], "inputs": ["a"]}', 400),
    ("POST", "/v1/models/small:predict", b'{"instances": ' + b"[" * 101 + b"]" * 101 + b"}", 400),
    ("POST", "/v1/models/small:predict", b'{"instances": ' + b"[" * 250_000 + b"]" * 250_000 + b"}", 400),
    ("POST", "/v1/models/small:predict", b'{"signature_name": "choosy", "instances": [0]}', 400),
    ("POST", "/v1/models/small:predict", b'{"signature_name": "\\ud800", "instances": ["a"]}', 400),
    ("POST", f"/v1/models/{'x' * 20_000}:predict", VALID_BODY, 404),
]


@pytest.mark.parametrize(("method", "path", "body", "expected_status"), INVALID_REQUESTS)
def test_an_invalid_request_gets_its_status_and_the_server_stays_alive(client, method, path, body, expected_status):
    status, response = client.http(method, path, body)
    assert status == expected_status
    if status != 405:
        assert set(response) == {"error"}
        assert len(response["error"]) > 10
    assert client.post("small", {"instances": ["a"]})[0] == 200


def test_an_unknown_http_method_is_a_malformed_request(client):
    assert client.http("BREW", "/v1/models/small:predict", VALID_BODY)[0] == 400
    assert client.post("small", {"instances": ["a"]})[0] == 200


def test_the_response_contains_the_message_of_an_assertion_in_the_model(client):
    _, response = client.post("small", {"signature_name": "choosy", "instances": [3, 0]})
    assert "k must be above 0" in response["error"]
    assert "assertion" not in response["error"]


def test_each_of_many_simultaneous_requests_gets_its_own_response_or_error(client):
    """Rows, columns, several signatures and invalid requests share drain cycles."""
    requests = [
        ({"instances": ["good"]}, 200, {"predictions": PREDICTIONS[:1]}),
        ({"inputs": ["good", "a longer one"], "signature_name": "serving_default"}, 200, None),
        (b"{", 400, None),
        ({"instances": [{"texts": "a"}]}, 400, None),
        ({"instances": ["a"], "signature_name": "none"}, 400, None),
        *(
            ({"signature_name": "choosy", "inputs": {"k": [k]}}, 200 if k else 400, None if k else "k must be above 0")
            for k in (0, 1, 2)
        ),
        (
            {"signature_name": "total", "inputs": {"samples": [[1, 2], [3, 4]], "length": [2, 1]}},
            200,
            {"outputs": [3, 3]},
        ),
    ]
    with ThreadPoolExecutor(32) as pool:
        responses = list(pool.map(lambda request: client.post("small", request[0]), requests * 20))
    for (status, response), (_, expected_status, expected) in zip(responses, requests * 20, strict=True):
        assert status == expected_status, response
        if isinstance(expected, str):
            assert expected in response["error"]
        elif expected:
            assert is_close(response, expected)
    assert [
        response["outputs"]["twice"]
        for (_, response), request in zip(responses, requests * 20, strict=True)
        if request == requests[6]
    ] == [[2]] * 20
    for _ in range(100):
        if not client.server.service._num_requests:
            break
        time.sleep(0.05)
    assert client.server.service._num_requests == 0


def test_compressed_bodies(client):
    compressed = gzip.compress(VALID_BODY)
    for body, headers, status in (
        (compressed, {"Content-Encoding": "gzip"}, 200),
        (compressed[:-4], {"Content-Encoding": "gzip"}, 400),
        (compressed + b"more", {"Content-Encoding": "gzip"}, 400),
        (b"not gzip", {"Content-Encoding": "gzip"}, 400),
        (compressed, {"Content-Encoding": "br"}, 400),
        (gzip.compress(b" " * (65 * 2**20)), {"Content-Encoding": "gzip"}, 400),
    ):
        assert client.http("POST", "/v1/models/small:predict", body, headers)[0] == status


def test_a_body_over_the_limit_is_rejected_while_it_arrives(client):
    with socket.create_connection(("127.0.0.1", client.server.port), timeout=30) as connection:
        connection.sendall(b"POST /v1/models/small:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 200000000\r\n\r\n")
        num_sent, response = 0, b""
        with contextlib.suppress(OSError):
            while num_sent < 200_000_000:
                num_sent += connection.send(b" " * 2**20)
        with contextlib.suppress(OSError):
            response = connection.recv(100)
    assert num_sent < 150_000_000
    assert b" 413 " in response or not response  # the server may close the connection before everything is sent
    assert client.post("small", {"instances": ["a"]})[0] == 200


def test_a_client_that_disconnects_or_sends_nothing_does_not_block_the_server(client):
    for content in (
        b"POST /v1/models/small:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{",
        b"\x00\xff\r\n\r\n",
        b"",
    ):
        with socket.create_connection(("127.0.0.1", client.server.port)) as connection:
            connection.sendall(content)
    assert client.post("small", {"instances": ["a"]})[0] == 200


def test_liveness_readiness_and_metrics(client):
    assert client.http("GET", "/livez") == (200, {"live": True})
    assert client.http("GET", "/readyz") == (200, {"ready": True})
    client.post("small", {"instances": ["a"]})
    client.post("nonsense", {"instances": ["a"]})
    _, metrics = client.http("GET", "/monitoring/prometheus/metrics")
    labels = 'interface="REST",model="small",signature="serving_default",version="2"'
    assert f'lstm_suite_requests_total{{code="OK",{labels}}}' in metrics
    assert f"lstm_suite_request_duration_seconds_count{{{labels}}}" in metrics
    assert ':tensorflow:serving:request_count{model_name="small",status="OK"}' in metrics
    assert ':tensorflow:serving:request_latency_count{API="Predict",entrypoint="REST",model_name="small"}' in metrics
    assert ":tensorflow:cc:saved_model:load_attempt_count{model_path=" in metrics
    assert "_created" not in metrics
    assert 'lstm_suite_version_available{model="small",version="2"} 1.0' in metrics
    assert "nonsense" not in metrics


def test_parse_path():
    target, action = parse_path("/v1/models/a.b-c/labels/canary/metadata")
    assert (target.name, target.version, target.label, action) == ("a.b-c", None, "canary", "/metadata")
