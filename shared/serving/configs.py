"""What TensorFlow Serving, a container engine, Kubernetes and Prometheus need to serve what lies in the folder of the models.

Two versions of each model are served: the newest, labelled `canary`, and the one before, labelled `stable`, as the embedded
server has them. Requests are joined by the parameters that the exporter wrote beside each model whose requests can be
(`batching_params.pbtxt`).
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from shared import export
from shared.errors import SuiteError
from shared.serving.repository import CANARY, SERVED, STABLE
from shared.serving.service import METRICS

CONFIG, MODELS = "/config", "/models"  # folders inside the container
FILES = ("models.config", "batching.config", "monitoring.config")
PORT, GRPC_PORT = 8501, 8500
POLLED = 60  # seconds from one reading of models.config to the next
MEMORY = "4Gi"


def write(models: Path, output: Path, image: str | None = None) -> list[Path]:
    """Writes all files into a folder.

    Args:
        models: folder of the models.
        output: folder of the files.
        image: of TensorFlow Serving; by default that of the version whose protos are installed.

    Returns:
        The files.

    Raises:
        SuiteError: there is no model.
    """
    import yaml

    image = image or default_image()
    found = model_config(models)
    texts = server_files(found)
    texts["compose.yaml"] = yaml.safe_dump(compose(models, image), sort_keys=False)
    names = [one.name for one in found.model_config_list.config]
    texts["kubernetes.yaml"] = yaml.safe_dump_all(kubernetes(image, texts, names), sort_keys=False)
    texts["prometheus.yml"] = yaml.safe_dump(prometheus(), sort_keys=False)
    output.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (output / name).write_text(text, encoding="utf-8")
    return [output / name for name in texts]


def default_image() -> str:
    """Returns TensorFlow Serving's image of the version whose protos are installed."""
    return f"tensorflow/serving:{version('tensorflow-serving-api')}"


def server_files(found: Any) -> dict[str, str]:
    """Returns the files that the server itself reads, by `FILES`.

    Args:
        found: from `model_config`.
    """
    return {
        "models.config": text_format.MessageToString(found),
        "batching.config": 'num_batch_threads { value: 2 }\nthread_pool_name { value: "joined" }\n',
        "monitoring.config": f'prometheus_config {{ enable: true, path: "{METRICS}" }}\n',
    }


def model_config(models: Path, base: str = MODELS) -> Any:
    """Returns the versions and labels of all models, as `ModelServerConfig`.

    Args:
        models: their folder.
        base: where the server finds that folder.

    Raises:
        SuiteError: there is none.
    """
    found = model_server_config_pb2.ModelServerConfig()
    folders = sorted(path for path in models.iterdir() if path.is_dir()) if models.is_dir() else []
    for folder in folders:
        numbers = [int(path.name) for path in export.list_versions(folder)][-SERVED:]
        if not numbers:
            continue
        one = found.model_config_list.config.add(
            name=folder.name, base_path=f"{base}/{folder.name}", model_platform="tensorflow"
        )
        one.model_version_policy.specific.versions.extend(numbers)
        one.version_labels[STABLE], one.version_labels[CANARY] = numbers[0], numbers[-1]
    if not found.model_config_list.config:
        raise SuiteError(f"{models}: holds no exported model. Train one first, or name another folder with --models.")
    return found


def arguments(config: str = CONFIG, port: int = PORT, grpc_port: int = GRPC_PORT) -> list[str]:
    """Returns the options of `tensorflow_model_server`.

    Args:
        config: where it finds the folder of `FILES`.
        port: of the REST interface.
        grpc_port: of the gRPC interface.
    """
    return [
        f"--port={grpc_port}",
        f"--rest_api_port={port}",
        f"--model_config_file={config}/models.config",
        f"--model_config_file_poll_wait_seconds={POLLED}",
        "--allow_version_labels_for_unavailable_models=true",
        "--enable_batching=true",
        "--enable_per_model_batching_parameters=true",
        f"--batching_parameters_file={config}/batching.config",
        f"--monitoring_config_file={config}/monitoring.config",
        "--rest_api_timeout_in_ms=30000",
    ]


def compose(models: Path, image: str) -> dict[str, Any]:
    """Returns a compose file: `docker compose -f compose.yaml up`."""
    service = {
        "image": image,
        "entrypoint": ["tensorflow_model_server", *arguments()],
        "ports": [f"127.0.0.1:{PORT}:{PORT}", f"127.0.0.1:{GRPC_PORT}:{GRPC_PORT}"],
        "volumes": [f"{models.resolve()}:{MODELS}:ro", f".:{CONFIG}:ro"],
        "restart": "unless-stopped",
        "stop_grace_period": "30s",
    }
    return {"services": {"models": service}}


def kubernetes(image: str, texts: dict[str, str], names: list[str]) -> list[dict[str, Any]]:
    """Returns the manifests: the configuration, the models' volume, the server with its probes and limits, and its address."""
    labels = {"app": "lstm-suite"}
    probe = {"httpGet": {"path": f"/v1/models/{names[0]}", "port": PORT}}
    container = {
        "name": "models",
        "image": image,
        "command": ["tensorflow_model_server", *arguments()],
        "ports": [{"name": "rest", "containerPort": PORT}, {"name": "grpc", "containerPort": GRPC_PORT}],
        "startupProbe": {**probe, "periodSeconds": 5, "failureThreshold": 60},
        "readinessProbe": {**probe, "periodSeconds": 10},
        "livenessProbe": {"tcpSocket": {"port": GRPC_PORT}, "periodSeconds": 20},
        "resources": {"requests": {"cpu": "1", "state": "2Gi"}, "limits": {"cpu": "2", "state": MEMORY}},
        "volumeMounts": [
            {"name": "models", "mountPath": MODELS, "readOnly": True},
            {"name": "config", "mountPath": CONFIG, "readOnly": True},
        ],
    }
    noted = {"prometheus.io/scrape": "true", "prometheus.io/port": str(PORT), "prometheus.io/path": METRICS}
    pod = {
        "metadata": {"labels": labels, "annotations": noted},
        "spec": {
            "terminationGracePeriodSeconds": 30,
            "containers": [container],
            "volumes": [
                {"name": "models", "persistentVolumeClaim": {"claimName": "lstm-suite-models"}},
                {"name": "config", "configMap": {"name": "lstm-suite"}},
            ],
        },
    }
    ports = [{"name": "rest", "port": PORT}, {"name": "grpc", "port": GRPC_PORT}]
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "lstm-suite"},
            "data": {name: texts[name] for name in FILES},
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
            "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": pod},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "lstm-suite"},
            "spec": {"selector": labels, "ports": ports},
        },
    ]


def prometheus() -> dict[str, Any]:
    """Returns what Prometheus scrapes, of TensorFlow Serving or of the embedded server."""
    job = {"job_name": "lstm-suite", "metrics_path": METRICS, "static_configs": [{"targets": [f"localhost:{PORT}"]}]}
    return {"scrape_configs": [job]}
