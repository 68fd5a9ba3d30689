"""Keep jobs and attempts in one SQLite file: the only place with SQL."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiosqlite

from localqueue.core.errors import NotFound, StorageUnavailable
from localqueue.core.models import Attempt, Job, JobFilter, JobPreview, LedgerEntry, QueueKey
from localqueue.store import connections, job_listing
from localqueue.store.batch_commit import Statement
from localqueue.store.row_mapping import (
    ATTEMPT_COLUMNS,
    JOB_COLUMNS,
    attempt_row,
    job_row,
    to_attempt,
    to_entry,
    to_job,
    to_preview,
)
from localqueue.store.writer import Writer

BURST = 16
"""So many jobs that wait to be on disk at once are a crowd."""
PRUNE_STEP = 1000
"""How many finished jobs one transaction removes at the most."""

_INSERT_JOB = Statement(f"INSERT INTO jobs ({JOB_COLUMNS}) VALUES {{rows}}", 15)
_INSERT_PAYLOAD = Statement("INSERT INTO payloads (seq, data) VALUES {rows}", 2)
# The guard of every change: the job is still as it was when the change was decided.
_AS_BEFORE = (
    "seq = column1 AND finished IS column2 AND jobs.round = column3 AND attempt = column4 AND failures = column5"
)
_ATTEMPT_VALUES = ", ".join(f"column{n}" for n in range(6, 23))
_INSERT_ATTEMPT = Statement(
    f"INSERT INTO attempts (seq, {ATTEMPT_COLUMNS}) "
    f"SELECT seq, {_ATTEMPT_VALUES} FROM (VALUES {{rows}}) CROSS JOIN jobs ON {_AS_BEFORE}",
    22,
)
_UPDATE_JOB = Statement(
    "UPDATE jobs SET due_ms = column6, finished = column7, finished_ms = column8, round = column9, "
    f"attempt = column10, failures = column11, max_attempts = column12 FROM (VALUES {{rows}}) WHERE {_AS_BEFORE}",
    12,
)
_SET_FACT = Statement("INSERT OR REPLACE INTO meta VALUES {rows}", 2)
_PAUSE = Statement("INSERT OR IGNORE INTO pauses VALUES {rows}", 2)
_RESUME = Statement("DELETE FROM pauses WHERE (namespace, queue) IN (VALUES {rows})", 2)
_GUARDS = "SELECT id, seq, finished, round, attempt, failures FROM jobs WHERE seq IN (SELECT value FROM json_each(?))"
# One percent too many may be there for a while: they are removed in one go, not with each job.
_PRUNE = f"""
    DELETE FROM jobs WHERE seq IN (
        SELECT seq FROM jobs WHERE finished IS NOT NULL ORDER BY finished_ms, seq
        LIMIT (SELECT iif(n * 100 > ?1 * 101, min(n - ?1, {PRUNE_STEP}), 0)
               FROM (SELECT coalesce(sum(n), 0) AS n FROM counts WHERE state <> 'pending')))
"""


_LEDGER = (
    f"SELECT {', '.join('jobs.' + name for name in JOB_COLUMNS.split(', '))}, "
    f"{', '.join('attempts.' + name for name in ATTEMPT_COLUMNS.split(', '))} "
    "FROM attempts JOIN jobs USING (seq) ORDER BY attempts.started_ms, attempts.id"
)
_PREVIEWS = """
    SELECT jobs.seq, CASE WHEN data_size <= 65536 THEN substr(data, 1, 160) END, outcome, status, error_code
    FROM jobs JOIN payloads USING (seq)
    LEFT JOIN attempts ON attempts.id = (SELECT max(id) FROM attempts AS each WHERE each.seq = jobs.seq)
    WHERE jobs.seq IN (SELECT value FROM json_each(?))
"""
_COUNTS = """
    SELECT namespace, queue, state, n, CASE state WHEN 'pending' THEN (
        SELECT count(*) FROM jobs WHERE jobs.namespace = counts.namespace AND jobs.queue = counts.queue
        AND finished IS NULL AND due_ms > ?) END
    FROM counts WHERE n > 0
"""
_TABLES = ("attempts", "payloads", "jobs", "counts", "numbers", "pauses", "sqlite_sequence")
"""What a reset empties, in this order: the triggers on jobs then have nothing to do."""


class Store:
    """Read and write jobs. Every write is on disk when its await returns."""

    def __init__(self, path: Path, writer: Writer, reader: aiosqlite.Connection, viewer: aiosqlite.Connection) -> None:
        self._path = path
        self._writer = writer
        self._reader = reader
        self._arriving = 0
        self._viewer = viewer  # for people, whose questions may take a while and must not hold up a dispatch

    @classmethod
    async def open(cls, path: Path, *, durable: bool, keep: int) -> Store:
        """Open the file, creating or migrating it. Raises DatabaseUnusable."""

        def prune(connection: sqlite3.Connection) -> None:
            connection.execute(_PRUNE, (keep,))

        async with contextlib.AsyncExitStack() as opened:
            connection, raw = await connections.open_writer(path, durable=durable)
            opened.push_async_callback(connection.close)
            reader = await connections.open_reader(path)
            opened.push_async_callback(reader.close)
            viewer = await connections.open_reader(path)
            opened.pop_all()
        return cls(path, Writer(connection, raw, prune), reader, viewer)

    async def close(self) -> None:
        """Commit what waits and close the file; the last connection to close tidies the log up."""
        await self._viewer.close()
        await self._reader.close()
        await self._writer.close()

    @property
    def error(self) -> str | None:
        """Return why the last write failed, or None."""
        return self._writer.error

    # writes

    async def insert(self, job: Job, data: bytes, then: Callable[[], None]) -> None:
        """Store a new job; `then` is called right after the commit, even if the caller has gone away."""
        self._arriving += 1
        try:
            await self._writer.write((_INSERT_JOB, job_row(job)), (_INSERT_PAYLOAD, (job.seq, data)), then=then)
        finally:
            self._arriving -= 1

    async def record(self, before: Job, after: Job, attempt: Attempt) -> None:
        """Store an attempt and what became of the job, both or none of them."""
        guard = _guard(before)
        await self._writer.write(
            (_INSERT_ATTEMPT, (*guard, *attempt_row(attempt))), (_UPDATE_JOB, (*guard, *_changes(after)))
        )

    async def change(self, changes: Sequence[tuple[Job, Job]]) -> list[Job]:
        """Change jobs, each (before, after), that are still as they were; return those that were, as they are now."""
        seqs = json.dumps([before.seq for before, _ in changes])

        def call(connection: sqlite3.Connection) -> list[Job]:
            unchanged = set(connection.execute(_GUARDS, (seqs,)))  # after a reset, seq may be another job's
            made = [(before, after) for before, after in changes if (before.id, *_guard(before)) in unchanged]
            _UPDATE_JOB.execute(connection, [(*_guard(before), *_changes(after)) for before, after in made])
            return [after for _, after in made]

        found: list[Job] = await self._writer.call(call)
        return found

    async def clamp_due(self, key: QueueKey, latest_ms: int) -> None:
        """Move due times of a queue that lie too far ahead (a clock that was set back) to `latest_ms`."""
        sql = "UPDATE jobs SET due_ms = ? WHERE namespace = ? AND queue = ? AND finished IS NULL AND due_ms > ?"
        await self._writer.call(lambda connection: connection.execute(sql, (latest_ms, *key, latest_ms)).rowcount)

    async def pause(self, key: QueueKey, is_paused: bool) -> None:
        """Remember whether a queue is paused."""
        await self._writer.write((_PAUSE if is_paused else _RESUME, key), alone=True)

    async def save(self, facts: Mapping[str, str]) -> None:
        """Remember facts about the file."""
        await self._writer.write(*((_SET_FACT, fact) for fact in facts.items()))

    def reset(self, facts: Mapping[str, str]) -> Awaitable[None]:
        """Remove every job and everything that was counted; what is submitted later is done later."""

        def call(connection: sqlite3.Connection) -> None:
            for table in _TABLES:
                connection.execute(f"DELETE FROM {table}")
            _SET_FACT.execute(connection, list(facts.items()))

        return self._writer.call(call, alone=True)

    @property
    def is_idle(self) -> bool:
        """Return whether no write waits or is under way."""
        return self._writer.is_idle

    async def settled(self) -> None:
        """Return when no write waits or is under way."""
        await self._writer.settled()

    @property
    def has_burst(self) -> bool:
        """Return whether a crowd of new jobs waits to be on disk."""
        return self._arriving >= BURST

    async def after_burst(self) -> None:
        """Return at once, or where there is a crowd, after the next commit."""
        if self.has_burst:
            await self._writer.committed()

    # reads

    async def last_seq(self) -> int:
        """Return the highest seq that was ever given out."""
        rows = await self._fetch("SELECT seq FROM sqlite_sequence WHERE name = 'jobs'")
        return int(rows[0][0]) if rows else 0

    async def facts(self) -> dict[str, str]:
        """Return what `save` has remembered."""
        return dict(await self._fetch("SELECT name, value FROM meta"))

    async def last_time(self) -> int:
        """Return when the last job came or the last attempt was started, in ms; 0 in a new file."""
        sql = (
            "SELECT max(coalesce((SELECT created_ms FROM jobs ORDER BY seq DESC LIMIT 1), 0), "
            "coalesce((SELECT started_ms FROM attempts ORDER BY id DESC LIMIT 1), 0))"
        )
        return int((await self._fetch(sql))[0][0])

    async def numbers(self) -> dict[QueueKey, int]:
        """Return the highest job number of each queue."""
        return {(namespace, queue): n for namespace, queue, n in await self._fetch("SELECT * FROM numbers")}

    async def pauses(self) -> set[QueueKey]:
        """Return the queues that are paused."""
        return {(namespace, queue) for namespace, queue in await self._fetch("SELECT * FROM pauses")}

    async def timeouts(self, now_ms: int) -> list[tuple[QueueKey, int]]:
        """Return the queue and the end of every attempt that timed out and ends later than now."""
        sql = (
            "SELECT namespace, queue, ended_ms FROM attempts JOIN jobs USING (seq) "
            "WHERE outcome = 'timeout' AND ended_ms > ?"
        )
        return [((namespace, queue), ended_ms) for namespace, queue, ended_ms in await self._fetch(sql, (now_ms,))]

    async def ledger(self) -> list[LedgerEntry]:
        """Return every attempt that is kept, in starting order."""
        return [to_entry(row) for row in await self._look(_LEDGER)]

    async def pending(
        self, key: QueueKey, after: tuple[int, int], limit: int, small: int
    ) -> list[tuple[Job, bytes | None]]:
        """Return the next pending jobs of a queue behind (due_ms, seq), in the order of dispatch.

        Data of up to `small` bytes comes along.
        """
        sql = (
            f"SELECT CASE WHEN data_size <= ? THEN (SELECT data FROM payloads WHERE seq = jobs.seq) END, "
            f"{JOB_COLUMNS} FROM jobs WHERE namespace = ? AND queue = ? AND finished IS NULL "
            "AND (due_ms, seq) > (?, ?) ORDER BY due_ms, seq LIMIT ?"
        )
        rows = await self._fetch(sql, (small, *key, *after, limit))
        return [(to_job(row[1:]), row[0]) for row in rows]

    async def payload(self, seq: int) -> bytes:
        """Return the bytes of `data` of a job. Raises NotFound (unknown_job) where it was pruned meanwhile."""
        rows = await self._fetch("SELECT data FROM payloads WHERE seq = ?", (seq,))
        if not rows:
            raise NotFound("the job is no longer there", "It was pruned.", code="unknown_job")
        return bytes(rows[0][0])

    async def job(self, id_: str) -> Job | None:
        """Return the job with this id."""
        rows = await self._look(f"SELECT {JOB_COLUMNS} FROM jobs WHERE id = ?", (id_,))
        return to_job(rows[0]) if rows else None

    async def jobs_with_short_id(self, short_id: str, limit: int) -> list[Job]:
        """Return jobs whose ids end so; this looks through the index of all ids (about 0.1 s for a million)."""
        sql = f"SELECT {JOB_COLUMNS} FROM jobs WHERE seq IN (SELECT seq FROM jobs WHERE substr(id, -8) = ? LIMIT ?)"
        return [to_job(row) for row in await self._look(sql, (short_id, limit))]

    async def attempts(self, seq: int) -> list[Attempt]:
        """Return the attempts of a job in starting order."""
        sql = f"SELECT {ATTEMPT_COLUMNS} FROM attempts WHERE seq = ? ORDER BY id"
        return [to_attempt(row) for row in await self._look(sql, (seq,))]

    async def jobs(
        self, chosen: JobFilter, keys: Collection[QueueKey], now_ms: int, running: Sequence[int]
    ) -> list[Job]:
        """Return a page of jobs, newest first; `keys` are the queues that have any, `running` the seqs under way."""
        rows = await self._look(*job_listing.newest_page(chosen, now_ms, running))
        if len(rows) == chosen.limit:
            return [to_job(row) for row in rows]
        rows = []
        for sql, values in job_listing.queries(chosen, keys, now_ms, running):
            rows += await self._look(sql, values)
        rows.sort(reverse=True)  # by seq, which comes first
        return [to_job(row) for row in rows[: chosen.limit]]

    async def failed(self, keys: Iterable[QueueKey], after: int, limit: int) -> list[Job]:
        """Return the next failed jobs of these queues behind a seq, oldest first."""
        found: list[Job] = []
        sql = (
            f"SELECT {JOB_COLUMNS} FROM jobs WHERE namespace = ? AND queue = ? AND finished = 'failed' "
            "AND seq > ? ORDER BY seq LIMIT ?"
        )
        for key in keys:
            found += [to_job(row) for row in await self._look(sql, (*key, after, limit))]
        return sorted(found, key=lambda job: job.seq)[:limit]

    async def previews(self, seqs: Sequence[int]) -> dict[int, JobPreview]:
        """Return what lists show of these jobs beside what is in `jobs`."""
        return {row[0]: to_preview(row) for row in await self._look(_PREVIEWS, (json.dumps(list(seqs)),))}

    async def counts(self, now_ms: int) -> dict[QueueKey, dict[str, int]]:
        """Return how many jobs each queue has on disk: pending, completed, failed, cancelled.

        `waiting` are those of the pending ones that are due later than now.
        """
        found: dict[QueueKey, dict[str, int]] = {}
        for namespace, queue, state, n, waiting in await self._look(_COUNTS, (now_ms,)):
            counts = found.setdefault((namespace, queue), {})
            counts[state] = n
            if waiting is not None:
                counts["waiting"] = waiting
        return found

    async def check(self) -> str:
        """Return `ok`, or what SQLite finds wrong in the file."""
        connection = await connections.open_reader(self._path)  # its own: nobody is to wait for what takes a while
        try:
            await _rows(connection, "PRAGMA cache_size = -128", ())  # KiB: each page is needed once
            return str((await _rows(connection, "PRAGMA quick_check(1)", ()))[0][0])
        finally:
            await connection.interrupt()
            await connection.close()

    async def _fetch(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        return await _rows(self._reader, sql, values)

    async def _look(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        return await _rows(self._viewer, sql, values)


async def _rows(connection: aiosqlite.Connection, sql: str, values: Sequence[Any]) -> list[Any]:
    try:
        return list(await connection.execute_fetchall(sql, values))
    except (sqlite3.Error, ValueError) as error:  # ValueError: it was closed meanwhile
        raise StorageUnavailable(f"the database can't be read: {error}") from error


def _guard(job: Job) -> tuple[Any, ...]:
    return (job.seq, job.finished, job.round, job.attempt, job.failures)


def _changes(job: Job) -> tuple[Any, ...]:
    return (
        job.due_ms, job.finished, job.finished_ms, job.round, job.attempt, job.failures, job.max_attempts
    )  # fmt: skip
