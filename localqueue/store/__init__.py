"""Keep jobs and attempts in one SQLite file: the only place with SQL."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiosqlite

from localqueue.errors import StorageUnavailable
from localqueue.models import Attempt, Glimpse, Job, JobState, LedgerEntry
from localqueue.store import database
from localqueue.store.group import Statement
from localqueue.store.rows import (
    ATTEMPT_COLUMNS,
    JOB_COLUMNS,
    attempt_row,
    job_row,
    to_attempt,
    to_entry,
    to_glimpse,
    to_job,
)
from localqueue.store.writer import Writer

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
_PRUNE = f"""
    DELETE FROM jobs WHERE seq IN (
        SELECT seq FROM jobs WHERE finished IS NOT NULL ORDER BY finished_ms, seq
        LIMIT max(0, min({PRUNE_STEP}, (SELECT total(n) FROM counts WHERE state <> 'pending') - ?)))
"""


_LEDGER = (
    f"SELECT {', '.join('jobs.' + name for name in JOB_COLUMNS.split(', '))}, "
    f"{', '.join('attempts.' + name for name in ATTEMPT_COLUMNS.split(', '))} "
    "FROM attempts JOIN jobs USING (seq) ORDER BY attempts.started_ms, attempts.id"
)
_GLIMPSES = """
    SELECT jobs.seq, CASE WHEN data_size <= 65536 THEN substr(data, 1, 160) END, outcome, status, error_code
    FROM jobs JOIN payloads USING (seq)
    LEFT JOIN attempts ON attempts.id = (SELECT max(id) FROM attempts AS each WHERE each.seq = jobs.seq)
    WHERE jobs.seq IN (SELECT value FROM json_each(?))
"""
_TABLES = ("attempts", "payloads", "jobs", "counts", "numbers", "pauses", "sqlite_sequence")
"""What a reset empties, in this order: the triggers on jobs then have nothing to do."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Choose jobs for a list; None means all. `after` is the seq behind which the page begins."""

    namespace: str | None = None
    queue: str | None = None
    state: JobState | None = None
    limit: int = 50
    after: int | None = None


class Store:
    """Read and write jobs. Every write is on disk when its await returns."""

    def __init__(self, writer: Writer, reader: aiosqlite.Connection) -> None:
        self._writer = writer
        self._reader = reader

    @classmethod
    async def open(cls, path: Path, *, durable: bool, keep: int) -> Store:
        """Open the file, creating or migrating it. Raises DatabaseUnusable."""

        def prune(connection: sqlite3.Connection) -> None:
            connection.execute(_PRUNE, (keep,))

        connection, raw = await database.open_writer(path, durable=durable)
        try:
            reader = await database.open_reader(path)
        except BaseException:
            await connection.close()
            raise
        return cls(Writer(connection, raw, prune), reader)

    async def close(self) -> None:
        """Commit what waits and close the file; the last connection to close tidies the log up."""
        await self._reader.close()
        await self._writer.close()

    @property
    def error(self) -> str | None:
        """Return why the last write failed, or None."""
        return self._writer.error

    # writes

    async def insert(self, job: Job, data: bytes, then: Callable[[], None]) -> None:
        """Store a new job; `then` is called right after the commit, even if the caller has gone away."""
        await self._writer.write((_INSERT_JOB, job_row(job)), (_INSERT_PAYLOAD, (job.seq, data)), then=then)

    async def record(self, before: Job, after: Job, attempt: Attempt) -> None:
        """Store an attempt and what became of the job, both or none of them."""
        guard = _guard(before)
        await self._writer.write(
            (_INSERT_ATTEMPT, (*guard, *attempt_row(attempt))), (_UPDATE_JOB, (*guard, *_changes(after)))
        )

    async def change(self, before: Job, after: Job) -> bool:
        """Change a job that is still as it was; return whether it was."""

        def call(connection: sqlite3.Connection) -> bool:
            _UPDATE_JOB.execute(connection, [(*_guard(before), *_changes(after))])
            return bool(connection.execute("SELECT changes()").fetchone()[0] == 1)

        return bool(await self._writer.call(call))

    async def clamp_due(self, key: tuple[str, str], latest_ms: int) -> None:
        """Move due times of a queue that lie too far ahead (a clock that was set back) to `latest_ms`."""
        sql = "UPDATE jobs SET due_ms = ? WHERE namespace = ? AND queue = ? AND finished IS NULL AND due_ms > ?"
        await self._writer.call(lambda connection: connection.execute(sql, (latest_ms, *key, latest_ms)).rowcount)

    async def pause(self, key: tuple[str, str], is_paused: bool) -> None:
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

    async def settled(self) -> None:
        """Return when no write waits or is under way."""
        await self._writer.settled()

    async def probe(self) -> None:
        """Write something, to see whether writing works. Raises StorageUnavailable."""
        await self._writer.write((_SET_FACT, ("probe", "")))

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

    async def numbers(self) -> dict[tuple[str, str], int]:
        """Return the highest job number of each queue."""
        return {(namespace, queue): n for namespace, queue, n in await self._fetch("SELECT * FROM numbers")}

    async def pauses(self) -> set[tuple[str, str]]:
        """Return the queues that are paused."""
        return {(namespace, queue) for namespace, queue in await self._fetch("SELECT * FROM pauses")}

    async def ledger(self) -> list[LedgerEntry]:
        """Return every attempt that is kept, in starting order."""
        return [to_entry(row) for row in await self._fetch(_LEDGER)]

    async def pending(
        self, key: tuple[str, str], after: tuple[int, int], limit: int, small: int
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
        """Return the bytes of `data` of a job."""
        rows = await self._fetch("SELECT data FROM payloads WHERE seq = ?", (seq,))
        return bytes(rows[0][0])

    async def job(self, id_: str) -> Job | None:
        """Return the job with this id."""
        rows = await self._fetch(f"SELECT {JOB_COLUMNS} FROM jobs WHERE id = ?", (id_,))
        return to_job(rows[0]) if rows else None

    async def attempts(self, seq: int) -> list[Attempt]:
        """Return the attempts of a job in starting order."""
        sql = f"SELECT {ATTEMPT_COLUMNS} FROM attempts WHERE seq = ? ORDER BY id"
        return [to_attempt(row) for row in await self._fetch(sql, (seq,))]

    async def jobs(self, chosen: Filter, now_ms: int, running: Sequence[int]) -> list[Job]:
        """Return a page of jobs, newest first; `running` are the seqs under way."""
        where, values = _conditions(chosen, now_ms, running)
        sql = f"SELECT {JOB_COLUMNS} FROM jobs WHERE {where} ORDER BY seq DESC LIMIT ?"
        return [to_job(row) for row in await self._fetch(sql, (*values, chosen.limit))]

    async def glimpses(self, seqs: Sequence[int]) -> dict[int, Glimpse]:
        """Return what lists show of these jobs beside what is in `jobs`."""
        return {row[0]: to_glimpse(row) for row in await self._fetch(_GLIMPSES, (json.dumps(list(seqs)),))}

    async def counts(self) -> dict[tuple[str, str], dict[str, int]]:
        """Return how many jobs each queue has on disk: pending, completed, failed, cancelled."""
        found: dict[tuple[str, str], dict[str, int]] = {}
        for namespace, queue, state, n in await self._fetch("SELECT * FROM counts WHERE n > 0"):
            found.setdefault((namespace, queue), {})[state] = n
        return found

    async def waiting(self, now_ms: int) -> dict[tuple[str, str], int]:
        """Return how many pending jobs of each queue are due later than now."""
        sql = (
            "SELECT namespace, queue, count(*) FROM jobs WHERE finished IS NULL AND due_ms > ? "
            "GROUP BY namespace, queue"
        )
        return {(namespace, queue): n for namespace, queue, n in await self._fetch(sql, (now_ms,))}

    async def check(self) -> str:
        """Return `ok`, or what SQLite finds wrong in the file."""
        return str((await self._fetch("PRAGMA quick_check(1)"))[0][0])

    async def _fetch(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        try:
            return list(await self._reader.execute_fetchall(sql, values))
        except sqlite3.Error as error:
            raise StorageUnavailable(f"the database can't be read: {error}") from error


def _guard(job: Job) -> tuple[Any, ...]:
    return (job.seq, job.finished, job.round, job.attempt, job.failures)


def _changes(job: Job) -> tuple[Any, ...]:
    return (
        job.due_ms, job.finished, job.finished_ms, job.round, job.attempt, job.failures, job.max_attempts
    )  # fmt: skip


def _conditions(chosen: Filter, now_ms: int, running: Sequence[int]) -> tuple[str, list[Any]]:
    found: list[tuple[str, list[Any]]] = [("1", [])]
    if chosen.namespace is not None:
        found.append(("namespace = ?", [chosen.namespace]))
    if chosen.queue is not None:
        found.append(("queue = ?", [chosen.queue]))
    if chosen.after is not None:
        found.append(("seq < ?", [chosen.after]))
    if chosen.state is not None:
        found.append(_state_condition(chosen.state, now_ms, running))
    return " AND ".join(sql for sql, _ in found), [value for _, values in found for value in values]


def _state_condition(state: JobState, now_ms: int, running: Sequence[int]) -> tuple[str, list[Any]]:
    if state.is_finished:
        return "finished = ?", [state]
    under_way = f"seq {'IN' if state is JobState.RUNNING else 'NOT IN'} ({', '.join('?' * len(running))})"
    if state is JobState.RUNNING:
        return f"finished IS NULL AND {under_way}", [*running]
    compare = "<=" if state is JobState.QUEUED else ">"
    return f"finished IS NULL AND due_ms {compare} ? AND {under_way}", [now_ms, *running]
