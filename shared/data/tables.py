"""Tables of the user: CSV and its relatives, JSON lines and Parquet, compressed or not.

Text is read as text: "007" and "NA" stay what they are. An error names the file, the row (the first record is row 1) and the fix.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from shared.data import files
from shared.errors import DataError

FORMATS = {".csv": ",", ".tsv": "\t", ".txt": "\t", ".jsonl": None, ".ndjson": None, ".parquet": None}
"""Suffixes of tables, with the separator of the fields in a text table."""
ALTERNATIVE_SEPARATORS = {".csv": ";\t|", ".tsv": "", ".txt": ",;|"}
"""Separators that a text table may have instead of the one in `FORMATS`."""
QUOTED = re.compile(rb'"[^"]*"')


def is_table(source: str, column: str) -> bool:
    """Returns True if a file is a table, False if its lines are the inputs of `predict`.

    Every format of a table except .txt always is one. A .txt file is a table if its first line names the column, or has tabs.

    Raises:
        DataError: the file is missing or damaged.
    """
    path = Path(source).expanduser()
    suffix = files.file_format(path)
    if suffix not in FORMATS or path.is_dir():
        return False
    if suffix != ".txt":
        return True
    header = files.read_first_line(path)
    return "\t" in header or any(column in header.split(separator) for separator in ALTERNATIVE_SEPARATORS[suffix])


def read_table(
    source: str,
    columns: Sequence[str],
    optional: Sequence[str] = (),
    options: Mapping[str, str] | None = None,
    all_columns: bool = False,
) -> pd.DataFrame:
    """Reads columns of a table.

    Args:
        source: path of a .csv, .tsv, .txt, .jsonl, .ndjson or .parquet file; the text formats also with .gz, .xz or .bz2. The
            fields of a .csv file may also be separated by semicolons, tabs or bars if its first line has no comma.
        columns: names, or positions ("0", "1" …) in a text table without a header.
        optional: names of columns that are read if they exist.
        options: command-line option that names each column, such as `{"CUSTOMER_ID": "--columns.card"}`, for the error
            message.
        all_columns: True to return all columns of the file, in its order.

    Returns:
        Table with exactly these columns, in this order, or with all columns. Text remains text; empty cells of text tables are "".

    Raises:
        DataError: the file is missing, a folder, empty, not in the format of its suffix, or lacks a column.
    """
    headerless = all(column.isdigit() for column in columns)
    frame = read_all(source, headerless)
    require_columns(str(Path(source).expanduser()), frame.columns, columns, options)
    if all_columns:
        return frame
    return frame[[*columns, *(column for column in optional if column in frame.columns and column not in columns)]]


def require_columns(
    source: str,
    available: Iterable[str],
    columns: Iterable[str],
    options: Mapping[str, str] | None = None,
    kind: str = "column",
) -> None:
    """Checks that data have all columns that a task needs.

    Args:
        source: file or data set, for the error message.
        available: names of the columns that the data have.
        columns: names of the columns that are needed.
        options: command-line option that names each column, for the error message.
        kind: noun for a column in the error message.

    Raises:
        DataError: a column is missing; the message lists the available columns and names the option.
    """
    names = list(available)
    missing = [column for column in columns if column not in names]
    if missing:
        option = (options or {}).get(missing[0])
        fix = f"with {option}" if option else "on the command line"
        raise DataError(
            f'{source}: no {kind} "{missing[0]}". The {kind}s are {_join(names)}. Name the right one {fix}.'
        )


def read_all(source: str, headerless: bool = False, preamble_lines: int = 0) -> pd.DataFrame:
    """Reads all columns of a table (see `read_table`).

    Args:
        source: path of a file.
        headerless: True if a text table has no header; its columns are then named "0", "1" and so on.
        preamble_lines: number of lines before the header of a text table (see `shared.data.preambles`).

    Raises:
        DataError: the file is missing, a folder, empty, or not in the format of its suffix.
    """
    path = Path(source).expanduser()
    suffix = require_table(path)
    with read_errors(path, suffix):
        frame = _read(path, suffix, headerless, preamble_lines)
    if frame.empty:
        raise no_records_error(path)
    return frame


@contextmanager
def read_errors(path: Path, suffix: str) -> Iterator[None]:
    """Converts the exceptions of reading a table to a `DataError` that names the file."""
    try:
        yield
    except (UnicodeDecodeError, UnicodeError) as error:
        raise files.encoding_error(path, error) from error
    except pd.errors.EmptyDataError as error:
        raise DataError(f"{path}: the file is empty. It needs a header line and at least one record.") from error
    except (ValueError, csv.Error, *files.READ_ERRORS) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(
            f"{path}: cannot be read as {suffix[1:]} ({reason}). Correct the file, or rename it if it has another format."
        ) from error


def no_records_error(path: Path) -> DataError:
    """Returns the error for a table without records."""
    return DataError(f"{path}: the file has no records. It needs at least one, in a .csv or .tsv below the header.")


def require_table(path: Path) -> str:
    """Returns the format of a table by its suffix, after checking that the file exists and is not empty."""
    if path.is_dir():
        raise DataError(f"{path}: is a folder. Give one file ({_join(FORMATS)}), for example {path / 'train.csv'}.")
    files.require_file(path)
    suffix = files.file_format(path)
    if suffix not in FORMATS:
        raise DataError(
            f"{path}: unknown file format. Give a file whose name ends in {_join(FORMATS)}; text formats may be "
            "compressed (.gz, .xz, .bz2)."
        )
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty. It needs a header line and at least one record.")
    return suffix


def _read(path: Path, suffix: str, headerless: bool, preamble_lines: int = 0) -> pd.DataFrame:
    if suffix == ".parquet":
        return pd.read_parquet(path)
    if suffix in (".jsonl", ".ndjson"):
        return _read_jsonl(path)
    separator, quoting = find_dialect(path, suffix, preamble_lines)
    with files.open_file(path) as file:
        frame = pd.read_csv(
            file,
            sep=separator,
            header=None if headerless else 0,
            skiprows=preamble_lines,
            keep_default_na=False,
            dtype=str,
            encoding="utf-8-sig",
            quoting=quoting,
        )
    if not isinstance(frame.index, pd.RangeIndex):  # pandas would use the first field as the index
        raise ValueError("row 1 has more fields than the header; put a .csv field with a comma in double quotes")
    frame.columns = frame.columns.map(str)
    if any("\x00" in str(column) for column in frame.columns):
        raise ValueError("binary content")
    return frame


def find_dialect(path: Path, suffix: str, preamble_lines: int = 0) -> tuple[str, Literal[0, 3]]:
    """Returns the separator and the quoting of a text table, `csv.QUOTE_MINIMAL` or `csv.QUOTE_NONE`."""
    return _find_separator(path, suffix, preamble_lines), csv.QUOTE_NONE if suffix in (
        ".tsv",
        ".txt",
    ) else csv.QUOTE_MINIMAL


def _find_separator(path: Path, suffix: str, preamble_lines: int = 0) -> str:
    """Returns the separator of a text table: the one of its format, or an alternative if only that is in the header."""
    with files.open_file(path) as file:
        for _ in range(preamble_lines):
            file.readline()
        first_line = QUOTED.sub(b"", file.readline())
    default = str(FORMATS[suffix])
    alternatives = [separator for separator in ALTERNATIVE_SEPARATORS[suffix] if separator.encode() in first_line]
    if default.encode() in first_line or not alternatives:
        return default
    return max(alternatives, key=lambda separator: first_line.count(separator.encode()))


def _read_jsonl(path: Path) -> pd.DataFrame:
    records: list[dict[str, Any]] = []
    with files.open_file(path) as file:
        for line in file:
            text = line.decode("utf-8-sig" if not records else "utf-8").strip()
            if not text:
                continue
            row = len(records) + 1
            try:
                record = json.loads(text)
            except json.JSONDecodeError as error:
                raise ValueError(f"row {row}, character {error.pos + 1}: {error.msg}") from error
            if "\\u" in text and _has_lone_surrogate(record):
                raise ValueError(f"row {row} contains half a character, a lone surrogate such as \\ud83d")
            if not isinstance(record, dict):
                raise ValueError(f"row {row} is not an object such as {{...}}")
            records.append(record)
    return pd.DataFrame(records)


def _has_lone_surrogate(record: Any) -> bool:
    try:
        json.dumps(record, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def _join(names: Iterable[str]) -> str:
    return ", ".join(map(str, names))
