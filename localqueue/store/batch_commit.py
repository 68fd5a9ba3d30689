"""Commit many writes in one call of the connection.

aiosqlite runs each call of a connection on a separate thread. The round trip costs more than most statements, and so
does every step of a statement, which releases the interpreter lock and waits to get it back while the event loop runs.
So a batch is one call, and equal statements are one statement with many rows. Executing it releases the lock several
times, whatever the number of rows: it is filled up rather than split.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from localqueue.core import crashpoint

Row = tuple[Any, ...]
Call = Callable[[sqlite3.Connection], Any]
SIZES = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 36, 40, 48, 64)
"""How many rows one statement takes: few sizes, so that SQLite prepares few statements, but little is filled up."""


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """A statement that takes many rows at once, in place of `{rows}`: `(?, ?), (?, ?)`.

    It must ignore rows whose first column is NULL: they fill it up to one of SIZES.
    """

    sql: str
    width: int

    def execute(self, connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
        """Execute it for all rows, in few steps."""
        for start in range(0, len(rows), SIZES[-1]):
            some = rows[start : start + SIZES[-1]]
            size = next(size for size in SIZES if size >= len(some))
            filling = [None] * (self.width * (size - len(some)))
            connection.execute(_text(self, size), [*itertools.chain.from_iterable(some), *filling])


@functools.lru_cache(maxsize=256)
def _text(statement: Statement, count: int) -> str:
    row = f"({', '.join('?' * statement.width)})"
    return statement.sql.format(rows=", ".join([row] * count))


@dataclass(slots=True, eq=False)
class Write:
    """A set of rows for statements, or a call with the connection, that are written together.

    Rows for equal statements of all waiting writes are executed together, in the order in which the statements first
    appear. So two writes with rows must not depend on each other. A write that is `alone` has a transaction of its
    own, after every write before it and before every write after it.
    """

    done: asyncio.Future[Any]
    rows: tuple[tuple[Statement, Row], ...] = ()
    call: Call | None = None
    then: Callable[[], None] | None = None
    alone: bool = False
    result: Any = None


@dataclass(slots=True, eq=False)
class WriteBatch:
    """The writes of one transaction; an empty batch is filled when its turn comes."""

    writes: list[Write] = field(default_factory=list)


class BatchConnection(sqlite3.Connection):
    """A connection whose `commit` runs the whole transaction of the next batch.

    `commit` makes these calls, all on the connection's thread: `fill` once, for the writes that wait; the `call` of
    each write that has one; `at_end` at the end of each transaction. The `then` of a write is not called here but by
    the writer, on the event loop, after the commit.
    """

    batches: deque[WriteBatch]
    fill: Callable[[], list[Write]]
    at_end: Call

    def commit(self) -> None:
        """Execute and commit the next batch, all or nothing. Raises sqlite3.Error."""
        if not getattr(self, "batches", None):
            super().commit()
            return
        batch = self.batches.popleft()
        batch.writes = batch.writes or self.fill()
        if batch.writes:
            self._commit_all(batch.writes)

    def _commit_all(self, writes: Sequence[Write]) -> None:
        self.executescript("BEGIN IMMEDIATE")  # `execute` releases the interpreter lock more often
        try:
            for statement, rows in _by_statement(writes).items():
                statement.execute(self, rows)
            for write in writes:
                if write.call is not None:
                    write.result = write.call(self)
            self.at_end(self)
            crashpoint.reach("before-commit")
            super().commit()
        except BaseException:
            if self.in_transaction:  # SQLite may have rolled back by itself
                self.rollback()
            raise
        crashpoint.reach("after-commit")


def _by_statement(writes: Iterable[Write]) -> dict[Statement, list[Row]]:
    rows_of: dict[Statement, list[Row]] = {}
    for write in writes:
        for statement, row in write.rows:
            rows_of.setdefault(statement, []).append(row)
    return rows_of
