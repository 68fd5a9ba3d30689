"""Write to disk: one task, one connection, and everything that waits goes into one transaction."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import aiosqlite

from localqueue import crashpoint
from localqueue.errors import StorageUnavailable

Row = tuple[Any, ...]
Call = Callable[[aiosqlite.Connection], Awaitable[Any]]


@dataclass(slots=True, eq=False)
class Write:
    """Hold what is to be written together: rows for statements, or one call with the transaction.

    Rows of equal statements of all waiting writes are sent to SQLite together, in the order of their
    first appearance. So two writes with rows must not depend on each other. One that is to be done `alone`
    has a transaction of its own, after everything before it and before everything behind it.
    """

    rows: tuple[tuple[str, Row], ...] = ()
    call: Call | None = None
    then: Callable[[], None] | None = None
    alone: bool = False
    result: Any = None
    done: asyncio.Future[Any] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Writer:
    """Commit writes in groups; a write is done when it is on disk."""

    def __init__(self, connection: aiosqlite.Connection, after_rows: Call) -> None:
        self._connection = connection
        self._after_rows = after_rows
        self._waiting: list[Write] = []
        self._wake = asyncio.Event()
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._closing = False
        self.error: str | None = None
        self._task = asyncio.create_task(self._run(), name="store-writer")

    def submit(self, write: Write) -> asyncio.Future[Any]:
        """Queue a write; the future is done after its commit, or fails with StorageUnavailable.

        Whoever awaits it may be cancelled: the write is done all the same, for nothing waits in its place.
        """
        if self._closing:
            write.done.set_exception(StorageUnavailable("the store is closed"))
            return write.done
        self._waiting.append(write)
        self._wake.set()
        self._is_idle.clear()
        return write.done

    async def settled(self) -> None:
        """Return when no write waits or is under way."""
        await self._is_idle.wait()

    async def close(self) -> None:
        """Commit what waits, then close the connection."""
        self._closing = True
        self._wake.set()
        await self._task
        await self._connection.close()

    async def _run(self) -> None:
        while self._waiting or not self._closing:
            await self._wake.wait()
            self._wake.clear()
            batch, self._waiting = self._waiting, []
            for part in _parts(batch):
                await self._commit_all(part)
            if not self._waiting:
                self._is_idle.set()

    async def _commit_all(self, batch: list[Write]) -> None:
        error = await self._try(batch)
        if error is None:
            _finish(batch)
        elif len(batch) > 1 and not _is_trouble_with_disk(error):
            for write in batch:  # one of them is wrong in itself: it must not take the others along
                await self._commit_all([write])
        else:
            _fail(batch, error)

    async def _try(self, batch: list[Write]) -> sqlite3.Error | None:
        try:
            await self._commit(batch)
        except sqlite3.Error as error:
            self.error = str(error)
            await self._rollback()
            return error
        self.error = None
        return None

    async def _commit(self, batch: list[Write]) -> None:
        await self._connection.execute("BEGIN IMMEDIATE")
        for sql, rows in _grouped(batch):
            await self._connection.executemany(sql, rows)
        for write in batch:
            if write.call is not None:
                write.result = await write.call(self._connection)
        await self._after_rows(self._connection)
        crashpoint.reach("before-commit")
        await self._connection.commit()
        crashpoint.reach("after-commit")

    async def _rollback(self) -> None:
        try:
            await self._connection.rollback()
        except sqlite3.Error as error:  # SQLite has rolled back by itself
            self.error = str(error)


def _parts(batch: list[Write]) -> list[list[Write]]:
    """Split at writes that are to be done alone."""
    parts: list[list[Write]] = []
    for write in batch:
        if write.alone or not parts or parts[-1][0].alone:
            parts.append([])
        parts[-1].append(write)
    return parts


def _grouped(batch: Iterable[Write]) -> list[tuple[str, list[Row]]]:
    groups: dict[str, list[Row]] = {}
    for write in batch:
        for sql, row in write.rows:
            groups.setdefault(sql, []).append(row)
    return list(groups.items())


def _is_trouble_with_disk(error: sqlite3.Error) -> bool:
    return isinstance(error, sqlite3.OperationalError)


def _finish(batch: list[Write]) -> None:
    for write in batch:
        if write.then is not None:  # even if the caller has gone away: it is on disk
            write.then()
        if not write.done.done():
            write.done.set_result(write.result)


def _fail(batch: list[Write], error: sqlite3.Error) -> None:
    for write in batch:
        if not write.done.done():
            write.done.set_exception(
                StorageUnavailable(
                    f"the database can't be written: {error}",
                    "Nothing was stored. Make room or release the file; localqueue goes on by itself.",
                )
            )
            write.done.exception()  # a caller that has gone away leaves no warning behind
