"""Write to disk: one task, one connection, and everything that waits goes into one transaction."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiosqlite

from localqueue.errors import StorageUnavailable
from localqueue.store.group import Call, Group, GroupConnection, Row, Statement, grouped


@dataclass(slots=True, eq=False)
class Write:
    """Hold what is to be written together: rows for statements, or one call with the connection.

    Rows of equal statements of all waiting writes are executed together, in the order of their first
    appearance. So two writes with rows must not depend on each other. One that is to be done `alone`
    has a transaction of its own, after everything before it and before everything behind it.
    """

    done: asyncio.Future[Any]
    rows: tuple[tuple[Statement, Row], ...] = ()
    call: Call | None = None
    then: Callable[[], None] | None = None
    alone: bool = False
    result: Any = None


class Writer:
    """Commit writes in groups; a write is done when it is on disk."""

    def __init__(self, connection: aiosqlite.Connection, raw: GroupConnection, after_rows: Call) -> None:
        self._connection = connection
        self._raw = raw
        self._after_rows = after_rows
        self._loop = asyncio.get_running_loop()
        self._waiting: list[Write] = []
        self._wake = asyncio.Event()
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._closing = False
        self.error: str | None = None
        self._task = asyncio.create_task(self._run(), name="store-writer")

    def write(
        self, *rows: tuple[Statement, Row], then: Callable[[], None] | None = None, alone: bool = False
    ) -> asyncio.Future[Any]:
        """Write rows; the future is done after the commit, or fails with StorageUnavailable.

        `then` is called right after the commit. Whoever awaits the future may be cancelled: the rows are written
        all the same, for nobody waits in the writer's place.
        """
        return self._submit(Write(self._loop.create_future(), rows, then=then, alone=alone))

    def call(self, call: Call, *, alone: bool = False) -> asyncio.Future[Any]:
        """Call with the connection inside a transaction; the future gives what it returned."""
        return self._submit(Write(self._loop.create_future(), call=call, alone=alone))

    def _submit(self, write: Write) -> asyncio.Future[Any]:
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
            return error
        self.error = None
        return None

    async def _commit(self, batch: list[Write]) -> None:
        calling = [write for write in batch if write.call is not None]
        calls = [*(write.call for write in calling if write.call is not None), self._after_rows]
        group = Group(grouped(pair for write in batch for pair in write.rows), calls, [])
        self._raw.staged = group
        await self._connection.commit()
        for write, result in zip(calling, group.results, strict=False):
            write.result = result


def _parts(batch: list[Write]) -> list[list[Write]]:
    """Split at writes that are to be done alone."""
    parts: list[list[Write]] = []
    for write in batch:
        if write.alone or not parts or parts[-1][0].alone:
            parts.append([])
        parts[-1].append(write)
    return parts


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
