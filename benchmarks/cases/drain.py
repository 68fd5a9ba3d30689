"""Goals 1 and 2: a burst from 50 connections through one queue, and the rate at which it is accepted."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

from benchmarks import figures, runs, subjects
from benchmarks.bench import Bench
from benchmarks.figures import Result, Series
from benchmarks.runs import Passed

JOBS = 5000
PEERS = ("bullmq", "bullmq-always", "firebase", "miniflare")
Row = tuple[str, str, str, float | None, float | None]
DRAINS: list[Row] = [  # goal, against what, in words, limit, aim
    ("1.1", "bullmq", "drain against BullMQ", 1.6, 2.2),
    ("1.2", "firebase", "drain against firebase-tools", 4.0, None),
    ("1.3", "httpx", "drain against an httpx loop", 3.0, None),
    ("1.4", "bare", "drain against the bare loop", None, None),
    ("1.5", "miniflare", "drain against miniflare", None, None),
]
ENQUEUES: list[Row] = [
    ("2.1", "bullmq-always", "enqueue against BullMQ as durable as ours", 1.2, None),
    ("2.2", "constant", "enqueue against a constant answer", 0.45, None),
    ("2.3", "bullmq", "enqueue against BullMQ that syncs each second", None, 1.0),
]
CPU: list[tuple[str, str, str]] = [  # goal, of what, in words
    ("1.6", "localqueue", "CPU per job of a drain"),
    ("1.7", "bullmq", "CPU per job of a drain by BullMQ, Node and Redis"),
    ("2.4", "paused", "CPU per enqueued job while nothing is delivered"),
    ("2.5", "constant", "CPU per request with a constant answer"),
]


def run(bench: Bench) -> Iterator[Result]:
    """Measure localqueue, its peers and its limits in turn."""
    count, scratch = bench.jobs(JOBS), bench.scratch
    systems = {"localqueue": subjects.localqueue()}
    systems |= {name: peer for name in PEERS if (peer := bench.peer(name)) is not None}
    variants = {name: functools.partial(runs.drain, subject, scratch, count) for name, subject in systems.items()}
    variants["httpx"] = functools.partial(runs.loop, "httpx_loop", scratch, count)
    variants["bare"] = functools.partial(runs.loop, "loader", scratch, count)
    variants["paused"] = functools.partial(runs.enqueue, systems["localqueue"], scratch, count)
    variants["constant"] = functools.partial(runs.constant, scratch, count)
    found = figures.by_turns(variants, bench.repetitions, lambda what: bench.tell(f"drain {what}"))
    names = {name: subject.name for name, subject in systems.items()}
    names |= {
        "httpx": "httpx.AsyncClient loop",
        "bare": "bare post loop",
        "constant": "constant answer",
        "paused": "localqueue",
    }

    def series(name: str, get: Callable[[Passed], float]) -> Series:
        return figures.series(names[name], "jobs/s", map(get, found[name]))

    for get, rows in ((_through, DRAINS), (_accepted, ENQUEUES)):
        for goal, name, what, limit, aim in rows:
            if name in found:
                ours, theirs = series("localqueue", get), series(name, get)
                yield figures.ratio(goal, what, ours, theirs, at_least=limit, aim=aim)
            else:
                yield figures.Skipped(goal, what, bench.reasons[name])
    for goal, name, what in CPU:
        if name in found:
            used = figures.series(names[name], "us", (each.cpu_us for each in found[name]))
            yield figures.absolute(goal, what, used)
        else:
            yield figures.Skipped(goal, what, bench.reasons[name])


def _through(passed: Passed) -> float:
    return passed.through_per_s


def _accepted(passed: Passed) -> float:
    return passed.accepted_per_s
