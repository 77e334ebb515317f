"""Loads a task together with TensorFlow, and names the program for hints."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from shared.cli.terminal import suppress_native_stderr

if TYPE_CHECKING:
    from shared.task import Task


def load_task_modules(name: str) -> Task:
    """Loads a task and TensorFlow, without the messages that TensorFlow's libraries print while they load.

    Raises:
        SuiteError: there is no such task.
    """
    from shared import task

    task.load_presets(name)  # reports an unknown name before TensorFlow loads
    with suppress_native_stderr():
        loaded = task.load_task(name)
        import tensorflow as tf

        tf.config.list_physical_devices()  # the first call prints a message if there is no GPU
    return loaded


def program_name() -> str:
    """Returns the program as it was called, so that a hint can be copied even if it is not on the PATH."""
    called = Path(sys.argv[0])
    if called.name != "lstm-suite" or shutil.which("lstm-suite") == str(called):
        return "lstm-suite"
    return str(called.relative_to(Path.cwd()) if called.is_relative_to(Path.cwd()) else called)
