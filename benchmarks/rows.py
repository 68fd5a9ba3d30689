"""Make a database with many rows by direct SQL, through the product's own schema and row formats.

It takes a minute a million, so that it is made once and kept in the scratch folder, under a name that
changes with the schema. One in a hundred finished jobs has failed, after all its attempts.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import os
import shutil
import sqlite3
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks import jobs
from localqueue.core import ids
from localqueue.core.models import Attempt, AttemptError, Job, JobState, Outcome, OutcomeKind, Response
from localqueue.store import connections
from localqueue.store.row_mapping import ATTEMPT_COLUMNS, JOB_COLUMNS, attempt_row, job_row

QUEUE = "work-0"
CHUNK = 10_000
BLOCK = 100_000
PER_MS = 10
AGE_MS = 3_600_000
LATER_ID = (
    "printf('%08x-%04x', (created_ms + :ms) >> 16, (created_ms + :ms) & 65535) "
    "|| substr(id, 14, 11) || lower(hex(randomblob(6)))"
)
FAILED_OF = 100
MAX_ATTEMPTS = 4
SUMMARIES = ("the claim has no amount", "the policy has expired", "the holder is unknown")
HEADERS = (("content-type", "application/json"), ("content-length", "11"))
SUCCESS = Outcome(OutcomeKind.COMPLETED, 200, None, Response(HEADERS, b'{"ok":true}', False))
FAILURE = Outcome(
    OutcomeKind.HTTP_ERROR,
    500,
    AttemptError("http_500", "HTTP status 500"),
    Response(HEADERS, b'{"ok":null}', False),
)


def database_with(scratch: Path, *, finished: int = 0, queued: int = 0) -> Path:
    """Return a file with finished jobs, then queued ones, numbered n = 0, 1, ... (do not write to it)."""
    schema = hashlib.sha256("".join(connections.migrations()).encode()).hexdigest()[:12]
    path = scratch / f"finished-{finished}-queued-{queued}-{schema}.db"
    if not path.exists():
        print(f"making {path.name}", flush=True)
        making = path.with_suffix(".making")
        making.unlink(missing_ok=True)
        asyncio.run(_create(making))
        _fill(making, finished, queued)
        making.rename(path)
    return path


def copy(path: Path, folder: Path) -> Path:
    """Return a copy that may be written to."""
    target = folder / "queue.db"
    shutil.copyfile(path, target)
    with open(target, "rb") as file:  # written back now, or it would be while something is measured
        os.fsync(file.fileno())
    return target


def pause(path: Path) -> None:
    """Pause the queue of a file."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("INSERT OR IGNORE INTO pauses (namespace, queue) VALUES (?, ?)", (jobs.NAMESPACE, QUEUE))


def make_cold(path: Path) -> None:
    """Remove a file from the page cache, as after a restart of the machine."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


async def _create(path: Path) -> None:
    connection, _ = await connections.open_writer(path, durable=False)
    await connection.close()


def _fill(path: Path, finished: int, queued: int) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    for setting in ("cache_size = -400000", "journal_mode = OFF", "synchronous = OFF"):
        connection.execute(f"PRAGMA {setting}")
    first_ms = int(time.time() * 1000) - AGE_MS - (finished + queued) // PER_MS
    _insert_jobs(connection, map(_finished, _jobs(range(1, min(finished, BLOCK) + 1), first_ms)))
    for after in range(BLOCK, finished, BLOCK):
        _repeat(connection, after, min(BLOCK, finished - after))
    _insert_jobs(connection, _jobs(range(finished + 1, finished + queued + 1), first_ms))
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()


def _insert_jobs(connection: sqlite3.Connection, made: Iterator[Job]) -> None:
    while chunk := list(itertools.islice(made, CHUNK)):
        connection.execute("BEGIN")
        _insert(connection, "jobs", JOB_COLUMNS, [job_row(job) for job in chunk])
        _insert(connection, "payloads", "seq, data", [(job.seq, jobs.data(job.seq - 1)) for job in chunk])
        attempts = [(job.seq, *attempt_row(attempt)) for job in chunk for attempt in _attempts(job)]
        _insert(connection, "attempts", f"seq, {ATTEMPT_COLUMNS}", attempts)
        connection.execute("COMMIT")


def _repeat(connection: sqlite3.Connection, after: int, count: int) -> None:
    """Insert the first jobs again, as later ones: a tenth of the time that new ones take."""
    values = {"after": after, "ms": after // PER_MS, "count": count}
    later = {name: f"{name} + :ms" for name in ("created_ms", "due_ms", "finished_ms", "started_ms", "ended_ms")}
    later |= {"seq": "seq + :after", "number": "number + :after", "id": LATER_ID}
    connection.execute("BEGIN")
    for table, columns in (("jobs", JOB_COLUMNS), ("payloads", "seq, data"), ("attempts", f"seq, {ATTEMPT_COLUMNS}")):
        own = later if table == "jobs" else {**later, "number": "number"}
        chosen = ", ".join(own.get(column, column) for column in columns.split(", "))
        connection.execute(f"INSERT INTO {table} ({columns}) SELECT {chosen} FROM {table} WHERE seq <= :count", values)
    connection.execute("COMMIT")


def _insert(connection: sqlite3.Connection, table: str, columns: str, rows: list[tuple[object, ...]]) -> None:
    marks = ", ".join("?" * (columns.count(",") + 1))
    connection.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)


def _jobs(seqs: Iterable[int], first_ms: int) -> Iterator[Job]:
    for seq in seqs:
        created = first_ms + seq // PER_MS
        yield Job(
            seq=seq,
            id=ids.uuid7(created, ids.random_bytes(None, seq)),
            namespace=jobs.NAMESPACE,
            queue=QUEUE,
            created_ms=created,
            due_ms=created,
            max_attempts=MAX_ATTEMPTS,
            data_size=len(jobs.data(seq - 1)),
            number=seq,
        )


def _finished(job: Job) -> Job:
    finished_ms = job.created_ms + 5
    if job.seq % FAILED_OF:
        return replace(job, finished=JobState.COMPLETED, finished_ms=finished_ms, attempt=1)
    return replace(job, finished=JobState.FAILED, finished_ms=finished_ms, attempt=MAX_ATTEMPTS, failures=MAX_ATTEMPTS)


def _attempts(job: Job) -> Iterator[Attempt]:
    for number in range(1, job.attempt + 1):
        is_failure = job.finished is JobState.FAILED
        summary = SUMMARIES[job.seq // FAILED_OF % len(SUMMARIES)] if is_failure else None
        yield Attempt(
            round=1,
            number=number,
            max_attempts=job.max_attempts,
            due_ms=job.due_ms,
            started_ms=job.created_ms + 1,
            ended_ms=job.created_ms + 5,
            duration_ms=4,
            url=f"http://127.0.0.1:3000/{QUEUE}",
            outcome=FAILURE if is_failure else SUCCESS,
            next_due_ms=job.due_ms if number < job.attempt else None,
            reason="500" if is_failure else "2xx",
            summary=summary,
        )
