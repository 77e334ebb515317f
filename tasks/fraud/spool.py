"""The transactions of a file in time order, on disk, so that the memory of a command does not grow with the file."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from shared.data import dates
from shared.data.chunks import Chunk, convert_rows, read_chunks
from shared.data.notices import add_notice, mute_notices
from shared.data.numbers import find_decimal_mark
from shared.data.sources import hash_records
from shared.errors import DataError
from tasks.fraud import data
from tasks.fraud.cells import label_names, require_one_meaning
from tasks.fraud.config import FraudConfig
from tasks.fraud.times import FORMAT_OPTION, join_columns
from tasks.fraud.transactions import with_model_names

POSITION = "position"
"""Column with the position of a transaction in its file."""
MAX_LISTED_ERRORS = 3


class TransactionSpool:
    """Transactions that are added in the order of a file, and read in time order.

    They are in a temporary SQLite database, which SQLite keeps on disk and deletes.

    Args:
        source: name of the file, for messages.

    Attributes:
        count: number of transactions.
    """

    def __init__(self, source: str) -> None:
        self.source, self.count = source, 0
        self._hash = hashlib.sha256()
        self._database = sqlite3.connect("")
        self._dtypes: dict[str, Any] = {}

    @property
    def digest(self) -> str:
        """What identifies the transactions (see `tasks.fraud.stored_files.records_digest`)."""
        return self._hash.hexdigest()[:16]

    def add(self, records: pd.DataFrame, positions: np.ndarray) -> None:
        """Adds records from `tasks.fraud.data.convert`, with their positions in the file, int64 `(rows,)`."""
        self._hash.update(hash_records(records[sorted(set(records.columns) - {"fraud"})]))
        table = records.assign(**{POSITION: positions})
        if not self._dtypes:
            self._dtypes = dict(table.dtypes)
            names = ", ".join(f"c{k}" for k in range(len(self._dtypes)))
            time, position = (f"c{list(self._dtypes).index(name)}" for name in ("time", POSITION))
            self._database.execute(f"create table t ({names}, primary key ({time}, {position})) without rowid")
        places = ", ".join("?" * len(self._dtypes))
        rows = zip(*(table[name].tolist() for name in self._dtypes), strict=True)
        self._database.executemany(f"insert into t values ({places})", rows)
        self.count += len(records)

    def batches(self, start: int, size: int) -> Iterator[pd.DataFrame]:
        """Yields the transactions in time order from the position `start` on, `size` at a time, with the column `POSITION`."""
        time, position = (f"c{list(self._dtypes).index(name)}" for name in ("time", POSITION))
        cursor = self._database.execute(f"select * from t order by {time}, {position} limit -1 offset ?", (start,))
        while rows := cursor.fetchmany(size):
            table = pd.DataFrame(rows, columns=list(self._dtypes))
            yield table.astype(self._dtypes)

    def read_all(self) -> pd.DataFrame:
        """Returns all transactions in time order."""
        return next(self.batches(0, max(1, self.count)))


def read_spool(config: FraudConfig, metadata: Mapping[str, Any], skips_errors: bool) -> TransactionSpool:
    """Reads the file of a configuration, with or without labels.

    Raises:
        DataError: the file cannot be read, a column is missing, a row has an invalid value and errors are not skipped, or no row can be
            used.
    """
    source, trained = config.data, dict(metadata["columns"])
    spool, errors = TransactionSpool(source), list[int]()
    config = replace(config, columns=replace(config.columns, time_format=_file_format(config, trained)))
    trained.pop("time_format", None)  # the format of the whole file is known
    mark: str | None = None
    rows, labels, label = 0, set[str](), config.columns.label

    def convert(frame: pd.DataFrame) -> pd.DataFrame:
        records = data.convert(frame, config, source, is_labelled=False, trained=trained, decimal_mark=mark)
        return with_model_names(records, config, metadata)

    for chunk in _without_footer(_read_chunks(config, skips_errors), config):
        if label in chunk.frame and not config.columns.positive_label:
            labels |= label_names(chunk.frame[label]) - label_names(pd.Series(config.columns.unlabelled, dtype=object))
            require_one_meaning(labels, label, source)
        numbers = (config.columns.amount, *config.columns.numeric)
        mark = find_decimal_mark(chunk.frame[name] for name in numbers) or mark
        with mute_notices() if rows else contextlib.nullcontext():  # they would be repeated for each chunk
            records, positions, wrong = convert_rows(chunk.frame, convert, skips_errors, chunk.first_row, chunk.errors)
        if records is not None:
            spool.add(records, positions + chunk.first_row)
        errors += [chunk.first_row + k for k in wrong]
        rows += len(chunk.frame)
    if not spool.count:
        raise DataError(f"{source}: none of the {rows:,} transactions can be used.")
    if errors:
        add_notice(
            f"{source}: {len(errors):,} of {rows:,} transactions cannot be used and were left out.", np.sort(errors) + 1
        )
    return spool


def _read_chunks(config: FraudConfig, skips_errors: bool) -> Iterator[Chunk]:
    names = [name for name in data.required_columns(config) if name != config.columns.label]
    return read_chunks(config.data, names, data.column_options(config), skips_errors)


def _without_footer(chunks: Iterator[Chunk], config: FraudConfig) -> Iterator[Chunk]:
    """Yields chunks without the rows at the end of the file that are no transactions (see `tasks.fraud.file_shapes`)."""
    ends: list[Chunk] = []  # the last two chunks, because a footer may begin in the first of them
    for chunk in chunks:
        if len(ends) == 2:
            yield ends.pop(0)
        ends.append(chunk)
    rows = pd.concat([chunk.frame for chunk in ends], ignore_index=True)
    count = len(data.without_footer(rows, config, config.data, is_labelled=False))
    for chunk in ends:
        if count:
            yield _first_rows(chunk, count)
        count = max(0, count - len(chunk.frame))


def _first_rows(chunk: Chunk, count: int) -> Chunk:
    errors = {row: problem for row, problem in chunk.errors.items() if row < count}
    return replace(chunk, frame=chunk.frame.iloc[:count], errors=errors)


def _file_format(config: FraudConfig, trained: Mapping[str, Any]) -> str | None:
    """Returns the format of the dates that the user named, or that the whole file shows; None where the dates need none."""
    columns, remembered = config.columns, trained.get("time_format")
    if columns.time_unit is not None or columns.time_format != remembered:
        return columns.time_format
    formats: set[str] = set()
    for chunk in _without_footer(_read_chunks(config, skips_errors=True), config):
        values = join_columns(chunk.frame, columns.time, config.data)
        if not dates.have_order(values):
            return None
        with mute_notices():
            formats |= {dates.find_time_format(values, config.data, FORMAT_OPTION, remembered) or ""}
    shown = formats - {"", remembered}  # a chunk may leave the order open, or fit the format of the training by chance
    return next(iter(sorted(shown)), remembered)
