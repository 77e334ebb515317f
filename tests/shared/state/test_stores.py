"""All state stores behave alike: commits are atomic, survive the process, and never overwrite those of another process."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shared.errors import SuiteError
from shared.state import open_store
from shared.state.memory import MemoryStore
from shared.state.store import Changes

KEYS = ["ann", "bob", "ünïcode 😀", "7", "a key that is\nlong" * 9]


@pytest.fixture(params=["sqlite", "redis"])
def place(request, tmp_path, monkeypatch):
    """Address of a store that does not exist; the server of Redis is a stand-in in memory."""
    if request.param == "sqlite":
        return str(tmp_path / "states.sqlite")
    fakeredis = pytest.importorskip("fakeredis")
    import redis

    server = fakeredis.FakeServer()
    monkeypatch.setattr(redis.Redis, "from_url", lambda url, **_: fakeredis.FakeRedis(server=server))
    return "redis://:secret@localhost:6379/0#cards"


@pytest.fixture
def store(place):
    return open_store(place, "fraud", create=True)


def test_a_commit_is_read_back_by_another_process(store, place):
    assert store.metadata() == {}
    values = {key: bytes([k, 0, 255]) for k, key in enumerate(KEYS)}
    store.commit(Changes({"name": "ä", "rows": 3}, {"cards": values, "terminals": {"ann": b"other table"}}))
    store.commit(Changes({"name": "ä", "rows": 4}, {"cards": {"bob": b"changed"}}))
    store.close()
    again = open_store(place, "fraud")
    assert again.metadata() == {"name": "ä", "rows": 4}
    assert again.read("cards", [*KEYS[::-1], "nobody"]) == [
        *({**values, "bob": b"changed"}[k] for k in KEYS[::-1]),
        None,
    ]
    assert again.read("terminals", ["ann"]) == [b"other table"]
    assert again.read("cards", []) == []
    assert (again.count("cards"), again.count("terminals"), again.count("nothing")) == (len(KEYS), 1, 0)


def test_more_keys_than_fit_into_one_command(store):
    values = {f"card {k}": b"%d" % k for k in range(2_500)}
    store.commit(Changes({}, {"cards": values}))
    assert store.read("cards", list(values)) == list(values.values())


def test_a_reset_deletes_all_earlier_values(store):
    store.commit(Changes({"a": 1}, {"cards": {"ann": b"1"}, "terminals": {"x": b"1"}}))
    store.commit(Changes({"b": 2}, {"cards": {"bob": b"2"}}, is_reset=True))
    assert store.read("cards", ["ann", "bob"]) == [None, b"2"]
    assert store.count("terminals") == 0
    assert store.metadata() == {"b": 2}


def test_a_commit_after_that_of_another_process_is_refused(store, place):
    store.metadata()
    other = open_store(place, "fraud", create=True)
    other.metadata()
    other.commit(Changes({"by": "other"}, {"cards": {"ann": b"other"}}))
    with pytest.raises(SuiteError, match="another process has changed the state store"):
        store.commit(Changes({"by": "me"}, {"cards": {"ann": b"mine"}}))
    assert store.read("cards", ["ann"]) == [b"other"]
    assert store.metadata() == {"by": "other"}


def test_a_missing_store_names_the_command_that_creates_it(place):
    with pytest.raises(SuiteError, match=r"no state store.*lstm-suite state .* update") as error:
        open_store(place, "fraud")
    assert "secret" not in str(error.value)


def test_a_store_in_memory_keeps_its_changes_until_they_are_committed_to_its_base(store, place):
    store.commit(Changes({"rows": 1}, {"cards": {"ann": b"1", "bob": b"1"}}))
    overlay = MemoryStore(store)
    overlay.commit(Changes({"rows": 2}, {"cards": {"bob": b"2", "cid": b"2"}}))
    assert overlay.read("cards", ["ann", "bob", "cid", "dan"]) == [b"1", b"2", b"2", None]
    assert (overlay.count("cards"), overlay.metadata()) == (3, {"rows": 2})
    assert open_store(place, "fraud").read("cards", ["bob", "cid"]) == [b"1", None]
    overlay.commit_to_base()
    assert open_store(place, "fraud").read("cards", ["ann", "bob", "cid"]) == [b"1", b"2", b"2"]
    assert open_store(place, "fraud").metadata() == {"rows": 2}
    overlay.commit(Changes({}, {"cards": {"eve": b"3"}}, is_reset=True))
    assert overlay.read("cards", ["ann", "eve"]) == [None, b"3"]


def test_a_read_only_store_cannot_be_changed(tmp_path):
    path = str(tmp_path / "states.sqlite")
    open_store(path, "fraud", create=True).close()
    store = open_store(path, "fraud", read_only=True)
    with pytest.raises(SuiteError, match="readonly"):
        store.commit(Changes({}, {"cards": {"ann": b"1"}}))


def test_a_file_of_another_kind_stays_unchanged(tmp_path):
    (tmp_path / "notes.txt").write_text("no database " * 100)
    with pytest.raises(SuiteError, match=r"notes\.txt: .*not a database"):
        open_store(str(tmp_path / "notes.txt"), "fraud", create=True)
    with sqlite3.connect(tmp_path / "other.sqlite") as connection:
        connection.execute("create table users (name text)")
    with pytest.raises(SuiteError, match="not a state store"):
        open_store(str(tmp_path / "other.sqlite"), "fraud", create=True)
    with pytest.raises(SuiteError, match="is a folder"):
        open_store(str(tmp_path), "fraud", create=True)
    assert (tmp_path / "notes.txt").read_text() == "no database " * 100


def test_an_unknown_address_and_a_server_that_does_not_run_are_one_line_each():
    with pytest.raises(SuiteError, match="Received: mysql://"):
        open_store("mysql://localhost/states", "fraud")
    pytest.importorskip("redis")
    with pytest.raises(SuiteError, match=r"redis://:\*\*\*@localhost:1/0: the Redis server cannot be used .* --store"):
        open_store("redis://:secret@localhost:1/0", "fraud")


WRITER = """
import sys
from shared.state import open_store
from shared.state.store import Changes
store = open_store(sys.argv[1], "fraud", create=True)
store.metadata()
for k in range(10**9):
    store.commit(Changes({"k": k}, {"cards": {f"card {n}": b"%d" % k for n in range(500)}}))
"""


def test_a_killed_process_leaves_a_complete_commit(tmp_path):
    path = tmp_path / "states.sqlite"
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], cwd=Path.cwd())
    deadline = time.monotonic() + 60
    k = -1
    while k < 3 and time.monotonic() < deadline:
        time.sleep(0.1)
        if path.is_file() and path.stat().st_size:
            k = open_store(str(path), "fraud").metadata().get("k", -1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    store = open_store(str(path), "fraud")
    k = store.metadata()["k"]
    assert k >= 3
    assert set(store.read("cards", [f"card {n}" for n in range(500)])) == {b"%d" % k}
