"""Word how a job is and how an attempt ended, for whoever shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localqueue.cli.options import suggestion
from localqueue.cli.output.terminal import Painter
from localqueue.core.models import Attempt, Job, JobState, OutcomeKind
from localqueue.core.text import safe
from localqueue.core.times import distance, duration, iso, parse_time

ROOMY = 120
"""From how many columns on a line has room for wide columns."""
HELD = {"paused": "the queue is paused", "queue_missing": "no catalog declares the queue"}


def held(reason: str) -> str:
    """Return what holds a job or a queue."""
    return HELD.get(reason, reason)


def remedy(found: Mapping[str, Any]) -> str:
    """Return what to do about a held job."""
    if found["held"] == "paused":
        return f"go on with: {suggestion('resume', '/'.join((found['namespace'], found['queue'])))}"
    return f"declare it under spec.queues in the catalog of {safe(found['namespace'])}"


def when(found: Mapping[str, Any], now_ms: int) -> str:
    """Return when something happens to a job next, or when the last thing has."""
    if found["held"]:
        return f"held: {held(found['held'])}"
    if found["finishedAt"]:
        return distance(parse_time(found["finishedAt"]) - now_ms)
    if found["state"] == JobState.RUNNING:
        return running(found, now_ms)
    wait_ms = parse_time(found["dueAt"]) - now_ms
    return f"next try {distance(wait_ms)}" if wait_ms > 0 else "due now"


def running(found: Mapping[str, Any], now_ms: int) -> str:
    """Return for how long an attempt has been under way."""
    return f"for {duration(max(now_ms - parse_time(found['startedAt']), 0))}"


def as_written(ms: int) -> str:
    """Return a duration as commands take it."""
    return f"{ms // 1000}s" if ms % 1000 == 0 else f"{ms}ms"


def delivery(job: Job, attempt: Attempt, paint: Painter, columns: int | None) -> str:
    """Return the line of a delivery: when, queue, job, attempt, status or error, duration, what comes next."""
    is_roomy = columns is None or columns >= ROOMY
    name, word, took = (20, 12, 8) if is_roomy else (13, 3, 6)
    number = f"attempt {attempt.number}/{attempt.max_attempts}"
    tone = "good" if attempt.outcome.kind is OutcomeKind.COMPLETED else "bad"
    outcome = paint(tone, f"{safe(outcome_word(attempt)):<{word}}")
    return (
        f"{paint('dim', iso(attempt.ended_ms)[11:23])}  {safe(job.queue):<{name}} {safe(job.short_id)}  {number:<12} "
        f"{outcome} {duration(attempt.duration_ms):>{took}}  {safe(_next(job, attempt, is_roomy))}"
    ).rstrip()


def outcome_word(attempt: Attempt) -> str:
    """Return the status, or the code of the error."""
    outcome = attempt.outcome
    if outcome.status is not None:
        return str(outcome.status)
    return outcome.error.code if outcome.error is not None else outcome.kind.value


def _next(job: Job, attempt: Attempt, is_roomy: bool) -> str:
    if attempt.outcome.kind is OutcomeKind.INTERRUPTED:
        return "interrupted, made again at the next start"
    if attempt.next_due_ms is not None:
        return f"next try in {duration(attempt.next_due_ms - attempt.ended_ms)}"
    return f"{job.finished}: {attempt.reason}" if job.finished != "completed" and is_roomy else str(job.finished)
