"""Runs TensorFlow Serving itself, if the program or Docker is installed.

    lstm-suite serve --engine tf-serving

TensorFlow Serving serves the versions that exist at its start. To serve later versions, restart it, or use the files of
`lstm-suite serve-config`, which it reads again at regular intervals. The program always listens on all network addresses of the
machine. The ports of the container are bound to the requested address.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Collection
from pathlib import Path

from shared.errors import SuiteError
from shared.serving import configs, containers

TF_SERVING, DOCKER = "tensorflow_model_server", "docker"
SHUTDOWN_TIMEOUT = 30.0  # seconds that TensorFlow Serving has to stop


def run(models: Path, host: str, port: int, grpc_port: int, names: Collection[str] = ()) -> int:
    """Serves until TensorFlow Serving ends, or until this process gets a signal to stop.

    Args:
        models: folder with one folder per model.
        host: network address to listen on.
        port: port of the REST API.
        grpc_port: port of the gRPC API.
        names: names of the models to serve; empty for all.

    Returns:
        The exit status of TensorFlow Serving.

    Raises:
        SuiteError: there is no model, or neither TensorFlow Serving nor Docker is available.
    """
    program = find_program()
    with tempfile.TemporaryDirectory(prefix="lstm-suite-") as name:
        config_folder, models_folder = Path(name), models.resolve()
        base_path = containers.MODELS_FOLDER if program == DOCKER else str(models_folder)
        config = configs.build_model_config(models, base_path, names)
        for file, text in configs.build_server_files(config).items():
            (config_folder / file).write_text(text, encoding="utf-8")
        previous_handler = signal.signal(signal.SIGTERM, _exit_on_signal)
        process = subprocess.Popen(build_command(program, models_folder, config_folder, host, port, grpc_port))
        try:
            return process.wait()
        finally:
            signal.signal(signal.SIGTERM, previous_handler)
            _terminate(process)


def _exit_on_signal(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


def _terminate(process: subprocess.Popen[bytes]) -> None:
    """Terminates the server and waits for it; kills it if it does not stop in time."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(SHUTDOWN_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def find_program() -> str:
    """Returns the program that can serve: `tensorflow_model_server`, or `docker` if its daemon is running.

    Raises:
        SuiteError: neither is available.
    """
    if shutil.which(TF_SERVING):
        return TF_SERVING
    if shutil.which(DOCKER):
        result = subprocess.run([DOCKER, "info"], capture_output=True, text=True, check=False)
        if result.returncode == 0:
            return DOCKER
        raise SuiteError(
            f"serve: {TF_SERVING} is not installed, and the Docker daemon is not running. Start Docker, or omit --engine: the "
            "embedded server has the same API."
        )
    raise SuiteError(
        f"serve: neither {TF_SERVING} nor docker is installed. Install one of them, or omit --engine: the embedded server has "
        "the same API."
    )


def build_command(
    program: str, models_folder: Path, config_folder: Path, host: str, port: int, grpc_port: int
) -> list[str]:
    """Returns the command that starts TensorFlow Serving, as a list of words.

    Args:
        program: result of `find_program`.
        models_folder: absolute path of the folder with the models.
        config_folder: folder with the configuration files of TensorFlow Serving.
        host: network address to listen on.
        port: port of the REST API.
        grpc_port: port of the gRPC API.
    """
    if program == TF_SERVING:
        return [TF_SERVING, *containers.build_server_arguments(str(config_folder), port, grpc_port)]
    ports = ((port, containers.REST_PORT), (grpc_port, containers.GRPC_PORT))
    return [
        *(DOCKER, "run", "--rm", "--init", f"--user={os.getuid()}"),
        *(f"--publish={host}:{outside}:{inside}" for outside, inside in ports),
        *(
            f"--volume={models_folder}:{containers.MODELS_FOLDER}:ro",
            f"--volume={config_folder}:{containers.CONFIG_FOLDER}:ro",
        ),
        *(f"--entrypoint={TF_SERVING}", containers.default_image(), *containers.build_server_arguments()),
    ]
