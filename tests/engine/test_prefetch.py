"""The window of jobs that memory holds for a queue."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from localqueue.core.models import Job
from localqueue.engine import prefetch

JOB = Job(1, "id", "shop", "work", 0, 0, attempt=1)


@pytest.mark.parametrize("seed", range(200))
def test_the_backlog_gives_out_what_the_disk_has_in_order(seed: int) -> None:
    """Rule deliver.order: whatever is loaded, offered, taken and put back when, the smallest due job comes first."""
    rng = random.Random(seed)
    limit = rng.choice([4, 8])
    held = prefetch.PrefetchWindow(limit)
    disk: dict[int, Job] = {}
    taken: dict[int, Job] = {}
    load: list[prefetch.PendingJob] | None = None
    for seq in range(1, 300):
        action = rng.random()
        if action < 0.5:
            job = replace(JOB, seq=seq, due_ms=rng.randrange(20))
            disk[seq] = job
            held.offer(job)
        elif action < 0.6 and taken:
            back = replace(taken.pop(rng.choice(list(taken))), due_ms=rng.randrange(40))
            disk[back.seq] = back
            held.put_back(back.seq)
            held.offer(back)
        elif load is not None:
            held.end_load(load)
            load = None
        elif held.needs_load:
            after, count = held.begin_load()
            keys = sorted((job.due_ms, job.seq) for job in disk.values())
            load = [prefetch.PendingJob(disk[key[1]]) for key in keys if key > after][:count]
        elif pending := held.take_due(100):
            free = min((job.due_ms, job.seq) for job in disk.values() if job.seq not in taken)
            assert pending.order == free
            taken[pending.job.seq] = pending.job
        elif taken:
            gone = rng.choice(list(taken))
            del taken[gone], disk[gone]
            held.put_back(gone)
        assert load is not None or len(held) <= 2 * limit


def window_of(*due: int, limit: int = 4) -> prefetch.PrefetchWindow:
    """Return a window that has loaded jobs with these due times; it has read to their end if they are few."""
    window = prefetch.PrefetchWindow(limit)
    window.begin_load()
    window.end_load([prefetch.PendingJob(replace(JOB, seq=seq, due_ms=ms)) for seq, ms in enumerate(due, 1)])
    return window


def test_a_full_load_is_held_as_a_whole_and_tells_nothing_of_what_lies_behind_it() -> None:
    window = window_of(50, 100, 100, 100)
    assert (len(window), window.next_due()) == (4, 50)
    for seq in (1, 2, 3, 4):
        window.take(seq)
    assert window.is_clear(99) and not window.is_clear(100) and not window.is_clear(None)
    assert window.needs_load and window.begin_load() == ((100, 4), 4)


def test_a_load_that_is_not_full_has_read_everything() -> None:
    window = window_of(50)
    assert not window.needs_load and not window.is_clear(50) and window.is_clear(49)
    window.take(1)
    assert window.is_clear(None)


def test_a_job_that_ended_while_the_disk_was_read_is_not_pending_again() -> None:
    window = window_of()
    window.offer(JOB)
    again = window.reloaded()
    again.take(JOB.seq)
    again.begin_load()
    again.put_back(JOB.seq)  # its attempt has ended, and the disk was read before that
    again.end_load([prefetch.PendingJob(JOB)])
    assert len(again) == 0
    taken = window.take(JOB.seq)
    assert taken is not None and taken.job == JOB
    older = window.reloaded()
    older.begin_load()
    older.put_back(JOB.seq)
    older.end_load([prefetch.PendingJob(JOB)])
    assert len(older) == 0


def test_a_job_that_arrived_and_ended_while_the_disk_was_read_is_not_pending_again() -> None:
    window = window_of(50, 100, 100, 100)
    for seq in (1, 2, 3, 4):
        window.take(seq)
    window.begin_load()
    window.offer(replace(JOB, seq=9, due_ms=500))  # beyond what was read before
    window.take(9)
    window.put_back(9)  # it was cancelled
    window.end_load([])
    assert len(window) == 0


def test_a_job_that_arrives_among_those_that_are_held_is_held_too() -> None:
    """Rule deliver.order."""
    window = window_of()
    for seq in range(1, 10):
        window.offer(replace(JOB, seq=seq, due_ms=seq * 10))
    assert len(window) == 4  # the rest is left to the disk
    window.offer(replace(JOB, seq=10, due_ms=35))
    for seq in (1, 2, 3):
        window.take(seq)
    assert window.next_due() == 35


def test_large_data_is_not_held() -> None:
    window = window_of()
    window.offer(replace(JOB, seq=1), b"x" * prefetch.SMALL_PAYLOAD)
    window.offer(replace(JOB, seq=2), b"x" * (prefetch.SMALL_PAYLOAD + 1))
    small, large = window.take_due(0), window.take_due(0)
    assert small is not None and large is not None
    assert small.data is not None and large.data is None
