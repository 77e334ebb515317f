"""Loads, unloads, failures, readiness and requests are logged with their fields, as text and as JSON."""

from __future__ import annotations

import json
import logging
import shutil
import time

import grpc
import pytest

from shared.serving.access import VALID_ID, client_address, request_id
from shared.serving.logs import ACCESS_LOGGER, JsonFormatter, configure_logging, fields
from tests.shared.serving.conftest import start_server
from tests.shared.serving.test_rpc import create_request

BODY = {"instances": ["a"]}


@pytest.fixture
def events(caplog):
    """Function that returns the fields of the events so far."""
    caplog.set_level(logging.INFO, "shared.serving")
    return lambda name: [r.fields for r in caplog.records if getattr(r, "fields", {}).get("event") == name]


def test_loads_failures_unloads_and_readiness_are_logged(models_folder, versions, events):
    (models_folder / "broken" / "1").mkdir(parents=True)
    client = start_server(models_folder)
    try:
        while not events("readiness"):
            time.sleep(0.01)
        assert [(one["model"], one["version"]) for one in events("load")] == [("small", 1)]
        assert events("load")[0]["seconds"] > 0
        assert [(one["model"], one["version"]) for one in events("load failed")] == [("broken", 1)]
        assert events("readiness") == [{"event": "readiness", "ready": True, "models": {"broken": [], "small": [1]}}]
        _, metrics = client.http("GET", "/monitoring/prometheus/metrics")
        assert 'lstm_suite_load_failures_total{model="broken",version="1"} 1.0' in metrics
        for number in (2, 3):
            shutil.copytree(versions / "2", models_folder / ".copy")
            (models_folder / ".copy").rename(models_folder / "small" / str(number))
            deadline = time.monotonic() + 30
            while client.server.repository.find_version("small").version != number:
                assert time.monotonic() < deadline
                time.sleep(0.02)
        while not events("unload"):
            time.sleep(0.02)
        assert (events("unload")[0]["model"], events("unload")[0]["version"]) == ("small", 1)
    finally:
        client.server.stop()
    assert events("readiness")[-1]["ready"] is False


def test_before_the_first_scan_is_done_an_unknown_model_is_not_ready(client):
    repository = client.server.repository
    repository.first_scan_done.clear()
    try:
        assert client.post("other", BODY)[0] == 503
    finally:
        repository.first_scan_done.set()
    assert client.post("other", BODY)[0] == 404


def test_requests_of_both_apis_are_logged_with_the_id_of_the_client(client, events):
    assert client.http("POST", "/v1/models/small:predict", BODY, {"X-Request-Id": "order-17"})[0] == 200
    assert client.http("POST", "/v1/models/%0Anone:predict", BODY)[0] == 404
    assert client.http("GET", "/readyz")[0] == 200
    call = client.prediction_stub().Predict.future(
        create_request(text=[b"a"]), metadata=(("x-request-id", "rpc-1"),), timeout=30
    )
    assert dict(call.trailing_metadata())["x-request-id"] == "rpc-1"
    with pytest.raises(grpc.RpcError):
        client.prediction_stub().Predict(create_request(model="none", text=[b"a"]), timeout=30)
    deadline = time.monotonic() + 30
    while len(requests := events("request")) < 4:  # a gRPC request is logged after its response
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert {one["client"] for one in requests} == {"127.0.0.1"}
    assert [(one["interface"], one["status"]) for one in requests] == [
        ("REST", "200"),
        ("REST", "404"),
        ("gRPC", "OK"),
        ("gRPC", "NOT_FOUND"),
    ]
    assert [one["request_id"] for one in requests[::2]] == ["order-17", "rpc-1"]
    assert requests[0]["request"] == "POST /v1/models/small:predict"
    assert "\n" not in requests[1]["request"]
    assert all(one["milliseconds"] >= 0 for one in requests)


def test_an_invalid_request_id_is_replaced():
    assert request_id("a-1") == "a-1"
    for received in (None, "", "a b", "a\nb", "é", "x" * 200):
        assert request_id(received) != received
        assert VALID_ID.fullmatch(request_id(received))


def test_the_address_of_a_grpc_client_has_no_port():
    assert client_address("ipv4:10.0.0.7:33084") == "10.0.0.7"
    assert client_address("ipv6:%5B::1%5D:33084") == "::1"
    assert client_address("unix:/tmp/socket") == "unix:/tmp/socket"


def test_a_line_of_json_has_time_level_message_and_fields():
    record = logging.LogRecord("shared.serving.x", logging.INFO, "x.py", 1, "%s é", ("one",), None)
    record.__dict__.update(fields(event="load", version=3))
    content = json.loads(JsonFormatter().format(record))
    assert content.pop("time").endswith("Z")
    assert content == {
        "level": "INFO",
        "logger": "shared.serving.x",
        "message": "one é",
        "event": "load",
        "version": 3,
    }


def test_the_access_log_can_be_turned_off(capsys):
    root, level = logging.getLogger(), logging.getLogger().level
    handlers = root.handlers[:]
    try:
        for has_access_log in (True, False):
            configure_logging("text", has_access_log)
            logging.getLogger(ACCESS_LOGGER).info("a request")
            logging.getLogger("shared.serving.models").info("a load")
            text = capsys.readouterr().err
            assert ("a request" in text) is has_access_log
            assert "INFO a load" in text
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.getLogger(ACCESS_LOGGER).setLevel(logging.NOTSET)
        logging.getLogger("shared.serving").setLevel(logging.NOTSET)
