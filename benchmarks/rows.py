"""Make a database with many rows by direct SQL, through the product's own schema and row formats.

It takes a minute a million, so that it is made once and kept in the scratch folder, under a name that
changes with the schema.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks import jobs
from localqueue.core import ids
from localqueue.core.models import Attempt, Job, JobState, Outcome, OutcomeKind, Response
from localqueue.store import connections
from localqueue.store.row_mapping import ATTEMPT_COLUMNS, JOB_COLUMNS, attempt_row, job_row

QUEUE = "work-0"
CHUNK = 10_000
AGE_MS = 3_600_000
RESPONSE = Response((("content-type", "application/json"), ("content-length", "11")), b'{"ok":true}', False)


def database_with(scratch: Path, count: int, *, finished: bool) -> Path:
    """Return a file with `count` jobs, queued or completed, numbered n = 0, 1, ... (do not write to it)."""
    schema = hashlib.sha256("".join(connections.migrations()).encode()).hexdigest()[:12]
    path = scratch / f"{'finished' if finished else 'queued'}-{count}-{schema}.db"
    if not path.exists():
        print(f"making {path.name}", flush=True)
        making = path.with_suffix(".making")
        making.unlink(missing_ok=True)
        asyncio.run(_create(making))
        _fill(making, count, finished)
        making.rename(path)
    return path


def copy(path: Path, folder: Path, *, is_paused: bool = False) -> Path:
    """Return a copy that may be written to, its queue paused or not."""
    target = folder / "queue.db"
    shutil.copyfile(path, target)
    if is_paused:
        connection = sqlite3.connect(target, isolation_level=None)
        connection.execute("INSERT INTO pauses (namespace, queue) VALUES (?, ?)", (jobs.NAMESPACE, QUEUE))
        connection.close()
    with open(target, "rb") as file:  # written back now, or it would be while something is measured
        os.fsync(file.fileno())
    return target


async def _create(path: Path) -> None:
    connection, _ = await connections.open_writer(path, durable=False)
    await connection.close()


def _fill(path: Path, count: int, finished: bool) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA cache_size = -400000")
    rows = _jobs(count, finished)
    while chunk := list(itertools.islice(rows, CHUNK)):
        connection.execute("BEGIN")
        _insert(connection, "jobs", JOB_COLUMNS, [job_row(job) for job in chunk])
        _insert(connection, "payloads", "seq, data", [(job.seq, jobs.data(job.seq - 1)) for job in chunk])
        if finished:
            attempts = [(job.seq, *attempt_row(_attempt(job))) for job in chunk]
            _insert(connection, "attempts", f"seq, {ATTEMPT_COLUMNS}", attempts)
        connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def _insert(connection: sqlite3.Connection, table: str, columns: str, rows: list[tuple[object, ...]]) -> None:
    marks = ", ".join("?" * (columns.count(",") + 1))
    connection.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)


def _jobs(count: int, finished: bool) -> Iterator[Job]:
    now = int(time.time() * 1000) - AGE_MS
    for seq in range(1, count + 1):
        created = now + seq // 10  # ten a millisecond
        job = Job(
            seq=seq,
            id=ids.uuid7(created, ids.random_bytes(None, seq)),
            namespace=jobs.NAMESPACE,
            queue=QUEUE,
            created_ms=created,
            due_ms=created,
            max_attempts=4,
            data_size=len(jobs.data(seq - 1)),
            number=seq,
        )
        yield replace(job, finished=JobState.COMPLETED, finished_ms=created + 5, attempt=1) if finished else job


def _attempt(job: Job) -> Attempt:
    return Attempt(
        round=1,
        number=1,
        max_attempts=job.max_attempts,
        due_ms=job.due_ms,
        started_ms=job.created_ms + 1,
        ended_ms=job.created_ms + 5,
        duration_ms=4,
        url=f"http://127.0.0.1:3000/{QUEUE}",
        outcome=Outcome(OutcomeKind.COMPLETED, 200, None, RESPONSE),
        next_due_ms=None,
        reason="2xx",
    )
