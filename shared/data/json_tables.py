"""JSON as tables: one object per line, an array of objects, or an object of columns, whatever the suffix."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TextIO

import pandas as pd

from shared.data import files


def read_json(path: Path) -> pd.DataFrame:
    """Reads a JSON file with records.

    Accepted are lines of objects, an array of objects, an object whose values are columns (arrays or objects by row), an object with
    one array of objects or one object of objects, whose names become the column "index", and pandas' orientation "split".

    Raises:
        ValueError: the file is not JSON, or has another structure; the message names the row.
        DataError: the file is not text, or its encoding cannot be decided.
    """
    with files.open_text(path) as file:
        text = file.read()
    if text.lstrip().startswith("["):
        return _from_array(_parse(text))
    lines = [line for line in text.split("\n") if line.strip()]
    if len(lines) > 1 and not _is_object(lines[0]):
        return _from_object(_parse(text))
    records = [_parse_line(line.strip(), row) for row, line in enumerate(lines, 1)]
    if len(records) == 1 and any(isinstance(value, (list, dict)) for value in records[0].values()):
        return _from_object(records[0])
    return pd.DataFrame(records)


def has_lines(path: Path) -> bool:
    """Returns True if each line of a JSON file is a record, False if the file is one array or object of several columns or lines.

    Raises:
        DataError: the file is not text, or its encoding cannot be decided.
    """
    with files.open_text(path) as file:
        first, second = _first_lines(file)
    if first.lstrip().startswith("["):
        return False
    if second:
        return _is_object(first)
    try:
        record = json.loads(first or "{}")
    except json.JSONDecodeError:
        return True  # reading it reports the error
    return not any(isinstance(value, (list, dict)) for value in record.values())


def _first_lines(file: TextIO) -> tuple[str, str]:
    """Returns the first two lines that are not empty, "" where there is none."""
    lines = (line for line in file if line.strip())
    return next(lines, ""), next(lines, "")


def _parse(text: str) -> Any:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"line {error.lineno}, character {error.colno}: {error.msg}") from error
    if "\\u" in text and _has_lone_surrogate(value):
        raise ValueError("the file contains half a character, a lone surrogate such as \\ud83d")
    return value


def _is_object(line: str) -> bool:
    """Returns True if a line is a JSON value, or looks like one that is damaged, not the beginning of a longer object."""
    try:
        json.loads(line)
    except json.JSONDecodeError:
        return line.count('"') > 2 and not line.rstrip().endswith(("{", "[", ",", ":"))
    return True


def _parse_line(text: str, row: int) -> dict[str, Any]:
    try:
        record = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"row {row}, character {error.pos + 1}: {error.msg}") from error
    if "\\u" in text and _has_lone_surrogate(record):
        raise ValueError(f"row {row} contains half a character, a lone surrogate such as \\ud83d")
    return _require_object(record, row)


def _from_array(records: Any) -> pd.DataFrame:
    return pd.DataFrame([_require_object(record, row) for row, record in enumerate(records, 1)])


def _require_object(record: Any, row: int) -> dict[str, Any]:
    if not isinstance(record, dict):
        raise ValueError(f"row {row} is not an object such as {{...}}")
    return record


def _from_object(value: dict[str, Any]) -> pd.DataFrame:
    if isinstance(value.get("columns"), list) and isinstance(value.get("data"), list):  # pandas' orientation "split"
        return pd.DataFrame(value["data"], columns=[str(column) for column in value["columns"]])
    arrays = [entry for entry in value.values() if isinstance(entry, list)]
    nested = [array for array in arrays if array and all(isinstance(record, dict) for record in array)]
    if len(nested) == 1 and len(arrays) == 1:
        return _from_array(nested[0])
    objects = [entry for entry in value.values() if isinstance(entry, dict)]
    named = [entry for entry in objects if entry and all(isinstance(record, dict) for record in entry.values())]
    if len(named) == 1:
        return pd.DataFrame([{"index": name, **record} for name, record in named[0].items()])
    if value and len(objects) == len(value) and len({len(column) for column in objects}) == 1:  # orientation "columns"
        return pd.DataFrame({name: list(column.values()) for name, column in value.items()})
    lengths = {name: len(column) for name, column in value.items() if isinstance(column, list)}
    if len(lengths) == len(value) and len(set(lengths.values())) == 1:
        return pd.DataFrame(value)
    raise ValueError(
        "an object of columns needs arrays of one length; give an array of objects, or one object per line"
    )


def _has_lone_surrogate(record: Any) -> bool:
    try:
        json.dumps(record, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False
