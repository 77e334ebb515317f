"""TensorFlow Serving is started with what is there, where it is installed."""

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
from shared.serving import configs, engine

STANDS_IN = """#!{python}
import os, signal, sys, time
options = dict(word.removeprefix("--").split("=", 1) for word in sys.argv[1:])
for name in sorted(options):
    if name.endswith("_file"):
        options[name] = open(options[name]).read()
open({told!r}, "w").write(repr(options))
signal.signal(signal.SIGTERM, lambda *_: (open({told!r}, "a").write("\\nstopped"), os._exit(0)))
time.sleep({seconds})
sys.exit(3)
"""


@pytest.fixture
def stands_in(tmp_path, monkeypatch):
    """Puts a program of TensorFlow Serving's name on an otherwise empty path, and returns the file it tells its options in."""

    def put(seconds: float = 0.0):
        program, told = tmp_path / "bin" / engine.PROGRAM, tmp_path / "told"
        program.parent.mkdir()
        program.write_text(STANDS_IN.format(python=sys.executable, told=str(told), seconds=seconds))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(program.parent))
        return told

    return put


def test_the_program_is_given_the_models_that_are_there(folder, stands_in, capsys):
    told = stands_in()
    arguments = ["serve", "--engine", "tf-serving", "--models", str(folder), "--port", "1", "--grpc-port", "2"]
    assert main(arguments) == 2
    assert "ended with status 3" in capsys.readouterr().err
    options = eval(told.read_text())  # its own words, read back
    assert (options["rest_api_port"], options["port"]) == ("1", "2")
    found = text_format.Parse(options["model_config_file"], model_server_config_pb2.ModelServerConfig())
    (one,) = found.model_config_list.config
    assert (one.name, one.base_path) == ("small", str(folder.resolve() / "small"))
    assert options["monitoring_config_file"] == configs.server_files(found)["monitoring.config"]
    assert options["enable_batching"] == "true"


def test_what_stops_the_command_stops_the_program(folder, stands_in):
    told = stands_in(seconds=60)
    code = "import sys; from shared.cli import main; sys.exit(main(sys.argv[1:]))"
    words = [sys.executable, "-c", code, "serve", "--engine", "tf-serving", "--models", str(folder)]
    child = subprocess.Popen(words, env=os.environ.copy())
    deadline = time.monotonic() + 120
    while not told.exists() or not told.read_text():
        assert time.monotonic() < deadline, "the program does not start"
        time.sleep(0.05)
    child.send_signal(signal.SIGTERM)
    assert child.wait(60) == 128 + signal.SIGTERM
    assert told.read_text().endswith("stopped")


@pytest.mark.parametrize("installed", [(), ("docker",)])
def test_without_it_the_embedded_server_is_named(folder, tmp_path, monkeypatch, installed):
    for name in installed:  # a client whose engine does not run
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SuiteError, match="leave --engine out"):
        engine.run(folder, "127.0.0.1", 8501, 8500)


def test_a_container_sees_the_models_and_binds_its_ports_to_the_address(tmp_path):
    words = engine.command(engine.CONTAINERS, tmp_path / "models", tmp_path / "files", "127.0.0.1", 1, 2)
    assert words[:3] == ["docker", "run", "--rm"]
    assert f"--volume={tmp_path / 'models'}:/models:ro" in words
    assert f"--volume={tmp_path / 'files'}:/config:ro" in words
    assert {"--publish=127.0.0.1:1:8501", "--publish=127.0.0.1:2:8500"} <= set(words)
    image = words.index(configs.default_image())
    assert words[image - 1] == f"--entrypoint={engine.PROGRAM}"
    assert words[image + 1 :] == configs.arguments()


@pytest.mark.skipif(shutil.which(engine.PROGRAM) is None, reason="tensorflow_model_server is not installed")
def test_tensorflow_serving_answers_as_the_saved_model_does(folder, tmp_path):
    import json
    import urllib.request

    port, grpc_port = 18501, 18500
    code = "import sys; from shared.cli import main; sys.exit(main(sys.argv[1:]))"
    ports = ["--port", str(port), "--grpc-port", str(grpc_port)]
    words = [sys.executable, "-c", code, "serve", "--engine", "tf-serving", "--models", str(folder), *ports]
    child = subprocess.Popen(words)
    try:
        deadline = time.monotonic() + 120
        body, found = json.dumps({"inputs": {"text": ["good", "a longer one"]}}).encode(), None
        while found is None:
            assert time.monotonic() < deadline, "TensorFlow Serving does not answer"
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models/small:predict", body, 30) as reply:
                    found = json.load(reply)["outputs"]
            except OSError:
                time.sleep(0.2)
    finally:
        child.terminate()
        child.wait(60)
    asked = tf.constant(["good", "a longer one"])
    expected = tf.saved_model.load(str(folder / "small" / "1")).signatures["serving_default"](text=asked)
    np.testing.assert_allclose(found["probabilities"], expected["probabilities"].numpy(), atol=1e-5)
    assert found["label"] == [value.decode() for value in expected["label"].numpy()]
