"""Configuration files for TensorFlow Serving, Docker Compose, Kubernetes and Prometheus.

They serve two versions of each model, like the embedded server: the newest with the label `canary` and the one before with the
label `stable`. TensorFlow Serving batches the requests of a model if the exporter has written `batching_params.pbtxt` into the
version.
"""

from __future__ import annotations

from collections.abc import Collection
from importlib.metadata import version
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from shared.errors import SuiteError
from shared.export.versions import list_versions
from shared.serving.metrics import METRICS_PATH
from shared.serving.repository import CANARY, MAX_SERVED_VERSIONS, STABLE

CONFIG_FOLDER, MODELS_FOLDER = "/config", "/models"  # inside the container
SERVER_FILES = ("models.config", "batching.config", "monitoring.config")
REST_PORT, GRPC_PORT = 8501, 8500
POLL_INTERVAL = 60  # seconds after which TensorFlow Serving reads models.config again
MEMORY_LIMIT = "4Gi"


def write(models: Path, output: Path, image: str | None = None) -> list[Path]:
    """Writes all configuration files.

    Args:
        models: folder with one folder per model.
        output: folder for the files.
        image: Docker image of TensorFlow Serving; by default the image of the installed `tensorflow-serving-api` version.

    Returns:
        Paths of the files.

    Raises:
        SuiteError: there is no model.
    """
    import yaml

    image = image or default_image()
    config = build_model_config(models)
    texts = build_server_files(config)
    texts["compose.yaml"] = yaml.safe_dump(build_compose(models, image), sort_keys=False)
    names = [one.name for one in config.model_config_list.config]
    texts["kubernetes.yaml"] = yaml.safe_dump_all(build_kubernetes(image, texts, names), sort_keys=False)
    texts["prometheus.yml"] = yaml.safe_dump(build_prometheus(), sort_keys=False)
    output.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (output / name).write_text(text, encoding="utf-8")
    return [output / name for name in texts]


def default_image() -> str:
    """Returns the Docker image of TensorFlow Serving in the version of the installed `tensorflow-serving-api`."""
    return f"tensorflow/serving:{version('tensorflow-serving-api')}"


def build_server_files(config: Any) -> dict[str, str]:
    """Returns the contents of the files that TensorFlow Serving itself reads, by the names in `SERVER_FILES`.

    Args:
        config: result of `build_model_config`.
    """
    return {
        "models.config": text_format.MessageToString(config),
        "batching.config": 'num_batch_threads { value: 2 }\nthread_pool_name { value: "batching" }\n',
        "monitoring.config": f'prometheus_config {{ enable: true, path: "{METRICS_PATH}" }}\n',
    }


def build_model_config(models: Path, base_path: str = MODELS_FOLDER, names: Collection[str] = ()) -> Any:
    """Returns the versions and labels of all models as `ModelServerConfig`.

    Args:
        models: folder with one folder per model.
        base_path: path of that folder as the server sees it.
        names: names of the models to serve; empty for all.

    Raises:
        SuiteError: there is no model.
    """
    config = model_server_config_pb2.ModelServerConfig()
    folders = sorted(path for path in models.iterdir() if path.is_dir()) if models.is_dir() else []
    for folder in folders:
        versions = [int(path.name) for path in list_versions(folder)][-MAX_SERVED_VERSIONS:]
        if not versions or (names and folder.name not in names):
            continue
        model = config.model_config_list.config.add(
            name=folder.name, base_path=f"{base_path}/{folder.name}", model_platform="tensorflow"
        )
        model.model_version_policy.specific.versions.extend(versions)
        model.version_labels[STABLE], model.version_labels[CANARY] = versions[0], versions[-1]
    if not config.model_config_list.config:
        raise SuiteError(
            f"{models}: this folder has no exported model. Train a model first, or name another folder with --models."
        )
    return config


def build_server_arguments(
    config_folder: str = CONFIG_FOLDER, port: int = REST_PORT, grpc_port: int = GRPC_PORT
) -> list[str]:
    """Returns the command-line options of `tensorflow_model_server`.

    Args:
        config_folder: folder with `SERVER_FILES`, as the server sees it.
        port: port of the REST API.
        grpc_port: port of the gRPC API.
    """
    return [
        f"--port={grpc_port}",
        f"--rest_api_port={port}",
        f"--model_config_file={config_folder}/models.config",
        f"--model_config_file_poll_wait_seconds={POLL_INTERVAL}",
        "--allow_version_labels_for_unavailable_models=true",
        "--enable_batching=true",
        "--enable_per_model_batching_parameters=true",
        f"--batching_parameters_file={config_folder}/batching.config",
        f"--monitoring_config_file={config_folder}/monitoring.config",
        "--rest_api_timeout_in_ms=30000",
    ]


def build_compose(models: Path, image: str) -> dict[str, Any]:
    """Returns a file for `docker compose -f compose.yaml up`.

    Args:
        models: folder with one folder per model.
        image: Docker image of TensorFlow Serving.
    """
    service = {
        "image": image,
        "entrypoint": ["tensorflow_model_server", *build_server_arguments()],
        "ports": [f"127.0.0.1:{REST_PORT}:{REST_PORT}", f"127.0.0.1:{GRPC_PORT}:{GRPC_PORT}"],
        "volumes": [f"{models.resolve()}:{MODELS_FOLDER}:ro", f".:{CONFIG_FOLDER}:ro"],
        "restart": "unless-stopped",
        "stop_grace_period": "30s",
    }
    return {"services": {"models": service}}


def build_kubernetes(image: str, texts: dict[str, str], model_names: list[str]) -> list[dict[str, Any]]:
    """Returns the manifests: a ConfigMap, a volume claim for the models, a Deployment with probes and limits, and a Service.

    Args:
        image: Docker image of TensorFlow Serving.
        texts: contents of `SERVER_FILES`.
        model_names: names of the models; the probes request the status of the first.
    """
    labels = {"app": "lstm-suite"}
    ports = [{"name": "rest", "port": REST_PORT}, {"name": "grpc", "port": GRPC_PORT}]
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "lstm-suite"},
            "data": {name: texts[name] for name in SERVER_FILES},
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "lstm-suite-models"},
            "spec": {"accessModes": ["ReadOnlyMany"], "resources": {"requests": {"storage": "10Gi"}}},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "lstm-suite"},
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": labels},
                "template": _build_pod(image, model_names[0], labels),
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "lstm-suite"},
            "spec": {"selector": labels, "ports": ports},
        },
    ]


def _build_pod(image: str, model_name: str, labels: dict[str, str]) -> dict[str, Any]:
    """Returns the template of the pods, whose probes request the status of one model."""
    probe = {"httpGet": {"path": f"/v1/models/{model_name}", "port": REST_PORT}}
    container = {
        "name": "models",
        "image": image,
        "command": ["tensorflow_model_server", *build_server_arguments()],
        "ports": [{"name": "rest", "containerPort": REST_PORT}, {"name": "grpc", "containerPort": GRPC_PORT}],
        "startupProbe": {**probe, "periodSeconds": 5, "failureThreshold": 60},
        "readinessProbe": {**probe, "periodSeconds": 10},
        "livenessProbe": {"tcpSocket": {"port": GRPC_PORT}, "periodSeconds": 20},
        "resources": {"requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"cpu": "2", "memory": MEMORY_LIMIT}},
        "volumeMounts": [
            {"name": "models", "mountPath": MODELS_FOLDER, "readOnly": True},
            {"name": "config", "mountPath": CONFIG_FOLDER, "readOnly": True},
        ],
    }
    annotations = {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(REST_PORT),
        "prometheus.io/path": METRICS_PATH,
    }
    return {
        "metadata": {"labels": labels, "annotations": annotations},
        "spec": {
            "terminationGracePeriodSeconds": 30,
            "containers": [container],
            "volumes": [
                {"name": "models", "persistentVolumeClaim": {"claimName": "lstm-suite-models"}},
                {"name": "config", "configMap": {"name": "lstm-suite"}},
            ],
        },
    }


def build_prometheus() -> dict[str, Any]:
    """Returns a scrape configuration of Prometheus, for TensorFlow Serving or the embedded server."""
    job = {
        "job_name": "lstm-suite",
        "metrics_path": METRICS_PATH,
        "static_configs": [{"targets": [f"localhost:{REST_PORT}"]}],
    }
    return {"scrape_configs": [job]}
