"""A simple model of localqueue on the virtual clock: what docs/semantics.md says, and nothing of how it is done.

Between two calls nothing runs, so a job is queued, retrying or finished. The service responds to attempt N of a job
with the N-th status of its data, and with the last one after that.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

START_MS = 1_767_225_600_000
FINISHED = ("completed", "failed", "cancelled")
STATES = ("queued", "running", "retrying", *FINISHED)


@dataclass
class Settings:
    """The settings of a queue, under the names of the API."""

    concurrency: int
    retries: int
    retryDelayMs: int
    timeoutMs: int


@dataclass
class ModelQueue:
    """A queue; `occupied` are the instants until which attempts with a duration keep their slots."""

    declared: Settings
    settings: Settings = field(init=False)
    is_paused: bool = False
    enqueued: int = 0
    outcomes: list[str] = field(default_factory=list)
    occupied: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.settings = copy.copy(self.declared)

    def free(self, now: int) -> int:
        """Return how many attempts may start."""
        return max(self.settings.concurrency - sum(until > now for until in self.occupied), 0)

    def next_start(self, due: int, now: int) -> int:
        """Return when a job that is due at an instant can start."""
        busy = sorted(until for until in self.occupied if until > now)
        return due if self.free(now) else max(due, busy[0])


@dataclass(frozen=True)
class ModelAttempt:
    """An attempt that has ended."""

    job: int
    round: int
    number: int
    started_ms: int
    ended_ms: int
    outcome: str
    status: int | None
    injected: str | None
    next_due_ms: int | None


@dataclass
class ModelJob:
    """A job; `finished` is None until it has finished."""

    seq: int
    queue: str
    statuses: list[int]
    due_ms: int
    max_attempts: int
    replay_of: int | None = None
    round: int = 1
    attempt: int = 0
    finished: str | None = None
    finished_ms: int | None = None
    attempts: list[ModelAttempt] = field(default_factory=list)

    def state(self, now: int) -> str:
        """Return its state."""
        return self.finished or ("retrying" if self.due_ms > now else "queued")

    def finish(self, state: str, at_ms: int) -> None:
        """Finish it."""
        self.finished, self.finished_ms = state, at_ms


class Model:
    """The queues, the jobs and the clock."""

    def __init__(self, declared: dict[str, Settings]) -> None:
        self._declared = declared
        self.reset()

    def reset(self) -> None:
        """Restore the initial state."""
        self.now = START_MS
        self.queues = {name: ModelQueue(settings) for name, settings in self._declared.items()}
        self.jobs: dict[int, ModelJob] = {}
        self._next_seq = 1

    # by hand

    def enqueue(self, name: str, statuses: Sequence[int], replay_of: int | None = None) -> ModelJob:
        """Add a job that is due now."""
        queue, seq = self.queues[name], self._next_seq
        job = ModelJob(seq, name, list(statuses), self.now, queue.settings.retries + 1, replay_of)
        self.jobs[seq], self._next_seq, queue.enqueued = job, seq + 1, queue.enqueued + 1
        return job

    def retry(self, job: ModelJob) -> bool:
        """Start a new round; return whether that is possible."""
        if job.finished not in ("failed", "cancelled"):
            return False
        job.round, job.attempt, job.due_ms, job.finished, job.finished_ms = job.round + 1, 0, self.now, None, None
        return True

    def cancel(self, job: ModelJob) -> bool:
        """Cancel it; return whether that is possible."""
        if job.finished is not None:
            return False
        job.finish("cancelled", self.now)
        return True

    def delete(self, job: ModelJob) -> bool:
        """Delete it; return whether that is possible."""
        if job.finished is None:
            return False
        del self.jobs[job.seq]
        return True

    def configure(self, name: str, changes: dict[str, int | None]) -> None:
        """Change settings of a queue; None restores the declared value."""
        queue = self.queues[name]
        for setting, value in changes.items():
            setattr(queue.settings, setting, getattr(queue.declared, setting) if value is None else value)

    # time

    def advance(self, to_ms: int) -> list[ModelAttempt]:
        """Play every instant up to and including one."""
        made = self._play(self.queues)
        while (due := self._next_start(self.queues)) is not None and due <= to_ms:
            self.now = due
            made += self._play(self.queues)
        self.now = max(self.now, to_ms)
        return made

    def advance_to_next(self) -> list[ModelAttempt]:
        """Advance to the next due time, if there is one."""
        due = self._next_start(self.queues)
        return [] if due is None else self.advance(max(due, self.now))

    def drain(self, wanted: Collection[str]) -> list[ModelAttempt]:
        """Run the jobs of these queues until all have finished, and on to the end of the last timeout."""
        made = self._play(wanted)
        while (due := self._next_start(wanted)) is not None:
            self.now = max(self.now, due)
            made += self._play(wanted)
        self.now = max([self.now, *(until for queue in self.queues.values() for until in queue.occupied)])
        return made

    def step(self) -> list[ModelAttempt]:
        """Run the attempt that starts next."""
        while (due := self._next_start(self.queues)) is not None and due > self.now:
            self.now = due
        return [self._run(job) for job in self._ready(self.queues)[:1]]

    def _play(self, wanted: Collection[str]) -> list[ModelAttempt]:
        """Run what is due now, and what becomes possible by that."""
        made: list[ModelAttempt] = []
        while jobs := self._ready(wanted):
            made += [self._run(job) for job in jobs]
        return made

    def _waiting(self, name: str) -> list[ModelJob]:
        jobs = [job for job in self.jobs.values() if job.queue == name and job.finished is None]
        return sorted(jobs, key=lambda job: (job.due_ms, job.seq))

    def _ready(self, wanted: Iterable[str]) -> list[ModelJob]:
        """Return the jobs that start now, in starting order."""
        found: list[ModelJob] = []
        for name in wanted:
            queue = self.queues[name]
            if not queue.is_paused:
                found += [job for job in self._waiting(name) if job.due_ms <= self.now][: queue.free(self.now)]
        return sorted(found, key=lambda job: (job.due_ms, job.seq))

    def _next_start(self, wanted: Iterable[str]) -> int | None:
        starts = [
            self.queues[name].next_start(jobs[0].due_ms, self.now)
            for name in wanted
            if not self.queues[name].is_paused and (jobs := self._waiting(name))
        ]
        return min(starts, default=None)

    def _run(self, job: ModelJob) -> ModelAttempt:
        queue = self.queues[job.queue]
        settings = queue.settings
        job.attempt, job.max_attempts = job.attempt + 1, settings.retries + 1
        injected = queue.outcomes.pop(0) if queue.outcomes else None
        outcome, status, took_ms = _outcome(injected, job.statuses, job.attempt, settings.timeoutMs)
        ended_ms = self.now + took_ms
        if took_ms:
            queue.occupied.append(ended_ms)
        next_due_ms = None
        if outcome == "completed":
            job.finish("completed", ended_ms)
        elif job.attempt > settings.retries:
            job.finish("failed", ended_ms)
        else:
            next_due_ms = job.due_ms = ended_ms + settings.retryDelayMs
        made = ModelAttempt(job.seq, job.round, job.attempt, self.now, ended_ms, outcome, status, injected, next_due_ms)
        job.attempts.append(made)
        return made


def _outcome(
    injected: str | None, statuses: Sequence[int], number: int, timeout_ms: int
) -> tuple[str, int | None, int]:
    """Return the outcome of an attempt, its status, and how long it takes."""
    answer = statuses[min(number, len(statuses)) - 1]
    slow_ms = int(injected.removeprefix("slow=")) if injected and injected.startswith("slow=") else 0
    if injected == "timeout" or slow_ms >= timeout_ms:
        return "timeout", None, timeout_ms
    if injected in ("reset", "refuse", "lost-ack"):
        return "connection_error", None, 0
    status = answer if injected is None or slow_ms else 200 if injected == "ok" else int(injected)
    return "completed" if 200 <= status < 300 else "http_error", status, slow_ms
