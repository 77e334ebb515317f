"""What holds for the data of every task."""

from __future__ import annotations

import subprocess
import sys

import pytest

from shared import task

HEAVY = ("tensorflow", "keras", "sklearn", "matplotlib")


@pytest.mark.parametrize("name", task.list_task_names())
def test_a_missing_file_is_reported_before_anything_heavy_is_imported(name):
    code = (
        "import sys\n"
        "from shared.cli import main\n"
        f"status = main(['train', '{name}', '--data', './missing.csv'])\n"
        f"print(status, sorted(set(sys.modules) & set({HEAVY})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "2 []\n", done.stderr
    assert "missing.csv: no such file" in done.stderr
