"""Tables of the user: CSV and its relatives, JSON, spreadsheets and Parquet, compressed or not.

Text is read as text: "007" and "NA" stay what they are. An error names the file, the row (the first record is row 1) and the fix.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from shared.data import archives, delimited, dialects, files, spreadsheets
from shared.data.json_tables import read_json
from shared.data.notices import add_notice, count_noun
from shared.data.visible import visible
from shared.errors import DataError

JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
FORMATS = (*dialects.DEFAULT_SEPARATORS, *JSON_SUFFIXES, ".parquet", *spreadsheets.SUFFIXES)
"""Suffixes of tables."""
PARQUET = b"PAR1"
TEXT_SUFFIXES = ("", ".data", ".dat", ".tab", ".psv", ".text", ".log", ".asc")
"""Suffixes of files that are text tables if their content is text."""
ARCHIVE_SUFFIXES = (".tar", ".tgz", ".tbz2", ".txz", ".rar", ".7z")
JSON_START = re.compile(r'\s*(\{\s*("|$)|\[\s*(\{|$))')
"""First line of a JSON file."""
HTML = re.compile(rb"\s*(<meta\b[^>]*>\s*|<!--.*?-->\s*)*<(!doctype\s+html|html|table)\b", re.IGNORECASE | re.DOTALL)
FILE_NAME = re.compile(r".+\.\w{2,4}")
MAX_LISTED_NAMES = 40  # columns in an error message
MAX_SPACES = 2  # in the name of a column
OLD_OFFICE = b"\xd0\xcf\x11\xe0"


def is_table(source: str, column: str) -> bool:
    """Returns True if a file is a table, False if its lines are the inputs of `predict`.

    Every format of a table except .txt always is one. A .txt file, or one without a suffix, is a table if its first line names the column, or has tabs.

    Raises:
        DataError: the file is missing or damaged.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        return False
    suffix = (_content_format(path) if path.is_file() else "") or files.file_format(path)
    if suffix != ".txt":
        return suffix in FORMATS
    header = files.read_first_line(path)
    return "\t" in header or any(column in header.split(separator) for separator in dialects.SEPARATORS)


def read_table(
    source: str,
    columns: Sequence[str],
    optional: Sequence[str] = (),
    options: Mapping[str, str] | None = None,
    all_columns: bool = False,
) -> pd.DataFrame:
    """Reads columns of a table.

    Args:
        source: path of a file in one of `FORMATS`; the text formats also compressed (gzip, xz, bzip2, zip). Separator and quotes of
            a text table, compression and encoding are recognized by the content.
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
    frame = read_all(source, headerless, columns)
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
    listed = [visible(str(name)) for name in names[:MAX_LISTED_NAMES]]
    if len(names) > MAX_LISTED_NAMES:
        listed.append(f"… and {len(names) - MAX_LISTED_NAMES} more")
    missing = [column for column in columns if column not in names]
    if missing:
        option = (options or {}).get(missing[0])
        fix = f"with {option}" if option else "on the command line"
        raise DataError(
            f'{source}: no {kind} "{missing[0]}". The {kind}s are {_join(listed)}. Name the right one {fix}.'
            + _header_hint(names, option)
        )


def read_all(
    source: str,
    headerless: bool = False,
    columns: Sequence[str] = (),
    skips_titles: bool = False,
    repeats_names: bool = False,
) -> pd.DataFrame:
    """Reads all columns of a table (see `read_table`).

    Args:
        source: path of a file.
        headerless: True if a text table has no header; its columns are then named "0", "1" and so on.
        columns: names of the columns that are needed; they show the header, and choose among the sheets of a spreadsheet.
        skips_titles: True to recognize titles before the header of a text table without the names of columns (see
            `shared.data.preambles`).
        repeats_names: True if columns of a text table may have equal names, to which pandas adds ".1" and so on, without a notice.

    Raises:
        DataError: the file is missing, a folder, empty, or not in the format of its suffix.
    """
    path = Path(source).expanduser()
    suffix = require_table(path)
    with read_errors(path, suffix):
        frame = _read(path, suffix, headerless, columns, skips_titles, repeats_names)
    frame = _without_empty_end(frame, path) if suffix in dialects.DEFAULT_SEPARATORS else frame
    if frame.empty:
        raise no_records_error(path)
    return frame


def _without_empty_end(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Returns a table without the empty records at its end, which a notice counts; spreadsheet programs write them."""
    count = 0
    while count < len(frame) and not "".join(map(str, frame.iloc[-1 - count].fillna(""))).strip():
        count += 1
    if count:
        add_notice(f"{path}: {count_noun(count, 'empty record')} at the end left out.")
    return frame.iloc[: len(frame) - count]


@contextmanager
def read_errors(path: Path, suffix: str) -> Iterator[None]:
    """Converts the exceptions of reading a table to a `DataError` that names the file."""
    try:
        yield
    except UnicodeError as error:
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
    """Returns the format of a table by its content or suffix, after checking that the file exists and is not empty."""
    if path.is_dir():
        raise DataError(f"{path}: is a folder. Give one file ({_join(FORMATS)}), for example {path / 'train.csv'}.")
    files.require_file(path)
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty. It needs a header line and at least one record.")
    if HTML.match(files.read_start(path)):
        raise DataError(
            f"{path}: is an HTML page, not a table, whatever its name is. Download the file itself, or open the page in a spreadsheet "
            "program and save it as .csv."
        )
    suffix = _content_format(path) or files.file_format(path)
    if suffix in ARCHIVE_SUFFIXES:
        raise DataError(f"{path}: is an archive ({suffix}). Unpack it, and give a file or the folder of the classes.")
    if suffix not in FORMATS:
        raise DataError(
            f"{path}: unknown file format. Give a file whose name ends in {_join(FORMATS)}; text formats may be "
            "compressed (.gz, .xz, .bz2, .zip)."
        )
    return suffix


def _content_format(path: Path) -> str:
    """Returns the format that the content of a file shows whatever its name is; "" if the name decides.

    Parquet, spreadsheets and JSON are recognized by their first bytes. A text file whose suffix says nothing is a text table.
    """
    start = files.read_start(path)
    if start.startswith(PARQUET):
        return ".parquet"
    suffix = files.file_format(path)
    is_text_name = suffix in dialects.DEFAULT_SEPARATORS or suffix in TEXT_SUFFIXES
    if start.startswith(OLD_OFFICE) or archives.is_office_file(path):
        usual = ".xls" if start.startswith(OLD_OFFICE) else ".xlsx"
        return suffix if suffix in spreadsheets.SUFFIXES else usual if is_text_name else ""
    if is_text_name and JSON_START.match(files.read_first_line(path)):
        return ".json"
    return ".txt" if suffix in TEXT_SUFFIXES and start else ""


def _read(
    path: Path, suffix: str, headerless: bool, columns: Sequence[str], skips_titles: bool, repeats_names: bool
) -> pd.DataFrame:
    if suffix == ".parquet":
        frame = pd.read_parquet(path)
        return frame if isinstance(frame.index, pd.RangeIndex) else frame.reset_index()
    if suffix in spreadsheets.SUFFIXES:
        return spreadsheets.read_spreadsheet(path, headerless, columns)
    if suffix in JSON_SUFFIXES:
        return read_json(path, columns)
    return delimited.read_delimited(path, suffix, headerless, columns, skips_titles, repeats_names)


def _header_hint(names: Sequence[str], option: str | None) -> str:
    """Returns the advice on files without a header, if the columns of a table look like a record."""
    if option is None or not any(
        len(name) > delimited.MAX_NAME_LENGTH
        or FILE_NAME.fullmatch(name)
        or name.count(" ") > MAX_SPACES
        or delimited.NUMBER.fullmatch(name)
        for name in map(str, names)
    ):
        return ""
    return f" If the file has no header, give the positions of the columns, such as {option} 0."


def _join(names: Iterable[str]) -> str:
    return ", ".join(map(str, names))
