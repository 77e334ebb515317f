"""A state store in one SQLite file (https://sqlite.org), with write-ahead logging: a killed process leaves the last commit."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from shared.errors import SuiteError
from shared.state.store import (
    Changes,
    concurrent_change_error,
    decode_metadata,
    encode_metadata,
    missing_store_error,
)

APPLICATION_ID = 0x4C53544D
"""Number in the header of the file that marks it as a state store."""
KEYS_PER_QUERY = 500
TIMEOUT = 30.0  # seconds that a commit waits for another process
TABLES = f"""
pragma application_id = {APPLICATION_ID};
create table if not exists metadata (id integer primary key check (id = 0), value text not null);
create table if not exists states (name text, key text, value blob not null, primary key (name, key)) without rowid;
"""


class SqliteStore:
    """A state store in an SQLite file.

    Args:
        path: path of the file.
        task: name of the task, for messages.
        create: create the file if it does not exist.
        read_only: the file cannot be changed.

    Raises:
        SuiteError: the file does not exist, cannot be opened, or is not a state store.
    """

    def __init__(self, path: str, task: str, create: bool = False, read_only: bool = False) -> None:
        self._path = Path(path).expanduser()
        self._revision = 0
        if not self._path.is_file() and not (create and not self._path.exists()):
            problem = f"{self._path}: is a folder. --store must be the path of a file."
            raise SuiteError(problem) if self._path.is_dir() else missing_store_error(self.place, task)
        mode = "ro" if read_only else "rwc"
        with self._errors():
            self._connection = sqlite3.connect(
                f"{self._path.absolute().as_uri()}?mode={mode}", uri=True, timeout=TIMEOUT, isolation_level=None
            )
            self._require_state_store()
            if not read_only:
                self._connection.execute("pragma journal_mode = wal")
                self._connection.executescript(TABLES)

    @property
    def place(self) -> str:
        """Path of the file."""
        return str(self._path)

    def metadata(self) -> dict[str, Any]:
        """Returns the metadata of the last commit."""
        with self._errors():
            metadata, self._revision = self._read_metadata()
        return metadata

    def read(self, table: str, keys: Sequence[str]) -> list[bytes | None]:
        """Returns the value of each key of a table."""
        values: dict[str, bytes] = {}
        with self._errors():
            for start in range(0, len(keys), KEYS_PER_QUERY):
                part = keys[start : start + KEYS_PER_QUERY]
                query = f"select key, value from states where name = ? and key in ({','.join('?' * len(part))})"
                values.update(self._connection.execute(query, (table, *part)))
        return [values.get(key) for key in keys]

    def count(self, table: str) -> int:
        """Returns the number of keys of a table."""
        with self._errors():
            return self._connection.execute("select count(*) from states where name = ?", (table,)).fetchone()[0]

    def commit(self, changes: Changes) -> None:
        """Applies changes in one transaction."""
        with self._errors(), self._transaction():
            if self._read_metadata()[1] != self._revision:
                raise concurrent_change_error(self.place)
            if changes.is_reset:
                self._connection.execute("delete from states")
            for table, values in changes.values.items():
                rows = ((table, key, value) for key, value in values.items())
                self._connection.executemany("insert or replace into states values (?, ?, ?)", rows)
            text = encode_metadata(changes.metadata, self._revision + 1)
            self._connection.execute("insert or replace into metadata values (0, ?)", (text,))
        self._revision += 1

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    def _read_metadata(self) -> tuple[dict[str, Any], int]:
        row = self._connection.execute("select value from metadata").fetchone()
        return decode_metadata(row[0] if row else None)

    def _require_state_store(self) -> None:
        number = self._connection.execute("pragma application_id").fetchone()[0]
        has_tables = self._connection.execute("select count(*) from sqlite_master").fetchone()[0]
        if number != APPLICATION_ID and has_tables:
            raise SuiteError(f"{self.place}: an SQLite file, but not a state store. Choose another path with --store.")
        if number != APPLICATION_ID and self._path.stat().st_size:
            raise SuiteError(f"{self.place}: not a state store. Choose another path with --store.")

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("begin immediate")
        try:
            yield
        except BaseException:
            self._connection.execute("rollback")
            raise
        self._connection.execute("commit")

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, ValueError) as error:
            raise SuiteError(
                f"{self.place}: the state store cannot be used ({error}). Check the file and its folder, or create the store again "
                "under another path."
            ) from error
