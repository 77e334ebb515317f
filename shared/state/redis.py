"""A state store on a Redis server (https://redis.io), which several processes and machines can share.

A table is a hash; a commit is a transaction (MULTI, EXEC) that watches the metadata. The braces in the names keep all keys of a store on
one node of a cluster.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from shared.errors import SuiteError
from shared.state.store import (
    Changes,
    concurrent_change_error,
    decode_metadata,
    encode_metadata,
    missing_store_error,
    public_place,
)

try:
    import redis
except ImportError as _error:
    raise SuiteError(
        "A state store on a Redis server needs the package redis. Install it: pip install 'lstm-suite[redis]'."
    ) from _error

PREFIX = "lstm-suite"
KEYS_PER_COMMAND = 1_000
TIMEOUT = 30.0  # seconds until a command fails


class RedisStore:
    """A state store on a Redis server.

    Args:
        url: address (see `shared.state.open_store`).
        task: name of the task, for messages.
        create: accept a store without content.

    Raises:
        SuiteError: the URL is malformed, the server cannot be reached, or there is no such store.
    """

    def __init__(self, url: str, task: str, create: bool = False) -> None:
        address, _, prefix = url.partition("#")
        self._prefix = f"{{{prefix or PREFIX}}}"
        self.place = public_place(url)
        self._revision = 0
        with self._errors():
            self._client = redis.Redis.from_url(address, socket_timeout=TIMEOUT)
            self._client.ping()
        if not self.metadata() and not create:
            raise missing_store_error(self.place, task)

    def metadata(self) -> dict[str, Any]:
        """Returns the metadata of the last commit."""
        with self._errors():
            metadata, self._revision = decode_metadata(self._client.get(self._metadata_key))
        return metadata

    def read(self, table: str, keys: Sequence[str]) -> list[bytes | None]:
        """Returns the value of each key of a table."""
        values: list[bytes | None] = []
        with self._errors():
            for start in range(0, len(keys), KEYS_PER_COMMAND):
                values += self._client.hmget(self._table_key(table), list(keys[start : start + KEYS_PER_COMMAND]))
        return values

    def count(self, table: str) -> int:
        """Returns the number of keys of a table."""
        with self._errors():
            return int(self._client.hlen(self._table_key(table)))

    def commit(self, changes: Changes) -> None:
        """Applies changes in one transaction."""
        with self._errors(), self._client.pipeline(transaction=True) as pipe:
            pipe.watch(self._metadata_key)
            if decode_metadata(pipe.get(self._metadata_key))[1] != self._revision:
                raise concurrent_change_error(self.place)
            tables = pipe.smembers(self._tables_key)
            pipe.multi()
            if changes.is_reset:
                for name in tables:
                    pipe.delete(self._table_key(name.decode()))
            for table, values in changes.values.items():
                items = list(values.items())
                pipe.sadd(self._tables_key, table)
                for start in range(0, len(items), KEYS_PER_COMMAND):
                    pipe.hset(self._table_key(table), mapping=dict(items[start : start + KEYS_PER_COMMAND]))
            pipe.set(self._metadata_key, encode_metadata(changes.metadata, self._revision + 1))
            pipe.execute()
        self._revision += 1

    def close(self) -> None:
        """Closes the connection."""
        self._client.close()

    @property
    def _metadata_key(self) -> str:
        return f"{self._prefix}:metadata"

    @property
    def _tables_key(self) -> str:
        return f"{self._prefix}:tables"

    def _table_key(self, table: str) -> str:
        return f"{self._prefix}:table:{table}"

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except redis.WatchError as error:
            raise concurrent_change_error(self.place) from error
        except (redis.RedisError, OSError, ValueError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise SuiteError(
                f"{self.place}: the Redis server cannot be used ({reason}). Check that it runs, and the address in --store."
            ) from error
