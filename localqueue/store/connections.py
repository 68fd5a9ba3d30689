"""Open the database: check whose it is, migrate it, and set its durability."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import types
from collections.abc import Generator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import aiosqlite

from localqueue.core.errors import DatabaseUnusable, StorageUnavailable
from localqueue.store.batch_commit import BatchConnection

APPLICATION_ID = 0x4C514A42
"""Marks a SQLite file as a localqueue database ("LQJB")."""
BUSY_TIMEOUT_S = 5.0
LOG_LIMIT = 16 * 1024 * 1024
"""To how many bytes the log shrinks once nothing needs more of it: a reader from outside may let it grow."""
OLDEST_SQLITE = (3, 35, 0)


def migrations() -> list[str]:
    """Return the SQL of every migration; the n-th migrates from schema version n-1 to n."""
    folder = resources.files("localqueue.store") / "migrations"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [(folder / name).read_text() for name in names]


def sqlite_version() -> tuple[str, bool]:
    """Return SQLite's version, and whether it is new enough."""
    return sqlite3.sqlite_version, sqlite3.sqlite_version_info >= OLDEST_SQLITE


async def open_writer(path: Path, *, durable: bool) -> tuple[aiosqlite.Connection, BatchConnection]:
    """Open the one connection that writes and migrate the file; return it and the connection that it wraps.

    Raises DatabaseUnusable and leaves the file unchanged.
    """
    version, is_new_enough = sqlite_version()
    if not is_new_enough:
        raise DatabaseUnusable(
            f"SQLite {version} is too old; localqueue needs 3.35 or later",
            "Use a newer Python, which brings its own SQLite.",
        )
    opened: list[BatchConnection] = []

    def make(*arguments: Any, **options: Any) -> BatchConnection:
        opened.append(BatchConnection(*arguments, **options))
        return opened[0]

    connection = await aiosqlite.connect(path, isolation_level=None, timeout=BUSY_TIMEOUT_S, factory=make)
    try:
        await _check(connection, path)
        await connection.execute("PRAGMA journal_mode=WAL")
        await connection.execute(f"PRAGMA journal_size_limit={LOG_LIMIT}")
        await connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'OFF'}")
        await _migrate(connection)
    except sqlite3.Error as error:
        await connection.close()
        raise DatabaseUnusable(
            f"can't use {path} as the database: {error}",
            "Use another file: --db PATH. This file was not changed.",
        ) from error
    except BaseException:
        await connection.close()
        raise
    return connection, opened[0]


async def open_reader(path: Path) -> aiosqlite.Connection:
    """Open a connection that can't write; close it if that is cancelled, for aiosqlite would leave it open."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    connection = aiosqlite.connect(uri, uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_S)
    # `__await__` starts the thread at once, not when the task runs: the fixture knows its threads by when they start.
    opening = asyncio.create_task(_opened(connection.__await__()))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        with contextlib.suppress(sqlite3.Error):
            await (await opening).close()
        raise


async def _opened(steps: Generator[Any, None, aiosqlite.Connection]) -> aiosqlite.Connection:
    return await _rest(steps)


@types.coroutine
def _rest(steps: Generator[Any, None, aiosqlite.Connection]) -> Generator[Any, None, aiosqlite.Connection]:
    return (yield from steps)


async def read_rows(connection: aiosqlite.Connection, sql: str, values: Sequence[Any] = ()) -> list[Any]:
    """Return all rows of a query. Raises StorageUnavailable."""
    try:
        return list(await connection.execute_fetchall(sql, values))
    except (sqlite3.Error, ValueError) as error:  # ValueError: the connection was closed meanwhile
        raise StorageUnavailable(f"the database can't be read: {error}") from error


async def number(connection: aiosqlite.Connection, sql: str) -> int:
    """Return the single number that a query yields."""
    rows = list(await connection.execute_fetchall(sql))
    return int(rows[0][0])


async def _check(connection: aiosqlite.Connection, path: Path) -> None:
    tables = await number(connection, "SELECT count(*) FROM sqlite_master")
    if tables and await number(connection, "PRAGMA application_id") != APPLICATION_ID:
        raise DatabaseUnusable(f"{path} was created by another program", "Use another file: --db PATH")
    version = await number(connection, "PRAGMA user_version")
    newest = len(migrations())
    if version > newest:
        raise DatabaseUnusable(
            f"{path} was written by a newer localqueue (schema {version}; this version supports up to {newest})",
            "Update localqueue, or use another file: --db PATH",
        )


async def _migrate(connection: aiosqlite.Connection) -> None:
    version = await number(connection, "PRAGMA user_version")
    for step, sql in enumerate(migrations()[version:], start=version + 1):
        await connection.executescript(
            f"BEGIN IMMEDIATE; {sql}; PRAGMA application_id={APPLICATION_ID};PRAGMA user_version={step}; COMMIT;"
        )
