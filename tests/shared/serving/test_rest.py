"""The REST interface answers, and refuses, as TensorFlow Serving's does."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.serving.rest import place_of
from tests.shared.serving.conftest import ANSWERS, TEXTS, near


def test_rows_columns_and_bare_values(client):
    objects = [{"text": text} for text in TEXTS[:2]]
    for body in (
        {"instances": objects},
        {"instances": TEXTS[:2]},
        {"signature_name": "serving_default", "instances": objects},
    ):
        status, found = client.post("small", body)
        assert status == 200
        assert near(found["predictions"], ANSWERS)
    status, found = client.post("small", {"inputs": {"text": TEXTS[:2]}})
    assert status == 200
    assert near(found["outputs"]["probabilities"], [answer["probabilities"] for answer in ANSWERS])


def test_other_signatures_and_bytes(client):
    body = {
        "signature_name": "total",
        "instances": [{"samples": [1, 2, 3], "length": 2}, {"samples": [1, 1, 1], "length": 3}],
    }
    assert client.post("small", body) == (200, {"predictions": [3.0, 3.0]})
    body = {"signature_name": "choosy", "instances": [{"k": 7}]}
    assert client.post("small", body) == (200, {"predictions": [{"twice": 14, "sound_bytes": {"b64": "Nw=="}}]})


@pytest.mark.parametrize(
    ("place", "version"), [("", 2), ("/versions/1", 1), ("/labels/stable", 1), ("/labels/canary", 2)]
)
def test_versions_and_labels(client, place, version):
    status, found = client.http("POST", f"/v1/models/small{place}:predict", {"instances": ["a"]})
    assert (status, found["predictions"][0]["version"]) == (200, version)


def test_status_and_metadata(client):
    status, found = client.http("GET", "/v1/models/small")
    assert status == 200
    assert [(one["version"], one["state"], one["status"]) for one in found["model_version_status"]] == [
        (number, "AVAILABLE", {"error_code": "OK", "error_message": ""}) for number in ("2", "1")
    ]
    assert len(client.http("GET", "/v1/models/small/versions/1")[1]["model_version_status"]) == 1
    status, found = client.http("GET", "/v1/models/small/labels/stable/metadata")
    assert (status, found["model_spec"]["version"]) == (200, "1")
    assert set(found["metadata"]["signature_def"]) == {"signature_def"}
    signatures = found["metadata"]["signature_def"]["signature_def"]
    assert set(signatures) == {"serving_default", "total", "choosy"}
    samples = signatures["total"]["inputs"]["samples"]
    assert samples["dtype"] == "DT_FLOAT"
    assert [dim["size"] for dim in samples["tensor_shape"]["dim"]] == ["-1", "-1"]


GOOD = json.dumps({"instances": ["a"]}).encode()
CASES = [
    ("GET", "/index", None, 404),
    ("GET", "/statuspage", None, 404),
    ("GET", "/v1/foo", None, 400),
    ("GET", "/v1/models", None, 400),
    ("GET", "/v1/models/small:predict", None, 400),
    ("POST", "/v1/models/small/metadata", GOOD, 400),
    ("POST", "/v1/models/small", GOOD, 400),
    ("POST", "/v1/models/small:classify", GOOD, 400),
    ("OPTIONS", "/v1/models/small:predict", None, 400),
    ("PROPFIND", "/v1/models/small:predict", GOOD, 405),
    ("POST", "/v1/models/small/versions/HELLO:predict", GOOD, 400),
    ("POST", f"/v1/models/small/versions/{2**64 - 1}:predict", GOOD, 400),
    ("POST", "/v1/models/small/versions/-1:predict", GOOD, 400),
    ("POST", "/v1/models/small/versions/1/labels/stable:predict", GOOD, 400),
    ("POST", "/v1/models/small/labels/x:predict", GOOD, 400),
    ("POST", "/v1/models/big:predict", GOOD, 404),
    ("POST", "/v1/models/small/versions/9:predict", GOOD, 404),
    ("GET", "/v1/models/big", None, 404),
    ("GET", "/v1/models/small/versions/9", None, 404),
    ("POST", "/v1/models/small:predict", b"", 400),
    ("POST", "/v1/models/small:predict", b"no JSON", 400),
    ("POST", "/v1/models/small:predict", b'{"signature_name": 100, "instances": ["a"]}', 400),
    ("POST", "/v1/models/small:predict", b'{"signature_name": "x", "instances": ["a"]}', 400),
    ("POST", "/v1/models/small:predict", b'{"instances": ["a"], "inputs": ["a"]}', 400),
    ("POST", "/v1/models/small:predict", b'{"instances": ' + b"[" * 101 + b"]" * 101 + b"}", 400),
    ("POST", "/v1/models/small:predict", b'{"instances": ' + b"[" * 250_000 + b"]" * 250_000 + b"}", 400),
    ("POST", "/v1/models/small:predict", b'{"signature_name": "choosy", "instances": [0]}', 400),
    ("POST", "/v1/models/small:predict", b'{"signature_name": "\\ud800", "instances": ["a"]}', 400),
    ("POST", f"/v1/models/{'x' * 20_000}:predict", GOOD, 404),
]


@pytest.mark.parametrize(("method", "path", "body", "status"), CASES)
def test_what_is_wrong_has_its_status_and_the_server_lives(client, method, path, body, status):
    found, told = client.http(method, path, body)
    assert found == status
    if status != 405:
        assert set(told) == {"error"}
        assert len(told["error"]) > 10
    assert client.post("small", {"instances": ["a"]})[0] == 200


def test_a_method_that_http_does_not_know_is_a_malformed_request(client):
    assert client.http("BREW", "/v1/models/small:predict", GOOD)[0] == 400
    assert client.post("small", {"instances": ["a"]})[0] == 200


def test_a_models_own_refusal_says_what_it_refuses(client):
    _, told = client.post("small", {"signature_name": "choosy", "instances": [3, 0]})
    assert "k must be above 0" in told["error"]
    assert "assertion" not in told["error"]


def test_of_requests_at_once_each_has_its_own_answer_or_refusal(client):
    """Rows and columns, other signatures, slips of all kinds, in turns that they share."""
    asked = [
        ({"instances": ["good"]}, 200, {"predictions": ANSWERS[:1]}),
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
        found = list(pool.map(lambda one: client.post("small", one[0]), asked * 20))
    for (status, told), (_, expected, answer) in zip(found, asked * 20, strict=True):
        assert status == expected, told
        if isinstance(answer, str):
            assert answer in told["error"]
        elif answer:
            assert near(told, answer)
    assert [
        told["outputs"]["twice"] for (status, told), one in zip(found, asked * 20, strict=True) if one == asked[6]
    ] == [[2]] * 20
    for _ in range(100):
        if not client.server.service._going:
            break
        time.sleep(0.05)
    assert client.server.service._going == 0


def test_packed_bodies(client):
    packed = gzip.compress(GOOD)
    for body, headers, status in (
        (packed, {"Content-Encoding": "gzip"}, 200),
        (packed[:-4], {"Content-Encoding": "gzip"}, 400),
        (packed + b"more", {"Content-Encoding": "gzip"}, 400),
        (b"no gzip", {"Content-Encoding": "gzip"}, 400),
        (packed, {"Content-Encoding": "br"}, 400),
        (gzip.compress(b" " * (65 * 2**20)), {"Content-Encoding": "gzip"}, 400),
    ):
        assert client.http("POST", "/v1/models/small:predict", body, headers)[0] == status


def test_a_body_beyond_the_limit_is_refused_while_it_comes_in(client):
    with socket.create_connection(("127.0.0.1", client.server.port), timeout=30) as link:
        link.sendall(b"POST /v1/models/small:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 200000000\r\n\r\n")
        sent, answer = 0, b""
        with contextlib.suppress(OSError):
            while sent < 200_000_000:
                sent += link.send(b" " * 2**20)
        with contextlib.suppress(OSError):
            answer = link.recv(100)
    assert sent < 150_000_000
    assert b" 413 " in answer or not answer  # closed before all was sent
    assert client.post("small", {"instances": ["a"]})[0] == 200


def test_a_caller_who_leaves_or_says_nothing_stops_nobody(client):
    for words in (
        b"POST /v1/models/small:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{",
        b"\x00\xff\r\n\r\n",
        b"",
    ):
        with socket.create_connection(("127.0.0.1", client.server.port)) as link:
            link.sendall(words)
    assert client.post("small", {"instances": ["a"]})[0] == 200


def test_liveness_readiness_and_measures(client):
    assert client.http("GET", "/livez") == (200, {"live": True})
    assert client.http("GET", "/readyz") == (200, {"ready": True})
    client.post("small", {"instances": ["a"]})
    client.post("nonsense", {"instances": ["a"]})
    _, told = client.http("GET", "/monitoring/prometheus/metrics")
    assert 'lstm_suite_requests_total{code="OK",interface="REST",model="small"}' in told
    assert 'lstm_suite_version_available{model="small",version="2"} 1.0' in told
    assert "nonsense" not in told


def test_places():
    found = place_of("/v1/models/a.b-c/labels/canary/metadata")
    assert (found.name, found.version, found.label, found.what) == ("a.b-c", None, "canary", "/metadata")
