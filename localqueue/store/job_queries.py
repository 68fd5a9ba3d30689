"""Answer the questions that people ask about jobs and attempts.

These reads have a connection of their own: a long one must not delay a dispatch.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncGenerator, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiosqlite

from localqueue.core import clock
from localqueue.core.models import Attempt, FailureGroup, Job, JobFilter, JobPreview, LedgerEntry, QueueKey
from localqueue.core.real_time import monotonic
from localqueue.core.text import counted
from localqueue.store import connections, job_listing, statements
from localqueue.store.connections import read_rows
from localqueue.store.row_mapping import JOB_COLUMNS, to_attempt, to_entry, to_job, to_preview

STEP = 2000
"""How many jobs a search looks at first, which takes about 1 ms."""
STEP_S = 0.02
"""A search takes larger steps until one takes this long."""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The jobs that a search has found, how many it has seen, and the seq at which it continues; None at the end."""

    jobs: list[Job]
    searched: int
    next: int | None


class JobQueries:
    """The reads for lists, job pages and the ledger. Each raises StorageUnavailable if the file can't be read."""

    def __init__(self, path: Path, connection: aiosqlite.Connection) -> None:
        self._path = path
        self._connection = connection

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()

    async def ledger(self) -> list[LedgerEntry]:
        """Return every stored attempt, in starting order."""
        return [to_entry(row) async for row in clock.in_steps(await self._rows(statements.LEDGER))]

    async def job(self, id_: str) -> Job | None:
        """Return the job with this id."""
        rows = await self._rows(f"SELECT {JOB_COLUMNS} FROM jobs WHERE id = ?", (id_,))
        return to_job(rows[0]) if rows else None

    async def jobs_with_short_id(self, short_id: str, limit: int) -> list[Job]:
        """Return jobs with this short ID; this reads every job (about 0.15 s for a million)."""
        sql = f"SELECT {JOB_COLUMNS} FROM jobs NOT INDEXED WHERE seq >= ? AND seq < ? AND substr(id, -8) = ? LIMIT ?"
        jobs: list[Job] = []
        async with contextlib.aclosing(self._steps()) as steps:
            async for lowest, before in steps:
                jobs += map(to_job, await self._rows(sql, (lowest, before, short_id, limit - len(jobs))))
                if len(jobs) == limit:
                    break
        return jobs

    async def _steps(self, before: int = 2**62) -> AsyncGenerator[tuple[int, int], None]:
        """Yield ranges of seqs below one, newest first: the first seq, and the one after the last.

        They grow until a step takes STEP_S, and no further: other reads of this connection wait for each step.
        """
        [[lowest, highest]] = await self._rows(statements.RANGE)
        before, size = min(before, highest + 1), STEP
        while before > lowest:
            begin = monotonic()
            yield max(before - size, lowest), before
            before -= size
            size *= 2 if monotonic() - begin < STEP_S else 1

    async def detail_sizes(self, seqs: Sequence[int]) -> dict[int, int]:
        """Return for each of these jobs how many bytes its data and the responses to its attempts have."""
        return dict(await self._rows(statements.DETAIL_SIZES, _values(seqs)))

    async def payloads(self, seqs: Sequence[int]) -> dict[int, bytes]:
        """Return the bytes of `data` of each of these jobs."""
        return {seq: bytes(data) for seq, data in await self._rows(statements.PAYLOADS, _values(seqs))}

    async def attempts(self, seqs: Sequence[int]) -> dict[int, list[Attempt]]:
        """Return the attempts of each of these jobs in starting order."""
        attempts: dict[int, list[Attempt]] = {seq: [] for seq in seqs}
        for seq, *row in await self._rows(statements.ATTEMPTS, _values(seqs)):
            attempts[seq].append(to_attempt(row))
        return attempts

    async def jobs(
        self, wanted: JobFilter, keys: Collection[QueueKey], now_ms: int, running: Sequence[int]
    ) -> list[Job]:
        """Return a page of jobs, newest first.

        `keys` are the queues that have jobs, `running` the seqs of the jobs with a running attempt.
        """
        rows = await self._rows(*job_listing.newest_page(wanted, now_ms, running))
        if len(rows) == wanted.limit:
            return [to_job(row) for row in rows]
        rows = []
        for sql, values in job_listing.queries(wanted, keys, now_ms, running):
            rows += await self._rows(sql, values)
        rows.sort(reverse=True)  # by seq, which comes first
        return [to_job(row) for row in rows[: wanted.limit]]

    async def search(self, wanted: JobFilter, now_ms: int, running: Sequence[int], seconds: float) -> SearchResult:
        """Return the newest jobs that fit, as far as they are found within that time."""
        end, jobs, searched = monotonic() + seconds, list[Job](), 0
        async with contextlib.aclosing(self._steps(wanted.before)) as steps:
            async for lowest, before in steps:
                step = replace(wanted, after=before, limit=wanted.limit - len(jobs))
                jobs += map(to_job, await self._rows(*job_listing.newest_from(step, lowest, now_ms, running)))
                searched += (await self._rows(statements.COUNT_RANGE, (lowest, before)))[0][0]
                if len(jobs) == wanted.limit:
                    return SearchResult(jobs, searched, jobs[-1].seq)
                if monotonic() >= end:
                    return SearchResult(jobs, searched, lowest)
        return SearchResult(jobs, searched, None)

    async def failures(self, wanted: JobFilter) -> list[FailureGroup]:
        """Return the failed jobs by queue, status and summary."""
        rows = await self._rows(statements.FAILURES, (wanted.namespace, wanted.queue))
        return [
            FailureGroup(
                (namespace, queue), status, summary, summary, count, first, last, tuple(dict.fromkeys((newest, oldest)))
            )
            for namespace, queue, status, summary, count, first, last, newest, oldest in rows
        ]

    async def oldest(
        self, wanted: JobFilter, after: int, last: int, limit: int, now_ms: int, running: Sequence[int]
    ) -> tuple[list[Job], int | None]:
        """Return the jobs that fit among the next `limit` after a seq, oldest first, and where the next ones begin.

        Jobs after `last` are left out. At the end, the second value is None.
        """
        end = (await self._rows(*job_listing.last_of_step(after, last, limit)))[0][0]
        if end is None:
            return [], None
        rows = await self._rows(*job_listing.oldest(wanted, after, end, now_ms, running))
        return [to_job(row) for row in rows], end

    async def previews(self, seqs: Sequence[int]) -> dict[int, JobPreview]:
        """Return what lists show of these jobs in addition to their own fields."""
        return {row[0]: to_preview(row) for row in await self._rows(statements.PREVIEWS, _values(seqs))}

    async def counts(self, now_ms: int) -> dict[QueueKey, dict[str, int]]:
        """Return how many jobs each queue has on disk: pending, completed, failed, cancelled.

        `waiting` counts the pending jobs that are due later than now.
        """
        by_queue: dict[QueueKey, dict[str, int]] = {}
        for namespace, queue, state, n, waiting in await self._rows(statements.COUNTS, (now_ms,)):
            counts = by_queue.setdefault((namespace, queue), {})
            counts[state] = n
            if waiting is not None:
                counts["waiting"] = waiting
        return by_queue

    async def after_failure(self) -> dict[QueueKey, int]:
        """Return how many unfinished jobs of each queue have a failed attempt in their round."""
        sql = (
            "SELECT namespace, queue, count(*) FROM jobs WHERE finished IS NULL AND failures > 0 "
            "GROUP BY namespace, queue"
        )
        return {(namespace, queue): count for namespace, queue, count in await self._rows(sql)}

    async def check(self) -> str:
        """Return `ok`, or what is wrong in the file: what SQLite finds, or jobs without a payload."""
        connection = await connections.open_reader(
            self._path
        )  # a separate one: this takes a while and nothing should wait for it
        try:
            await read_rows(connection, "PRAGMA cache_size = -128")  # KiB: each page is needed once
            integrity = str((await read_rows(connection, "PRAGMA quick_check(1)"))[0][0])
            [[without]] = await read_rows(connection, statements.WITHOUT_PAYLOAD) if integrity == "ok" else [[0]]
            return f"{counted(without, 'job')} without a payload" if without else integrity
        finally:
            await connection.interrupt()
            await connection.close()

    async def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        return await read_rows(self._connection, sql, values)


def _values(seqs: Sequence[int]) -> tuple[str]:
    """Return the argument for `json_each(?)`."""
    return (json.dumps(list(seqs)),)
