"""The messages of failed assertions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from localqueue.core.text import counted, cut
from localqueue.testing.matching import Matcher, shown
from localqueue.testing.results import Job

LISTED = 20
"""How many jobs a message lists."""
LINE = 500
"""How many characters of a job's data a message shows."""
ADVICE = (
    "make the handler check first whether this jobId is already done; if so, respond 200 without doing the work again"
)


def missing_message(
    queue: str, matcher: Matcher, count: int | None, matches: Sequence[Job], jobs: Sequence[Job]
) -> str:
    """Return why `assert_enqueued` failed; `jobs` are all jobs."""
    expected = "a job" if count is None else counted(count, "job")
    others = [job for job in jobs if job.queue == queue] + [job for job in jobs if job.queue != queue]
    listed = f"these were enqueued:\n{list_jobs(others, matcher, queue)}" if jobs else "no jobs were enqueued"
    return f"expected {expected} {_wanted(queue, matcher)}, got {len(matches)}; {listed}"


def unexpected_message(queue: str, matcher: Matcher, matches: Sequence[Job]) -> str:
    """Return why `refute_enqueued` failed."""
    return f"expected no jobs {_wanted(queue, matcher)}, got {len(matches)}:\n{list_jobs(matches)}"


def not_idempotent_message(delivery: Mapping[str, Any], before: Any, after: Any) -> str:
    """Return why `assert_idempotent` failed, or "" if nothing happened twice."""
    job, effects = delivery["job"], list(_effects(delivery, before, after))
    begin = f"{job['queue']} {job['shortId']} isn't idempotent; its second delivery, with the same jobId,"
    return "\n  ".join([begin, *effects, ADVICE]) if effects else ""


def _effects(delivery: Mapping[str, Any], before: Any, after: Any) -> Iterator[str]:
    second = delivery["second"]
    if second["outcome"] != "completed":
        yield f"failed: {second['error']['message']}"
    if delivery["enqueuedCount"]:
        names = ", ".join(f"{job['queue']} {job['shortId']}" for job in delivery["enqueued"][:LISTED])
        yield f"enqueued {counted(delivery['enqueuedCount'], 'job')}: {names}"
    if before != after:
        yield f"changed the result of `unchanged`: {cut(repr(before), LINE)} before, {cut(repr(after), LINE)} after"


def list_jobs(jobs: Sequence[Job], matcher: Matcher | None = None, queue: str = "") -> str:
    """Return one line per job, the first LISTED of them; with a matcher, why those of the queue don't match."""
    lines = [f"  {describe(job)}{_why_not(job, matcher, queue)}" for job in jobs[:LISTED]]
    rest = len(jobs) - len(lines)
    return "\n".join([*lines, *([f"  and {rest} more"] if rest else [])])


def describe(job: Job) -> str:
    """Return a job as a line for a message."""
    return f"{job.queue} {job.short_id} {job.state} {cut(shown(job.data), LINE)}"


def _why_not(job: Job, matcher: Matcher | None, queue: str) -> str:
    reason = matcher.mismatch(job.data) if matcher is not None and job.queue == queue else None
    return f"  ({cut(reason, LINE)})" if reason else ""


def _wanted(queue: str, matcher: Matcher) -> str:
    return f"in {queue} {matcher}".rstrip()
