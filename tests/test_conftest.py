"""What shares something that is made once is tested by one process."""

from __future__ import annotations

import pytest

from tests.conftest import group_of


@pytest.mark.parametrize(
    ("test", "group"),
    [
        ("tests/contract/test_promises.py::test_x[speech]", "speech"),
        ("tests/contract/test_promises.py::test_x[writing-next_word]", "next_word"),
        ("tests/shared/test_cli.py::test_x[sentiment-file]", "sentiment"),
        ("tests/shared/test_cli.py::test_x[train]", "tests/shared/test_cli.py"),
        ("tests/shared/serving/test_rest.py::test_x", "tests/shared/serving"),
        ("tests/tasks/stock/test_paths.py::test_x[a-b]", "tests/tasks/stock"),
        ("tests/test_pages.py::test_x", "tests/test_pages.py"),
    ],
)
def test_the_group_of_a_test(test, group):
    assert group_of(test) == group
