"""Claims about the C++ runtime check: it answers as Python does, and tells what is wrong when it cannot."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from shared import cpp_runtime
from shared.cpp_runtime import CppRuntimeError, run, run_isolated

TEXTS = [b"", "žluťoučký kůň 🐎".encode(), b"a", b"zero \0 byte\0", b"x" * 23, b"y" * 24, b"z" * 1000]
WEIGHTS = np.random.default_rng(0).normal(size=(3, 2)).astype(np.float32)


class Model(tf.Module):
    """A string input through a table that the SavedModel's init op fills, a float input through a matrix."""

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
    """The module and its SavedModel; the vocabulary outside the SavedModel is gone, as on a server."""
    folder = tmp_path_factory.mktemp("cpp_runtime")
    vocabulary = folder / "vocabulary.txt"
    vocabulary.write_bytes(b"a\n" + TEXTS[1] + b"\n" + TEXTS[6] + b"\n")
    module = Model(vocabulary)
    tf.saved_model.save(module, str(folder / "saved"))
    vocabulary.unlink()
    return module, folder / "saved"


@pytest.fixture
def copy(model: tuple[Model, Path], tmp_path: Path) -> Path:
    """A copy of the SavedModel to break."""
    return Path(shutil.copytree(model[1], tmp_path / "copy"))


def request_of(texts: list[bytes] = TEXTS) -> dict[str, np.ndarray]:
    x = np.random.default_rng(1).normal(size=(len(texts), 3)).astype(np.float32)
    return {"text": np.array(texts, dtype=object), "x": x}


def change_graph(saved_model: Path, old: str, new: str) -> None:
    """Rename an op type in all the functions of the SavedModel."""
    path = saved_model / "saved_model.pb"
    proto = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    graph = proto.meta_graphs[0].graph_def
    nodes = [node for function in graph.library.function for node in function.node_def if node.op == old]
    assert nodes
    for node in nodes:
        node.op = new
    path.write_bytes(proto.SerializeToString())


def test_answers_equal_pythons_for_every_dtype_and_string(model: tuple[Model, Path]) -> None:
    module, saved_model = model
    inputs = request_of()
    answers = run_isolated(saved_model, "serving_default", inputs)
    expected = {name: value.numpy() for name, value in module(TEXTS, inputs["x"]).items()}
    assert set(answers) == set(expected)
    for name, value in expected.items():
        assert answers[name].dtype == value.dtype, name
        assert answers[name].shape == value.shape, name
        if value.dtype.kind == "f":
            np.testing.assert_allclose(answers[name], value, atol=1e-6, rtol=0)
        else:
            assert answers[name].tolist() == value.tolist(), name
    assert answers["echo"].tolist() == TEXTS
    assert answers["id"].tolist() == [-1, 1, 0, -1, -1, -1, 2]


def test_fixed_length_and_big_endian_and_strided_inputs_are_taken_as_their_values(model: tuple[Model, Path]) -> None:
    x = request_of()["x"]
    inputs = {"text": np.array(["a", "ž"])[::-1], "x": np.asfortranarray(x[:2].astype(">f4"))}
    answers = run_isolated(model[1], "serving_default", inputs)
    assert answers["echo"].tolist() == ["ž".encode(), b"a"]
    np.testing.assert_allclose(answers["score"], np.tanh(x[:2] @ WEIGHTS), atol=1e-6, rtol=0)
    answers = run_isolated(model[1], "serving_default", {"text": np.array([b"a", b"longer"]), "x": x[:2]})
    assert answers["echo"].tolist() == [b"a", b"longer"]


def test_empty_batches_and_scalars_are_answered(tmp_path: Path) -> None:
    module = tf.Module()
    module.join = tf.function(
        lambda texts, end: {"joined": tf.strings.join([texts, end]), "count": tf.size(texts)},
        input_signature=[tf.TensorSpec([None, 2], tf.string, "texts"), tf.TensorSpec([], tf.string, "end")],
    )
    tf.saved_model.save(module, str(tmp_path), signatures={"join": module.join})
    end = np.array(b"!", dtype=object)
    answers = run_isolated(tmp_path, "join", {"texts": np.empty((0, 2), object), "end": end})
    assert answers["joined"].shape == (0, 2)
    assert (answers["count"].shape, answers["count"].dtype, int(answers["count"])) == ((), np.int32, 0)
    answers = run_isolated(tmp_path, "join", {"texts": np.array([[b"a", b""]], object), "end": end})
    assert answers["joined"].tolist() == [[b"a!", b"!"]]


def test_run_names_a_missing_operation(model: tuple[Model, Path]) -> None:
    with pytest.raises(CppRuntimeError, match="'nowhere'"):
        run(model[1], {"nowhere:0": np.zeros(1)}, [])
    with pytest.raises(CppRuntimeError, match="does not have output 7"):
        run(model[1], {"serving_default_x:0": np.zeros((1, 3), np.float32)}, ["serving_default_x:7"])


def test_run_repeats_tensorflows_words_about_a_broken_file(copy: Path) -> None:
    (copy / "saved_model.pb").write_bytes(b"not a SavedModel")
    with pytest.raises(CppRuntimeError, match="Read less bytes than requested"):
        run(copy, {}, [])


def test_a_truncated_saved_model_is_an_error(copy: Path) -> None:
    content = (copy / "saved_model.pb").read_bytes()
    (copy / "saved_model.pb").write_bytes(content[: len(content) // 2])
    with pytest.raises(CppRuntimeError, match=r"saved_model\.pb"):
        run_isolated(copy, "serving_default", request_of())


def test_an_absent_saved_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CppRuntimeError, match="No such file"):
        run_isolated(tmp_path, "serving_default", request_of())


def test_lost_variables_are_an_error_in_tensorflows_words(copy: Path) -> None:
    shutil.rmtree(copy / "variables")
    with pytest.raises(CppRuntimeError, match="variable"):
        run_isolated(copy, "serving_default", request_of())


def test_a_lost_vocabulary_is_an_error_in_tensorflows_words(copy: Path) -> None:
    (copy / "assets" / "vocabulary.txt").unlink()
    with pytest.raises(CppRuntimeError, match=r"vocabulary\.txt; No such file"):
        run_isolated(copy, "serving_default", request_of())


def test_an_op_that_the_runtime_does_not_have_is_named(copy: Path) -> None:
    change_graph(copy, "Tanh", "TanhOfAnotherLibrary")
    with pytest.raises(CppRuntimeError, match="TanhOfAnotherLibrary"):
        run_isolated(copy, "serving_default", request_of())


def test_a_wrong_shape_is_an_error_in_tensorflows_words(model: tuple[Model, Path]) -> None:
    inputs = {**request_of(), "x": np.zeros((len(TEXTS), 4), np.float32)}
    with pytest.raises(CppRuntimeError, match=r"(?i)matrix size-incompatible"):
        run_isolated(model[1], "serving_default", inputs)


def test_a_wrong_dtype_is_an_error(model: tuple[Model, Path]) -> None:
    inputs = request_of()
    with pytest.raises(CppRuntimeError, match="float"):
        run_isolated(model[1], "serving_default", {**inputs, "x": inputs["x"].astype(np.float64)})
    with pytest.raises(CppRuntimeError, match="complex64"):
        run_isolated(model[1], "serving_default", {**inputs, "x": inputs["x"].astype(np.complex64)})


def test_wrong_names_are_an_error_that_tells_the_right_ones(model: tuple[Model, Path]) -> None:
    with pytest.raises(CppRuntimeError, match="serving_default"):
        run_isolated(model[1], "elsewhere", request_of())
    with pytest.raises(CppRuntimeError, match=r"\['text', 'x'\]"):
        run_isolated(model[1], "serving_default", {"text": np.array([b"a"])})


def test_a_hanging_child_is_an_error(model: tuple[Model, Path]) -> None:
    with pytest.raises(CppRuntimeError, match="no answer"):
        run_isolated(model[1], "serving_default", request_of(), timeout_s=0.01)


def test_a_child_killed_by_a_signal_is_an_error(
    model: tuple[Model, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    child = tmp_path / "child.py"
    child.write_text("import os, sys\nsys.stderr.write('last words')\nsys.stderr.flush()\nos.kill(os.getpid(), 11)\n")
    monkeypatch.setattr(cpp_runtime, "__file__", str(child))
    with pytest.raises(CppRuntimeError, match="status -11: last words"):
        run_isolated(model[1], "serving_default", request_of())
