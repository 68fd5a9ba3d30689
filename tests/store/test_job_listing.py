"""Lists of jobs: every choice, in pages that stay correct, by an index however many jobs there are."""

from __future__ import annotations

import contextlib
import itertools
import random
import sqlite3
from collections.abc import AsyncIterator, Collection, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from localqueue.core import lifecycle
from localqueue.core.ids import uuid7
from localqueue.core.models import Job, JobFilter, JobState, Queue
from localqueue.engine import snapshots
from localqueue.engine.running_attempts import RunningAttempt
from localqueue.store import connections, job_listing, job_queries, statements
from localqueue.store.store import Store
from tests.support import run_async

NOW = 1_000_000
KEYS = [("shop", "work"), ("shop", "other"), ("mail", "work"), ("mail", "sync")]
RUNNING = {7, 11, 12, 90}
CHOICES = list(itertools.product((None, "shop", "nobody"), (None, "work"), (None, *JobState)))


def some_jobs(count: int) -> list[Job]:
    """Return jobs of every queue and state, as they are on disk."""
    source = random.Random(4)
    jobs = []
    for seq in range(1, count + 1):
        namespace, queue = source.choice(KEYS)
        job = Job(seq, uuid7(NOW, source.randbytes(10)), namespace, queue, NOW, NOW - 5)
        finished = source.choice([None, None, *(state for state in JobState if state.is_finished)])
        if finished is not None and seq not in RUNNING:
            job = replace(job, finished=finished, finished_ms=NOW)
        elif seq not in RUNNING:
            job = replace(job, due_ms=NOW + source.choice([-1, 0, 1, 500]))
        jobs.append(job)
    return jobs


def state_of(job: Job) -> JobState:
    return lifecycle.state_of(job, is_running=job.seq in RUNNING, now_ms=NOW)


def fits(job: Job, chosen: JobFilter) -> bool:
    return (
        chosen.fits(job.key)
        and chosen.state in (None, state_of(job))
        and (chosen.id is None or job.id.startswith(chosen.id) or job.short_id.startswith(chosen.id))
    )


@contextlib.asynccontextmanager
async def opened(folder: Path, jobs: Collection[Job] = ()) -> AsyncIterator[Store]:
    """Open a database with these jobs in it."""
    store = await Store.open(folder / "queue.db", durable=False, keep=10_000)
    try:
        for job in jobs:
            await store.insert(replace(job, finished=None, finished_ms=None), b"null", lambda: None)
        finished = [job for job in jobs if job.finished is not None]
        await store.change([(replace(job, finished=None, finished_ms=None), job) for job in finished])
        yield store
    finally:
        await store.close()


async def listed(store: Store, chosen: JobFilter) -> list[Job]:
    """Return a page as `JobActions` does: a search has no index."""
    if chosen.is_search:
        return (await store.queries.search(chosen, NOW, list(RUNNING), seconds=60)).jobs
    return await store.queries.jobs(chosen, KEYS, NOW, list(RUNNING))


@pytest.mark.parametrize("newest", [0, 10, 2000])
def test_every_choice_is_listed_newest_first_in_pages_without_a_job_twice_or_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, newest: int
) -> None:
    """Rule api.lists: whether the page lies among the newest jobs, or is found by the indexes."""
    monkeypatch.setattr(job_listing, "NEWEST", newest)
    monkeypatch.setattr(job_queries, "STEP", newest or 1)

    async def check() -> None:
        jobs = some_jobs(100)
        parts = [None, jobs[3].id, jobs[3].short_id[:2], jobs[3].id[:20], "f"]
        async with opened(tmp_path, jobs) as store:
            for (namespace, queue, state), part in itertools.product(CHOICES, parts):
                chosen = JobFilter(namespace, queue, state, part, limit=3)
                expected = [job for job in reversed(jobs) if fits(job, chosen)]
                for start in range(0, len(expected) + 1, 3):
                    page = await listed(store, chosen)
                    assert page == expected[start : start + 3], chosen
                    chosen = replace(chosen, after=page[-1].seq) if page else chosen

    run_async(check())


def test_more_queues_than_one_statement_takes_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule api.lists."""
    monkeypatch.setattr(job_listing, "NEWEST", 0)

    async def check() -> None:
        keys = [("shop", f"queue-{number}") for number in range(job_listing.KEYS_AT_ONCE * 2 + 1)]
        jobs = [Job(seq, uuid7(NOW, bytes([seq % 256] * 10)), *key, NOW, NOW) for seq, key in enumerate(keys, 1)]
        async with opened(tmp_path, jobs) as store:
            found = await store.queries.jobs(JobFilter("shop", limit=200), keys, NOW, [])
            assert [job.seq for job in found] == list(range(len(keys), len(keys) - 200, -1))

    run_async(check())


def plan(connection: sqlite3.Connection, chosen: JobFilter) -> list[str]:
    found = []
    for sql, values in job_listing.queries(chosen, KEYS, NOW, RUNNING):
        found += [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
    return [line for line in found if "jobs" in line]


@pytest.fixture(scope="module")
def connection() -> Iterator[sqlite3.Connection]:
    """Yield a database with our tables and without statistics, as every one is."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        for sql in connections.migrations():
            connection.executescript(sql)
        yield connection


@pytest.mark.parametrize(("namespace", "queue", "state"), CHOICES)
def test_every_choice_uses_an_index(
    connection: sqlite3.Connection, namespace: str | None, queue: str | None, state: JobState | None
) -> None:
    """Rule api.indexes: by queue and state its own, else along the table by seq, to stop as soon as a page is full."""
    found = plan(connection, JobFilter(namespace, queue, state))
    by_seq = "SEARCH jobs USING INTEGER PRIMARY KEY (rowid"
    indexes = {
        "SEARCH jobs USING COVERING INDEX jobs_by_state (namespace=? AND queue=? AND finished=? AND seq<?)",
        "SEARCH jobs USING COVERING INDEX jobs_pending (namespace=? AND queue=?",
    }
    assert all(line.startswith((by_seq, *indexes)) for line in found), found
    if namespace != "nobody" and state is not JobState.RUNNING and (namespace, queue, state) != (None, None, None):
        assert any(line.startswith(tuple(indexes)) for line in found), found
    if state is JobState.RUNNING:
        assert found == [f"{by_seq}=?)"]


def test_a_glance_at_the_newest_jobs_looks_at_no_others(connection: sqlite3.Connection) -> None:
    """Rule api.indexes."""
    sql, values = job_listing.newest_page(JobFilter("shop", "work", JobState.QUEUED), NOW, RUNNING)
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
    assert plan[:2] == ["CO-ROUTINE jobs", "SEARCH jobs USING INTEGER PRIMARY KEY (rowid<?)"]
    assert sum("jobs" in line for line in plan) == 3


def test_a_step_of_a_search_looks_at_no_other_jobs(connection: sqlite3.Connection) -> None:
    """Rule api.indexes."""
    sql, values = job_listing.newest_from(JobFilter("shop", None, JobState.FAILED, "beef", since_ms=1), 5, NOW, [])
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
    assert plan == ["SEARCH jobs USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"]


@pytest.mark.parametrize("key", [(None, None), ("shop", "work")])
def test_the_causes_of_failures_are_read_from_failed_jobs_only(
    connection: sqlite3.Connection, key: tuple[str | None, str | None]
) -> None:
    """Rule api.indexes."""
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statements.FAILURES}", key)]
    by_id = "SEARCH jobs USING INTEGER PRIMARY KEY (rowid=?)"
    assert [line for line in plan if " jobs " in line] == [
        "SEARCH jobs USING COVERING INDEX jobs_by_state (namespace=? AND queue=? AND finished=?)",
        by_id,  # of the newest and the oldest job of each cause
        by_id,
    ]


def test_an_id_is_found_by_its_index(connection: sqlite3.Connection) -> None:
    """Rule api.indexes: only a whole ID; any other text has to be searched for."""
    assert [JobFilter(id="0" * length).is_search for length in (8, 36, 37)] == [True, False, True]
    assert plan(connection, JobFilter("shop", None, JobState.QUEUED, "0" * 36)) == [
        "SEARCH jobs USING INDEX sqlite_autoindex_jobs_1 (id=?)"
    ]


def test_a_database_of_an_older_version_is_migrated_with_its_jobs(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    connection = sqlite3.connect(path)
    for number, sql in enumerate(connections.migrations()[:2], 1):
        connection.executescript(
            f"{sql};PRAGMA application_id={connections.APPLICATION_ID};PRAGMA user_version={number};"
        )
    connection.execute(
        "INSERT INTO jobs (seq, id, namespace, queue, created_ms, due_ms, round, attempt, failures, max_attempts, "
        "data_size) VALUES (1, 'x', 'shop', 'work', 1, 1, 1, 0, 0, 4, 4)"
    )
    connection.commit()
    connection.close()

    async def check() -> None:
        async with opened(tmp_path) as store:
            found = await store.queries.jobs(JobFilter("shop", "work", JobState.QUEUED), KEYS, NOW, [])
            assert [job.id for job in found] == ["x"]
            assert await store.queries.counts(0) == {("shop", "work"): {"pending": 1, "waiting": 1}}

    run_async(check())


def test_a_change_of_a_job_that_is_not_as_it_was_does_nothing(tmp_path: Path) -> None:
    async def check() -> None:
        jobs = some_jobs(40)
        failed = [job for job in jobs if job.finished is JobState.FAILED]
        stale = replace(failed[0], round=9)
        changes = [(job, lifecycle.new_round(job, NOW)) for job in (stale, *failed[1:])]
        async with opened(tmp_path, jobs) as store:
            assert await store.change(changes) == [after for _, after in changes[1:]]
            wanted = JobFilter(state=JobState.FAILED)
            assert await store.queries.oldest(wanted, 0, 40, 40, NOW, []) == (failed[:1], 40)

    run_async(check())


def test_steps_from_the_oldest_job_to_the_newest_have_every_job_that_fits_once(tmp_path: Path) -> None:
    async def check() -> None:
        jobs = some_jobs(60)
        async with opened(tmp_path, jobs) as store:
            for namespace, queue, state in CHOICES:
                wanted, found, after = JobFilter(namespace, queue, state), list[Job](), 0
                while True:
                    step, end = await store.queries.oldest(wanted, after, 50, 7, NOW, list(RUNNING))
                    if end is None:
                        break
                    assert all(after < job.seq <= end <= after + 7 for job in step)
                    found, after = found + step, end
                assert found == [job for job in jobs[:50] if fits(job, wanted)]

    run_async(check())


@pytest.mark.parametrize(
    ("stored", "attempts", "expected"),
    [
        ({"pending": 3}, 1, {"queued": 2, "running": 1}),
        ({"pending": 1, "waiting": 1}, 1, {"running": 1}),
        ({"completed": 1}, 1, {"completed": 1}),
        ({"pending": 2, "waiting": 1}, 1, {"running": 1, "retrying": 1}),
        ({"pending": 3}, 2, {"queued": 2, "running": 1}),
    ],
)
def test_an_attempt_that_has_just_ended_is_neither_counted_twice_nor_beyond_the_slots(
    stored: dict[str, int], attempts: int, expected: dict[str, int]
) -> None:
    """Rule api.counts: one slot is taken."""
    job = Job(1, "id", "shop", "work", 0, NOW)
    attempt = RunningAttempt(job, job, Queue("shop", "work", "/work"), "http://x/", NOW, 0.0)
    found = snapshots.count_by_state(stored, [attempt] * attempts, 1, NOW)
    assert {state: count for state, count in found.items() if count} == expected
