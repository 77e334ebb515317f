"""For every task with a `step` signature: steps equal the whole sequence, and later input never changes earlier outputs."""

from __future__ import annotations

import pytest

from tests.contract.streams import assert_steps_equal_the_whole, assert_the_future_changes_nothing, build_predictors


def test_a_task_with_a_step_signature_has_a_stream(trained, signatures):
    assert "step" not in signatures or trained.task.stream is not None, "add Task.stream"


@pytest.mark.parametrize("check", [assert_steps_equal_the_whole, assert_the_future_changes_nothing])
def test_step_keeps_the_promises_of_a_stream(trained, signatures, check):
    if "step" not in signatures:
        pytest.skip("the sample's model has no step")
    check(trained.task.stream(build_predictors(signatures), trained.run.trained_model.metadata))
