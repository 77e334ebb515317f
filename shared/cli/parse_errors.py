"""Turns the message of the option parser, a box of many lines, into one line."""

from __future__ import annotations

import re

MAX_SUGGESTIONS = 3
STYLE = re.compile(r"\x1b\[[0-9;]*m")
"""Color of a terminal."""
RULE = re.compile(r"─{4}|-{4}")
"""Line between two parts of the box; one is after its title."""


def one_line(message: str) -> str:
    """Returns the error in the box that tyro prints, with similar options or the expected values, in one line.

    Args:
        message: what tyro printed to standard error.
    """
    lines = [STYLE.sub("", line).strip("│╭╮╰╯ ") for line in message.splitlines()]
    rules = [k for k, line in enumerate(lines) if RULE.search(line) or (k and not line)] + [len(lines)] * 2
    error, details = " ".join(lines[rules[0] + 1 : rules[1]]), lines[rules[1] :]
    if match := re.match(r"Error parsing (--\S+):", error):
        return f"{match[1]} must be {_metavar(match[1], details)}. {_received(error)}"
    error = re.sub(r"^[Ii]nvalid choice '(.*?)' for argument '(.*?)'", r'"\1" is not a value of \2', error)
    error = re.sub(r"^Missing value for argument '(.*?)'\. Expected 1 values", r"\1 needs a value", error)
    options = [line.split()[0] for line in details if re.match("--[a-z]", line)][:MAX_SUGGESTIONS]
    hint = f" Did you mean {' or '.join(options)}?" if options else ""
    return f"{error.rstrip('.')}.{hint}"


def _metavar(option: str, details: list[str]) -> str:
    usage = next((line for line in details if line.startswith(f"{option} ")), option)
    metavar = usage.removeprefix(f"{option} ").replace("{None}|", "None or ").replace("|", " or ")
    return re.sub(r"\[(\w+) \[\1 \.\.\.\]\]", r"a list of \1", metavar)


def _received(error: str) -> str:
    values = re.findall(r"'([^']*)'", error.partition(":")[2])
    return f"Received: {' '.join(values)}." if values else f"{error}."
