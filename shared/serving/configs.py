"""Configuration files for TensorFlow Serving or the embedded server, Docker, Kubernetes and Prometheus.

They serve two versions of each model, like the embedded server: the newest with the label `canary` and the one before with the
label `stable`. TensorFlow Serving batches the requests of a model if the exporter has written `batching_params.pbtxt` into the
version.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from shared.errors import SuiteError
from shared.export.versions import list_versions
from shared.serving import containers, manifests, monitoring
from shared.serving.containers import MODELS_FOLDER, READY_SCRIPT, SERVER_FILES
from shared.serving.repository import CANARY, MAX_SERVED_VERSIONS, STABLE

ENGINES = ("tf-serving", "embedded")


def write(models: Path, output: Path, image: str | None = None, engine: str = "tf-serving") -> list[Path]:
    """Writes all configuration files.

    Args:
        models: folder with one folder per model.
        output: folder for the files.
        image: Docker image of the server; by default `tensorflow/serving` or `lstm-suite`.
        engine: one of `ENGINES`.

    Returns:
        Paths of the files.

    Raises:
        SuiteError: there is no model.
    """
    import yaml

    config = build_model_config(models)
    names = [one.name for one in config.model_config_list.config]
    texts = build_server_files(config) if engine == "tf-serving" else {"Dockerfile": containers.DOCKERFILE}
    container = (
        containers.tf_serving_container(image, list(texts))
        if engine == "tf-serving"
        else containers.embedded_container(image, names)
    )
    texts["Dockerfile.models"] = containers.build_models_dockerfile(str(models), str(output))
    texts["kubernetes.yaml"] = yaml.safe_dump_all(manifests.build_kubernetes(container, texts), sort_keys=False)
    for name, content in {
        "compose.yaml": manifests.build_compose(models, container),
        "prometheus.yml": monitoring.build_prometheus(),
        monitoring.ALERTS_FILE: monitoring.build_alerts(),
    }.items():
        texts[name] = yaml.safe_dump(content, sort_keys=False)
    output.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (output / name).write_text(text, encoding="utf-8")
    return [output / name for name in texts]


def build_server_files(config: Any) -> dict[str, str]:
    """Returns the contents of the files for the container of TensorFlow Serving, by name.

    Args:
        config: result of `build_model_config`.
    """
    names = [one.name for one in config.model_config_list.config]
    return {
        "models.config": text_format.MessageToString(config),
        **SERVER_FILES,
        READY_SCRIPT: containers.build_ready_script(names),
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
