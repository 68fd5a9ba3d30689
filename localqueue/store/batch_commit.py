"""Commit a whole group of writes in one call of the connection.

aiosqlite makes each call of a connection on a thread of its own. The way there and back costs more than most
statements, and so does every step of a statement: it gives the interpreter lock away and waits to get it back, while
the event loop is at work. So a group is one call, and equal statements are one statement with many rows.
"""

from __future__ import annotations

import asyncio
import functools
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from localqueue.core import crashpoint

Row = tuple[Any, ...]
Call = Callable[[sqlite3.Connection], Any]
SIZES = (64, 48, 32, 24, 16, 12, 8, 6, 4, 3, 2, 1)
"""How many rows one statement takes: few sizes, so that few texts are to be prepared."""


@dataclass(frozen=True, slots=True)
class Statement:
    """Hold a statement that takes many rows at once, in place of `{rows}`: `(?, ?), (?, ?)`."""

    sql: str
    width: int

    def execute(self, connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
        """Execute it for all rows, in few steps."""
        for some in _in_sizes(rows):
            connection.execute(_text(self, len(some)), [value for row in some for value in row])


@functools.lru_cache(maxsize=256)
def _text(statement: Statement, count: int) -> str:
    row = f"({', '.join('?' * statement.width)})"
    return statement.sql.format(rows=", ".join([row] * count))


def _in_sizes(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    at = 0
    while at < len(rows):
        size = next(size for size in SIZES if size <= len(rows) - at)
        yield rows[at : at + size]
        at += size


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


@dataclass(slots=True, eq=False)
class WriteBatch:
    """Hold what is committed together; an empty one is filled when its turn comes."""

    writes: list[Write] = field(default_factory=list)


class BatchConnection(sqlite3.Connection):
    """Be a connection whose `commit` is the whole transaction of the next group.

    `fill` gives the writes that wait; `at_end` is called in each transaction. Both run on the connection's thread.
    """

    groups: deque[WriteBatch]
    fill: Callable[[], list[Write]]
    at_end: Call

    def commit(self) -> None:
        """Execute and commit the next group, all or nothing. Raises sqlite3.Error."""
        if not getattr(self, "groups", None):
            super().commit()
            return
        group = self.groups.popleft()
        group.writes = group.writes or self.fill()
        if group.writes:
            self._commit_all(group.writes)

    def _commit_all(self, writes: Sequence[Write]) -> None:
        self.execute("BEGIN IMMEDIATE")
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
    found: dict[Statement, list[Row]] = {}
    for write in writes:
        for statement, row in write.rows:
            found.setdefault(statement, []).append(row)
    return found
