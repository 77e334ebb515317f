"""TensorFlow Serving can read the configuration files, and they name the existing models."""

from __future__ import annotations

import shutil

import pytest
import yaml
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2
from tensorflow_serving.config import model_server_config_pb2

from shared.cli import main
from shared.errors import SuiteError
from shared.export import publishing
from shared.serving import configs


def batching_parameters():
    """Returns an empty `BatchingParameters` message.

    The Python package of TensorFlow Serving lacks this message of session_bundle_config.proto. Here it has the fields that the
    suite writes, with their numbers.
    """
    file = descriptor_pb2.FileDescriptorProto(name="batching.proto", package="t", syntax="proto3")
    file.dependency.append("google/protobuf/wrappers.proto")
    message = file.message_type.add(name="BatchingParameters")
    fields = {"max_batch_size": 1, "batch_timeout_micros": 2, "max_enqueued_batches": 3, "num_batch_threads": 4}
    for name, number in fields.items():
        message.field.add(name=name, number=number, type=11, type_name=".google.protobuf.Int64Value", label=1)
    message.field.add(name="thread_pool_name", number=5, type=11, type_name=".google.protobuf.StringValue", label=1)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("t.BatchingParameters"))()


@pytest.fixture
def models(versions, tmp_path):
    """Two models, with one and with three versions, and an empty folder."""
    folder = tmp_path / "models"
    shutil.copytree(versions / "1", folder / "one" / "1")
    for name in ("1", "2", "5", "runs"):
        shutil.copytree(versions / "1", folder / "three" / name)
    (folder / "none").mkdir()
    return folder


def test_the_two_newest_versions_are_served_with_labels(models, tmp_path):
    assert main(["serve-config", "--models", str(models), "--output", str(tmp_path / "out")]) == 0
    text = (tmp_path / "out" / "models.config").read_text()
    config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig()).model_config_list.config
    settings = {
        one.name: (list(one.model_version_policy.specific.versions), dict(one.version_labels), one.base_path)
        for one in config
    }
    assert settings == {
        "one": ([1], {"stable": 1, "canary": 1}, "/models/one"),
        "three": ([2, 5], {"stable": 2, "canary": 5}, "/models/three"),
    }


def test_batching_files_match_the_protocol_buffer(models, tmp_path):
    configs.write(models, tmp_path)
    shared = text_format.Parse((tmp_path / "batching.config").read_text(), batching_parameters())
    assert shared.num_batch_threads.value == 2
    per_model = text_format.Parse(publishing.BATCHING, batching_parameters())
    assert (per_model.max_batch_size.value, per_model.batch_timeout_micros.value) == (64, 1000)


def test_compose_and_kubernetes_run_the_same_command_on_the_same_files(models, tmp_path):
    configs.write(models, tmp_path, image="serving:x")
    service = yaml.safe_load((tmp_path / "compose.yaml").read_text())["services"]["models"]
    manifests = {one["kind"]: one for one in yaml.safe_load_all((tmp_path / "kubernetes.yaml").read_text())}
    pod = manifests["Deployment"]["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    assert container["command"] == service["entrypoint"]
    assert container["image"] == service["image"] == "serving:x"
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    mount_paths = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert mount_paths == {volume.rsplit(":", 2)[1] for volume in service["volumes"]} == {"/models", "/config"}
    for name, text in manifests["ConfigMap"]["data"].items():
        assert text == (tmp_path / name).read_text()
        assert any(argument.endswith(f"/config/{name}") for argument in container["command"])
    assert container["readinessProbe"]["httpGet"]["path"] == "/v1/models/one"
    assert set(container["resources"]["limits"]) == {"cpu", "memory"}
    assert manifests["Service"]["spec"]["selector"] == pod["metadata"]["labels"]
    (volume,) = [one for one in pod["spec"]["volumes"] if one["name"] == "models"]
    assert volume["persistentVolumeClaim"]["claimName"] == manifests["PersistentVolumeClaim"]["metadata"]["name"]
    scrape_config = yaml.safe_load((tmp_path / "prometheus.yml").read_text())["scrape_configs"][0]
    assert scrape_config["metrics_path"] == pod["metadata"]["annotations"]["prometheus.io/path"]
    assert scrape_config["metrics_path"] in (tmp_path / "monitoring.config").read_text()


def test_a_folder_without_a_model_is_an_error(tmp_path):
    with pytest.raises(SuiteError, match="has no exported model"):
        configs.write(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
