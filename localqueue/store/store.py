"""Store jobs and attempts in one SQLite file."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiosqlite

from localqueue.core.errors import NotFound
from localqueue.core.models import Attempt, Job, JobState, QueueKey
from localqueue.store import connections, statements
from localqueue.store.connections import read_rows
from localqueue.store.job_queries import JobQueries
from localqueue.store.row_mapping import (
    JOB_COLUMNS,
    attempt_row,
    job_row,
    to_job,
)
from localqueue.store.writer import Writer

BURST = 16
"""This many jobs that wait for their commit at once are a burst."""


class Store:
    """The database: every write is on disk when its await returns. `queries` has the reads for people."""

    def __init__(self, writer: Writer, reader: aiosqlite.Connection, queries: JobQueries) -> None:
        self._writer = writer
        self._reader = reader
        self.queries = queries

    @classmethod
    async def open(cls, path: Path, *, durable: bool, keep: int) -> Store:
        """Open the file, creating or migrating it. Raises DatabaseUnusable."""

        def prune(connection: sqlite3.Connection) -> None:
            connection.execute(statements.PRUNE, (keep,))

        async with contextlib.AsyncExitStack() as opened:
            connection, raw = await connections.open_writer(path, durable=durable)
            opened.push_async_callback(connection.close)
            reader = await connections.open_reader(path)
            opened.push_async_callback(reader.close)
            queries = JobQueries(path, await connections.open_reader(path))
            opened.pop_all()
        return cls(Writer(connection, raw, prune), reader, queries)

    async def close(self) -> None:
        """Commit what waits and close the file. The writer closes last, because it truncates the log."""
        await self.queries.close()
        await self._reader.close()
        await self._writer.close()

    @property
    def error(self) -> str | None:
        """Return why the last write failed, or None."""
        return self._writer.error

    # writes

    async def insert(self, job: Job, data: bytes, then: Callable[[], None]) -> None:
        """Store a new job; `then` is called right after the commit, even if the caller was cancelled."""
        await self._writer.write(
            (statements.INSERT_JOB, job_row(job)), (statements.INSERT_PAYLOAD, (job.seq, data)), then=then
        )

    async def record(self, before: Job, after: Job, attempt: Attempt, *, can_wait: bool = False) -> None:
        """Store an attempt and the job after it, both or neither."""
        guard = _guard(before)
        await self._writer.write(
            (statements.INSERT_ATTEMPT, (*guard, *attempt_row(attempt))),
            (statements.UPDATE_JOB, (*guard, *_changes(after))),
            can_wait=can_wait,
        )

    async def change(self, changes: Sequence[tuple[Job, Job]]) -> list[Job]:
        """Change jobs, each (before, after), that are still in their state before; return the changed ones."""
        seqs = json.dumps([before.seq for before, _ in changes])

        def call(connection: sqlite3.Connection) -> list[Job]:
            unchanged = set(
                connection.execute(statements.GUARDS, (seqs,))
            )  # after a reset, another job may have this seq
            possible = [(before, after) for before, after in changes if (before.id, *_guard(before)) in unchanged]
            statements.UPDATE_JOB.execute(
                connection, [(*_guard(before), *_changes(after)) for before, after in possible]
            )
            return [after for _, after in possible]

        changed: list[Job] = await self._writer.call(call)
        return changed

    async def delete(self, ids: Sequence[str], state: JobState | None = None) -> int:
        """Delete finished jobs with everything that belongs to them; those in another state stay. Return how many."""

        def call(connection: sqlite3.Connection) -> int:
            return connection.execute(statements.DELETE_JOBS, (json.dumps(ids), state)).rowcount

        count: int = await self._writer.call(call)
        return count

    async def clamp_due(self, latest: Mapping[QueueKey, int]) -> None:
        """Move due times that lie too far ahead (the clock was set back) to the latest of each queue, in ms."""
        sql = "UPDATE jobs SET due_ms = ?1 WHERE namespace = ?2 AND queue = ?3 AND finished IS NULL AND due_ms > ?1"
        rows = [(latest_ms, *key) for key, latest_ms in latest.items()]
        await self._writer.call(lambda connection: connection.executemany(sql, rows).rowcount)

    async def pause(self, key: QueueKey, is_paused: bool) -> None:
        """Store whether a queue is paused."""
        await self._writer.write((statements.PAUSE if is_paused else statements.RESUME, key), alone=True)

    async def save(self, facts: Mapping[str, str]) -> None:
        """Store facts about the file."""
        await self._writer.write(*((statements.SET_FACT, fact) for fact in facts.items()))

    def reset(self, facts: Mapping[str, str]) -> Awaitable[None]:
        """Delete every job and every counter; writes submitted later happen later."""

        def call(connection: sqlite3.Connection) -> None:
            for table in statements.TABLES:
                connection.execute(f"DELETE FROM {table}")
            statements.SET_FACT.execute(connection, list(facts.items()))

        return self._writer.call(call, alone=True)

    @property
    def is_idle(self) -> bool:
        """Return whether no write is waiting or running."""
        return self._writer.is_idle

    async def settled(self) -> None:
        """Return when no write is waiting or running."""
        await self._writer.settled()

    @property
    def has_burst(self) -> bool:
        """Return whether many new jobs wait for their commit."""
        return self._writer.arriving >= BURST

    async def after_burst(self) -> None:
        """Return at once, or during a burst of new jobs after the next commit."""
        if self.has_burst:
            await self._writer.committed()

    # reads

    async def last_seq(self) -> int:
        """Return the highest seq that was ever assigned."""
        rows = await self._rows("SELECT seq FROM sqlite_sequence WHERE name = 'jobs'")
        return int(rows[0][0]) if rows else 0

    async def facts(self) -> dict[str, str]:
        """Return the facts that `save` has stored."""
        return dict(await self._rows("SELECT name, value FROM meta"))

    async def last_time(self) -> int:
        """Return when the last job arrived or the last attempt started, in ms; 0 in a new file."""
        sql = (
            "SELECT max(coalesce((SELECT created_ms FROM jobs ORDER BY seq DESC LIMIT 1), 0), "
            "coalesce((SELECT started_ms FROM attempts ORDER BY id DESC LIMIT 1), 0))"
        )
        return int((await self._rows(sql))[0][0])

    async def numbers(self) -> dict[QueueKey, int]:
        """Return the highest job number of each queue."""
        return {(namespace, queue): n for namespace, queue, n in await self._rows("SELECT * FROM numbers")}

    async def pauses(self) -> set[QueueKey]:
        """Return the queues that are paused."""
        return {(namespace, queue) for namespace, queue in await self._rows("SELECT * FROM pauses")}

    async def timeouts(self, now_ms: int) -> list[tuple[QueueKey, int]]:
        """Return the queue and the end, in ms, of every attempt that timed out and ends later than now."""
        sql = (
            "SELECT namespace, queue, ended_ms FROM attempts JOIN jobs USING (seq) "
            "WHERE outcome = 'timeout' AND ended_ms > ?"
        )
        return [((namespace, queue), ended_ms) for namespace, queue, ended_ms in await self._rows(sql, (now_ms,))]

    async def pending(
        self, key: QueueKey, after: tuple[int, int], limit: int, small: int
    ) -> list[tuple[Job, bytes | None]]:
        """Return the next pending jobs of a queue after (due_ms, seq), in dispatch order.

        Payloads of up to `small` bytes are included.
        """
        sql = (
            f"SELECT CASE WHEN data_size <= ? THEN (SELECT data FROM payloads WHERE seq = jobs.seq) END, "
            f"{JOB_COLUMNS} FROM jobs WHERE namespace = ? AND queue = ? AND finished IS NULL "
            "AND (due_ms, seq) > (?, ?) ORDER BY due_ms, seq LIMIT ?"
        )
        rows = await self._rows(sql, (small, *key, *after, limit))
        return [(to_job(row[1:]), row[0]) for row in rows]

    async def payload(self, seq: int) -> bytes:
        """Return the bytes of a job's `data`. Raises NotFound (unknown_job) if the job was pruned meanwhile."""
        rows = await self._rows("SELECT data FROM payloads WHERE seq = ?", (seq,))
        if not rows:
            raise NotFound("the job no longer exists", "It was pruned.", code="unknown_job")
        return bytes(rows[0][0])

    async def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        return await read_rows(self._reader, sql, values)


def _guard(job: Job) -> tuple[Any, ...]:
    return (job.seq, job.finished, job.round, job.attempt, job.failures)


def _changes(job: Job) -> tuple[Any, ...]:
    return (
        job.due_ms, job.finished, job.finished_ms, job.round, job.attempt, job.failures, job.max_attempts
    )  # fmt: skip
