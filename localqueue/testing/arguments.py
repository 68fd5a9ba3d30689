"""Convert the arguments of the test API: durations, times, jobs."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from localqueue.core.errors import ClientError
from localqueue.core.times import duration, iso, parse_duration
from localqueue.testing.results import Job

Duration = str | timedelta
_ID = re.compile(r"[0-9A-Fa-f-]{1,36}")


def to_ms(length: Duration) -> int:
    """Return a duration such as `"5s"` or a timedelta in ms. Raises TypeError, ValueError."""
    if isinstance(length, timedelta):
        return length // timedelta(milliseconds=1)
    if not isinstance(length, str):
        raise TypeError(f'{length!r} is not a duration; use one like "5s", or a timedelta')
    return parse_duration(length)


def to_time(time: str | datetime) -> str:
    """Return a time for the control API: ISO 8601, or `next`. Raises TypeError."""
    if isinstance(time, str):
        return time
    if time.tzinfo is None:
        raise TypeError("the datetime must be aware; use one with a time zone, such as datetime(..., tzinfo=UTC)")
    return iso(round(time.timestamp() * 1000))


def to_id(job: Job | str) -> str:
    """Return the ID of a job. Raises ClientError, TypeError."""
    id_ = job.id if isinstance(job, Job) else job
    if not isinstance(id_, str):
        raise TypeError(f"{id_!r} is not a job; use one that enqueue() or jobs() returned, or its ID")
    if not _ID.fullmatch(id_):
        raise ClientError(f"{id_!r} isn't the ID of a job", "Use job.id, or the short ID of a log line.")
    return id_


def written(length: Duration) -> str:
    """Return a duration for a message, such as `5s`."""
    return length if isinstance(length, str) else duration(to_ms(length))
