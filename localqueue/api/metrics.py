"""Count attempts, and write all metrics in Prometheus' text format."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import localqueue
from localqueue.core import events
from localqueue.core.models import OutcomeKind, QueueKey
from localqueue.engine.engine import Engine
from localqueue.engine.snapshots import QueueSnapshot

BOUNDS_MS = (5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000)
"""The upper bounds of the histogram's buckets, in ms, inclusive; longer attempts go into the last bucket."""
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Labels = Mapping[str, str]
Sample = tuple[str, Labels, float]


@dataclass(slots=True, eq=False)
class Tally:
    """The ended attempts of a queue, by outcome and by duration."""

    outcomes: dict[OutcomeKind, int] = field(default_factory=dict)
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_MS) + 1))
    sum_ms: int = 0


class Metrics:
    """The attempts since the start or the last reset."""

    def __init__(self, engine: Engine) -> None:
        self._tallies: dict[QueueKey, Tally] = {}
        engine.hub.add_for((events.AttemptEnded, events.WasReset), self._take)

    def _take(self, event: events.Event) -> None:
        if isinstance(event, events.AttemptEnded):
            tally = self._tallies.get(event.job.key) or self._tallies.setdefault(event.job.key, Tally())
            kind, duration_ms = event.attempt.outcome.kind, event.attempt.duration_ms
            tally.outcomes[kind] = tally.outcomes.get(kind, 0) + 1
            tally.buckets[bisect.bisect_left(BOUNDS_MS, duration_ms)] += 1
            tally.sum_ms += duration_ms
        else:
            self._tallies.clear()

    def text(self, queues: Iterable[QueueSnapshot], rejected: Mapping[str, int]) -> str:
        """Return all metrics in the text format; `rejected` counts refused requests by error code."""
        return "".join(_lines(list(queues), self._tallies, rejected))


def _lines(
    queues: list[QueueSnapshot], tallies: Mapping[QueueKey, Tally], rejected: Mapping[str, int]
) -> Iterator[str]:
    yield from _family(
        "build_info", "gauge", "The version of localqueue.", [("", {"version": localqueue.__version__}, 1)]
    )
    yield from _family("jobs", "gauge", "Jobs on disk by state.", _jobs(queues))
    yield from _family(
        "jobs_enqueued_total",
        "counter",
        "Jobs accepted since the last reset, including earlier runs.",
        [("", _labels(snapshot.key), snapshot.enqueued) for snapshot in queues],
    )
    yield from _family(
        "attempts_in_flight",
        "gauge",
        "Running attempts.",
        [("", _labels(snapshot.key), snapshot.in_flight) for snapshot in queues],
    )
    yield from _family(
        "queue_concurrency",
        "gauge",
        "The largest number of running attempts.",
        [("", _labels(snapshot.key), snapshot.queue.concurrency) for snapshot in queues if snapshot.queue is not None],
    )
    yield from _family(
        "queue_held",
        "gauge",
        "1 while jobs of the queue can't start, because it is paused or in no catalog.",
        [("", _labels(snapshot.key), int(snapshot.held is not None)) for snapshot in queues],
    )
    yield from _family("attempts_total", "counter", "Ended attempts, by outcome.", _outcomes(tallies))
    yield from _family(
        "rejected_requests_total",
        "counter",
        "Refused requests since the last reset, by error code.",
        [("", {"code": code}, count) for code, count in sorted(rejected.items())],
    )
    yield from _family("attempt_duration_seconds", "histogram", "Duration of ended attempts.", _durations(tallies))


def _jobs(queues: Iterable[QueueSnapshot]) -> Iterator[Sample]:
    for snapshot in queues:
        for state, count in snapshot.counts.items():
            yield "", {**_labels(snapshot.key), "state": state.value}, count


def _outcomes(tallies: Mapping[QueueKey, Tally]) -> Iterator[Sample]:
    for key, tally in sorted(tallies.items()):
        for kind, count in tally.outcomes.items():
            yield "", {**_labels(key), "outcome": kind.value}, count


def _durations(tallies: Mapping[QueueKey, Tally]) -> Iterator[Sample]:
    for key, tally in sorted(tallies.items()):
        count = 0
        for bound, in_bucket in zip([*(str(ms / 1000) for ms in BOUNDS_MS), "+Inf"], tally.buckets, strict=True):
            count += in_bucket
            yield "_bucket", {**_labels(key), "le": bound}, count
        yield "_sum", _labels(key), tally.sum_ms / 1000
        yield "_count", _labels(key), count


def _labels(key: QueueKey) -> dict[str, str]:
    return {"namespace": key[0], "queue": key[1]}


def _family(name: str, kind: str, description: str, samples: Iterable[Sample]) -> Iterator[str]:
    """Yield the lines of one metric; its name gets our prefix."""
    name = f"localqueue_{name}"
    yield f"# HELP {name} {description}\n# TYPE {name} {kind}\n"
    for suffix, labels, value in samples:
        pairs = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        yield f"{name}{suffix}{{{pairs}}} {value!r}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
