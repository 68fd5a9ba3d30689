"""Stand in for aiosqlite: real SQLite, executed on the loop with delays from a seed, so that it can die at any moment.

Like aiosqlite's threads, a connection does one thing after the other, and continues a statement whose caller
has been cancelled. Unlike them it is deterministic, and the process that owns it can be killed: what was executed
stays in the file as it is, nothing more is executed, and nobody gets an answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

Work = Callable[[sqlite3.Connection], Any]

Pace = tuple[float, float]
PACES: tuple[Pace, ...] = ((0.05, 0.0005), (0.3, 0.002), (0.9, 0.02))
"""How large a share of what a connection does takes time, and how long at the most, in s."""


@dataclass
class StoreCalls:
    """The calls of a whole history that read or write, and which of them fails; 0: none."""

    failing: int = 0
    made: int = 0

    def fails(self) -> bool:
        """Count a call; return whether it is the one that fails."""
        self.made += 1
        return self.made == self.failing


class Disk:
    """Hold the connections of one process.

    `died` is called when the fuse has burnt down, `troubled` when a statement has failed.
    """

    def __init__(
        self, rng: random.Random, died: Callable[[], None], troubled: Callable[[str], None], calls: StoreCalls
    ) -> None:
        self._rng = rng
        self.calls = calls
        self._died = died
        self.troubled = troubled
        self.set_paces(rng.choice(PACES), rng.choice(PACES))
        self.connections: list[Connection] = []
        self.is_dead = False
        self.fuse: int | None = None
        """How many statements are still executed before the process dies; None: it lives."""
        self.trouble: list[str] = []
        """Errors with which the next statements that write fail."""
        self.read_trouble: list[str] = []
        """The same for those that read; but for data of a job that is being started: then it is due a second later."""

    def set_paces(self, read: Pace, write: Pace) -> None:
        """Decide how long reading and writing take."""
        self._read_pace, self._write_pace = read, write

    @property
    def is_reading(self) -> bool:
        """Return whether a statement that reads is running."""
        return any(connection.is_busy and not connection.is_writer for connection in self.connections)

    def connect(self, path: Any, **options: Any) -> Connection:
        """Be `aiosqlite.connect`."""
        return Connection(self, path, options)

    def kill(self) -> None:
        """End the process: close the files without a commit."""
        if not self.is_dead:
            self.is_dead = True
            for connection in self.connections:
                connection.abandon()
            self._died()

    def later(self, is_write: bool, callback: Callable[[], None]) -> None:
        """Call back soon, or a little later."""
        loop = asyncio.get_running_loop()
        share, most_s = self._write_pace if is_write else self._read_pace
        if self._rng.random() < share:
            loop.call_later(self._rng.random() * most_s, callback)
        else:
            loop.call_soon(callback)

    def burn(self) -> bool:
        """Burn the fuse down by one statement; return whether the process is dead."""
        if self.fuse is not None and not self.is_dead:
            self.fuse -= 1
            if self.fuse <= 0:
                self.kill()
        return self.is_dead


class Connection:
    """Execute statements in order, some ticks later."""

    def __init__(self, disk: Disk, path: Any, options: dict[str, Any]) -> None:
        self._disk = disk
        self._path, self._options = path, options
        self.is_writer = not options.get("uri")
        self._queue: deque[tuple[asyncio.Future[Any], Work]] = deque()
        self._db: sqlite3.Connection | None = None

    def __await__(self) -> Generator[Any, None, Connection]:
        return self._open().__await__()

    async def _open(self) -> Connection:
        if self._disk.is_dead:
            await asyncio.get_running_loop().create_future()
        self._db = sqlite3.connect(self._path, **self._options)
        self._disk.connections.append(self)
        return self

    def abandon(self) -> None:
        """Close the file as the end of a process does."""
        self._queue.clear()
        if self._db is not None:
            with contextlib.suppress(sqlite3.ProgrammingError):  # it was just being closed
                self._db.rollback()  # closing alone would leave the lock to whoever still holds a cursor
            self._db.close()
            self._db = None

    @property
    def is_busy(self) -> bool:
        return bool(self._queue)

    @property
    def is_open(self) -> bool:
        return self._db is not None

    async def _do(self, work: Work, trouble: list[str] | None = None) -> Any:
        if self._db is None and not self._disk.is_dead:
            raise ValueError("Connection closed")  # as aiosqlite does
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if not self._disk.is_dead:
            self._queue.append((future, work if trouble is None else self._may_fail(work, trouble)))
            if len(self._queue) == 1:
                self._disk.later(self.is_writer, self._next)
        return await future

    def _next(self) -> None:
        if self._disk.is_dead or self._disk.burn():
            return
        future, work = self._queue[0]
        result, error = self._tried(work)
        self._disk.later(self.is_writer, lambda: self._answer(future, result, error))

    def _tried(self, work: Work) -> tuple[Any, Exception | None]:
        try:
            if self._db is None:
                raise ValueError("no active connection")  # as aiosqlite does
            return work(self._db), None
        except (sqlite3.Error, ValueError) as error:
            return None, error

    def _may_fail(self, work: Work, trouble: list[str]) -> Work:
        def worked(db: sqlite3.Connection) -> Any:
            if self._disk.calls.fails():
                trouble.insert(0, "disk I/O error")
            if trouble:
                self._disk.troubled(trouble[0])
                raise sqlite3.OperationalError(trouble.pop(0))
            return work(db)

        return worked

    def _answer(self, future: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
        if self._disk.is_dead or self._disk.burn():
            return
        self._queue.popleft()
        if not future.done():
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)
        if self._queue:
            self._disk.later(self.is_writer, self._next)

    async def execute(self, sql: str, values: Any = ()) -> sqlite3.Cursor:
        cursor: sqlite3.Cursor = await self._do(lambda db: db.execute(sql, values))
        return cursor

    async def executemany(self, sql: str, rows: Any) -> sqlite3.Cursor:
        cursor: sqlite3.Cursor = await self._do(lambda db: db.executemany(sql, rows))
        return cursor

    async def executescript(self, sql: str) -> None:
        await self._do(lambda db: db.executescript(sql) and None, self._disk.trouble)

    async def execute_fetchall(self, sql: str, values: Any = ()) -> list[Any]:
        trouble = None if sql.startswith("SELECT data FROM payloads") else self._disk.read_trouble
        rows: list[Any] = await self._do(lambda db: db.execute(sql, values).fetchall(), trouble)
        return rows

    async def commit(self) -> None:
        await self._do(lambda db: db.commit(), self._disk.trouble)

    async def rollback(self) -> None:
        await self._do(lambda db: db.rollback())

    async def close(self) -> None:
        if self._db is not None:
            await self._do(lambda db: db.close())
            self._db = None
