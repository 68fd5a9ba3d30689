"""The store: what it keeps of a job, an attempt and a queue, and what it refuses to change."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from localqueue.core.clock import WallClock
from localqueue.core.errors import NotFound, StorageUnavailable
from localqueue.core.models import (
    Attempt,
    AttemptError,
    Catalog,
    Job,
    JobFilter,
    JobState,
    LedgerEntry,
    Outcome,
    OutcomeKind,
    Queue,
    QueueKey,
    Response,
    Service,
)
from localqueue.core.settings import Settings
from localqueue.delivery.delivery import Delivery
from localqueue.engine.engine import Engine
from localqueue.store import connections, statements
from localqueue.store.store import BURST, Store
from tests.support import run_async

A: QueueKey = ("shop", "a")
B: QueueKey = ("shop", "b")
C: QueueKey = ("shop", "c")
START = (-1, 0)
RESPONSE = Response((("content-type", "text/plain"), ("x-one", "ä")), b"\xff no", True)
FAILED = Attempt(
    1, 2, 4, 30, 31, 37, 5, "http://x/a",
    Outcome(OutcomeKind.HTTP_ERROR, 503, AttemptError("http_503", "responded 503"), RESPONSE, injected="503"),
    5037, "retry 2 of 3", "no policy",
)  # fmt: skip
REFUSED = replace(FAILED, number=1, outcome=Outcome(OutcomeKind.CONNECTION_ERROR, None, AttemptError("x", "y")))
DONE = replace(FAILED, outcome=Outcome(OutcomeKind.COMPLETED, 204), next_due_ms=None, summary=None)
EMPTY = replace(FAILED, outcome=replace(FAILED.outcome, response=Response()))


def job(seq: int, key: QueueKey = A, **fields: Any) -> Job:
    number = fields.pop("number", seq)
    return Job(seq, f"id-{seq:08}", *key, 10, 20, number=number, **fields)


Work = Callable[[Store], Coroutine[Any, Any, None]]


@asynccontextmanager
async def opened(folder: Path, keep: int = 10_000) -> AsyncIterator[Store]:
    store = await Store.open(folder / "queue.db", durable=False, keep=keep)
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
def play(tmp_path: Path) -> Callable[[Work], None]:
    """Return what plays work with a store."""

    async def main(work: Work) -> None:
        async with opened(tmp_path) as store:
            await work(store)

    return lambda work: run_async(main(work))


async def insert(store: Store, *jobs: Job, data: bytes = b"null") -> None:
    await asyncio.gather(*(store.insert(each, data, lambda: None) for each in jobs))


async def pending(store: Store, key: QueueKey = A, after: tuple[int, int] = START, limit: int = 100) -> list[Job]:
    return [found for found, _ in await store.pending(key, after, limit, 0)]


def finished(before: Job, state: JobState = JobState.COMPLETED, at_ms: int = 50) -> Job:
    return replace(before, finished=state, finished_ms=at_ms, attempt=1)


def test_a_job_is_read_as_it_was_written(play: Callable[[Work], None]) -> None:
    async def work(store: Store) -> None:
        whole = Job(7, "id-00000007", "shop", "a", 11, 12, None, None, 2, 3, 1, 5, "id-00000001", 3, 9)
        called: list[bool] = []
        await store.insert(whole, b"[1]", lambda: called.append(True))
        assert await pending(store) == [whole] and called == [True]
        assert await store.payload(7) == b"[1]"
        done = finished(whole)
        assert await store.change([(whole, done)]) == [done]
        assert await store.queries.job(whole.id) == done
        assert (await pending(store), await store.queries.job("nobody")) == ([], None)

    play(work)


def test_data_of_a_job_that_was_deleted_is_reported_as_such(play: Callable[[Work], None]) -> None:
    async def work(store: Store) -> None:
        with pytest.raises(NotFound) as caught:
            await store.payload(1)
        assert (caught.value.code, caught.value.hint) == ("unknown_job", "It was pruned.")
        assert caught.value.message == "the job no longer exists"

    play(work)


def test_the_log_shrinks_again_after_a_reader_from_outside_that_kept_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "LOG_LIMIT", 100_000)
    log = tmp_path / "queue.db-wal"

    async def main() -> None:
        async with opened(tmp_path) as store:
            await insert(store, job(1))
            with contextlib.closing(sqlite3.connect(tmp_path / "queue.db", isolation_level=None)) as reader:
                reader.execute("BEGIN")
                reader.execute("SELECT * FROM jobs").fetchall()
                for seq in range(2, 12):
                    await insert(store, job(seq), data=b"x" * 1_000_000)
                assert log.stat().st_size > 10_000_000
            for seq in range(12, 16):
                await insert(store, job(seq))
            assert log.stat().st_size <= 100_000

    run_async(main())


@pytest.mark.parametrize("can_wait", [True, False])
def test_a_record_waits_for_other_writes_only_where_it_can(play: Callable[[Work], None], can_wait: bool) -> None:
    async def work(store: Store) -> None:
        before = job(1)
        await insert(store, before)
        with mock.patch.object(store._writer, "write", wraps=store._writer.write) as write:
            await store.record(before, finished(before), DONE, can_wait=can_wait)
        assert [call.kwargs for call in write.call_args_list] == [{"can_wait": can_wait}]

    play(work)


@pytest.mark.parametrize("attempt", [FAILED, REFUSED, DONE, EMPTY])
def test_an_attempt_is_read_as_it_was_written(play: Callable[[Work], None], attempt: Attempt) -> None:
    """Rule states.attempts."""

    async def work(store: Store) -> None:
        before, other = job(1), job(2)
        after = replace(before, due_ms=5037, attempt=2, failures=2, max_attempts=4, round=1)
        await insert(store, before, other)
        await store.record(before, after, attempt)
        assert await store.queries.attempts([1, 2]) == {1: [attempt], 2: []}
        without_response = replace(attempt, outcome=replace(attempt.outcome, response=None))
        assert await store.queries.ledger() == [LedgerEntry(after, without_response)]  # whose memory nobody could bound
        assert await pending(store) == [other, after]

    play(work)


def test_an_attempt_of_a_job_that_has_changed_meanwhile_is_not_recorded(play: Callable[[Work], None]) -> None:
    async def work(store: Store) -> None:
        before = job(1)
        await insert(store, before)
        for field in ("round", "attempt", "failures"):
            await store.record(replace(before, **{field: 3}), replace(before, attempt=1), FAILED)
        await store.record(finished(before), before, FAILED)
        assert (await pending(store), await store.queries.ledger()) == ([before], [])

    play(work)


def test_only_the_job_that_was_read_is_changed_not_one_with_its_seq(play: Callable[[Work], None]) -> None:
    """Rule reset.state: seqs start again after a reset."""

    async def work(store: Store) -> None:
        first, second = job(1), job(2)
        await insert(store, first, second)
        changes = [(replace(first, id="id-before"), finished(first)), (second, finished(second))]
        assert await store.change(changes) == [finished(second)]
        assert await pending(store) == [first]

    play(work)


def test_pending_jobs_come_in_dispatch_order_in_pages_with_small_payloads(play: Callable[[Work], None]) -> None:
    """Rule deliver.order."""

    async def work(store: Store) -> None:
        jobs = [replace(job(seq), due_ms=due, data_size=5) for seq, due in ((1, 30), (2, 10), (3, 30), (4, 20))]
        large = replace(job(5), due_ms=40, data_size=6)
        await insert(store, *jobs, job(6, B), data=b"[123]")
        await insert(store, large, data=b"[1234]")
        found = await store.pending(A, (10, 1), 3, 5)
        assert found == [(jobs[1], b"[123]"), (jobs[3], b"[123]"), (jobs[0], b"[123]")]
        assert await store.pending(A, (30, 1), 3, 5) == [(jobs[2], b"[123]"), (large, None)]

    play(work)


def test_only_finished_jobs_are_deleted_with_all_that_belongs_to_them(play: Callable[[Work], None]) -> None:
    """Rule jobs.delete."""

    async def work(store: Store) -> None:
        jobs = [job(seq) for seq in range(1, 6)]
        states = [JobState.COMPLETED, JobState.FAILED, JobState.COMPLETED, JobState.COMPLETED]
        await insert(store, *jobs)
        for each, state in zip(jobs, states, strict=False):
            await store.record(each, finished(each, state), FAILED)
        ids = [each.id for each in jobs]
        assert (await store.delete(ids[:1]), await store.delete(ids[:1])) == (1, 0)
        assert await store.delete(ids[4:]) == 0
        assert await store.delete(ids[:3], JobState.COMPLETED) == 1
        assert [entry.job.seq for entry in await store.queries.ledger()] == [2, 4]
        assert await store.delete(ids) == 2
        assert (await store.queries.ledger(), await pending(store)) == ([], [jobs[4]])
        assert await store.queries.payloads([1, 2, 3, 4, 5]) == {5: b"null"}

    play(work)


def test_due_times_too_far_ahead_are_brought_closer_in_one_queue(play: Callable[[Work], None]) -> None:
    async def work(store: Store) -> None:
        jobs = [replace(job(1), due_ms=900), replace(job(2), due_ms=100), replace(job(3, B), due_ms=900)]
        done = replace(job(4), due_ms=900)
        await insert(store, *jobs, done)
        await store.change([(done, finished(done))])
        await store.clamp_due({A: 500, C: 100})
        assert await pending(store) == [jobs[1], replace(jobs[0], due_ms=500)]
        assert await pending(store, B) == [jobs[2]]
        assert await store.queries.job(done.id) == finished(done)

    play(work)


def test_a_start_writes_as_little_for_many_queues_as_for_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each transaction may prune many jobs, which nobody should wait for at a start."""
    step = f"min(n - ?1, {statements.PRUNE_STEP})"
    assert step in statements.PRUNE
    monkeypatch.setattr(statements, "PRUNE", statements.PRUNE.replace(step, "1"))
    queues = tuple(Queue("shop", f"queue-{number}", "/work") for number in range(20))
    catalog = Catalog((Service("shop", "http://127.0.0.1:9", "catalog-info.yaml", queues),))

    async def main() -> None:
        async with opened(tmp_path) as store:
            jobs = [job(seq) for seq in range(1, 11)]
            await insert(store, *jobs)
            await store.change([(each, finished(each)) for each in jobs])
        delivery = Delivery()
        engine = await Engine.open(
            tmp_path / "queue.db", catalog, WallClock(), delivery, lambda _: None, Settings(keep=1)
        )
        left = (await engine.jobs.page(JobFilter(limit=20))).jobs
        await engine.close()
        await delivery.aclose()
        assert len(left) >= 7

    run_async(main())


def test_pauses_facts_and_numbers_are_kept_until_a_reset(tmp_path: Path) -> None:
    """Rule states.paused, reset.state."""

    async def first() -> None:
        async with opened(tmp_path) as store:
            assert (await store.last_seq(), await store.last_time(), await store.facts()) == (0, 0, {})
            assert store.error is None
            await insert(store, job(4), job(5, B, number=2))
            changes = [(A, True), (B, True), (A, False), (B, False), (A, True)]
            await asyncio.gather(*(store.pause(key, is_paused) for key, is_paused in changes))
            await store.save({"clock": "virtual", "now_ms": "1"})
            await store.save({"now_ms": "2"})

    async def second() -> None:
        async with opened(tmp_path) as store:
            assert await store.pauses() == {A}
            assert await store.facts() == {"clock": "virtual", "now_ms": "2"}
            assert await store.numbers() == {A: 4, B: 2}
            assert await store.last_seq() == 5
            done = asyncio.ensure_future(store.reset({"now_ms": "0"}))
            await insert(store, job(1))  # it belongs to the time after the reset
            await done
            assert (await store.last_seq(), await store.pauses()) == (1, set())
            assert (await store.facts(), await store.numbers()) == ({"clock": "virtual", "now_ms": "0"}, {A: 1})
            assert await store.queries.counts(0) == {A: {"pending": 1, "waiting": 1}}

    run_async(first())
    run_async(second())


def test_the_last_time_is_that_of_the_last_arrival_or_start(play: Callable[[Work], None]) -> None:
    """Rule time.stored."""

    async def work(store: Store) -> None:
        before = job(1)
        await insert(store, before, replace(job(2), created_ms=25))
        assert await store.last_time() == 25
        await store.record(before, finished(before), FAILED)
        assert await store.last_time() == FAILED.started_ms
        await insert(store, replace(job(3), created_ms=90))
        assert await store.last_time() == 90

    play(work)


def test_attempts_that_timed_out_and_end_later_are_found(play: Callable[[Work], None]) -> None:
    """Rule time.timeout."""

    async def work(store: Store) -> None:
        jobs = [job(1), job(2, B), job(3)]
        timeout = replace(FAILED, outcome=Outcome(OutcomeKind.TIMEOUT, None, AttemptError("timeout", "x")))
        await insert(store, *jobs)
        await store.record(jobs[0], replace(jobs[0], attempt=1, failures=1), timeout)
        await store.record(jobs[1], replace(jobs[1], attempt=1, failures=1), replace(timeout, ended_ms=50))
        await store.record(jobs[2], replace(jobs[2], attempt=1, failures=1), replace(FAILED, ended_ms=90))
        assert sorted(await store.timeouts(36)) == [(A, 37), (B, 50)]
        assert await store.timeouts(37) == [(B, 50)]

    play(work)


def test_old_finished_jobs_are_pruned_failed_ones_last(tmp_path: Path) -> None:
    """Rule storage.retention."""

    async def main() -> None:
        async with opened(tmp_path, keep=3) as store:
            jobs = [job(seq) for seq in range(1, 8)]
            await insert(store, *jobs)
            states = [JobState.FAILED, *[JobState.COMPLETED] * 5]
            for each, state in zip(jobs, states, strict=False):
                await store.change([(each, finished(each, state, at_ms=each.seq))])
            left = [each.seq for each in jobs if await store.queries.job(each.id)]
            assert left == [1, 5, 6, 7]

    run_async(main())


def test_sixteen_jobs_that_wait_for_their_commit_are_a_burst(play: Callable[[Work], None]) -> None:
    """Rule enqueue.burst."""

    async def work(store: Store) -> None:
        for first in (1, BURST + 1):  # the second burst is like the first
            few = [asyncio.ensure_future(insert(store, job(seq))) for seq in range(first, first + BURST - 1)]
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert not store.has_burst
            await store.after_burst()
            assert not any(future.done() for future in few)
            last = asyncio.ensure_future(insert(store, job(first + BURST - 1)))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert store.has_burst and not store.is_idle
            waiting = asyncio.ensure_future(store.after_burst())
            await asyncio.sleep(0)
            assert not waiting.done()
            await asyncio.gather(*few, last, waiting)
            await store.settled()
            assert (store.has_burst, store.is_idle, store.error) == (False, True, None)

    play(work)


@pytest.mark.parametrize(("durable", "synchronous"), [(True, 2), (False, 0)])
def test_a_lasting_database_waits_for_the_disk(tmp_path: Path, durable: bool, synchronous: int) -> None:
    """Rule storage.kill."""

    async def main() -> None:
        store = await Store.open(tmp_path / "queue.db", durable=durable, keep=1)
        level = await store._writer.call(lambda connection: connection.execute("PRAGMA synchronous").fetchone()[0])
        assert level == synchronous
        await store.close()

    run_async(main())


def test_a_job_that_can_not_be_stored_is_not_part_of_a_burst_any_more(play: Callable[[Work], None]) -> None:
    async def work(store: Store) -> None:
        await insert(store, job(1))
        twins = [store.insert(job(1), b"1", lambda: None) for _ in range(BURST)]
        for error in await asyncio.gather(*twins, return_exceptions=True):
            assert isinstance(error, StorageUnavailable)
        assert not store.has_burst
        assert store.error is not None and "UNIQUE" in store.error

    play(work)


def test_a_file_that_can_not_be_read_leaves_no_connection_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connected: list[Any] = []
    real_writer, real_reader = connections.open_writer, connections.open_reader

    async def open_writer(path: Path, *, durable: bool) -> Any:
        connected.append((await real_writer(path, durable=durable))[0])
        return connected[0], None

    async def open_reader(path: Path) -> Any:
        if len(connected) == 2:
            raise sqlite3.OperationalError("unable to open database file")
        connected.append(await real_reader(path))
        return connected[-1]

    monkeypatch.setattr(connections, "open_writer", open_writer)
    monkeypatch.setattr(connections, "open_reader", open_reader)

    async def main() -> None:
        with pytest.raises(sqlite3.OperationalError):
            await Store.open(tmp_path / "queue.db", durable=False, keep=1)
        for connection in connected:
            with pytest.raises(ValueError, match="no active connection"):
                await connection.execute("SELECT 1")

    run_async(main())


def test_a_closed_store_answers_with_one_sentence(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as store:
            pass
        for read in (store.facts(), store.queries.job("x")):
            with pytest.raises(StorageUnavailable, match="the database can't be read: "):
                await read
        with pytest.raises(StorageUnavailable, match="the store is closed"):
            await store.save({})

    run_async(main())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["queue.db"]  # the log is gone
