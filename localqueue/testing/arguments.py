"""Convert the arguments of the test API: durations, times, jobs."""

from __future__ import annotations

from datetime import datetime, timedelta

from localqueue.core.times import iso, parse_duration
from localqueue.testing.results import Job

Duration = str | timedelta


def to_ms(duration: Duration) -> int:
    """Return a duration such as `"5s"` or a timedelta in ms. Raises TypeError, ValueError."""
    if isinstance(duration, timedelta):
        return duration // timedelta(milliseconds=1)
    if not isinstance(duration, str):
        raise TypeError(f'{duration!r} is not a duration; use one like "5s", or a timedelta')
    return parse_duration(duration)


def to_time(time: str | datetime) -> str:
    """Return a time for the control API: ISO 8601, or `next`. Raises TypeError."""
    if isinstance(time, str):
        return time
    if time.tzinfo is None:
        raise TypeError("the datetime must be aware; use one with a time zone, such as datetime(..., tzinfo=UTC)")
    return iso(round(time.timestamp() * 1000))


def to_id(job: Job | str) -> str:
    """Return the ID of a job."""
    return job if isinstance(job, str) else job.id
