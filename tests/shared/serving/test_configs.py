"""What is written is what TensorFlow Serving reads, and names what is there."""

from __future__ import annotations

import shutil

import pytest
import yaml
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2
from tensorflow_serving.config import model_server_config_pb2

from shared import export
from shared.cli import main
from shared.errors import SuiteError
from shared.serving import configs


def batching_parameters():
    """`BatchingParameters` of TensorFlow Serving's session_bundle_config.proto, which its package for Python leaves out: the
    fields that are written here, and their numbers."""
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
def models(written, tmp_path):
    """Two models, of one and of three versions, and what is none."""
    folder = tmp_path / "models"
    shutil.copytree(written / "1", folder / "one" / "1")
    for number in ("1", "2", "5", "runs"):
        shutil.copytree(written / "1", folder / "three" / number)
    (folder / "none").mkdir()
    return folder


def test_the_two_newest_versions_are_served_and_labelled(models, tmp_path):
    assert main(["serve-config", "--models", str(models), "--output", str(tmp_path / "out")]) == 0
    text = (tmp_path / "out" / "models.config").read_text()
    found = text_format.Parse(text, model_server_config_pb2.ModelServerConfig()).model_config_list.config
    told = {
        one.name: (list(one.model_version_policy.specific.versions), dict(one.version_labels), one.base_path)
        for one in found
    }
    assert told == {
        "one": ([1], {"stable": 1, "canary": 1}, "/models/one"),
        "three": ([2, 5], {"stable": 2, "canary": 5}, "/models/three"),
    }


def test_batching_is_read_by_the_proto(models, tmp_path):
    configs.write(models, tmp_path)
    shared = text_format.Parse((tmp_path / "batching.config").read_text(), batching_parameters())
    assert shared.num_batch_threads.value == 2
    own = text_format.Parse(export.BATCHING, batching_parameters())
    assert (own.max_batch_size.value, own.batch_timeout_micros.value) == (64, 1000)


def test_compose_and_kubernetes_run_the_same_command_on_the_same_files(models, tmp_path):
    configs.write(models, tmp_path, image="serving:x")
    service = yaml.safe_load((tmp_path / "compose.yaml").read_text())["services"]["models"]
    kinds = {one["kind"]: one for one in yaml.safe_load_all((tmp_path / "kubernetes.yaml").read_text())}
    pod = kinds["Deployment"]["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    assert container["command"] == service["entrypoint"]
    assert container["image"] == service["image"] == "serving:x"
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounted == {volume.rsplit(":", 2)[1] for volume in service["volumes"]} == {"/models", "/config"}
    for name, text in kinds["ConfigMap"]["data"].items():
        assert text == (tmp_path / name).read_text()
        assert any(argument.endswith(f"/config/{name}") for argument in container["command"])
    assert container["readinessProbe"]["httpGet"]["path"] == "/v1/models/one"
    assert set(container["resources"]["limits"]) == {"cpu", "state"}
    assert kinds["Service"]["spec"]["selector"] == pod["metadata"]["labels"]
    (volume,) = [one for one in pod["spec"]["volumes"] if one["name"] == "models"]
    assert volume["persistentVolumeClaim"]["claimName"] == kinds["PersistentVolumeClaim"]["metadata"]["name"]
    scraped = yaml.safe_load((tmp_path / "prometheus.yml").read_text())["scrape_configs"][0]
    assert scraped["metrics_path"] == pod["metadata"]["annotations"]["prometheus.io/path"]
    assert scraped["metrics_path"] in (tmp_path / "monitoring.config").read_text()


def test_a_folder_without_a_model_is_told(tmp_path):
    with pytest.raises(SuiteError, match="holds no exported model"):
        configs.write(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
