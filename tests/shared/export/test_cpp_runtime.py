"""`shared.export.cpp_runtime`: its outputs equal those of Python, and its errors say what is wrong."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from shared.export import cpp_runtime
from shared.export.cpp_runtime import CppRuntimeError, run, run_isolated

TEXTS = [b"", "žluťoučký kůň 🐎".encode(), b"a", b"zero \0 byte\0", b"x" * 23, b"y" * 24, b"z" * 1000]
WEIGHTS = np.random.default_rng(0).normal(size=(3, 2)).astype(np.float32)


class Model(tf.Module):
    """Model with a string input for a lookup table, which an init op fills, and a float input for a matrix product."""

    def __init__(self, vocabulary: Path) -> None:
        super().__init__()
        source = tf.lookup.TextFileInitializer(
            str(vocabulary),
            tf.string,
            tf.lookup.TextFileIndex.WHOLE_LINE,
            tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
        )
        self.table = tf.lookup.StaticHashTable(source, default_value=-1)
        self.weights = tf.Variable(WEIGHTS)

    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.string, "text"), tf.TensorSpec([None, None], tf.float32, "x")]
    )
    def __call__(self, text: tf.Tensor, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {
            "echo": text,
            "twice": tf.strings.join([text, text]),
            "id": self.table.lookup(text),
            "score": tf.math.tanh(x @ self.weights),
            "known": self.table.lookup(text) >= 0,
            "size": tf.size(text),
            "double": tf.cast(x, tf.float64) / 3,
            "byte": tf.io.decode_raw(text[:1], tf.uint8),
        }


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, Path]:
    """Module and folder of its SavedModel; the original vocabulary file is deleted, as on a server."""
    folder = tmp_path_factory.mktemp("cpp_runtime")
    vocabulary = folder / "vocabulary.txt"
    vocabulary.write_bytes(b"a\n" + TEXTS[1] + b"\n" + TEXTS[6] + b"\n")
    module = Model(vocabulary)
    tf.saved_model.save(module, str(folder / "saved"))
    vocabulary.unlink()
    return module, folder / "saved"


@pytest.fixture
def model_copy(model: tuple[Model, Path], tmp_path: Path) -> Path:
    """Copy of the SavedModel that a test may damage."""
    return Path(shutil.copytree(model[1], tmp_path / "copy"))


def make_request(texts: list[bytes] = TEXTS) -> dict[str, np.ndarray]:
    x = np.random.default_rng(1).normal(size=(len(texts), 3)).astype(np.float32)
    return {"text": np.array(texts, dtype=object), "x": x}


def change_graph(saved_model: Path, old: str, new: str) -> None:
    """Replaces the type of operations in all functions of a SavedModel."""
    path = saved_model / "saved_model.pb"
    proto = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    graph = proto.meta_graphs[0].graph_def
    nodes = [node for function in graph.library.function for node in function.node_def if node.op == old]
    assert nodes
    for node in nodes:
        node.op = new
    path.write_bytes(proto.SerializeToString())


def test_outputs_equal_those_of_python_for_every_dtype_and_string(model: tuple[Model, Path]) -> None:
    module, saved_model = model
    inputs = make_request()
    outputs = run_isolated(saved_model, "serving_default", inputs)
    expected = {name: value.numpy() for name, value in module(TEXTS, inputs["x"]).items()}
    assert set(outputs) == set(expected)
    for name, value in expected.items():
        assert outputs[name].dtype == value.dtype, name
        assert outputs[name].shape == value.shape, name
        if value.dtype.kind == "f":
            np.testing.assert_allclose(outputs[name], value, atol=1e-6, rtol=0)
        else:
            assert outputs[name].tolist() == value.tolist(), name
    assert outputs["echo"].tolist() == TEXTS
    assert outputs["id"].tolist() == [-1, 1, 0, -1, -1, -1, 2]


def test_memory_layout_of_the_inputs_does_not_change_the_outputs(model: tuple[Model, Path]) -> None:
    x = make_request()["x"]
    inputs = {"text": np.array(["a", "ž"])[::-1], "x": np.asfortranarray(x[:2].astype(">f4"))}
    outputs = run_isolated(model[1], "serving_default", inputs)
    assert outputs["echo"].tolist() == ["ž".encode(), b"a"]
    np.testing.assert_allclose(outputs["score"], np.tanh(x[:2] @ WEIGHTS), atol=1e-6, rtol=0)
    outputs = run_isolated(model[1], "serving_default", {"text": np.array([b"a", b"longer"]), "x": x[:2]})
    assert outputs["echo"].tolist() == [b"a", b"longer"]


def test_empty_batches_and_scalars_are_supported(tmp_path: Path) -> None:
    module = tf.Module()
    module.join = tf.function(
        lambda texts, end: {"joined": tf.strings.join([texts, end]), "count": tf.size(texts)},
        input_signature=[tf.TensorSpec([None, 2], tf.string, "texts"), tf.TensorSpec([], tf.string, "end")],
    )
    tf.saved_model.save(module, str(tmp_path), signatures={"join": module.join})
    end = np.array(b"!", dtype=object)
    outputs = run_isolated(tmp_path, "join", {"texts": np.empty((0, 2), object), "end": end})
    assert outputs["joined"].shape == (0, 2)
    assert (outputs["count"].shape, outputs["count"].dtype, int(outputs["count"])) == ((), np.int32, 0)
    outputs = run_isolated(tmp_path, "join", {"texts": np.array([[b"a", b""]], object), "end": end})
    assert outputs["joined"].tolist() == [[b"a!", b"!"]]


def test_error_names_a_missing_operation(model: tuple[Model, Path]) -> None:
    with pytest.raises(CppRuntimeError, match="'nowhere'"):
        run(model[1], {"nowhere:0": np.zeros(1)}, [])
    with pytest.raises(CppRuntimeError, match="does not have output 7"):
        run(model[1], {"serving_default_x:0": np.zeros((1, 3), np.float32)}, ["serving_default_x:7"])


def test_error_contains_the_message_of_tensorflow_for_a_damaged_file(model_copy: Path) -> None:
    (model_copy / "saved_model.pb").write_bytes(b"not a SavedModel")
    with pytest.raises(CppRuntimeError, match="Read less bytes than requested"):
        run(model_copy, {}, [])


def test_a_truncated_saved_model_raises_an_error(model_copy: Path) -> None:
    content = (model_copy / "saved_model.pb").read_bytes()
    (model_copy / "saved_model.pb").write_bytes(content[: len(content) // 2])
    with pytest.raises(CppRuntimeError, match=r"saved_model\.pb"):
        run_isolated(model_copy, "serving_default", make_request())


def test_a_missing_saved_model_raises_an_error(tmp_path: Path) -> None:
    with pytest.raises(CppRuntimeError, match="No such file"):
        run_isolated(tmp_path, "serving_default", make_request())


def test_missing_variables_raise_the_error_of_tensorflow(model_copy: Path) -> None:
    shutil.rmtree(model_copy / "variables")
    with pytest.raises(CppRuntimeError, match="variable"):
        run_isolated(model_copy, "serving_default", make_request())


def test_a_missing_vocabulary_raises_the_error_of_tensorflow(model_copy: Path) -> None:
    (model_copy / "assets" / "vocabulary.txt").unlink()
    with pytest.raises(CppRuntimeError, match=r"vocabulary\.txt; No such file"):
        run_isolated(model_copy, "serving_default", make_request())


def test_error_names_an_unknown_operation_type(model_copy: Path) -> None:
    change_graph(model_copy, "Tanh", "TanhOfAnotherLibrary")
    with pytest.raises(CppRuntimeError, match="TanhOfAnotherLibrary"):
        run_isolated(model_copy, "serving_default", make_request())


def test_a_wrong_shape_raises_the_error_of_tensorflow(model: tuple[Model, Path]) -> None:
    inputs = {**make_request(), "x": np.zeros((len(TEXTS), 4), np.float32)}
    with pytest.raises(CppRuntimeError, match=r"(?i)matrix size-incompatible"):
        run_isolated(model[1], "serving_default", inputs)


def test_a_wrong_dtype_raises_an_error(model: tuple[Model, Path]) -> None:
    inputs = make_request()
    with pytest.raises(CppRuntimeError, match="float"):
        run_isolated(model[1], "serving_default", {**inputs, "x": inputs["x"].astype(np.float64)})
    with pytest.raises(CppRuntimeError, match="complex64"):
        run_isolated(model[1], "serving_default", {**inputs, "x": inputs["x"].astype(np.complex64)})


def test_error_for_a_wrong_name_lists_the_right_ones(model: tuple[Model, Path]) -> None:
    with pytest.raises(CppRuntimeError, match="serving_default"):
        run_isolated(model[1], "no_such_signature", make_request())
    with pytest.raises(CppRuntimeError, match=r"\['text', 'x'\]"):
        run_isolated(model[1], "serving_default", {"text": np.array([b"a"])})


def test_a_process_that_exceeds_its_time_raises_an_error(model: tuple[Model, Path]) -> None:
    with pytest.raises(CppRuntimeError, match="did not finish"):
        run_isolated(model[1], "serving_default", make_request(), timeout_s=0.01)


def test_a_process_killed_by_a_signal_raises_an_error(
    model: tuple[Model, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    child = tmp_path / "child.py"
    child.write_text("import os, sys\nsys.stderr.write('last message')\nsys.stderr.flush()\nos.kill(os.getpid(), 11)\n")
    monkeypatch.setattr(cpp_runtime, "__file__", str(child))
    with pytest.raises(CppRuntimeError, match="status -11: last message"):
        run_isolated(model[1], "serving_default", make_request())
