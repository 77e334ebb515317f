"""JSON as tables: one object per line, an array of objects, or an object of columns, whatever the suffix."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import pandas as pd

from shared.data import files

SPACE = re.compile(r"[\s,]*")
LONE_SURROGATE = "the file contains half a character, a lone surrogate such as \\ud83d"


def read_json(path: Path, columns: Sequence[str] = ()) -> pd.DataFrame:
    """Reads a JSON file with records.

    Accepted are objects one after the other, an array of objects, an object of columns (arrays or objects by row) or of rows, an object
    with one array of objects at any depth or one object of objects, whose names become the column "index", and pandas' orientation
    "split".

    Args:
        path: file, compressed or not.
        columns: names of the columns that are needed, which distinguish an object of columns from one of rows.

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
        return _from_values(_parse_values(text), columns)
    records = [_parse_line(line.strip(), row) for row, line in enumerate(lines, 1)]
    return _from_values(records, columns)


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
        raise ValueError(LONE_SURROGATE)
    return value


def _parse_values(text: str) -> list[Any]:
    """Returns the JSON values that follow each other in a text, such as objects of several lines."""
    decoder, values, position = json.JSONDecoder(), [], 0
    while (position := SPACE.match(text, position).end()) < len(text):  # type: ignore[union-attr]
        try:
            value, position = decoder.raw_decode(text, position)
        except json.JSONDecodeError as error:
            raise ValueError(f"line {error.lineno}, character {error.colno}: {error.msg}") from error
        values.append(value)
    if "\\u" in text and _has_lone_surrogate(values):
        raise ValueError(LONE_SURROGATE)
    return values


def _from_values(values: list[Any], columns: Sequence[str]) -> pd.DataFrame:
    """Returns records as a table; a single object with nested values may contain the records."""
    records = [_require_object(value, row) for row, value in enumerate(values, 1)]
    if len(records) == 1 and any(isinstance(value, (list, dict)) for value in records[0].values()):
        return _from_object(records[0], columns)
    return pd.DataFrame(records)


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


def _from_object(value: dict[str, Any], columns: Sequence[str]) -> pd.DataFrame:
    if isinstance(value.get("columns"), list) and isinstance(value.get("data"), list):  # pandas' orientation "split"
        return pd.DataFrame(value["data"], columns=[str(column) for column in value["columns"]])
    nested = dict(_arrays_of_objects(value))
    if len(nested) == 1:
        return _from_array(next(iter(nested.values())))
    if len(nested) > 1:
        listed = ", ".join(f"{name} ({len(array)})" for name, array in nested.items())
        raise ValueError(f"the file has several arrays of records: {listed}; write each to a file of its own")
    objects = [entry for entry in value.values() if isinstance(entry, dict)]
    named = [entry for entry in objects if entry and all(isinstance(record, dict) for record in entry.values())]
    if len(named) == 1:
        return pd.DataFrame([{"index": name, **record} for name, record in named[0].items()])
    if value and len(objects) == len(value):
        if columns and all(set(columns) <= set(entry) for entry in objects):  # pandas' orientation "index"
            return _from_array(objects)
        if len({len(column) for column in objects}) == 1:  # orientation "columns"
            return pd.DataFrame({name: list(column.values()) for name, column in value.items()})
    lengths = {name: len(column) for name, column in value.items() if isinstance(column, list)}
    if len(lengths) == len(value) and len(set(lengths.values())) == 1:
        return pd.DataFrame(value)
    raise ValueError(
        "an object of columns needs arrays of one length; give an array of objects, or one object per line"
    )


def _arrays_of_objects(value: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, list[Any]]]:
    """Yields the arrays of objects in an object and in its objects, with their names such as data.train."""
    for name, entry in value.items():
        if isinstance(entry, dict):
            yield from _arrays_of_objects(entry, f"{prefix}{name}.")
        elif isinstance(entry, list) and entry and all(isinstance(record, dict) for record in entry):
            yield f"{prefix}{name}", entry


def _has_lone_surrogate(record: Any) -> bool:
    try:
        json.dumps(record, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False
