"""TensorFlow Serving itself, where it is installed: the program, or its container.

    lstm-suite serve --engine tf-serving

It reads the versions that are there when it starts; those that come later are served by `lstm-suite serve-config` and its
file, which it reads again from time to time, or by starting it anew. The program listens at all of the machine's addresses,
as it knows no other way; the container's ports are bound to the address that is asked for.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from shared.errors import SuiteError
from shared.serving import configs

PROGRAM, CONTAINERS = "tensorflow_model_server", "docker"
GRACE = 30.0  # seconds that it has to finish


def run(models: Path, host: str, port: int, grpc_port: int) -> int:
    """Serves until it is stopped, by a signal to this process, and returns its exit status.

    Args:
        models: folder of the models.
        host: address to listen at.
        port: of the REST interface.
        grpc_port: of the gRPC interface.

    Raises:
        SuiteError: there is no model, or nothing to serve it with.
    """
    program = engine()
    with tempfile.TemporaryDirectory(prefix="lstm-suite-") as name:
        folder, base = Path(name), models.resolve()
        found = configs.model_config(models, configs.MODELS if program == CONTAINERS else str(base))
        for file, text in configs.server_files(found).items():
            (folder / file).write_text(text, encoding="utf-8")
        before = signal.signal(signal.SIGTERM, _stopped)
        child = subprocess.Popen(command(program, base, folder, host, port, grpc_port))
        try:
            return child.wait()
        finally:
            signal.signal(signal.SIGTERM, before)
            _end(child)


def _stopped(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


def _end(child: subprocess.Popen[bytes]) -> None:
    """Hands on what ends this process, and waits; a server that does not heed it is killed."""
    if child.poll() is not None:
        return
    child.terminate()
    try:
        child.wait(GRACE)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def engine() -> str:
    """Returns what is installed: `tensorflow_model_server`, or `docker` whose engine answers.

    Raises:
        SuiteError: neither.
    """
    if shutil.which(PROGRAM):
        return PROGRAM
    if shutil.which(CONTAINERS):
        asked = subprocess.run([CONTAINERS, "info"], capture_output=True, text=True, check=False)
        if asked.returncode == 0:
            return CONTAINERS
        raise SuiteError(
            f"serve: {PROGRAM} is not installed, and docker's engine does not answer. Start it, or leave --engine out: the "
            "embedded server has the same addresses."
        )
    raise SuiteError(
        f"serve: neither {PROGRAM} nor docker is installed. Install one, or leave --engine out: the embedded server has the "
        "same addresses."
    )


def command(program: str, models: Path, folder: Path, host: str, port: int, grpc_port: int) -> list[str]:
    """Returns the words of the command that serves.

    Args:
        program: from `engine`.
        models: folder of the models, absolute.
        folder: of the server's files.
        host: address to listen at.
        port: of the REST interface.
        grpc_port: of the gRPC interface.
    """
    if program == PROGRAM:
        return [PROGRAM, *configs.arguments(str(folder), port, grpc_port)]
    ports = ((port, configs.PORT), (grpc_port, configs.GRPC_PORT))
    return [
        *(CONTAINERS, "run", "--rm", "--init", f"--user={os.getuid()}"),
        *(f"--publish={host}:{outside}:{inside}" for outside, inside in ports),
        *(f"--volume={models}:{configs.MODELS}:ro", f"--volume={folder}:{configs.CONFIG}:ro"),
        *(f"--entrypoint={PROGRAM}", configs.default_image(), *configs.arguments()),
    ]
