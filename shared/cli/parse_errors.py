"""Turns the message of the option parser, a box of many lines, into one line; and refuses options that belong to another command."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence, Set

from shared.config import SECTIONS
from shared.errors import SuiteError

MAX_SUGGESTIONS = 3
STYLE = re.compile(r"\x1b\[[0-9;]*m")
"""Color of a terminal."""
RULE = re.compile(r"[─-]{20,}")
"""Line between two parts of the box."""
TYPES = {"INT": "a whole number", "FLOAT": "a number", "STR": "text"}
LIST_TYPES = {"INT": "whole numbers", "FLOAT": "numbers", "STR": "texts"}


def one_line(message: str, words: Sequence[str]) -> str:
    """Returns the error in the box that tyro prints, with similar options or the expected values, in one line.

    Args:
        message: what tyro printed to standard error, without line breaks within sentences.
        words: words that the user typed.
    """
    lines = [STYLE.sub("", line).strip("│╭╮╰╯ ") for line in message.splitlines()]
    start = 1 if "─" in lines[0] else 2  # after the title
    end = next((k for k in range(start, len(lines)) if RULE.fullmatch(lines[k])), len(lines))
    error, details = " ".join(lines[start:end]), lines[end:]
    if match := re.match(r"Error parsing (--\S+):", error):
        return f"{match[1]} must be {_expected(match[1], details)}. {_received(match[1], words)}"
    if match := re.match(r"[Ii]nvalid choice .* for argument '(--\S+)'\. Expected one of \((.*?),?\)", error):
        return f"{match[1]} must be {match[2].replace(chr(39), '').replace(', ', ' or ')}. {_received(match[1], words)}"
    if match := re.match(r"Missing value for argument '(.*?)'", error):
        return f"{match[1]} needs a value."
    if match := re.match(r"Unrecognized options: (.*)", error):
        kind = "unknown option" if match[1].startswith("-") else "unexpected word"
        options = [line.split()[0] for line in details if re.match("--[a-z]", line)][:MAX_SUGGESTIONS]
        hint = f" Did you mean {' or '.join(options)}?" if options else ""
        return f"{kind} {match[1].split(', ')[0]}.{hint}"
    return f"{error.rstrip('.')}."


def require_no_training_option(
    command: str, known: Iterable[str], words: Sequence[str], accepted: Set[str], split_fields: Set[str]
) -> None:
    """Raises a `SuiteError` for an option of `train` that a command for an exported model does not take, which says why.

    Args:
        command: name of the command.
        known: all options of the task.
        words: words that the user typed.
        accepted: fields of the configuration that the command takes.
        split_fields: fields of the section `split` that it takes.
    """
    for word in words:
        name = word.partition("=")[0].replace("_", "-")
        section, _, field = name.removeprefix("--").replace("-", "_").partition(".")
        if name not in known or section in accepted or (section == "split" and field in split_fields):
            continue
        if section == "split" and command == "evaluate":
            options = " and ".join(f"--split.{one}".replace("_", "-") for one in sorted(split_fields))
            raise SuiteError(
                f"evaluate: {name} divides data for training, and evaluate divides nothing: it scores the records of --data that did not "
                f"train the model. {options + ' choose other days.' if options else 'Put the records to score into a file.'}"
            )
        if section in ("split", *SECTIONS):
            raise SuiteError(
                f"{command}: unknown option {name}. It belongs to train; {command} uses the model as it was trained."
            )


def _expected(option: str, details: Sequence[str]) -> str:
    usage = next((line for line in details if line.startswith(f"{option} ")), option)
    metavar = usage.removeprefix(f"{option} ")
    if match := re.fullmatch(r"\[(\w+) \[\1 \.\.\.\]\]", metavar):
        return LIST_TYPES.get(match[1], match[1])
    names = [TYPES.get(name, name) for name in metavar.replace("{None}", "None").split("|")]
    return " or ".join(names)


def _received(option: str, words: Sequence[str]) -> str:
    """Returns a sentence with the last values of an option."""
    values: list[str] = []
    is_value = False
    for word in words:
        name, separator, value = word.partition("=")
        if word.startswith("--"):
            is_value = name.replace("_", "-") == option
            values = ([value] if separator else []) if is_value else values
        elif is_value:
            values.append(word)
    return f"Received: {' '.join(values)}"
