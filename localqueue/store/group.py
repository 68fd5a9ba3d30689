"""Commit a whole group of writes in one call of the connection.

aiosqlite makes each call of a connection on a thread of its own. The way there and back costs more than most
statements, and so does every step of a statement: it gives the interpreter lock away and waits to get it back, while
the event loop is at work. So a group is one call, and equal statements are one statement with many rows.
"""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from localqueue import crashpoint

Row = tuple[Any, ...]
Call = Callable[[sqlite3.Connection], Any]
MOST_ROWS = 64
"""How many rows one statement takes at the most."""


@dataclass(frozen=True, slots=True)
class Statement:
    """Hold a statement that takes many rows at once, in place of `{rows}`: `(?, ?), (?, ?)`."""

    sql: str
    width: int

    def execute(self, connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
        """Execute it for all rows, in few steps."""
        for some in _in_powers_of_two(rows):
            connection.execute(_text(self, len(some)), [value for row in some for value in row])


@functools.lru_cache(maxsize=256)
def _text(statement: Statement, count: int) -> str:
    row = f"({', '.join('?' * statement.width)})"
    return statement.sql.format(rows=", ".join([row] * count))


def _in_powers_of_two(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Cut the rows into parts of few lengths, so that few texts are to be prepared."""
    at = 0
    while at < len(rows):
        size = min(MOST_ROWS, 1 << (len(rows) - at).bit_length() - 1)
        yield rows[at : at + size]
        at += size


@dataclass(slots=True, eq=False)
class Group:
    """Hold what is committed together: rows by statement, then calls; `results` are what the calls returned."""

    rows: dict[Statement, list[Row]]
    calls: Sequence[Call]
    results: list[Any]


class GroupConnection(sqlite3.Connection):
    """Be a connection whose `commit` is the whole transaction of the group that was staged."""

    staged: Group | None = None

    def commit(self) -> None:
        """Execute and commit what was staged, all or nothing. Raises sqlite3.Error."""
        group, self.staged = self.staged, None
        if group is None:
            super().commit()
            return
        self.execute("BEGIN IMMEDIATE")
        try:
            for statement, rows in group.rows.items():
                statement.execute(self, rows)
            group.results = [call(self) for call in group.calls]
            crashpoint.reach("before-commit")
            super().commit()
        except BaseException:
            if self.in_transaction:  # SQLite may have rolled back by itself
                self.rollback()
            raise
        crashpoint.reach("after-commit")


def grouped(pairs: Iterable[tuple[Statement, Row]]) -> dict[Statement, list[Row]]:
    """Return the rows by statement, both in the order of their first appearance."""
    found: dict[Statement, list[Row]] = {}
    for statement, row in pairs:
        found.setdefault(statement, []).append(row)
    return found
