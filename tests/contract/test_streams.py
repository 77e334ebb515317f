"""For every task with a `step` signature: steps equal the whole sequence, and later input never changes earlier outputs."""

from __future__ import annotations

import numpy as np
import pytest

from tests.contract.conftest import assert_close
from tests.contract.streams import STREAMS

WITH_STEP = pytest.mark.only_task(*STREAMS)


@pytest.fixture
def stream(trained, signatures, tmp_path):
    return STREAMS[trained.task.name](trained, signatures, tmp_path)


def test_every_task_with_a_step_signature_is_tested_here(trained, signatures):
    assert "step" not in signatures or trained.task.name in STREAMS, "add its stream to tests/contract/streams.py"


@WITH_STEP
def test_steps_equal_the_whole_sequence(stream):
    state, all_outputs = stream.initial_state(), []
    for k in range(stream.steps):
        outputs, state = stream.step(k, state)
        if k in (0, 1, stream.steps // 2, stream.steps - 1):
            assert_close(outputs, stream.whole(k))
        all_outputs.append(outputs)
    values = [value for outputs in all_outputs for value in outputs.values()]
    assert all(np.isfinite(value).all() for value in values if value.dtype.kind == "f")
    assert stream.steps > 2
    assert any(_differ(all_outputs[0], outputs) for outputs in all_outputs[1:]), "constant outputs prove nothing"


@WITH_STEP
def test_later_input_does_not_change_earlier_outputs(stream):
    k = stream.steps // 2
    changed, before = stream.with_other_future(k), stream.whole(k)
    assert all(value.size and (value.dtype.kind != "U" or str(value)) for value in before.values()), "empty output"
    assert_close(changed.whole(k), before)
    last, changed_last = stream.whole(stream.steps - 1), changed.whole(changed.steps - 1)
    assert _differ(changed_last, last), "the changed future has no effect"


def _differ(one, other):
    return any(not np.array_equal(one[name], other[name]) for name in one)
