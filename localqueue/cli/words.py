"""Word how a job is: for lists, for progress, and for the page of a job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localqueue.cli.talk import suggestion
from localqueue.models import JobState
from localqueue.text import distance, duration, parse_time

HELD = {"paused": "the queue is paused", "queue_missing": "no catalog declares the queue"}


def held(reason: str) -> str:
    """Return what holds a job or a queue."""
    return HELD.get(reason, reason)


def remedy(found: Mapping[str, Any]) -> str:
    """Return what to do about a held job."""
    if found["held"] == "paused":
        return f"go on with: {suggestion('resume', '/'.join((found['namespace'], found['queue'])))}"
    return f"declare it under spec.queues in the catalog of {found['namespace']}"


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
