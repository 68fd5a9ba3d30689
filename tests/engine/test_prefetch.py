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
