"""The end of a run of `exec`: the ledger, failed, unfinished and refused jobs, and the exit code."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from localqueue.api import serializers
from localqueue.cli.output import phrases
from localqueue.core import ledger
from localqueue.core.models import JobState, LedgerEntry, QueueKey, Rejection
from localqueue.core.text import counted, safe
from localqueue.engine.engine import Engine
from localqueue.engine.snapshots import QueueSnapshot

SHOWN = 20
"""How many failed jobs, or reasons of refused requests, are listed one by one."""
TIMED_OUT, NOT_WAITED_FOR, HELD, NOT_DELIVERED = "timed out", "not waited for", "held", "not delivered"


@dataclass(frozen=True, slots=True)
class UnfinishedJobs:
    """The unfinished jobs of a queue, and why; `failed` of them have a failed attempt."""

    namespace: str
    queue: str
    number: int
    failed: int
    reason: str
    detail: str = ""
    never_listened: bool = False

    def __str__(self) -> str:
        jobs = f"{counted(self.number, 'job')} in {safe(self.queue)}"
        failed = f", {self.failed} after a failed attempt" if self.failed else ""
        return f"{self.reason}: {jobs}{failed}{self.detail and ': '}{self.detail}"


@dataclass(frozen=True, slots=True)
class RunSummary:
    """The end of a run; `failed` has the last attempt of each failed job, also of jobs that a reset deleted."""

    counts: Mapping[JobState, int]
    failed: Sequence[LedgerEntry]
    unfinished: Sequence[UnfinishedJobs]
    rejections: Sequence[Rejection]
    entries: Sequence[LedgerEntry]
    start_ms: int

    @property
    def is_timed_out(self) -> bool:
        """Return whether jobs should have finished by now."""
        return any(jobs.reason == TIMED_OUT for jobs in self.unfinished)

    @property
    def waits_for_retries(self) -> bool:
        """Return whether jobs that should have finished by now have a failed attempt, and so wait for a retry."""
        return any(jobs.reason == TIMED_OUT and jobs.failed for jobs in self.unfinished)

    def problems(self, is_failure_allowed: bool) -> list[str]:
        """Return why the run did not succeed; empty if it did."""
        problems = []
        if self.is_timed_out:
            problems.append("jobs did not finish in time (see --wait-timeout)")
        if any(jobs.never_listened for jobs in self.unfinished):
            problems.append("jobs were enqueued for a service that never listened")
        left = sum(jobs.failed for jobs in self.unfinished)
        if not is_failure_allowed and (self.failed or left):
            failed = [counted(len(self.failed), "job") + " failed"] * bool(self.failed)
            unfinished = [counted(left, "job") + " left after a failed attempt"] * bool(left)
            problems.append(f"{' and '.join([*failed, *unfinished])} (to accept that: --allow-failed)")
        return problems

    def lines(self) -> Iterator[str]:
        """Yield the text, after an empty line, because COMMAND or Ctrl-C may have left the cursor anywhere."""
        yield ""
        yield from ledger.as_text(self.entries, self.start_ms).splitlines()
        yield from map(_failure, self.failed[:SHOWN])
        if len(self.failed) > SHOWN:
            yield f"failed: {len(self.failed) - SHOWN} more"
        yield from map(str, self.unfinished)
        yield from map(_rejection, self.rejections[:SHOWN])
        if len(self.rejections) > SHOWN:
            yield f"refused: {len(self.rejections) - SHOWN} more reasons"
        yield f"localqueue: {self._totals()}"

    def _totals(self) -> str:
        total = sum(self.counts.values())
        states = ", ".join(f"{number} {state}" for state, number in self.counts.items() if number)
        return f"{counted(total, 'job')}: {states}" if total else "no jobs were enqueued"

    def json_lines(self, exit_code: int) -> Iterator[str]:
        """Yield the JSON lines."""
        for line in ledger.as_json_lines(self.entries, self.start_ms).splitlines():
            yield _event("ledger", **json.loads(line))
        for entry in self.failed:
            job, error = entry.job, {"code": _code(entry), "message": _message(entry)}
            yield _event("failed", jobId=job.id, namespace=job.namespace, queue=job.queue, error=error)
        for jobs in self.unfinished:
            names = {"namespace": jobs.namespace, "queue": jobs.queue}
            yield _event("left", **names, jobs=jobs.number, afterFailure=jobs.failed, reason=jobs.reason)
        for rejection in self.rejections:
            yield _event("rejected", **serializers.rejection(rejection))
        counts = {str(state): number for state, number in self.counts.items()}
        yield _event("ended", exitCode=exit_code, jobs=counts, timedOut=self.is_timed_out)


def _event(event: str, **fields: Any) -> str:
    return json.dumps({"event": event, **fields})


def _failure(entry: LedgerEntry) -> str:
    job = entry.job
    name = f"{safe(job.queue)}#{job.number} {job.short_id}"
    return f"failed: {name} after {counted(job.attempt, 'attempt')}: {safe(_message(entry))}"


def _rejection(rejection: Rejection) -> str:
    return f"refused: {counted(rejection.count, 'request')}: {rejection.code}: {safe(rejection.message, 300)}"


def _code(entry: LedgerEntry) -> str:
    error = entry.attempt.outcome.error
    return error.code if error is not None else entry.attempt.outcome.kind.value


def _message(entry: LedgerEntry) -> str:
    outcome, summary = entry.attempt.outcome, entry.attempt.summary
    if outcome.error is None:
        return entry.attempt.reason
    message = outcome.error.message
    return message if outcome.response is None or summary in (None, message) else f"{message}: {summary}"


@dataclass(frozen=True, slots=True)
class Undeliverable:
    """The reasons why jobs wait: paused queues, and targets on which nothing listens or ever listened, by namespace."""

    paused: Collection[QueueKey]
    gone: Mapping[str, str]
    never_listened: Collection[str]


async def summarize_run(
    engine: Engine,
    failed: Sequence[LedgerEntry],
    rejections: Sequence[Rejection],
    undeliverable: Undeliverable,
    reason: str,
) -> RunSummary:
    """Return the summary once the run is over; `reason` is why jobs whose service listens are unfinished."""
    queues, after_failure = await engine.queues(), await engine.jobs.count_after_failure()
    counts: Counter[JobState] = Counter()
    for queue in queues:
        counts.update(queue.counts)
    unfinished = [
        _unfinished(queue, after_failure.get(queue.key, 0), undeliverable, reason)
        for queue in queues
        if _unfinished_count(queue)
    ]
    return RunSummary(counts, failed, unfinished, rejections, await engine.ledger(), engine.start_ms)


def _unfinished_count(queue: QueueSnapshot) -> int:
    return sum(number for state, number in queue.counts.items() if not state.is_finished)


def _unfinished(queue: QueueSnapshot, failed: int, undeliverable: Undeliverable, reason: str) -> UnfinishedJobs:
    namespace, name = queue.key
    common = (namespace, name, _unfinished_count(queue), failed)
    if queue.key in undeliverable.paused:
        return UnfinishedJobs(*common, HELD, phrases.held("paused"))
    if namespace in undeliverable.gone:
        is_never = namespace in undeliverable.never_listened
        target = safe(undeliverable.gone[namespace])
        detail = (
            f"no service ever listened on {target}" if is_never else f"no service is listening on {target} any more"
        )
        return UnfinishedJobs(*common, NOT_DELIVERED, detail, is_never)
    if queue.held is not None:
        return UnfinishedJobs(*common, HELD, phrases.held(queue.held))
    return UnfinishedJobs(*common, reason)
