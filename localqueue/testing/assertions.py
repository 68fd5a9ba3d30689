"""Assertions on the jobs that were enqueued."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from localqueue.core.text import counted
from localqueue.testing import results
from localqueue.testing.results import Job

ANY = object()
"""Accepts every payload."""


def matching(jobs: Sequence[Job], data: Any) -> list[Job]:
    """Return the jobs with this data."""
    return [job for job in jobs if data is ANY or job.data == data]


def missing_message(queue: str, data: Any, count: int | None, matches: Sequence[Job], jobs: Sequence[Job]) -> str:
    """Return why `assert_enqueued` failed; `jobs` are all jobs."""
    expected = "a job" if count is None else counted(count, "job")
    listed = f"enqueued were:\n{list_jobs(jobs)}" if jobs else "no jobs were enqueued"
    return f"expected {expected} {_wanted(queue, data)}, got {len(matches)}; {listed}"


def unexpected_message(queue: str, data: Any, matches: Sequence[Job]) -> str:
    """Return why `refute_enqueued` failed."""
    return f"expected no jobs {_wanted(queue, data)}, got {len(matches)}:\n{list_jobs(matches)}"


def list_jobs(jobs: Sequence[Job]) -> str:
    """Return one line per job."""
    return "\n".join(f"  {results.describe(job)}" for job in jobs)


def _wanted(queue: str, data: Any) -> str:
    return f"in {queue}" + ("" if data is ANY else f" with data {json.dumps(data)}")
