"""Writes tables piece by piece, so that memory does not grow with the file; the file appears only when it is complete."""

from __future__ import annotations

import gzip
import html
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TextIO

import numpy as np
import pandas as pd

from shared.data import files, word_contributions
from shared.errors import DataError
from shared.json_values import json_ready, printable, to_json_line

STAGING_PREFIX = ".incomplete-"
HTML_START = (
    '<!DOCTYPE html>\n<meta charset="utf-8">\n<title>Predictions</title>\n<style>body{font-family:sans-serif}'
    "table{border-collapse:collapse}th,td{border:1px solid #ccc;padding:4px;text-align:left;vertical-align:top}</style>\n<table>\n"
)


class TableWriter(Protocol):
    """Writes tables with the same columns one after the other."""

    def write(self, table: pd.DataFrame) -> None:
        """Appends the rows of a table."""

    def finish(self) -> None:
        """Completes the file."""


@contextmanager
def open_table_writer(path: Path) -> Iterator[TableWriter]:
    """Opens a file for writing a table; after an exception the file does not exist, or is unchanged.

    Args:
        path: path whose name ends in .csv, .jsonl, .parquet or .html; .csv and .jsonl also with .gz.

    Raises:
        DataError: the file cannot be written.
    """
    files.require_writable(path)
    try:
        with tempfile.TemporaryDirectory(prefix=STAGING_PREFIX, dir=path.parent) as folder:
            staging = Path(folder) / path.name
            with _open_writer(staging) as writer:
                yield writer
                writer.finish()
            staging.replace(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error}). Check the folder and the free space.") from error


def json_rows(table: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yields the rows of a table as dictionaries of JSON-ready values; missing values are None."""
    columns = [_python_values(table[name]) for name in table.columns]
    names = list(map(str, table.columns))
    for values in zip(*columns, strict=True):
        yield dict(zip(names, values, strict=True))


def _open_writer(staging: Path) -> Any:
    if staging.name.lower().endswith(".parquet"):
        return _open_parquet(staging)
    return _open_text(staging)


@contextmanager
def _open_text(staging: Path) -> Iterator[TableWriter]:
    name = staging.name.lower()
    opener = gzip.open if name.endswith(".gz") else open
    writers: dict[str, Any] = {".csv": _CsvWriter, ".html": _HtmlWriter}
    with opener(staging, "wt", encoding="utf-8", newline="") as file:
        yield writers.get(Path(name.removesuffix(".gz")).suffix, _JsonLinesWriter)(file)


@contextmanager
def _open_parquet(staging: Path) -> Iterator[TableWriter]:
    parts = staging.with_suffix(".parts")
    parts.mkdir()
    yield _ParquetWriter(staging, parts)
    shutil.rmtree(parts)


class _CsvWriter:
    """Writes CSV in UTF-8 with a header; missing values are empty, and nested values JSON."""

    def __init__(self, file: TextIO) -> None:
        self.file, self.has_header = file, False

    def write(self, table: pd.DataFrame) -> None:
        cells = pd.DataFrame({k: _csv_cells(table.iloc[:, k]) for k in range(table.shape[1])}, dtype=object)
        header = False if self.has_header else list(map(str, table.columns))
        cells.to_csv(self.file, index=False, header=header)
        self.has_header = True

    def finish(self) -> None:
        pass


class _JsonLinesWriter:
    """Writes one JSON object per line, in UTF-8; missing values are null."""

    def __init__(self, file: TextIO) -> None:
        self.file = file

    def write(self, table: pd.DataFrame) -> None:
        self.file.writelines(f"{to_json_line(row)}\n" for row in json_rows(table))

    def finish(self) -> None:
        pass


class _HtmlWriter:
    """Writes one HTML page with a table; words with contributions are marked, other nested values are JSON."""

    def __init__(self, file: TextIO) -> None:
        self.file, self.has_header = file, False

    def write(self, table: pd.DataFrame) -> None:
        if not self.has_header:
            self.file.write(HTML_START)
            self._write_row("th", (html.escape(printable(str(name))) for name in table.columns))
            self.has_header = True
        for values in zip(*(_python_values(table.iloc[:, k]) for k in range(table.shape[1])), strict=True):
            self._write_row("td", map(_html_cell, values))

    def finish(self) -> None:
        self.file.write("</table>\n" if self.has_header else f"{HTML_START}</table>\n")

    def _write_row(self, tag: str, cells: Iterable[str]) -> None:
        self.file.write(f"<tr>{''.join(f'<{tag}>{cell}</{tag}>' for cell in cells)}</tr>\n")


class _ParquetWriter:
    """Writes Parquet. The type of a column may differ from piece to piece, for example if a piece has only missing values; so the
    pieces are written first, and joined when all types are known."""

    def __init__(self, path: Path, parts: Path) -> None:
        self.path, self.parts = path, parts
        self.schemas: list[Any] = []

    def write(self, table: pd.DataFrame) -> None:
        import pyarrow as pa

        names = list(map(str, table.columns))
        arrays = [_arrow_array(table.iloc[:, k]) for k in range(table.shape[1])]
        piece = pa.Table.from_arrays(arrays, names)
        with pa.OSFile(self._part(len(self.schemas)), "wb") as sink, pa.ipc.new_file(sink, piece.schema) as writer:
            writer.write_table(piece)
        self.schemas.append(piece.schema)

    def finish(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not self.schemas:
            raise ValueError("no table was written")
        schema = _common_schema(self.schemas)
        with pq.ParquetWriter(self.path, schema) as writer:
            for k in range(len(self.schemas)):
                with pa.memory_map(self._part(k)) as source:
                    writer.write_table(_cast(pa.ipc.open_file(source).read_all(), schema))

    def _part(self, number: int) -> str:
        return str(self.parts / f"{number}.arrow")


def _csv_cells(column: pd.Series) -> pd.Series:
    values = column.reset_index(drop=True)
    if values.dtype == object:
        return values.map(_csv_cell)
    if values.dtype.kind == "f":
        return values.astype(object).where(values.notna(), None)
    return values


def _csv_cell(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    return json.dumps(json_ready(value), ensure_ascii=False) if _is_nested(value) else value


def _html_cell(value: Any) -> str:
    if value is None:
        return ""
    if word_contributions.is_cell(value):
        return word_contributions.as_html(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    return html.escape(printable(value) if isinstance(value, str) else str(_csv_cell(value)))


def _python_values(column: pd.Series) -> list[Any]:
    return [None if not _is_nested(value) and pd.isna(value) else value for value in column.astype(object)]


def _is_nested(value: Any) -> bool:
    return isinstance(value, (list, tuple, dict, np.ndarray))


def _arrow_array(column: pd.Series) -> Any:
    import pyarrow as pa

    if column.dtype != object:
        return pa.array(column, from_pandas=True)
    values = [printable(value) if isinstance(value, str) else value for value in column]
    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError):  # cells of different types
        return pa.array([None if value is None else _as_text(value) for value in values], pa.string())


def _common_schema(schemas: list[Any]) -> Any:
    """Returns a schema with a type for each column that holds the values of all pieces; text if there is no other."""
    import pyarrow as pa

    fields = []
    for name in schemas[0].names:
        types = {schema.field(name).type for schema in schemas} - {pa.null()}
        if len(types) == 1:
            fields.append((name, types.pop()))
        elif types and all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in types):
            fields.append((name, pa.float64()))
        else:
            fields.append((name, pa.string()))
    return pa.schema(fields)


def _cast(table: Any, schema: Any) -> Any:
    import pyarrow as pa

    arrays = []
    for field in schema:
        column = table[field.name]
        if column.type != field.type and field.type == pa.string() and not pa.types.is_large_string(column.type):
            texts = [None if value is None else _as_text(value) for value in column.to_pylist()]
            column = pa.chunked_array([pa.array(texts, pa.string())])
        arrays.append(column.cast(field.type))
    return pa.Table.from_arrays(arrays, schema=schema)


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else to_json_line(value)
