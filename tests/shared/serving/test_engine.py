"""`serve --engine tf-serving` starts TensorFlow Serving with the existing models, if it is installed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from shared.cli import main
from shared.errors import SuiteError
from shared.serving import configs, containers, engine

FAKE_PROGRAM = """#!{python}
import os, signal, sys, time
options = dict(word.removeprefix("--").split("=", 1) for word in sys.argv[1:])
for name in sorted(options):
    if name.endswith("_file"):
        options[name] = open(options[name]).read()
open({log!r}, "w").write(repr(options))
signal.signal(signal.SIGTERM, lambda *_: (open({log!r}, "a").write("\\nstopped"), os._exit(0)))
time.sleep({seconds})
sys.exit(3)
"""


@pytest.fixture
def install_fake_program(tmp_path, monkeypatch):
    """Function that installs a fake TensorFlow Serving as the only program on the path.

    It returns the path of the file to which the program writes its options.
    """

    def install(seconds: float = 0.0):
        program, log = tmp_path / "bin" / engine.TF_SERVING, tmp_path / "log"
        program.parent.mkdir()
        program.write_text(FAKE_PROGRAM.format(python=sys.executable, log=str(log), seconds=seconds))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(program.parent))
        return log

    return install


def test_the_program_gets_the_existing_models(models_folder, install_fake_program, capsys):
    log = install_fake_program()
    arguments = ["serve", "--engine", "tf-serving", "--models", str(models_folder), "--port", "1", "--grpc-port", "2"]
    assert main(arguments) == 2
    assert "ended with status 3" in capsys.readouterr().err
    options = eval(log.read_text())  # written by the program above
    assert (options["rest_api_port"], options["port"]) == ("1", "2")
    config = text_format.Parse(options["model_config_file"], model_server_config_pb2.ModelServerConfig())
    (model,) = config.model_config_list.config
    assert (model.name, model.base_path) == ("small", str(models_folder.resolve() / "small"))
    assert options["monitoring_config_file"] == configs.build_server_files(config)["monitoring.config"]
    assert options["enable_batching"] == "true"


def test_sigterm_for_the_command_stops_the_program(models_folder, install_fake_program):
    log = install_fake_program(seconds=60)
    code = "import sys; from shared.cli import main; sys.exit(main(sys.argv[1:]))"
    words = [sys.executable, "-c", code, "serve", "--engine", "tf-serving", "--models", str(models_folder)]
    process = subprocess.Popen(words, env=os.environ.copy())
    deadline = time.monotonic() + 120
    while not log.exists() or not log.read_text():
        assert time.monotonic() < deadline, "the program does not start"
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 128 + signal.SIGTERM
    assert log.read_text().endswith("stopped")


@pytest.mark.parametrize("installed", [(), ("docker",)])
def test_without_tensorflow_serving_the_error_suggests_the_embedded_server(
    models_folder, tmp_path, monkeypatch, installed
):
    for name in installed:  # a Docker client without a running daemon
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SuiteError, match="omit --engine"):
        engine.run(models_folder, "127.0.0.1", 8501, 8500)


def test_the_container_mounts_the_models_and_binds_its_ports_to_the_address(tmp_path):
    words = engine.build_command(engine.DOCKER, tmp_path / "models", tmp_path / "files", "127.0.0.1", 1, 2)
    assert words[:3] == ["docker", "run", "--rm"]
    assert f"--volume={tmp_path / 'models'}:/models:ro" in words
    assert f"--volume={tmp_path / 'files'}:/config:ro" in words
    assert {"--publish=127.0.0.1:1:8501", "--publish=127.0.0.1:2:8500"} <= set(words)
    image = words.index(containers.default_image())
    assert words[image - 1] == f"--entrypoint={engine.TF_SERVING}"
    assert words[image + 1 :] == containers.build_server_arguments()


@pytest.mark.skipif(shutil.which(engine.TF_SERVING) is None, reason="tensorflow_model_server is not installed")
def test_responses_of_tensorflow_serving_equal_the_outputs_of_the_saved_model(models_folder, tmp_path):
    import json
    import urllib.request

    port, grpc_port = 18501, 18500
    code = "import sys; from shared.cli import main; sys.exit(main(sys.argv[1:]))"
    ports = ["--port", str(port), "--grpc-port", str(grpc_port)]
    words = [sys.executable, "-c", code, "serve", "--engine", "tf-serving", "--models", str(models_folder), *ports]
    process = subprocess.Popen(words)
    try:
        deadline = time.monotonic() + 120
        body, outputs = json.dumps({"inputs": {"text": ["good", "a longer one"]}}).encode(), None
        while outputs is None:
            assert time.monotonic() < deadline, "TensorFlow Serving does not respond"
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models/small:predict", body, 30) as response:
                    outputs = json.load(response)["outputs"]
            except OSError:
                time.sleep(0.2)
    finally:
        process.terminate()
        process.wait(60)
    texts = tf.constant(["good", "a longer one"])
    expected = tf.saved_model.load(str(models_folder / "small" / "1")).signatures["serving_default"](text=texts)
    np.testing.assert_allclose(outputs["probabilities"], expected["probabilities"].numpy(), atol=1e-5)
    assert outputs["label"] == [value.decode() for value in expected["label"].numpy()]
