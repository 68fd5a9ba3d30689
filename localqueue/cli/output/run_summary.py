"""Say how the jobs of a run ended: the ledger, what failed, what is left, and the exit code that follows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from localqueue.core import ledger
from localqueue.core.models import JobState, LedgerEntry
from localqueue.core.text import safe
from localqueue.engine.engine import Engine
from localqueue.engine.snapshots import QueueSnapshot

SHOWN = 20
"""How many failed jobs are told of one by one."""
LATE, LEFT, HELD, GONE = "not done in time", "not waited for", "held", "not delivered"


@dataclass(frozen=True, slots=True)
class UnfinishedJobs:
    """Say how many jobs of a queue are not finished, and why."""

    namespace: str
    queue: str
    number: int
    reason: str
    detail: str = ""

    def __str__(self) -> str:
        jobs = f"{self.number} job{'s' * (self.number != 1)} of {safe(self.queue)}"
        return f"{self.reason}: {jobs}{self.detail and ', '}{self.detail}"


@dataclass(frozen=True, slots=True)
class RunSummary:
    """Hold how the jobs of a run ended; `failed` are the last attempts of those that failed."""

    counts: Mapping[JobState, int]
    failed: Sequence[LedgerEntry]
    left: Sequence[UnfinishedJobs]
    entries: Sequence[LedgerEntry]
    start_ms: int

    @property
    def is_late(self) -> bool:
        """Return whether jobs should have been done by now."""
        return any(each.reason == LATE for each in self.left)

    def exit_code(self, of_command: int, is_failure_allowed: bool) -> int:
        """Return COMMAND's exit code if it is not 0, else 1 if jobs failed or were not done in time."""
        return of_command or int(self.is_late or (bool(self.failed) and not is_failure_allowed))

    def lines(self) -> Iterator[str]:
        """Yield what people read, below an empty line: COMMAND or a ^C may have left the cursor anywhere."""
        yield ""
        yield from ledger.as_text(self.entries, self.start_ms).splitlines()
        yield from map(_failure, self.failed[:SHOWN])
        if len(self.failed) > SHOWN:
            yield f"failed: {len(self.failed) - SHOWN} more"
        yield from map(str, self.left)
        yield f"localqueue: {self._summary()}"

    def _summary(self) -> str:
        total = sum(self.counts.values())
        states = ", ".join(f"{number} {state}" for state, number in self.counts.items() if number)
        return f"{total} job{'s' * (total != 1)}: {states}" if total else "no job was enqueued"

    def json_lines(self, exit_code: int) -> Iterator[str]:
        """Yield what programs read."""
        for line in ledger.as_json_lines(self.entries, self.start_ms).splitlines():
            yield _event("ledger", **json.loads(line))
        for entry in self.failed:
            job, error = entry.job, {"code": _code(entry), "message": _message(entry)}
            yield _event("failed", jobId=job.id, namespace=job.namespace, queue=job.queue, error=error)
        for left in self.left:
            yield _event("left", namespace=left.namespace, queue=left.queue, jobs=left.number, reason=left.reason)
        counts = {str(state): number for state, number in self.counts.items()}
        yield _event("ended", exitCode=exit_code, jobs=counts, timedOut=self.is_late)


def _event(event: str, **fields: Any) -> str:
    return json.dumps({"event": event, **fields})


def _failure(entry: LedgerEntry) -> str:
    job = entry.job
    tries = f"{job.attempt} attempt{'s' * (job.attempt != 1)}"
    return f"failed: {safe(job.queue)}#{job.number} {job.short_id} after {tries}: {safe(_message(entry))}"


def _code(entry: LedgerEntry) -> str:
    error = entry.attempt.outcome.error
    return error.code if error is not None else entry.attempt.outcome.kind.value


def _message(entry: LedgerEntry) -> str:
    error = entry.attempt.outcome.error
    return error.message if error is not None else entry.attempt.reason


async def summarize_run(engine: Engine, failing: Collection[str], gone: Mapping[str, str], why_left: str) -> RunSummary:
    """Look at the jobs once the run is over.

    `failing` are the ids of jobs that failed in this run; one that was reset or retried since has not failed.
    `gone` are the targets, by namespace, on which nothing listens; `why_left` is the reason of all others.
    """
    entries, queues = await engine.ledger(), await engine.queues()
    counts: Counter[JobState] = Counter()
    for each in queues:
        counts.update(each.counts)
    return RunSummary(
        counts=counts,
        failed=_failed(entries, failing),
        left=[_left(each, gone, why_left) for each in queues if _unfinished(each)],
        entries=entries,
        start_ms=engine.start_ms,
    )


def _failed(entries: Sequence[LedgerEntry], failing: Collection[str]) -> list[LedgerEntry]:
    """Return the last attempt of each failed job."""
    found = {entry.job.seq: entry for entry in entries if entry.job.finished is JobState.FAILED}
    return [entry for entry in found.values() if entry.job.id in failing]


def _unfinished(queue: QueueSnapshot) -> int:
    return sum(number for state, number in queue.counts.items() if not state.is_finished)


def _left(queue: QueueSnapshot, gone: Mapping[str, str], why_left: str) -> UnfinishedJobs:
    namespace, name = queue.key
    left = (namespace, name, _unfinished(queue))
    if namespace in gone:
        return UnfinishedJobs(*left, GONE, f"for nothing listens on {safe(gone[namespace])} any more")
    if queue.held is not None:
        return UnfinishedJobs(*left, HELD, "it is paused" if queue.held == "paused" else "no catalog declares it")
    return UnfinishedJobs(*left, why_left)
