"""Write to disk: one connection, and everything that waits goes into one transaction."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import aiosqlite

from localqueue.core.errors import StorageUnavailable
from localqueue.store.batch_commit import BatchConnection, Call, Row, Statement, Write, WriteBatch

COMMITTERS = 2
"""How many groups are on their way to the connection's thread: it has the next one before we know of the last."""


class Writer:
    """Commit writes in groups; a write is done when it is on disk."""

    def __init__(self, connection: aiosqlite.Connection, raw: BatchConnection, at_end: Call) -> None:
        self._connection = connection
        self._groups = raw.groups = deque[WriteBatch]()
        raw.fill, raw.at_end = self._fill, at_end
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Write] = deque()
        self._filling = threading.Lock()
        self._wake = asyncio.Event()
        self._under_way = 0
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._next_commit: asyncio.Future[None] | None = None
        self._closing = False
        self.error: str | None = None
        self._tasks = [asyncio.create_task(self._run(), name="store-writer") for _ in range(COMMITTERS)]

    def write(
        self, *rows: tuple[Statement, Row], then: Callable[[], None] | None = None, alone: bool = False
    ) -> asyncio.Future[Any]:
        """Write rows; the future is done after the commit, or fails with StorageUnavailable.

        `then` is called right after the commit. Whoever awaits the future may be cancelled: the rows are written
        all the same, for nobody waits in the writer's place.
        """
        return self._submit(Write(self._loop.create_future(), rows, then=then, alone=alone))

    def call(self, call: Call, *, alone: bool = False) -> asyncio.Future[Any]:
        """Call with the connection inside a transaction, on its thread; the future gives what it returned."""
        return self._submit(Write(self._loop.create_future(), call=call, alone=alone))

    def _submit(self, write: Write) -> asyncio.Future[Any]:
        if self._closing:
            write.done.set_exception(StorageUnavailable("the store is closed"))
            return write.done
        self._waiting.append(write)
        self._wake.set()
        self._is_idle.clear()
        return write.done

    @property
    def is_idle(self) -> bool:
        """Return whether no write waits or is under way."""
        return self._is_idle.is_set()

    async def settled(self) -> None:
        """Return when no write waits or is under way."""
        await self._is_idle.wait()

    async def committed(self) -> None:
        """Return after the next commit."""
        if self._next_commit is None:
            self._next_commit = self._loop.create_future()
        await asyncio.shield(self._next_commit)

    async def close(self) -> None:
        """Commit what waits, then close the connection."""
        self._closing = True
        self._wake.set()
        await asyncio.gather(*self._tasks)
        await self._connection.close()

    def _fill(self) -> list[Write]:
        """Take what waits, up to a write that is to be done alone; called on the connection's thread, too."""
        taken: list[Write] = []
        with self._filling:
            while self._waiting and not (taken and (taken[-1].alone or self._waiting[0].alone)):
                taken.append(self._waiting.popleft())
        return taken

    async def _run(self) -> None:
        while self._waiting or not self._closing:
            await self._wake.wait()
            if self._waiting:
                self._under_way += 1
                await self._commit(WriteBatch())
                self._under_way -= 1
            elif not self._closing:
                self._wake.clear()
            if not self._waiting and not self._under_way:
                self._is_idle.set()

    async def _commit(self, group: WriteBatch) -> None:
        error = await self._try(group)
        if self._next_commit is not None:
            self._next_commit.set_result(None)
            self._next_commit = None
        if error is None:
            _finish(group.writes)
            return
        group.writes = group.writes or self._fill()
        if len(group.writes) > 1 and not _is_trouble_with_disk(error):
            for write in group.writes:  # one of them is wrong in itself: it must not take the others along
                await self._commit(WriteBatch([write]))
        else:
            _fail(group.writes, error)

    async def _try(self, group: WriteBatch) -> sqlite3.Error | None:
        self._groups.append(group)
        try:
            await self._connection.commit()
        except sqlite3.Error as error:
            self.error = str(error)
            if group in self._groups:  # it was not even begun
                self._groups.remove(group)
            return error
        if group.writes:
            self.error = None
        return None


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
