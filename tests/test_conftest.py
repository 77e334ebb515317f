"""Tests that share an expensive fixture run in one process."""

from __future__ import annotations

import pytest

from tests import conftest


@pytest.mark.parametrize(
    ("test_id", "group"),
    [
        ("tests/contract/test_promises.py::test_x[speech]", "speech"),
        ("tests/contract/test_promises.py::test_x[writing-next_word]", "next_word"),
        ("tests/shared/cli/test_main.py::test_x[sentiment-file]", "sentiment"),
        ("tests/shared/layers/test_lstm.py::test_x[train]", "tests/shared/layers"),
        ("tests/shared/serving/test_rest.py::test_x", "tests/shared/serving"),
        ("tests/tasks/stock/test_trajectories.py::test_x[a-b]", "tests/tasks/stock"),
        ("tests/test_readme.py::test_x", "tests/test_readme.py"),
    ],
)
def test_tests_of_one_task_belong_to_one_group(test_id, group):
    assert conftest.group_of_test(test_id) == group
