"""Settings of an operator: addresses, ports, limits, and the models to serve."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import time

import grpc
import pytest

from shared.cli.parser import build_parser
from shared.cli.serve_command import _build_settings
from shared.errors import SuiteError
from shared.serving.server import Server
from shared.serving.settings import Limits, Settings
from shared.serving.transport import bind, format_address
from tests.shared.serving.conftest import start_server
from tests.shared.serving.test_rpc import create_request

BODY = {"instances": ["a"]}


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize(("host", "clients"), [("::1", ["::1"]), ("::", ["::1", "127.0.0.1"])])
def test_both_apis_listen_on_ipv6_addresses(models_folder, host, clients):
    server = Server(Settings(models_folder, host=host, port=0, grpc_port=0))
    server.start()
    try:
        assert server.repository.first_scan_done.wait(60)
        for client in clients:
            connection = http.client.HTTPConnection(client, server.port, timeout=30)
            connection.request("POST", "/v1/models/small:predict", json.dumps(BODY))
            assert connection.getresponse().status == 200
            connection.close()
            with grpc.insecure_channel(format_address(client, server.grpc_port)) as channel:
                method = "/tensorflow.serving.PredictionService/Predict"
                assert channel.unary_unary(method)(create_request(text=[b"a"]).SerializeToString(), timeout=30)
    finally:
        server.stop()


def test_an_address_or_port_that_cannot_be_used_names_its_option():
    for host, port, message in (
        ("127.0.0.1", 65_536, "from 0 to 65535"),
        ("127.0.0.1", -1, "from 0 to 65535"),
        ("192.0.2.1", 0, r"192\.0\.2\.1:0 .*address with --host"),
        ("no such host", 0, "address with --host"),
    ):
        with pytest.raises(SuiteError, match=message):
            bind(host, port)


def test_only_the_named_models_are_served_and_all_of_them_make_the_server_ready(versions, tmp_path):
    for name in ("small", "other"):
        shutil.copytree(versions / "1", tmp_path / name / "1")
    client = start_server(tmp_path, model_names=("small", "late"))
    try:
        assert client.post("small", BODY)[0] == 200
        assert client.post("other", BODY)[0] == 404
        assert client.http("GET", "/readyz")[0] == 503
        shutil.copytree(versions / "1", tmp_path / ".copy")
        (tmp_path / "late").mkdir()
        (tmp_path / ".copy").rename(tmp_path / "late" / "1")
        deadline = time.monotonic() + 30
        while client.http("GET", "/readyz")[0] != 200:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert client.post("late", BODY)[0] == 200
    finally:
        client.server.stop()


def test_the_limits_of_both_apis_can_differ(models_folder):
    client = start_server(models_folder, limits=Limits(max_body_size=2000, max_grpc_message_size=500))
    try:
        assert client.post("small", {"instances": ["a" * 1000]})[0] == 200
        assert client.post("small", {"instances": ["a" * 3000]})[0] == 413
        stub = client.prediction_stub()
        assert stub.Predict(create_request(text=[b"a" * 100]), timeout=30).outputs
        with pytest.raises(grpc.RpcError) as error:
            stub.Predict(create_request(text=[b"a" * 1000]), timeout=30)
        assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert client.server._rest_server.config.timeout_keep_alive == 75
    finally:
        client.server.stop()


def test_each_option_of_the_command_reaches_the_settings(tmp_path, monkeypatch):
    monkeypatch.delenv("LSTM_SUITE_TOKEN", raising=False)
    (tmp_path / "token").write_text("secret\n")
    words = (
        "serve --host ::1 --port 1 --grpc-port 2 --model a --model b --max-body-mib 0.5 --max-grpc-message-mib 2 "
        "--max-requests 3 --timeout 4 --keep-alive 90 --rate-limit 5/second --tls-certificate c.pem --tls-key k.pem "
        "--cors-origin https://a.org --cors-origin https://b.org --gzip --grace-period 0 --tracing"
    )
    arguments = build_parser().parse_args([*words.split(), "--token-file", str(tmp_path / "token")])
    settings = _build_settings(tmp_path, arguments)
    assert (settings.host, settings.port, settings.grpc_port, settings.model_names) == ("::1", 1, 2, ("a", "b"))
    assert settings.limits == Limits(2**19, 2 * 2**20, 3, 4.0, keep_alive=90.0, rate="5/second")
    security = settings.security
    assert (str(security.certificate), str(security.key), security.token) == ("c.pem", "k.pem", "secret")
    assert security.cors_origins == ("https://a.org", "https://b.org")
    assert (settings.compresses_responses, settings.grace_period, settings.is_traced) == (True, 0.0, True)
    defaults = _build_settings(tmp_path, build_parser().parse_args(["serve"]))
    assert defaults == Settings(tmp_path)
