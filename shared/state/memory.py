"""State stores in memory: an empty one, and one that keeps the changes of another store to itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shared.state.store import Changes, StateStore


class MemoryStore:
    """A state store that ends with the process.

    Args:
        base: store whose values are read where this store has none; it is not changed. None for an empty store.
    """

    def __init__(self, base: StateStore | None = None) -> None:
        self._base = base
        self._metadata = base.metadata() if base is not None else {}
        self.values: dict[str, dict[str, bytes]] = {}

    @property
    def place(self) -> str:
        """Address of the base, or "memory"."""
        return self._base.place if self._base is not None else "memory"

    def metadata(self) -> dict[str, Any]:
        """Returns the metadata of the last commit, or of the base."""
        return dict(self._metadata)

    def read(self, table: str, keys: Sequence[str]) -> list[bytes | None]:
        """Returns the value of each key, from this store or else from the base."""
        own = self.values.get(table, {})
        missing = [key for key in keys if key not in own] if self._base is not None else []
        earlier = dict(zip(missing, self._base.read(table, missing), strict=True)) if self._base is not None else {}
        return [own.get(key, earlier.get(key)) for key in keys]

    def count(self, table: str) -> int:
        """Returns the number of keys of a table."""
        own = self.values.get(table, {})
        if self._base is None:
            return len(own)
        return self._base.count(table) + sum(value is None for value in self._base.read(table, list(own)))

    def commit(self, changes: Changes) -> None:
        """Applies changes to this store only."""
        if changes.is_reset:
            self._base, self.values = None, {}
        for table, values in changes.values.items():
            self.values.setdefault(table, {}).update(values)
        self._metadata = dict(changes.metadata)

    def commit_to_base(self) -> None:
        """Applies all changes to the base in one commit.

        Raises:
            SuiteError: another process has changed the base.
        """
        assert self._base is not None
        self._base.commit(Changes(self._metadata, self.values))
        self.values = {}

    def close(self) -> None:
        """Closes the base."""
        if self._base is not None:
            self._base.close()
