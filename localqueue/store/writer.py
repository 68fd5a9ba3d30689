"""Write to disk with one connection; all waiting writes share a transaction."""

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

GROUP = 32
"""So many writes that can wait are committed without waiting for more."""
PATIENCE_S = 0.005
"""How long a write that can wait is kept for the next commit, in seconds."""
COMMITTERS = 2
"""How many batches the connection's thread has at a time: it starts the next one before the loop hears of the last."""


class Writer:
    """The queue of waiting writes, which are committed in batches."""

    def __init__(self, connection: aiosqlite.Connection, raw: BatchConnection, at_end: Call) -> None:
        self._connection = connection
        self._batches = raw.batches = deque[WriteBatch]()
        raw.fill, raw.at_end = self._fill, at_end
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Write] = deque()
        self._filling = threading.Lock()
        self._wake = asyncio.Event()
        self._is_due = False
        self._timer: asyncio.TimerHandle | None = None
        self._running = 0
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._next_commit: asyncio.Future[None] | None = None
        self._closing = False
        self.arriving = 0
        """How many writes with a `then` have not ended yet."""
        self.error: str | None = None
        self._tasks = [asyncio.create_task(self._run(), name="store-writer") for _ in range(COMMITTERS)]

    def write(
        self,
        *rows: tuple[Statement, Row],
        then: Callable[[], None] | None = None,
        alone: bool = False,
        can_wait: bool = False,
    ) -> asyncio.Future[Any]:
        """Write rows; the future is done after the commit, or fails with StorageUnavailable.

        `then` is called right after the commit, on the event loop. The rows are written even if the caller that awaits
        the future is cancelled. Rows that can wait are committed with the next that can't, or when GROUP of them wait,
        or after PATIENCE_S: large transactions cost less per row.
        """
        return self._submit(Write(self._loop.create_future(), rows, then=then, alone=alone), can_wait)

    def call(self, call: Call, *, alone: bool = False) -> asyncio.Future[Any]:
        """Make a call with the connection inside a transaction, on its thread; the future yields its result."""
        return self._submit(Write(self._loop.create_future(), call=call, alone=alone))

    def _submit(self, write: Write, can_wait: bool = False) -> asyncio.Future[Any]:
        if self._closing:
            write.done.set_exception(StorageUnavailable("the store is closed"))
            return write.done
        self._waiting.append(write)
        self.arriving += write.then is not None
        self._is_idle.clear()
        if not can_wait or len(self._waiting) >= GROUP:
            self._hurry()
        elif self._timer is None:
            self._timer = self._loop.call_later(PATIENCE_S, self._hurry)
        return write.done

    def _hurry(self) -> None:
        """Commit what waits as soon as possible."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._is_due = True
        self._wake.set()

    @property
    def is_idle(self) -> bool:
        """Return whether no write is waiting or running."""
        return self._is_idle.is_set()

    async def settled(self) -> None:
        """Return when no write is waiting or running."""
        await self._is_idle.wait()

    async def committed(self) -> None:
        """Return after the next commit."""
        if self._next_commit is None:
            self._next_commit = self._loop.create_future()
        await asyncio.shield(self._next_commit)

    async def close(self) -> None:
        """Commit what waits, then close the connection."""
        self._closing = True
        self._hurry()
        await asyncio.gather(*self._tasks)
        await self._connection.close()

    def _fill(self) -> list[Write]:
        """Take the waiting writes, up to one that must be alone; also called on the connection's thread."""
        taken: list[Write] = []
        with self._filling:
            if not self._is_due:
                return taken
            self._is_due = False  # first: a write that arrives meanwhile makes it due again
            while self._waiting and not (taken and (taken[-1].alone or self._waiting[0].alone)):
                taken.append(self._waiting.popleft())
            if self._waiting:
                self._is_due = True
        return taken

    async def _run(self) -> None:
        while self._waiting or not self._closing:
            await self._wake.wait()
            if self._waiting and (self._is_due or self._closing):
                self._running += 1
                await self._commit(WriteBatch())
                self._running -= 1
                if self._is_due:
                    self._wake.set()
            elif not self._closing:
                self._wake.clear()
            if not self._waiting and not self._running:
                self._is_idle.set()

    async def _commit(self, batch: WriteBatch) -> None:
        error = await self._try(batch)
        if self._next_commit is not None:
            self._next_commit.set_result(None)
            self._next_commit = None
        if error is None:
            _finish(batch.writes)
            self._leave(batch.writes)
            return
        batch.writes = batch.writes or self._fill()
        if len(batch.writes) > 1 and not _is_disk_error(error):
            for write in batch.writes:  # one of them is invalid: it must not fail the others
                await self._commit(WriteBatch([write]))
        else:
            _fail(batch.writes, error)
            self._leave(batch.writes)

    async def _try(self, batch: WriteBatch) -> Exception | None:
        """Commit a batch; return any error, also one of our own: a writer that ends leaves its callers waiting."""
        self._batches.append(batch)
        try:
            await self._connection.commit()
        except Exception as error:
            self.error = str(error)
            if batch in self._batches:  # it never started
                self._batches.remove(batch)
            return error
        if batch.writes:
            self.error = None
        return None

    def _leave(self, writes: list[Write]) -> None:
        """Count them as ended before any task that they wake runs: it may wait for a commit that is still to come."""
        self.arriving -= sum(write.then is not None for write in writes)


def _is_disk_error(error: Exception) -> bool:
    return isinstance(error, sqlite3.OperationalError)


def _finish(writes: list[Write]) -> None:
    for write in writes:
        if write.then is not None:  # even if the caller was cancelled: the write is on disk
            write.then()
        if not write.done.done():
            write.done.set_result(write.result)


def _fail(writes: list[Write], error: Exception) -> None:
    for write in writes:
        if not write.done.done():
            write.done.set_exception(
                StorageUnavailable(
                    f"the database can't be written: {error}",
                    "Free some space or release the file; localqueue then continues by itself.",
                )
            )
            write.done.exception()  # no warning if the caller was cancelled
