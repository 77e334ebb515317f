"""State stores: what the client of a model keeps between calls, such as the state of each card.

`store.py` has the interface, `sqlite.py`, `redis.py` and `memory.py` implement it. A store holds bytes by table and key; the task
that uses it knows what they mean.
"""

from __future__ import annotations

from shared.errors import SuiteError
from shared.state.store import StateStore

REDIS_SCHEMES = ("redis://", "rediss://", "unix://")


def open_store(place: str, task: str, create: bool = False, read_only: bool = False) -> StateStore:
    """Opens a state store.

    Args:
        place: path of an SQLite file, or URL of a Redis server: redis://HOST:PORT/DATABASE#PREFIX, rediss:// (TLS) or unix://. The
            prefix begins the names of the keys and is "lstm-suite" if omitted.
        task: name of the task, for the message that a store does not exist.
        create: create the store if it does not exist.
        read_only: the store cannot be changed.

    Raises:
        SuiteError: there is no such store, the file is of another kind, or the server cannot be reached.
    """
    if place.startswith(REDIS_SCHEMES):
        from shared.state.redis import RedisStore

        return RedisStore(place, task, create)
    if "://" in place:
        scheme = place.partition("://")[0]
        raise SuiteError(
            f"--store must be the path of a file or a URL with {', '.join(REDIS_SCHEMES)}. Received: {scheme}://"
        )
    from shared.state.sqlite import SqliteStore

    return SqliteStore(place, task, create, read_only)
