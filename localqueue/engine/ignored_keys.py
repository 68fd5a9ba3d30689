"""Remember the unknown keys of enqueue requests: `payload` in place of `data` is seen on the page of the job."""

from __future__ import annotations

from collections.abc import Iterable

from localqueue.core import events
from localqueue.core.models import Job
from localqueue.core.text import cut, safe

MAX_JOBS = 1000
MAX_KEYS = 10
"""How many keys of a job are remembered."""
MAX_WARNINGS = 1000
MAX_KEY = 100
"""How many characters of a key are remembered."""


class IgnoredKeys:
    """The unknown keys of the latest jobs that had some, since the last reset; the first job with a key is reported."""

    def __init__(self, hub: events.Hub) -> None:
        self._hub = hub
        self._by_job: dict[str, tuple[str, ...]] = {}
        self._warned: set[str] = set()

    def add(self, job: Job, keys: Iterable[str], is_data_missing: bool) -> None:
        """Remember the unknown keys of a job, and warn of those that are new."""
        short = [cut(key, MAX_KEY) for key in keys]
        self._by_job[job.id] = tuple(short[:MAX_KEYS])
        if len(self._by_job) > MAX_JOBS:
            del self._by_job[next(iter(self._by_job))]
        for key in short:
            if key not in self._warned and len(self._warned) < MAX_WARNINGS:
                self._warned.add(key)
                self._hub(events.Warned(_warning(job, key, is_data_missing)))

    def of(self, job: Job) -> tuple[str, ...]:
        """Return the unknown keys of a job."""
        return self._by_job.get(job.id, ())

    def clear(self) -> None:
        """Forget everything."""
        self._by_job.clear()
        self._warned.clear()


def _warning(job: Job, key: str, is_data_missing: bool) -> str:
    found = f"POST /jobs: unknown key {safe(key)!r} (ignored)"
    if not is_data_missing:
        return found
    where = f"{job.namespace}/{job.queue} {job.short_id}"
    return f"{found}, and data is missing: the payload of {where} is null. Did you mean data instead of {safe(key)}?"
