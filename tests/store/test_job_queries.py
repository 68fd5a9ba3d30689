"""The reads for people: jobs by ID, their details, failures, counts and searches."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from localqueue.core.models import FailureGroup, JobFilter, JobPreview, JobState, OutcomeKind
from localqueue.store import job_queries
from localqueue.store.store import Store
from tests.store.test_store import DONE, FAILED, REFUSED, A, B, Work, finished, insert, job, opened
from tests.store.test_store import play as play  # the fixture
from tests.support import run_async

Play = Callable[[Work], None]


def test_jobs_are_found_by_short_id(play: Play) -> None:
    async def work(store: Store) -> None:
        jobs = [replace(job(seq), id=f"{seq}-{'aaaaaaaa' if seq < 3 else 'bbbbbbbb'}") for seq in (1, 2, 3)]
        await insert(store, *jobs)
        assert await store.queries.jobs_with_short_id("aaaaaaaa", 5) == jobs[:2]
        assert len(await store.queries.jobs_with_short_id("aaaaaaaa", 1)) == 1
        assert await store.queries.jobs_with_short_id("cccccccc", 5) == []

    play(work)


def test_the_size_of_a_job_with_its_responses_is_known_before_it_is_read(play: Play) -> None:
    async def work(store: Store) -> None:
        before = replace(job(1), data_size=4)
        await insert(store, before, replace(job(2), data_size=3))
        await store.record(before, replace(before, attempt=1), FAILED)
        assert await store.queries.detail_sizes([1, 2, 9]) == {1: 4 + len(b"\xff no"), 2: 3}
        assert await store.queries.payloads([2, 9]) == {2: b"null"}

    play(work)


def test_a_list_shows_the_beginning_of_the_payload_and_the_latest_attempt(play: Play) -> None:
    """Rule states.lists."""

    async def work(store: Store) -> None:
        jobs = [replace(job(1), data_size=200), replace(job(2), data_size=65_536), replace(job(3), data_size=65_537)]
        await insert(store, *jobs, data=b'"' + "ä".encode() * 99 + b'"')
        once = replace(jobs[0], attempt=1, failures=1)
        await store.record(jobs[0], once, DONE)
        await store.record(once, replace(once, attempt=2), FAILED)
        found = await store.queries.previews([1, 2, 3, 4])
        shown = '"' + "ä" * 79  # 160 bytes end inside a character
        assert found == {
            1: JobPreview(shown, OutcomeKind.HTTP_ERROR, 503, "http_503", "no policy"),
            2: JobPreview(shown),
            3: JobPreview(None),
        }

    play(work)


def test_failed_jobs_are_grouped_by_queue_status_and_summary_latest_first(play: Play) -> None:
    """Rule failures.groups."""

    async def work(store: Store) -> None:
        jobs = [job(1), job(2), job(3), job(4, B), job(5)]
        await insert(store, *jobs)
        attempts = [replace(FAILED, ended_ms=40 + each.seq) for each in jobs]
        attempts[2] = replace(REFUSED, ended_ms=99, summary=None)
        for each, attempt in zip(jobs[:4], attempts, strict=False):
            await store.record(each, finished(each, JobState.FAILED), attempt)
        await store.record(jobs[4], finished(jobs[4]), DONE)
        refused = FailureGroup(A, None, "y", "y", 1, 99, 99, (jobs[2].id,))
        other = FailureGroup(B, 503, "no policy", "no policy", 1, 44, 44, (jobs[3].id,))
        group = FailureGroup(A, 503, "no policy", "no policy", 2, 41, 42, (jobs[1].id, jobs[0].id))
        queries = store.queries
        assert await queries.failures(JobFilter()) == [refused, other, group]
        assert await queries.failures(JobFilter(queue="b")) == [other]
        assert await queries.failures(JobFilter("shop", "a")) == [refused, group]
        assert await queries.failures(JobFilter("nobody")) == []
        wanted = JobFilter(state=JobState.FAILED)
        pages = [await queries.oldest(wanted, after, 5, 3, 0, ()) for after in (0, 2, 5)]
        assert [([each.seq for each in found], end) for found, end in pages] == [
            ([1, 2, 3], 3),
            ([3, 4], 5),
            ([], None),
        ]

    play(work)


def test_jobs_are_counted_by_queue_and_state(play: Play) -> None:
    """Rule api.counts."""

    async def work(store: Store) -> None:
        jobs = [job(1), job(2), job(3, B), job(4), job(5)]
        await insert(store, *jobs)
        await store.record(jobs[0], replace(jobs[0], due_ms=31, attempt=1, failures=1), FAILED)
        await store.change([(jobs[2], finished(jobs[2], JobState.CANCELLED))])
        await store.record(jobs[4], finished(replace(jobs[4], failures=1), JobState.FAILED), FAILED)
        assert await store.queries.counts(30) == {A: {"pending": 3, "waiting": 1, "failed": 1}, B: {"cancelled": 1}}
        assert await store.queries.counts(31) == {A: {"pending": 3, "waiting": 0, "failed": 1}, B: {"cancelled": 1}}
        assert await store.queries.after_failure() == {A: 1}

    play(work)


def test_the_ledger_has_attempts_by_start_then_in_the_order_of_their_ends(play: Play) -> None:
    """Rule ledger.same."""

    async def work(store: Store) -> None:
        jobs = [job(1), job(2), job(3)]
        await insert(store, *jobs)
        for each, started in zip(jobs, (30, 20, 30), strict=True):
            await store.record(each, finished(each), replace(DONE, started_ms=started))
        assert [entry.job.seq for entry in await store.queries.ledger()] == [2, 1, 3]

    play(work)


def test_a_search_continues_where_its_time_was_over(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule jobs.search."""
    monkeypatch.setattr(job_queries, "STEP", 2)
    ticks = [0.0]

    def monotonic() -> float:
        ticks[0] += 1
        return ticks[0]

    monkeypatch.setattr(job_queries, "monotonic", monotonic)

    async def work(store: Store) -> None:
        jobs = [job(seq) for seq in range(1, 8)]
        await insert(store, *jobs, data=b'"x"')
        every = JobFilter(text="x", limit=10)
        part = await store.queries.search(every, 0, [], seconds=3)
        assert ([each.seq for each in part.jobs], part.searched, part.next) == ([7, 6, 5, 4], 4, 4)
        rest = await store.queries.search(replace(every, after=part.next), 0, [], seconds=60)
        assert ([each.seq for each in rest.jobs], rest.searched, rest.next) == ([3, 2, 1], 3, None)
        full = await store.queries.search(replace(every, limit=3), 0, [], seconds=60)
        assert ([each.seq for each in full.jobs], full.searched, full.next) == ([7, 6, 5], 4, 5)
        found = await store.queries.search(JobFilter(state=JobState.RUNNING, text="x"), 30, [2, 6], seconds=60)
        assert [each.seq for each in found.jobs] == [6, 2]
        found = await store.queries.search(JobFilter(state=JobState.QUEUED, text="ID-00000003"), 30, [2], seconds=60)
        assert [each.seq for each in found.jobs] == [3]
        none = await store.queries.search(replace(every, text="y"), 0, [], seconds=60)
        assert (none.jobs, none.searched, none.next) == ([], 7, None)

    play(work)


@pytest.mark.parametrize(("step_s", "searched"), [(0.0, 7), (1.0, 5)])
def test_the_steps_of_a_search_grow_while_they_take_little_time(
    play: Play, monkeypatch: pytest.MonkeyPatch, step_s: float, searched: int
) -> None:
    """Rule jobs.search: of the steps to the fifth newest job, quick ones take in 1, 2 and 4 jobs, slow ones 1 each."""
    monkeypatch.setattr(job_queries, "STEP", 1)
    times = itertools.count(0.0, step_s)
    monkeypatch.setattr(job_queries, "monotonic", lambda: next(times))

    async def work(store: Store) -> None:
        jobs = [replace(job(seq), id=f"{seq:027}-{seq:08}") for seq in range(1, 21)]
        await insert(store, *jobs)
        found = await store.queries.search(JobFilter(id="00000016", limit=1), 0, [], seconds=60)
        assert (found.jobs, found.searched, found.next) == ([jobs[15]], searched, 16)
        assert await store.queries.jobs_with_short_id("00000001", 5) == [jobs[0]]

    play(work)


def test_a_search_by_status_goes_by_the_latest_attempt(play: Play) -> None:
    """Rule jobs.search."""

    async def work(store: Store) -> None:
        jobs = [job(seq) for seq in range(1, 4)]
        await insert(store, *jobs)
        once = replace(jobs[0], attempt=1, failures=1)
        await store.record(jobs[0], once, FAILED)
        await store.record(once, replace(once, attempt=2), DONE)
        await store.record(jobs[1], replace(jobs[1], attempt=1, failures=1), FAILED)
        for status, seqs in ((204, [1]), (503, [2]), (500, [])):
            found = await store.queries.search(JobFilter(status=status), 0, [], seconds=60)
            assert [each.seq for each in found.jobs] == seqs

    play(work)


def test_a_list_is_limited_to_a_time(play: Play) -> None:
    """Rule jobs.search."""

    async def work(store: Store) -> None:
        await insert(store, *(replace(job(seq), created_ms=seq * 10) for seq in range(1, 6)))

        async def seqs(**limits: int) -> list[int]:
            found = await store.queries.search(JobFilter("shop", "a", **limits), 90, [], seconds=60)
            return [each.seq for each in found.jobs]

        assert await seqs(since_ms=30) == [5, 4, 3]
        assert await seqs(until_ms=30) == [2, 1]
        assert await seqs(since_ms=20, until_ms=40) == [3, 2]

    play(work)


def test_finished_and_unfinished_jobs_are_listed_apart(play: Play) -> None:
    """Rule api.lists."""

    async def work(store: Store) -> None:
        jobs = [job(seq) for seq in (1, 2, 3)]
        await insert(store, *jobs)
        await store.change([(jobs[1], finished(jobs[1]))])
        for is_finished, seqs in ((True, [2]), (False, [3, 1])):
            found = await store.queries.jobs(JobFilter(is_finished=is_finished), [A], 30, [])
            assert [each.seq for each in found] == seqs

    play(work)


def test_a_list_names_the_jobs_that_run_as_running(play: Play) -> None:
    """Rule api.lists."""

    async def work(store: Store) -> None:
        jobs = [job(seq) for seq in range(1, 6)]
        await insert(store, *jobs)
        running = JobFilter(state=JobState.RUNNING, limit=2)
        assert [each.seq for each in await store.queries.jobs(running, [A], 30, [2, 4, 5])] == [5, 4]
        queued = JobFilter("shop", state=JobState.QUEUED, limit=4)
        assert [each.seq for each in await store.queries.jobs(queued, [A], 30, [2, 4, 5])] == [3, 1]

    play(work)


def test_a_sound_file_is_called_sound_and_a_damaged_one_is_described(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as store:
            await insert(store, *(job(seq) for seq in range(1, 200)))
            assert await store.queries.check() == "ok"
        path = tmp_path / "queue.db"
        content = bytearray(path.read_bytes())
        page = content.rindex(b"id-00000150")
        content[page - page % 4096 : page - page % 4096 + 8] = b"\x0d\0\0\xff\xff\0\0\0"
        path.write_bytes(content)
        async with opened(tmp_path) as store:
            assert await store.queries.check() != "ok"

    run_async(main())


def test_a_sound_file_without_a_payload_says_how_many_are_missing(tmp_path: Path) -> None:
    """Rule storage.damage."""

    async def main() -> None:
        async with opened(tmp_path) as store:
            await insert(store, *(job(seq) for seq in range(1, 4)))
            with contextlib.closing(sqlite3.connect(tmp_path / "queue.db")) as other:
                other.execute("DELETE FROM payloads WHERE seq = 2")
                other.commit()
            assert await store.queries.check() == "1 job without a payload"

    run_async(main())
