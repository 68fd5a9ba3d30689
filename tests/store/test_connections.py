"""Opening a database: which files are taken, which are refused unchanged, and with which settings they are open."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from pathlib import Path
from typing import Any

import aiosqlite
import pytest

from localqueue.core.errors import DatabaseUnusable, StorageUnavailable
from localqueue.store import connections
from tests.support import run_async

connect = sqlite3.connect


def write(path: Path, *statements: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def read(path: Path, sql: str) -> Any:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchone()[0]


async def open_and_close(path: Path) -> None:
    connection, _ = await connections.open_writer(path, durable=True)
    await connection.close()


def refusal(path: Path) -> DatabaseUnusable:
    """Return how a file is refused; nothing may change, and no thread may stay."""
    before = path.read_bytes()
    with pytest.raises(DatabaseUnusable) as caught:
        run_async(open_and_close(path))
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    return caught.value


def test_a_new_file_has_every_migration_and_our_mark(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    run_async(open_and_close(path))
    run_async(open_and_close(path))  # nothing is left to migrate
    assert read(path, "PRAGMA application_id") == connections.APPLICATION_ID
    assert read(path, "PRAGMA user_version") == len(connections.migrations()) >= 6
    assert read(path, "PRAGMA journal_mode") == "wal"


def test_migrations_come_in_the_order_of_their_numbers() -> None:
    texts = connections.migrations()
    assert "CREATE TABLE jobs" in texts[0] and "CREATE TABLE pauses" in texts[1]
    assert all("__" not in text for text in texts)


def test_a_file_of_another_program_is_refused_unchanged(tmp_path: Path) -> None:
    """Rule storage.foreign-file."""
    path = tmp_path / "other.db"
    write(path, "CREATE TABLE notes (x)")
    error = refusal(path)
    assert (error.message, error.hint) == (f"{path} was created by another program", "Use another file: --db PATH")
    write(path, f"PRAGMA application_id={connections.APPLICATION_ID + 1}")
    assert "another program" in refusal(path).message


def test_a_file_of_a_newer_version_is_refused_unchanged(tmp_path: Path) -> None:
    """Rule storage.foreign-file."""
    path, newest = tmp_path / "queue.db", len(connections.migrations())
    run_async(open_and_close(path))
    write(path, f"PRAGMA user_version={newest + 1}")
    error = refusal(path)
    assert f"(schema {newest + 1}; this version supports up to {newest})" in error.message
    assert error.hint == "Update localqueue, or use another file: --db PATH"


def test_a_file_that_isn_t_a_database_is_refused_unchanged(tmp_path: Path) -> None:
    """Rule storage.foreign-file."""
    path = tmp_path / "notes.txt"
    path.write_text("buy milk " * 100)
    error = refusal(path)
    assert error.message == f"can't use {path} as the database: file is not a database"
    assert error.hint == "Use another file: --db PATH. This file was not changed."


def test_a_sqlite_that_is_too_old_is_refused_and_the_oldest_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "queue.db"
    monkeypatch.setattr(sqlite3, "sqlite_version", "3.34.1")
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    with pytest.raises(DatabaseUnusable) as caught:
        run_async(open_and_close(path))
    assert caught.value.message == "SQLite 3.34.1 is too old; localqueue needs 3.35 or later"
    assert caught.value.hint == "Use a newer Python, which brings its own SQLite."
    assert not path.exists()
    monkeypatch.setattr(sqlite3, "sqlite_version_info", connections.OLDEST_SQLITE)
    assert connections.sqlite_version() == ("3.34.1", True)


def test_an_interrupted_migration_leaves_no_connection_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[aiosqlite.Connection] = []
    real = aiosqlite.connect

    def connect(*arguments: Any, **options: Any) -> aiosqlite.Connection:
        opened.append(real(*arguments, **options))
        return opened[-1]

    def interrupted() -> list[str]:
        raise KeyboardInterrupt

    monkeypatch.setattr(aiosqlite, "connect", connect)
    monkeypatch.setattr(connections, "migrations", interrupted)

    async def main() -> None:
        with pytest.raises(KeyboardInterrupt):
            await connections.open_writer(tmp_path / "queue.db", durable=True)
        with pytest.raises(ValueError, match="no active connection"):
            await opened[0].execute("SELECT 1")

    run_async(main())


@pytest.mark.parametrize(("durable", "synchronous"), [(True, 2), (False, 0)])
def test_only_a_temporary_database_does_not_wait_for_the_disk(tmp_path: Path, durable: bool, synchronous: int) -> None:
    """Rule storage.kill."""

    async def main() -> None:
        connection, raw = await connections.open_writer(tmp_path / "queue.db", durable=durable)
        assert await connections.number(connection, "PRAGMA synchronous") == synchronous
        assert await connections.number(connection, "PRAGMA busy_timeout") == 5000
        assert (raw.isolation_level, connection.isolation_level) == (None, None)
        await connection.close()

    run_async(main())


def test_a_reader_can_not_write_and_waits_for_a_lock(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "odd ?#%.db"
        await open_and_close(path)
        reader = await connections.open_reader(path)
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await reader.execute("DELETE FROM jobs")
        assert await connections.number(reader, "PRAGMA busy_timeout") == 5000
        assert (reader.isolation_level, reader.in_transaction) == (None, False)
        assert await connections.read_rows(reader, "SELECT ?, 2", (1,)) == [(1, 2)]
        with pytest.raises(StorageUnavailable, match="the database can't be read: no such table: x"):
            await connections.read_rows(reader, "SELECT * FROM x")
        await reader.close()
        with pytest.raises(StorageUnavailable, match="the database can't be read: "):
            await connections.read_rows(reader, "SELECT 1")

    run_async(main())


def test_a_connection_whose_opening_is_cancelled_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "queue.db"
    connect(path).close()
    opened: list[sqlite3.Connection] = []
    began, may_end = threading.Event(), threading.Event()

    def slow(*arguments: Any, **options: Any) -> sqlite3.Connection:
        began.set()
        may_end.wait(30)
        opened.append(connect(*arguments, **options, check_same_thread=False))
        return opened[0]

    async def check() -> None:
        monkeypatch.setattr(sqlite3, "connect", slow)
        opening = asyncio.create_task(connections.open_reader(path))
        await asyncio.to_thread(began.wait, 30)
        opening.cancel()
        asyncio.get_running_loop().call_soon(may_end.set)
        with pytest.raises(asyncio.CancelledError):
            await opening

    run_async(check())
    with pytest.raises(sqlite3.ProgrammingError, match="closed database"):
        opened[0].execute("SELECT 1")
