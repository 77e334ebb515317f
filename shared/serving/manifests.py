"""Files for Docker Compose and Kubernetes that run a container of `shared.serving.containers`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shared.serving.containers import (
    CONFIG_FOLDER,
    GRPC_PORT,
    MODELS_FOLDER,
    MODELS_IMAGE,
    REST_PORT,
    USER_ID,
    Container,
)
from shared.serving.metrics import METRICS_PATH

NAME = "lstm-suite"
LABELS = {"app": NAME}
MEMORY_LIMIT = "4Gi"
SECURITY_CONTEXT = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
POD_SECURITY_CONTEXT = {
    "runAsNonRoot": True,
    "runAsUser": USER_ID,
    "runAsGroup": USER_ID,
    "fsGroup": USER_ID,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def build_compose(models: Path, container: Container) -> dict[str, Any]:
    """Returns a file for `docker compose -f compose.yaml up`.

    Args:
        models: folder with one folder per model.
        container: the container.
    """
    volumes = [f"{models.resolve()}:{MODELS_FOLDER}:ro"]
    service = {
        "image": container.image,
        "entrypoint": container.command,
        "ports": [f"127.0.0.1:{REST_PORT}:{REST_PORT}", f"127.0.0.1:{GRPC_PORT}:{GRPC_PORT}"],
        "volumes": [*volumes, *([f".:{CONFIG_FOLDER}:ro"] if container.config_files else [])],
        "user": f"{USER_ID}:{USER_ID}",
        "read_only": True,
        "tmpfs": ["/tmp"],
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "init": container.has_init,
        "restart": "unless-stopped",
        "stop_grace_period": f"{container.grace_seconds}s",
        "healthcheck": {
            "test": container.health_test,
            "interval": "10s",
            "timeout": "5s",
            "retries": 3,
            "start_period": "120s",
        },
    }
    return {"services": {"models": service}}


def build_kubernetes(container: Container, config_texts: Mapping[str, str]) -> list[dict[str, Any]]:
    """Returns the manifests: a ConfigMap if the server reads files, a Deployment, a Service and a disruption budget.

    Args:
        container: the container.
        config_texts: contents of all files that the command writes.
    """
    ports = [{"name": "rest", "port": REST_PORT}, {"name": "grpc", "port": GRPC_PORT}]
    config = {name: config_texts[name] for name in container.config_files}
    manifests = [
        _manifest(
            "apps/v1",
            "Deployment",
            spec={
                "replicas": 2,
                "selector": {"matchLabels": LABELS},
                "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
                "template": _build_pod(container),
            },
        ),
        _manifest("v1", "Service", spec={"selector": LABELS, "ports": ports}),
        _manifest("policy/v1", "PodDisruptionBudget", spec={"minAvailable": 1, "selector": {"matchLabels": LABELS}}),
    ]
    return [_manifest("v1", "ConfigMap", data=config), *manifests] if config else manifests


def _manifest(api_version: str, kind: str, **content: Any) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": NAME}, **content}


def _build_pod(container: Container) -> dict[str, Any]:
    """Returns the template of the pods. An init container copies the models from their image to the volume."""
    annotations = {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(REST_PORT),
        "prometheus.io/path": METRICS_PATH,
    }
    volumes: list[dict[str, Any]] = [{"name": "models", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}]
    if container.config_files:
        volumes.append({"name": "config", "configMap": {"name": NAME}})
    return {
        "metadata": {"labels": LABELS, "annotations": annotations},
        "spec": {
            "automountServiceAccountToken": False,
            "securityContext": POD_SECURITY_CONTEXT,
            "terminationGracePeriodSeconds": container.grace_seconds,
            "initContainers": [
                {
                    "name": "copy-models",
                    "image": f"{MODELS_IMAGE}:1",
                    "securityContext": SECURITY_CONTEXT,
                    "resources": _resources("100m", "64Mi", "256Mi"),
                    "volumeMounts": [{"name": "models", "mountPath": MODELS_FOLDER}],
                }
            ],
            "containers": [_build_server(container)],
            "volumes": volumes,
        },
    }


def _build_server(container: Container) -> dict[str, Any]:
    mounts = [
        {"name": "models", "mountPath": MODELS_FOLDER, "readOnly": True},
        {"name": "tmp", "mountPath": "/tmp"},
    ]
    if container.config_files:
        mounts.append({"name": "config", "mountPath": CONFIG_FOLDER, "readOnly": True})
    server: dict[str, Any] = {
        "name": "models",
        "image": container.image,
        "command": container.command,
        "ports": [{"name": "rest", "containerPort": REST_PORT}, {"name": "grpc", "containerPort": GRPC_PORT}],
        "startupProbe": {**container.probe, "periodSeconds": 5, "timeoutSeconds": 5, "failureThreshold": 60},
        "readinessProbe": {**container.probe, "periodSeconds": 5, "timeoutSeconds": 5},
        "livenessProbe": {"tcpSocket": {"port": GRPC_PORT}, "periodSeconds": 20},
        "resources": _resources("1", "2Gi", MEMORY_LIMIT),
        "securityContext": SECURITY_CONTEXT,
        "volumeMounts": mounts,
    }
    if container.pre_stop:
        server["lifecycle"] = {"preStop": {"exec": {"command": container.pre_stop}}}
    return server


def _resources(cpu: str, memory: str, memory_limit: str) -> dict[str, Any]:
    """Returns requests and limits. CPU has no limit: a limit would pause the server while cores are idle."""
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": memory_limit}}
