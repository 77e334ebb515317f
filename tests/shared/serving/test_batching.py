"""Requests that wait together are answered as each would be alone, and one that is refused harms no other."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tensorflow as tf

from shared.serving.batching import FORMS, Batcher, Batching

X = tf.TensorSpec([None, None], tf.float32, name="x")


class Counted(tf.Module):
    """Tells how many rows were asked together, and refuses what is below 0."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []

    @tf.function
    def ask(self, *, x):
        rows = tf.numpy_function(self._note, [tf.shape(x)[0]], tf.int32)
        with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(x >= 0), ["x must not be below 0"]), rows]):
            return {"sum": tf.reduce_sum(x, axis=1), "first": x[:, 0]}

    def _note(self, rows):
        self.batches.append(int(rows))
        return rows


FULL = Batching(rows=8, wait=600, threads=1)  # waits until eight rows are there, however slow the machine


def with_cardinality(batching):
    module = Counted()
    return module, Batcher(module.ask.get_concrete_function(x=X), batching)


def with_queue():
    """Of rows of two numbers: from the second request on, a form has a queue."""
    module, batcher = with_cardinality(FULL)
    for _ in range(2):
        batcher({"x": np.zeros((8, 2), np.float32)})
    module.batches.clear()
    return module, batcher


def rows(*values):
    return {"x": np.array(values, np.float32)}


def test_what_comes_at_once_is_asked_together_and_answered_apart():
    module, batcher = with_queue()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda k: batcher(rows([k, k + 1])), range(8)))
    for k, answer in enumerate(found):
        np.testing.assert_array_equal(answer["sum"], [2 * k + 1])
        np.testing.assert_array_equal(answer["first"], [k])
    assert module.batches == [8]


def test_a_batch_goes_when_its_time_has_come_though_others_wait_longer():
    """Settings are those of the batcher, not of the first that the process has had."""
    with_queue()
    module, batcher = with_cardinality(Batching(rows=8, wait=0.001))
    for _ in range(3):
        batcher(rows([0, 0]))
    assert module.batches == [1, 1, 1]


def test_a_refused_request_harms_none_of_those_it_waited_with():
    _, batcher = with_queue()

    def ask(k):
        try:
            return batcher(rows([k, 1]))["first"][0]
        except tf.errors.InvalidArgumentError as error:
            return "x must not be below 0" in error.message

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, [1, 2, -1, 3, 4, 5, 6, 7])) == [1, 2, True, 3, 4, 5, 6, 7]


def test_forms_are_never_mixed_and_only_some_have_a_queue():
    module, batcher = with_cardinality(Batching(rows=8, wait=0.05, threads=1))
    with ThreadPoolExecutor(16) as pool:
        widths = [1 + k % 40 for k in range(160)]
        found = list(pool.map(lambda width: batcher({"x": np.full((2, width), width, np.float32)}), widths))
    for width, answer in zip(widths, found, strict=True):
        np.testing.assert_array_equal(answer["sum"], [width**2] * 2)
    assert len(batcher._queues) == FORMS
    assert sum(module.batches) == 320


def test_signatures_have_queues_of_their_own(written):
    """They would share one, and so a function, if they had one name."""
    loaded = tf.saved_model.load(str(written / "1"))
    choosy, texts = (Batcher(loaded.signatures[name], Batching(wait=0.05)) for name in ("choosy", "serving_default"))
    started = threading.Barrier(8)

    def ask(k):
        started.wait()
        if k % 2:
            return choosy({"k": np.array([k], np.int32)})["twice"].tolist() == [2 * k]
        return texts({"text": np.array([b"a" * k], object)})["label"].tolist() == [b"A" * k]

    for _ in range(3):
        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(ask, range(8)))


def test_answers_that_are_as_wide_as_a_neighbour_asks_for_are_not_joined():
    """Or a caller would be told how much others want."""

    @tf.function
    def ask(*, k):
        return {"first": tf.sequence_mask(k, tf.reduce_max(k), tf.float32)}

    batcher = Batcher(ask.get_concrete_function(k=tf.TensorSpec([None], tf.int32, name="k")), Batching(wait=0.2))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda k: batcher({"k": np.array([k], np.int32)}), [1, 9] * 8))
    assert [answer["first"].shape for answer in found] == [(1, 1), (1, 9)] * 8


@pytest.mark.parametrize("batching", [None, Batching(rows=3)])
def test_without_batching_or_with_too_many_rows_a_request_is_asked_by_itself(batching):
    module = Counted()
    batcher = Batcher(module.ask.get_concrete_function(x=X), batching)
    for _ in range(3):
        assert batcher({"x": np.ones((4, 2), np.float32)})["sum"].tolist() == [2, 2, 2, 2]
    assert module.batches == [4, 4, 4]
    assert not batcher._queues


def all_together(batcher, requests):
    found = {}
    for part in batcher.parts(requests):
        found |= dict(zip(part, batcher.together([requests[k] for k in part]), strict=True))
    return [found[k] for k in range(len(requests))]


def test_those_of_one_form_are_one_batch_of_no_more_rows_than_it_has():
    module, batcher = with_cardinality(Batching(rows=4))
    forms = [[[1, 2]], [[3]], [[4, 5], [6, 7]], [[8]], [[9, 1], [2, 3]], [[0, 1]] * 5]
    found = all_together(batcher, [rows(*form) for form in forms])
    for form, answer in zip(forms, found, strict=True):
        np.testing.assert_array_equal(answer["sum"], np.sum(form, axis=1))
        np.testing.assert_array_equal(answer["first"], np.array(form)[:, 0])
    assert sorted(module.batches) == [2, 2, 3, 5]


def test_without_batching_each_is_asked_by_itself():
    module, batcher = with_cardinality(None)
    assert not batcher.joins
    assert [answer["first"][0] for answer in all_together(batcher, [rows([k, 1]) for k in range(3)])] == [0, 1, 2]
    assert module.batches == [1, 1, 1]


@pytest.mark.parametrize("queued", [False, True])
def test_of_those_asked_as_one_the_refused_is_told_and_no_other(queued):
    module, batcher = with_cardinality(Batching())
    if queued:
        for _ in range(2):
            batcher(rows([0, 0]))
    module.batches.clear()
    values = [-1 if k == 11 else k for k in range(32)]
    found = batcher.together([rows([k, 1]) for k in values])
    refused = found.pop(11)
    assert isinstance(refused, tf.errors.InvalidArgumentError)
    assert "x must not be below 0" in refused.message
    assert [answer["first"][0] for answer in found] == [k for k in values if k >= 0]
    assert len(module.batches) < 16  # it is sought by halves


def test_a_full_queue_is_told_to_all_and_not_asked_again():
    _, batcher = with_cardinality(Batching())
    asked = []

    def full(*values):
        asked.append(len(values[0]))
        raise tf.errors.UnavailableError(None, None, "The batch scheduling queue is full")

    batcher._queue = lambda tensors: full
    found = batcher.together([rows([k, 1]) for k in range(4)])
    assert {type(error) for error in found} == {tf.errors.UnavailableError}
    assert asked == [4]


@pytest.mark.parametrize("queued", [False, True])
def test_answers_that_are_not_by_row_are_never_cut(queued):
    """Such as the names of the classes, which a model may tell with every answer."""

    @tf.function
    def ask(*, x):
        return {"twice": 2 * x, "classes": tf.constant(["a", "b", "c"])}

    batcher = Batcher(ask.get_concrete_function(x=tf.TensorSpec([None], tf.float32, name="x")), Batching())
    for _ in range(2 * queued):
        batcher({"x": np.zeros(1, np.float32)})
    found = batcher.together([{"x": np.array([k], np.float32)} for k in range(4)])
    assert [answer["twice"].tolist() for answer in found] == [[0], [2], [4], [6]]
    assert {tuple(answer["classes"]) for answer in found} == {(b"a", b"b", b"c")}


def test_signatures_without_rows_or_without_inputs_are_asked_one_by_one():
    @tf.function
    def scaled(*, x):
        return {"twice": 2 * x}

    @tf.function
    def nothing():
        return {"one": tf.ones([1])}

    scalar = Batcher(scaled.get_concrete_function(x=tf.TensorSpec([], tf.float32, name="x")), Batching())
    found = all_together(scalar, [{"x": np.array(k, np.float32)} for k in range(3)])
    assert [float(answer["twice"]) for answer in found] == [0, 2, 4]
    empty = Batcher(nothing.get_concrete_function(), Batching())
    assert [answer["one"].tolist() for answer in all_together(empty, [{}, {}])] == [[1], [1]]
