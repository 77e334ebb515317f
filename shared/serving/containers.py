"""The containers that serve models: that of TensorFlow Serving, and that of the embedded server with its Dockerfile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from shared.serving.metrics import METRICS_PATH

CONFIG_FOLDER, MODELS_FOLDER = "/config", "/models"  # inside the container
REST_PORT, GRPC_PORT = 8501, 8500
POLL_INTERVAL = 60  # seconds after which TensorFlow Serving reads models.config again
DRAINING_FILE = "/tmp/draining"
PRE_STOP_SECONDS = 15  # until load balancers send no more requests
USER_ID = 10001
READY_SCRIPT = "ready.sh"
MODELS_IMAGE = "lstm-suite-models"


@dataclass(frozen=True)
class Container:
    """How a server runs in a container."""

    image: str
    command: list[str]
    probe: dict[str, Any]
    """What Kubernetes checks: whether all models are available."""
    health_test: list[str]
    """The same check for Docker Compose."""
    grace_seconds: int
    """Seconds from the request to stop to the end of the process."""
    pre_stop: list[str] = field(default_factory=list)
    """Command that runs before SIGTERM, for a server that does not finish its requests at SIGTERM."""
    has_init: bool = False
    """Whether Docker runs an init process, for a server that ignores SIGTERM."""
    config_files: tuple[str, ...] = ()
    """Files that the server reads from `CONFIG_FOLDER`."""


def tf_serving_container(image: str | None, config_files: Sequence[str]) -> Container:
    """Returns the container of TensorFlow Serving.

    It ignores SIGTERM: before the signal, the container is not ready for some seconds and serves on; then Kubernetes kills it.

    Args:
        image: Docker image; by default the one in the version of the installed `tensorflow-serving-api`.
        config_files: files in `CONFIG_FOLDER`.
    """
    script = ["bash", f"{CONFIG_FOLDER}/{READY_SCRIPT}"]
    return Container(
        image or default_image(),
        ["tensorflow_model_server", *build_server_arguments()],
        {"exec": {"command": script}},
        ["CMD", *script],
        PRE_STOP_SECONDS + 5,
        ["bash", "-c", f"touch {DRAINING_FILE}; sleep {PRE_STOP_SECONDS}"],
        True,
        tuple(config_files),
    )


def embedded_container(image: str | None, model_names: Sequence[str]) -> Container:
    """Returns the container of the embedded server, which finishes its requests at SIGTERM.

    Args:
        image: Docker image, built with `DOCKERFILE`.
        model_names: names of the models; the server is ready when all of them are loaded.
    """
    models = [word for name in model_names for word in ("--model", name)]
    options = ["--models", MODELS_FOLDER, "--host", "0.0.0.0", "--log-format", "json"]
    code = f"import urllib.request; urllib.request.urlopen('http://127.0.0.1:{REST_PORT}/readyz')"
    return Container(
        image or f"lstm-suite:{version('lstm-suite')}",
        ["lstm-suite", "serve", *options, "--grace-period", str(PRE_STOP_SECONDS), *models],
        {"httpGet": {"path": "/readyz", "port": REST_PORT}},
        ["CMD", "python", "-c", code],
        60,
    )


def default_image() -> str:
    """Returns the Docker image of TensorFlow Serving in the version of the installed `tensorflow-serving-api`."""
    return f"tensorflow/serving:{version('tensorflow-serving-api')}"


def build_server_arguments(
    config_folder: str = CONFIG_FOLDER, port: int = REST_PORT, grpc_port: int = GRPC_PORT
) -> list[str]:
    """Returns the command-line options of `tensorflow_model_server`.

    Args:
        config_folder: folder with the files that it reads, as the server sees it.
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


def build_ready_script(model_names: Sequence[str], port: int = REST_PORT, draining_file: str = DRAINING_FILE) -> str:
    """Returns a script that succeeds if each model has an available version. The image of TensorFlow Serving has bash, but not curl.

    Args:
        model_names: names of the models.
        port: port of the REST API.
        draining_file: file whose existence means that the server will stop.
    """
    return f"""#!/bin/bash
[ -e {draining_file} ] && exit 1
for model in {" ".join(model_names)}; do
  exec 3<> /dev/tcp/127.0.0.1/{port} || exit 1
  printf 'GET /v1/models/%s HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' "$model" >&3
  state=$(cat <&3)
  exec 3>&-
  [[ $state == *'"AVAILABLE"'* ]] || {{ echo "$model is not available"; exit 1; }}
done
"""


DOCKERFILE = f"""# The embedded server. Build it in the folder of the project:
#   python -m pip wheel --no-deps --wheel-dir dist .
#   docker build --file serving/Dockerfile --tag lstm-suite:{version("lstm-suite")} .
FROM python:3.12-slim-bookworm AS build
COPY dist/*.whl constraints.txt /build/
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN python -m venv /opt/lstm-suite \\
    && wheels=(/build/lstm_suite-*.whl) \\
    && /opt/lstm-suite/bin/pip install --no-cache-dir --constraint /build/constraints.txt "${{wheels[0]}}[serving,tracing]"

FROM python:3.12-slim-bookworm
COPY --from=build /opt/lstm-suite /opt/lstm-suite
ENV PATH=/opt/lstm-suite/bin:$PATH PYTHONUNBUFFERED=1 TF_CPP_MIN_LOG_LEVEL=2 CUDA_VISIBLE_DEVICES=-1
RUN useradd --uid {USER_ID} --no-create-home --shell /usr/sbin/nologin serving
USER {USER_ID}
EXPOSE {REST_PORT} {GRPC_PORT}
VOLUME {MODELS_FOLDER}
HEALTHCHECK --start-period=60s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:{REST_PORT}/readyz')"]
CMD ["lstm-suite", "serve", "--models", "{MODELS_FOLDER}", "--host", "0.0.0.0", "--log-format", "json"]
"""


def build_models_dockerfile(models: str, output: str) -> str:
    """Returns a Dockerfile for an image that holds the models, which the init container copies.

    Args:
        models: path of the folder with the models.
        output: folder of the Dockerfile.
    """
    return f"""# The models. The init container of kubernetes.yaml copies them to the volume of the server.
#   docker build --file {output}/Dockerfile.models --tag {MODELS_IMAGE}:1 {models}
FROM busybox:1.37
COPY --chown={USER_ID}:{USER_ID} . {MODELS_FOLDER}-image
USER {USER_ID}
CMD ["cp", "-R", "{MODELS_FOLDER}-image/.", "{MODELS_FOLDER}"]
"""


SERVER_FILES = {
    "batching.config": 'num_batch_threads { value: 2 }\nthread_pool_name { value: "batching" }\n',
    "monitoring.config": f'prometheus_config {{ enable: true, path: "{METRICS_PATH}" }}\n',
}
"""Contents of the files that TensorFlow Serving reads, beside `models.config`."""
