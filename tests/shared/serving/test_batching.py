"""Batched requests get the same outputs as separate requests, and an invalid request does not affect the others."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tensorflow as tf

from shared.serving.batching import MAX_QUEUES, Batcher, Batching

X = tf.TensorSpec([None, None], tf.float32, name="x")


class RecordingModule(tf.Module):
    """Records the number of rows of each batch, and rejects values below 0."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []

    @tf.function
    def predict(self, *, x):
        rows = tf.numpy_function(self._record, [tf.shape(x)[0]], tf.int32)
        with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(x >= 0), ["x must not be below 0"]), rows]):
            return {"sum": tf.reduce_sum(x, axis=1), "first": x[:, 0]}

    def _record(self, rows):
        self.batches.append(int(rows))
        return rows


FULL_BATCHES = Batching(max_batch_size=8, timeout=600, num_threads=1)  # waits for eight rows, on a slow machine too


def build_batcher(batching):
    module = RecordingModule()
    return module, Batcher(module.predict.get_concrete_function(x=X), batching)


def build_batcher_with_queue():
    """Builds a batcher with a queue for rows of two numbers; the second request of a shape creates its queue."""
    module, batcher = build_batcher(FULL_BATCHES)
    for _ in range(2):
        batcher({"x": np.zeros((8, 2), np.float32)})
    module.batches.clear()
    return module, batcher


def rows(*values):
    return {"x": np.array(values, np.float32)}


def test_simultaneous_requests_share_a_batch_and_get_their_own_outputs():
    module, batcher = build_batcher_with_queue()
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda k: batcher(rows([k, k + 1])), range(8)))
    for k, outputs in enumerate(results):
        np.testing.assert_array_equal(outputs["sum"], [2 * k + 1])
        np.testing.assert_array_equal(outputs["first"], [k])
    assert module.batches == [8]


def test_a_batcher_uses_its_own_timeout_although_another_batcher_waits_longer():
    """The settings are those of the batcher, not those of the first batcher in the process."""
    build_batcher_with_queue()
    module, batcher = build_batcher(Batching(max_batch_size=8, timeout=0.001))
    for _ in range(3):
        batcher(rows([0, 0]))
    assert module.batches == [1, 1, 1]


def test_an_invalid_request_does_not_affect_the_others_in_its_batch():
    _, batcher = build_batcher_with_queue()

    def predict(k):
        try:
            return batcher(rows([k, 1]))["first"][0]
        except tf.errors.InvalidArgumentError as error:
            return "x must not be below 0" in error.message

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(predict, [1, 2, -1, 3, 4, 5, 6, 7])) == [1, 2, True, 3, 4, 5, 6, 7]


def test_different_shapes_never_share_a_batch_and_the_number_of_queues_is_limited():
    module, batcher = build_batcher(Batching(max_batch_size=8, timeout=0.05, num_threads=1))
    with ThreadPoolExecutor(16) as pool:
        widths = [1 + k % 40 for k in range(160)]
        results = list(pool.map(lambda width: batcher({"x": np.full((2, width), width, np.float32)}), widths))
    for width, outputs in zip(widths, results, strict=True):
        np.testing.assert_array_equal(outputs["sum"], [width**2] * 2)
    assert len(batcher._queues) == MAX_QUEUES
    assert sum(module.batches) == 320


def test_each_signature_has_its_own_queue(versions):
    """Queues with the same name would share one function."""
    loaded = tf.saved_model.load(str(versions / "1"))
    choosy, texts = (Batcher(loaded.signatures[name], Batching(timeout=0.05)) for name in ("choosy", "serving_default"))
    started = threading.Barrier(8)

    def is_correct(k):
        started.wait()
        if k % 2:
            return choosy({"k": np.array([k], np.int32)})["twice"].tolist() == [2 * k]
        return texts({"text": np.array([b"a" * k], object)})["label"].tolist() == [b"A" * k]

    for _ in range(3):
        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(is_correct, range(8)))


def test_outputs_whose_width_depends_on_the_batch_are_not_batched():
    """Otherwise the shape of the outputs would reveal other requests."""

    @tf.function
    def mask(*, k):
        return {"first": tf.sequence_mask(k, tf.reduce_max(k), tf.float32)}

    batcher = Batcher(mask.get_concrete_function(k=tf.TensorSpec([None], tf.int32, name="k")), Batching(timeout=0.2))
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda k: batcher({"k": np.array([k], np.int32)}), [1, 9] * 8))
    assert [outputs["first"].shape for outputs in results] == [(1, 1), (1, 9)] * 8


@pytest.mark.parametrize("batching", [None, Batching(max_batch_size=3)])
def test_without_batching_or_with_too_many_rows_a_request_runs_separately(batching):
    module = RecordingModule()
    batcher = Batcher(module.predict.get_concrete_function(x=X), batching)
    for _ in range(3):
        assert batcher({"x": np.ones((4, 2), np.float32)})["sum"].tolist() == [2, 2, 2, 2]
    assert module.batches == [4, 4, 4]
    assert not batcher._queues


def run_all(batcher, requests):
    results = {}
    for group in batcher.group_requests(requests):
        results |= dict(zip(group, batcher.run_batch([requests[k] for k in group]), strict=True))
    return [results[k] for k in range(len(requests))]


def test_requests_of_one_shape_form_batches_up_to_the_maximum_size():
    module, batcher = build_batcher(Batching(max_batch_size=4))
    requests = [[[1, 2]], [[3]], [[4, 5], [6, 7]], [[8]], [[9, 1], [2, 3]], [[0, 1]] * 5]
    results = run_all(batcher, [rows(*request) for request in requests])
    for request, outputs in zip(requests, results, strict=True):
        np.testing.assert_array_equal(outputs["sum"], np.sum(request, axis=1))
        np.testing.assert_array_equal(outputs["first"], np.array(request)[:, 0])
    assert sorted(module.batches) == [2, 2, 3, 5]


def test_without_batching_each_request_runs_separately():
    module, batcher = build_batcher(None)
    assert not batcher.is_batched
    assert [outputs["first"][0] for outputs in run_all(batcher, [rows([k, 1]) for k in range(3)])] == [0, 1, 2]
    assert module.batches == [1, 1, 1]


@pytest.mark.parametrize("has_queue", [False, True])
def test_in_a_concatenated_batch_only_the_invalid_request_gets_an_error(has_queue):
    module, batcher = build_batcher(Batching())
    if has_queue:
        for _ in range(2):
            batcher(rows([0, 0]))
    module.batches.clear()
    values = [-1 if k == 11 else k for k in range(32)]
    results = batcher.run_batch([rows([k, 1]) for k in values])
    error = results.pop(11)
    assert isinstance(error, tf.errors.InvalidArgumentError)
    assert "x must not be below 0" in error.message
    assert [outputs["first"][0] for outputs in results] == [k for k in values if k >= 0]
    assert len(module.batches) < 16  # bisection finds the invalid request


def test_a_full_queue_is_an_error_for_all_requests_without_another_attempt():
    _, batcher = build_batcher(Batching())
    batches = []

    def full_queue(*values):
        batches.append(len(values[0]))
        raise tf.errors.UnavailableError(None, None, "The batch scheduling queue is full")

    batcher._get_queue = lambda tensors: full_queue
    results = batcher.run_batch([rows([k, 1]) for k in range(4)])
    assert {type(error) for error in results} == {tf.errors.UnavailableError}
    assert batches == [4]


@pytest.mark.parametrize("has_queue", [False, True])
def test_outputs_without_rows_are_never_split(has_queue):
    """An example is the list of class names, which a model may return with every output."""

    @tf.function
    def predict(*, x):
        return {"twice": 2 * x, "classes": tf.constant(["a", "b", "c"])}

    batcher = Batcher(predict.get_concrete_function(x=tf.TensorSpec([None], tf.float32, name="x")), Batching())
    for _ in range(2 * has_queue):
        batcher({"x": np.zeros(1, np.float32)})
    results = batcher.run_batch([{"x": np.array([k], np.float32)} for k in range(4)])
    assert [outputs["twice"].tolist() for outputs in results] == [[0], [2], [4], [6]]
    assert {tuple(outputs["classes"]) for outputs in results} == {(b"a", b"b", b"c")}


def test_signatures_without_rows_or_without_inputs_run_one_request_at_a_time():
    @tf.function
    def double(*, x):
        return {"twice": 2 * x}

    @tf.function
    def constant():
        return {"one": tf.ones([1])}

    scalar = Batcher(double.get_concrete_function(x=tf.TensorSpec([], tf.float32, name="x")), Batching())
    results = run_all(scalar, [{"x": np.array(k, np.float32)} for k in range(3)])
    assert [float(outputs["twice"]) for outputs in results] == [0, 2, 4]
    empty = Batcher(constant.get_concrete_function(), Batching())
    assert [outputs["one"].tolist() for outputs in run_all(empty, [{}, {}])] == [[1], [1]]
