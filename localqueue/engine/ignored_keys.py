"""Remember the unknown keys of enqueue requests: `payload` in place of `data` is seen on the page of the job."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from localqueue.core import events
from localqueue.core.models import Job
from localqueue.core.text import cut, safe

MAX_JOBS = 1000
MAX_KEYS = 10
"""How many keys of a job are remembered, and named in its warning."""
MAX_REPORTED = 1000
"""How many keys are reported until a reset."""
MAX_KEY = 100
"""How many characters of a key are remembered."""


class IgnoredKeys:
    """The unknown keys of the latest jobs that had some, since the last reset; each key is reported once."""

    def __init__(self, hub: events.Hub) -> None:
        self._hub = hub
        self._by_job: dict[str, tuple[str, ...]] = {}
        self._reported: set[str] = set()

    def add(self, job: Job, keys: Iterable[str], is_data_missing: bool) -> None:
        """Remember the unknown keys of a job, and warn of those that are new."""
        short = [cut(key, MAX_KEY) for key in keys]
        self._by_job[job.id] = tuple(short[:MAX_KEYS])
        if len(self._by_job) > MAX_JOBS:
            del self._by_job[next(iter(self._by_job))]
        new = [key for key in dict.fromkeys(short) if key not in self._reported]
        free = MAX_REPORTED - len(self._reported)
        if new and free:
            self._reported.update(new[:free])
            self._hub(events.Warned(_warning(job, new, is_data_missing)))

    def of(self, job: Job) -> tuple[str, ...]:
        """Return the unknown keys of a job."""
        return self._by_job.get(job.id, ())

    def clear(self) -> None:
        """Forget everything."""
        self._by_job.clear()
        self._reported.clear()


def _warning(job: Job, keys: Sequence[str], is_data_missing: bool) -> str:
    named = [repr(safe(key)) for key in keys]
    more = f" and {len(named) - MAX_KEYS} more" if len(named) > MAX_KEYS else ""
    warning = f"POST /jobs: unknown {'key' if len(keys) == 1 else 'keys'} {', '.join(named[:MAX_KEYS])}{more} (ignored)"
    if not is_data_missing:
        return warning
    where = f"{job.namespace}/{job.queue} {job.short_id}"
    return f"{warning}, and data is missing: the payload of {where} is null. Did you mean data instead of {named[0]}?"
