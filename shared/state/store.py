"""The interface of a state store, and what its implementations share."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

from shared.errors import SuiteError

REVISION = "revision"
"""Key of the metadata that counts the commits, so that a commit notices those of another process."""


@dataclass(frozen=True)
class Changes:
    """What one commit changes."""

    metadata: Mapping[str, Any]
    """JSON-ready metadata that replace the earlier ones."""
    values: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)
    """New values by table and key; other keys keep their values."""
    is_reset: bool = False
    """True to delete all earlier values."""


@dataclass(frozen=True)
class StateOptions:
    """Options of the commands that change a state store."""

    skips_errors: bool = False
    """True to leave out records that cannot be used, False to raise an error."""
    is_rebuild: bool = False
    """True to delete the earlier content first, also that of another model."""


class StateStore(Protocol):
    """A store of bytes by table and key, with metadata. A commit is applied completely or not at all, also if the process is killed.

    Every method raises a `SuiteError` if the store is damaged or cannot be reached.
    """

    @property
    def place(self) -> str:
        """Path or address for messages, without a password."""

    def metadata(self) -> dict[str, Any]:
        """Returns the metadata of the last commit; an empty dictionary for a new store."""

    def read(self, table: str, keys: Sequence[str]) -> list[bytes | None]:
        """Returns the value of each key of a table; None for a key without a value."""

    def count(self, table: str) -> int:
        """Returns the number of keys of a table."""

    def commit(self, changes: Changes) -> None:
        """Applies changes.

        Raises:
            SuiteError: another process has changed the store since `metadata` was called.
        """

    def close(self) -> None:
        """Closes the store."""


def encode_metadata(metadata: Mapping[str, Any], revision: int) -> str:
    """Returns metadata as JSON, with the revision of the store."""
    return json.dumps({**metadata, REVISION: revision}, ensure_ascii=False)


def decode_metadata(text: str | bytes | None) -> tuple[dict[str, Any], int]:
    """Returns the metadata without the revision, and the revision; 0 for a store without metadata."""
    metadata = json.loads(text) if text else {}
    return metadata, metadata.pop(REVISION, 0)


def concurrent_change_error(place: str) -> SuiteError:
    """Returns the error of a commit that would overwrite the changes of another process."""
    return SuiteError(
        f"{place}: another process has changed the state store in the meantime; nothing of this batch was stored. Run the command "
        "again, and only one at a time."
    )


def missing_store_error(place: str, task: str) -> SuiteError:
    """Returns the error for a store of a task that does not exist."""
    return SuiteError(
        f"{place}: no state store. Create it from earlier records with `lstm-suite state {task} update --data FILE --store {place}`."
    )


def require_model(store: StateStore, metadata: Mapping[str, Any], digest: str) -> None:
    """Checks that a store is empty or belongs to a model.

    Args:
        store: the store.
        metadata: its metadata.
        digest: identity of the model (see `shared.export.versions.model_digest`).

    Raises:
        SuiteError: the store belongs to another model, whose states mean nothing to this one; the message names the command that
            rebuilds the store.
    """
    if metadata and metadata.get("model") != digest:
        raise SuiteError(
            f"{store.place}: the states belong to another model version. Build them again from all earlier records: "
            f"lstm-suite state {metadata.get('task', 'TASK')} update --rebuild --data FILE --store {store.place}. "
            "Or choose the version that they belong to with --version."
        )


def public_place(place: str) -> str:
    """Returns the path or address of a store with *** instead of a password."""
    password = urlsplit(place).password if "://" in place else None
    return place.replace(f":{password}@", ":***@", 1) if password else place
