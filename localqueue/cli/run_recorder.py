"""Record the failed jobs and refused requests of a whole run, also those that a reset deletes."""

from __future__ import annotations

from localqueue.core import events
from localqueue.core.models import Attempt, JobState, LedgerEntry, Rejection
from localqueue.core.records import copy_with

KEPT = 1024
"""How many bytes of a response are kept: ten thousand jobs may fail in a run."""


class RunRecorder:
    """A listener for events that remembers what failed. A job that is retried by hand hasn't failed."""

    def __init__(self) -> None:
        self._failed: dict[str, LedgerEntry] = {}
        self._rejections: dict[tuple[str, str | None, str | None, bool], Rejection] = {}
        self._before_reset: list[Rejection] = []

    def __call__(self, event: events.Event) -> None:
        """Take in one event."""
        match event:
            case events.AttemptEnded(job, attempt):
                if job.finished is JobState.FAILED:
                    self._failed[job.id] = LedgerEntry(job, _short(attempt))
            case events.Changed(job):
                self._failed.pop(job.id, None)
            case events.Rejected(rejection):
                self._add(rejection)
            case events.WasReset():
                self._before_reset += self._rejections.values()
                self._rejections = {}

    def _add(self, rejection: Rejection) -> None:
        key = (rejection.code, rejection.namespace, rejection.queue, rejection.is_security)
        self._rejections[key] = rejection

    @property
    def failed(self) -> list[LedgerEntry]:
        """Return the last attempt of each failed job."""
        return list(self._failed.values())

    @property
    def rejections(self) -> list[Rejection]:
        """Return the refused requests by reason, in the order in which the reasons appeared."""
        return [*self._before_reset, *self._rejections.values()]


def _short(attempt: Attempt) -> Attempt:
    response = attempt.outcome.response
    if response is None:
        return attempt
    kept = copy_with(response, headers=(), body=response.body[:KEPT])
    return copy_with(attempt, outcome=copy_with(attempt.outcome, response=kept))
