"""For every task that can be asked step by step: the steps are the whole, and nothing that comes later changes what was said."""

from __future__ import annotations

import numpy as np
import pytest

from tests.contract.conftest import assert_close
from tests.contract.streams import STREAMS

STATED = pytest.mark.only_task(*STREAMS)


@pytest.fixture
def stream(trained, signatures, tmp_path):
    return STREAMS[trained.task.name](trained, signatures, tmp_path)


def test_every_task_with_a_step_is_held_to_it_here(trained, signatures):
    assert "step" not in signatures or trained.task.name in STREAMS, "add its stream to tests/contract/streams.py"


@STATED
def test_step_by_step_is_the_whole(stream):
    state, told = stream.first(), []
    for k in range(stream.steps):
        answers, state = stream.step(k, state)
        if k in (0, 1, stream.steps // 2, stream.steps - 1):
            assert_close(answers, stream.whole(k))
        told.append(answers)
    assert all(np.isfinite(value).all() for answers in told for value in answers.values() if value.dtype.kind == "f")
    assert stream.steps > 2
    assert any(_differ(told[0], answers) for answers in told[1:]), "answers that never change prove nothing"


@STATED
def test_what_comes_later_changes_nothing_that_was_said(stream):
    k = stream.steps // 2
    other, before = stream.otherwise(k), stream.whole(k)
    assert all(value.size and (value.dtype.kind != "U" or str(value)) for value in before.values()), "nothing was said"
    assert_close(other.whole(k), before)
    assert _differ(other.whole(other.steps - 1), stream.whole(stream.steps - 1)), "the future was no other"


def _differ(one, other):
    return any(not np.array_equal(one[name], other[name]) for name in one)
