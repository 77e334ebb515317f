"""The command line `lstm-suite`.

`parser.py` reads the words that the user typed, `options.py` turns the options of a task into its configuration, and
`task_commands.py` and `suite_commands.py` do the work. TensorFlow is imported only by commands that need it, so that help appears
immediately. Exit status: 0 success, 2 an error that the user can fix (one line explains it),
3 a model behind its baseline with `--require-baseline`, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from shared.cli.parser import parse
from shared.cli.terminal import print_error
from shared.data.notices import collect_notices
from shared.errors import SuiteError


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status.

    Args:
        arguments: words after the program name; None takes those of this process.

    Raises:
        SystemExit: help was requested (status 0).
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow raises Python exceptions for what matters
    command = None
    try:
        command = parse(list(sys.argv[1:] if arguments is None else arguments))
        with collect_notices(lambda notice: print_error(f"lstm-suite: notice: {notice}")):
            command.run()
    except SuiteError as error:
        print_error(f"lstm-suite: {error}".replace("\n", " "))
        return error.EXIT_STATUS
    except KeyboardInterrupt:
        is_training = command is not None and command.name == "train"
        hint = " Run the same command again to continue after the last completed epoch." if is_training else ""
        print_error(f"lstm-suite: interrupted.{hint}")
        return 130
    except BrokenPipeError:  # the program that reads the output, such as `head`, has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
