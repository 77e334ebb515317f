"""The description of the API agrees with the signatures, and its page needs no other server."""

from __future__ import annotations

import json
import re

import pytest
import tensorflow as tf

from shared.serving import openapi
from tests.shared.serving.conftest import start_server


@pytest.fixture(scope="module")
def description(client):
    status, content = client.http("GET", "/openapi.json")
    assert status == 200
    return content


def test_each_model_has_its_paths(description):
    assert description["openapi"] == "3.1.0"
    assert set(description["paths"]) == {
        "/v1/models/small",
        "/v1/models/small/metadata",
        "/v1/models/small:predict",
        "/v1/models/small/versions/{version}:predict",
    }
    assert "security" not in description


def test_requests_of_each_signature_are_described_in_rows_and_columns(description):
    operation = description["paths"]["/v1/models/small:predict"]["post"]
    schemas = operation["requestBody"]["content"]["application/json"]["schema"]["anyOf"]
    assert [schema["title"] for schema in schemas] == ["serving_default", "choosy", "total"]
    assert [schema["required"] for schema in schemas] == [[], ["signature_name"], ["signature_name"]]
    total = schemas[2]["properties"]
    row, columns = total["instances"]["items"]["properties"], total["inputs"]["properties"]
    assert row["length"] == {"type": "integer", "format": "int32"}
    assert row["samples"] == columns["length"] | {"items": {"type": ["number", "null"], "format": "float32"}}
    assert columns["samples"] == {"type": "array", "items": row["samples"]}
    assert {"200", "400", "401", "429", "503", "504"} <= set(operation["responses"])


def test_a_fixed_size_is_part_of_the_description():
    spec = tf.TensorSpec([None, 34], tf.float32)
    (schema,) = openapi._object_schema({"state": spec}, 1)["properties"].values()
    assert (schema["minItems"], schema["maxItems"]) == (34, 34)


def test_the_example_of_a_version_is_part_of_the_description(models_folder):
    (models_folder / "small" / "1" / "request.json").write_text('{"instances": [NaN]}')
    client = start_server(models_folder)
    try:
        content = client.http("GET", "/openapi.json")[1]
    finally:
        client.server.stop()
    body = content["paths"]["/v1/models/small:predict"]["post"]["requestBody"]["content"]["application/json"]
    assert body["example"] == {"instances": [None]}


def test_with_a_token_the_description_says_so(client):
    description = openapi.describe_api(client.server.repository, has_token=True)
    assert description["security"] == [{"bearer": []}]
    assert json.dumps(description)


def test_the_page_loads_nothing_from_other_servers(client):
    status, page = client.http("GET", "/docs")
    assert status == 200
    assert "<title>" in page
    assert not re.findall(r"(?:src|href)=\"(?!openapi.json)", page)
    assert "//" not in re.sub(r"<!doctype html>", "", page).replace("https://", "//")
