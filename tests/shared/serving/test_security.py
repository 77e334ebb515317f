"""Token, rate limit, TLS and CORS, in both APIs."""

from __future__ import annotations

import http.client
import json
import shutil
import ssl
import subprocess

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from tensorflow_serving.apis import prediction_service_pb2_grpc

from shared.cli.serve_command import read_token
from shared.errors import SuiteError
from shared.serving.errors import ServingError
from shared.serving.security import Guard
from shared.serving.settings import Limits, Security
from shared.serving.transport import uvicorn_tls_options
from tests.shared.serving.conftest import start_server
from tests.shared.serving.test_rpc import create_request

TOKEN, ORIGIN = "a-secret", "https://example.org"
BODY = {"instances": ["a"]}
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def guarded(versions, tmp_path_factory):
    """Client of a server with a token, CORS and compressed responses."""
    models = tmp_path_factory.mktemp("models")
    shutil.copytree(versions, models / "small")
    client = start_server(models, security=Security(token=TOKEN, cors_origins=(ORIGIN,)), compresses_responses=True)
    yield client
    client.server.stop()


def send(client, method, path, headers=None, body=BODY):
    """Returns the response with its headers, and its body."""
    connection = http.client.HTTPConnection("127.0.0.1", client.server.port, timeout=60)
    connection.request(method, path, json.dumps(body), headers or {})
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response, content


def test_rest_requests_need_the_token_except_for_health_and_the_page(guarded):
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}, {"Authorization": "é"}):
        for path in ("/v1/models/small:predict", "/monitoring/prometheus/metrics", "/openapi.json"):
            response, content = send(guarded, "POST" if "predict" in path else "GET", path, headers)
            assert response.status == 401
            assert response.getheader("www-authenticate") == "Bearer"
            assert "Authorization: Bearer TOKEN" in json.loads(content)["error"]
            assert TOKEN not in content.decode()
    for path in ("/livez", "/readyz", "/docs"):
        assert guarded.http("GET", path)[0] == 200
    assert guarded.http("POST", "/v1/models/small:predict", BODY, AUTHORIZED)[0] == 200
    assert guarded.http("POST", "/v1/models/small:predict", BODY, {"Authorization": f"bearer {TOKEN}"})[0] == 200


def test_grpc_requests_need_the_token_except_for_health(guarded):
    stub, request = guarded.prediction_stub(), create_request(text=[b"a"])
    for metadata in ((), (("authorization", "Bearer wrong"),)):
        with pytest.raises(grpc.RpcError) as error:
            stub.Predict(request, metadata=metadata, timeout=30)
        assert error.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert stub.Predict(request, metadata=(("authorization", f"Bearer {TOKEN}"),), timeout=30).outputs
    health = health_pb2_grpc.HealthStub(guarded.channel())
    assert health.Check(health_pb2.HealthCheckRequest(), timeout=30).status


def test_reflection_lists_the_services(guarded):
    stub = reflection_pb2_grpc.ServerReflectionStub(guarded.channel())
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    with pytest.raises(grpc.RpcError):
        list(stub.ServerReflectionInfo(iter([request]), timeout=30))
    metadata = (("authorization", f"Bearer {TOKEN}"),)
    (response,) = stub.ServerReflectionInfo(iter([request]), metadata=metadata, timeout=30)
    names = {one.name for one in response.list_services_response.service}
    assert {"tensorflow.serving.PredictionService", "tensorflow.serving.ModelService", "grpc.health.v1.Health"} <= names


def test_pages_of_the_given_origin_may_send_requests(guarded):
    preflight = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    response, _ = send(guarded, "OPTIONS", "/v1/models/small:predict", preflight)
    assert (response.status, response.getheader("access-control-allow-origin")) == (200, ORIGIN)
    response, _ = send(guarded, "OPTIONS", "/v1/models/small:predict", {**preflight, "Origin": "https://other.org"})
    assert response.status == 400
    response, _ = send(guarded, "POST", "/v1/models/small:predict", {**AUTHORIZED, "Origin": ORIGIN})
    assert response.getheader("access-control-allow-origin") == ORIGIN
    assert "x-model-version" in response.getheader("access-control-expose-headers")
    assert response.getheader("x-model-version") == "2"


def test_responses_are_compressed_for_clients_that_accept_it(guarded):
    body, headers = {"instances": ["a"] * 200}, {**AUTHORIZED, "Accept-Encoding": "gzip"}
    response, content = send(guarded, "POST", "/v1/models/small:predict", headers, body)
    assert (response.getheader("content-encoding"), content[:2]) == ("gzip", b"\x1f\x8b")
    response, content = send(guarded, "POST", "/v1/models/small:predict", AUTHORIZED, body)
    assert response.getheader("content-encoding") is None
    assert json.loads(content)["predictions"][199]["label"] == "A"


def test_a_client_over_its_rate_gets_429_and_the_time_to_wait(models_folder):
    client = start_server(models_folder, limits=Limits(rate="3/hour"))
    try:
        assert [client.post("small", BODY)[0] for _ in range(3)] == [200] * 3
        response, content = send(client, "POST", "/v1/models/small:predict")
        assert response.status == 429
        assert int(response.getheader("retry-after")) > 0
        assert "more than 3/hour" in json.loads(content)["error"]
        with pytest.raises(grpc.RpcError) as error:  # the same client, over the other API
            client.prediction_stub().Predict(create_request(text=[b"a"]), timeout=30)
        assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert client.http("GET", "/readyz")[0] == 200
    finally:
        client.server.stop()


def test_the_rate_of_each_client_counts_separately():
    guard = Guard(None, "2/minute")
    for client in ("10.0.0.1", "10.0.0.1", "10.0.0.2"):
        guard.check_rate(client)
    with pytest.raises(ServingError, match=r"10.0.0.1 sends more than 2/minute"):
        guard.check_rate("10.0.0.1")
    for rate in ("fast", "3", ""):
        with pytest.raises(SuiteError, match="100/second"):
            Guard(None, rate)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_both_apis_are_encrypted(models_folder, tmp_path):
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    options = ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command, *options], check=True, capture_output=True)
    server = start_encrypted_server(models_folder, Security(certificate, key))
    try:
        context = ssl.create_default_context(cafile=str(certificate))
        connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=context, timeout=30)
        connection.request("POST", "/v1/models/small:predict", json.dumps(BODY))
        assert connection.getresponse().status == 200
        connection.close()
        credentials = grpc.ssl_channel_credentials(certificate.read_bytes())
        with grpc.secure_channel(f"localhost:{server.grpc_port}", credentials) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            assert stub.Predict(create_request(text=[b"a"]), timeout=30).outputs
    finally:
        server.stop()


def start_encrypted_server(models, security):
    from shared.serving.server import Server, Settings

    server = Server(Settings(models, port=0, grpc_port=0, security=security))
    server.start()
    assert server.repository.first_scan_done.wait(60)
    return server


def test_files_that_are_no_certificate_are_errors(tmp_path):
    (tmp_path / "a.pem").write_text("no certificate")
    for security, message in (
        (Security(certificate=tmp_path / "a.pem"), "Set both --tls-certificate and --tls-key"),
        (Security(tmp_path / "a.pem", tmp_path / "a.pem"), "cannot be used for TLS"),
        (Security(tmp_path / "b.pem", tmp_path / "a.pem"), "No such file"),
    ):
        with pytest.raises(SuiteError, match=message):
            uvicorn_tls_options(security)


def test_the_token_comes_from_a_file_or_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("LSTM_SUITE_TOKEN", raising=False)
    assert read_token(None) is None
    monkeypatch.setenv("LSTM_SUITE_TOKEN", "from-environment")
    assert read_token(None) == "from-environment"
    path = tmp_path / "token"
    path.write_text("from-file\n")
    assert read_token(path) == "from-file"
    for content in ("", "two words", "two\nlines", "é"):
        path.write_text(content)
        with pytest.raises(SuiteError, match="expected a token"):
            read_token(path)
    with pytest.raises(SuiteError, match="--token-file"):
        read_token(tmp_path / "nowhere")
