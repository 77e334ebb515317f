"""TensorFlow Serving can read the configuration files, and they name the existing models."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest
import yaml
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2
from tensorflow_serving.config import model_server_config_pb2

from shared.cli import main
from shared.cli.parser import build_parser
from shared.errors import SuiteError
from shared.export import publishing
from shared.serving import configs, containers, monitoring
from shared.serving.server import CLOSING_TIMEOUT, SHUTDOWN_TIMEOUT


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
    pod = read_files(tmp_path)[2]
    (container,) = pod["spec"]["containers"]
    for name in ("models.config", "batching.config", "monitoring.config"):
        assert any(argument.endswith(f"/config/{name}") for argument in container["command"])
    shared = text_format.Parse((tmp_path / "batching.config").read_text(), batching_parameters())
    assert shared.num_batch_threads.value == 2
    per_model = text_format.Parse(publishing.BATCHING, batching_parameters())
    assert (per_model.max_batch_size.value, per_model.batch_timeout_micros.value) == (64, 1000)


def read_files(folder):
    """Returns the service of Docker Compose, the manifests by kind, and the pod."""
    service = yaml.safe_load((folder / "compose.yaml").read_text())["services"]["models"]
    manifests = {one["kind"]: one for one in yaml.safe_load_all((folder / "kubernetes.yaml").read_text())}
    return service, manifests, manifests["Deployment"]["spec"]["template"]


@pytest.mark.parametrize("engine", configs.ENGINES)
def test_compose_and_kubernetes_run_the_same_command_on_the_same_files(models, tmp_path, engine):
    configs.write(models, tmp_path, image="serving:x", engine=engine)
    service, manifests, pod = read_files(tmp_path)
    (container,) = pod["spec"]["containers"]
    assert container["command"] == service["entrypoint"]
    assert container["image"] == service["image"] == "serving:x"
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    mount_paths = {mount["mountPath"] for mount in container["volumeMounts"]} - {"/tmp"}
    assert mount_paths == {volume.rsplit(":", 2)[1] for volume in service["volumes"]}
    config = manifests.get("ConfigMap", {"data": {}})["data"]
    assert bool(config) == (engine == "tf-serving") == ("/config" in mount_paths)
    for name, text in config.items():
        assert text == (tmp_path / name).read_text()
    assert manifests["Service"]["spec"]["selector"] == pod["metadata"]["labels"]
    scrape_config = yaml.safe_load((tmp_path / "prometheus.yml").read_text())["scrape_configs"][0]
    assert scrape_config["metrics_path"] == pod["metadata"]["annotations"]["prometheus.io/path"]


@pytest.mark.parametrize("engine", configs.ENGINES)
def test_pods_have_no_rights_and_get_their_models_from_an_init_container(models, tmp_path, engine):
    configs.write(models, tmp_path, engine=engine)
    service, _, pod = read_files(tmp_path)
    spec = pod["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert service["user"] == f"{containers.USER_ID}:{containers.USER_ID}"
    for one in (*spec["containers"], *spec["initContainers"]):
        assert one["securityContext"]["readOnlyRootFilesystem"] is True
        assert one["securityContext"]["allowPrivilegeEscalation"] is False
        assert set(one["resources"]["requests"]) == {"cpu", "memory"}
        assert "memory" in one["resources"]["limits"]
    (copy,) = spec["initContainers"]
    names = {volume["name"] for volume in spec["volumes"]}
    assert {mount["name"] for one in (copy, *spec["containers"]) for mount in one["volumeMounts"]} == names
    text = (tmp_path / "Dockerfile.models").read_text()
    assert copy["image"] == f"{containers.MODELS_IMAGE}:1"
    assert f"--tag {copy['image']}" in text
    assert f"USER {containers.USER_ID}" in text


def test_tensorflow_serving_is_not_ready_and_serves_on_before_it_is_killed(models, tmp_path):
    configs.write(models, tmp_path)
    service, _, pod = read_files(tmp_path)
    (container,) = pod["spec"]["containers"]
    script = ["bash", "/config/ready.sh"]
    assert container["readinessProbe"]["exec"]["command"] == container["startupProbe"]["exec"]["command"] == script
    assert service["healthcheck"]["test"] == ["CMD", *script]
    (*_, command) = container["lifecycle"]["preStop"]["exec"]["command"]
    assert command == f"touch {containers.DRAINING_FILE}; sleep {containers.PRE_STOP_SECONDS}"
    assert pod["spec"]["terminationGracePeriodSeconds"] > containers.PRE_STOP_SECONDS
    assert service["init"] is True  # the process ignores SIGTERM as the first of a container


def test_the_embedded_server_is_ready_when_all_models_are(models, tmp_path):
    configs.write(models, tmp_path, engine="embedded")
    service, _, pod = read_files(tmp_path)
    (container,) = pod["spec"]["containers"]
    command = container["command"]
    arguments = build_parser().parse_args(command[1:])
    assert (arguments.model, arguments.models, arguments.host) == (["one", "three"], "/models", "0.0.0.0")
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert "/readyz" in service["healthcheck"]["test"][-1]
    shutdown = arguments.grace_period + CLOSING_TIMEOUT + SHUTDOWN_TIMEOUT
    assert pod["spec"]["terminationGracePeriodSeconds"] > shutdown
    dockerfile = (tmp_path / "Dockerfile").read_text()
    assert f"USER {containers.USER_ID}" in dockerfile
    words = next(line for line in dockerfile.splitlines() if line.startswith("CMD")).removeprefix("CMD ")
    assert build_parser().parse_args(json.loads(words)[1:]).models == "/models"


def test_the_ready_script_succeeds_only_if_all_models_are_available(client, tmp_path):
    def run(*names):
        script = containers.build_ready_script(names, client.server.port, str(tmp_path / "draining"))
        return subprocess.run(["bash", "-c", script], timeout=60, check=False).returncode

    assert run("small") == run("small", "small") == 0
    assert run("small", "other") == 1
    (tmp_path / "draining").touch()
    assert run("small") == 1


def test_alerts_use_metrics_that_the_server_has(client):
    client.post("small", {"instances": ["a"]})
    _, metrics = client.http("GET", "/monitoring/prometheus/metrics")
    (group,) = monitoring.build_alerts()["groups"]
    names = {name for rule in group["rules"] for name in re.findall(r":tensorflow[a-z_:]+", rule["expr"])}
    assert len(names) == 3
    for name in names:
        assert f"\n{name}{{" in metrics
    assert all(rule["annotations"]["summary"] and rule["for"] for rule in group["rules"])


def test_a_folder_without_a_model_is_an_error(tmp_path):
    with pytest.raises(SuiteError, match="has no exported model"):
        configs.write(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
