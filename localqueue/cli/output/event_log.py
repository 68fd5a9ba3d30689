"""Write events: one line each, as text for people or as JSON for programs."""

from __future__ import annotations

import enum
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from localqueue import __version__
from localqueue.api import serializers
from localqueue.cli.output import phrases
from localqueue.cli.output.banner import start_warnings
from localqueue.cli.output.burst import BurstLimit
from localqueue.cli.output.terminal import Painter
from localqueue.cli.output.time_format import TimeFormat
from localqueue.core import events
from localqueue.core.explanations import Explanation, explain_firing
from localqueue.core.models import Attempt, Catalog, Job, JobState, OutcomeKind
from localqueue.core.settings import DEFAULT_PORT
from localqueue.core.text import counted, safe
from localqueue.server.server import RunningServer

Write = Callable[[str], None]


MANY_FAILED = (20, 200, 2000)
"""The numbers of failed jobs at which the log says how to list their causes: an earlier hint has scrolled away."""


class Detail(enum.Enum):
    """The deliveries that have a line: all, those that failed, the last ones of failed jobs, or none."""

    ALL = enum.auto()
    FAILURES = enum.auto()
    FAILED_JOBS = enum.auto()
    NONE = enum.auto()

    def includes(self, job: Job, attempt: Attempt) -> bool:
        """Return whether an attempt has a line."""
        if self is Detail.FAILED_JOBS:
            return job.finished is JobState.FAILED
        is_failure = attempt.outcome.kind is not OutcomeKind.COMPLETED
        return self is Detail.ALL or (self is Detail.FAILURES and is_failure)


Banner = Callable[[RunningServer, Catalog], str]


class TextLog:
    """The log for people."""

    def __init__(
        self,
        write: Write,
        *,
        detail: Detail,
        times: TimeFormat,
        paint: Painter,
        columns: int | None,
        banner: Banner,
        has_summary: bool,
        is_wall: bool,
    ) -> None:
        self._write = write
        self._detail = detail
        self._burst = None if columns is None else BurstLimit(write)  # a file or a pipe gets every line
        self._times = times
        self._paint = paint
        self._columns = columns
        self._banner = banner
        self._has_summary = has_summary
        self._is_wall = is_wall
        self._url: str | None = None
        self._explained: set[tuple[str, str]] = set()
        self._failed: set[str] = set()
        self._ambiguous: set[str] = set()

    def ready(self, where: RunningServer, catalog: Catalog) -> None:
        """Write the banner and its warnings."""
        self._ambiguous = _ambiguous_names(catalog)
        self._url = None if where.port == DEFAULT_PORT else where.url
        self._write(self._banner(where, catalog))
        for warning in start_warnings(where, catalog):
            self._write(f"warning: {warning}")

    def __call__(self, event: events.Event) -> None:
        """Write one event."""
        match event:
            case events.AttemptEnded(job, attempt, explanation):
                self._attempt(job, attempt, explanation)
            case events.WasReset():
                self._explained.clear()
                self._failed.clear()
                if not self._has_summary:  # under `exec`, a suite may reset before each test
                    self._write("reset: every job is deleted")
            case events.TimeMoved(_, offset_ms) if self._is_wall and not self._has_summary:
                self._write(phrases.clock_moved(offset_ms))
            case events.ServiceChanged(namespace, target, is_listening):
                self._write(phrases.service(namespace, target, is_listening, self._paint))
            case events.HoldChanged(job, is_held, timeout_ms):
                self._write(phrases.hold(job, is_held, timeout_ms))
            case events.ScheduleFired(firing):
                self._write(phrases.firing(self._times.time_of_day(firing.fired_ms), firing, self._paint))
                self._explain(f"schedule {'/'.join(firing.schedule.key)}", explain_firing(firing))
            case events.CatalogChanged(catalog):
                self._ambiguous = _ambiguous_names(catalog)
                self._write(f"catalog reloaded: {counted(len(catalog.queues), 'queue')}")
                for finding in catalog.warnings:
                    self._write(f"warning: {finding}")
            case events.CatalogRefused(findings):
                for finding in findings:
                    self._write(f"{finding}")
                self._write("catalog error: the last valid version is still in use")
            case events.Rejected(rejection, is_news):
                if is_news:
                    self._write(phrases.rejection(rejection, self._paint))
            case events.Warned(message):
                self._write(f"warning: {safe(message, 400)}")
            case events.Stopped() if self._burst is not None:
                self._burst.flush()
            case events.Stopping(running):
                waits = f"waiting for {counted(running, 'running attempt')} (Ctrl-C to stop now)"
                self._write(f"stopping: {waits if running else 'no running attempts'}")

    def _attempt(self, job: Job, attempt: Attempt, explanation: Explanation | None) -> None:
        is_ambiguous = job.queue in self._ambiguous
        if self._shows(job, attempt, f"{job.namespace}/{job.queue}" if is_ambiguous else job.queue):
            at = self._times.time_of_day(attempt.ended_ms)
            self._write(phrases.delivery(at, job, attempt, self._paint, self._columns, with_namespace=is_ambiguous))
        self._explain("/".join(job.key), explanation)
        if job.finished is JobState.FAILED and not self._has_summary:
            self._count_failed(job)

    def _count_failed(self, job: Job) -> None:
        """Write how to list the causes, each time that many jobs have failed."""
        if len(self._failed) < MANY_FAILED[-1] and job.id not in self._failed:
            self._failed.add(job.id)
            if len(self._failed) in MANY_FAILED:
                self._write(phrases.many_failed(len(self._failed), self._url, self._paint))

    def _explain(self, where: str, explanation: Explanation | None) -> None:
        """Write an explanation the first time that a queue or a schedule has its condition."""
        if explanation is not None and (where, explanation.condition) not in self._explained:
            self._explained.add((where, explanation.condition))
            has_server = not self._has_summary  # that of `exec` is gone before anyone could use a command
            self._write(phrases.explanation(where, explanation, self._paint, with_command=has_server))

    def _shows(self, job: Job, attempt: Attempt, name: str) -> bool:
        """Return whether an attempt has a line: a completed one may be part of a sum."""
        if not self._detail.includes(job, attempt):
            return False
        is_completed = attempt.outcome.kind is OutcomeKind.COMPLETED
        return not is_completed or self._burst is None or self._burst.admits(name)


def json_line(event: str, **fields: Any) -> str:
    """Return a line of the log for programs."""
    return json.dumps({"event": event, **fields})


class JsonLog:
    """The log for programs: every line is an object with an `event`."""

    def __init__(self, write: Write, *, detail: Detail) -> None:
        self._write = write
        self._detail = detail

    def ready(self, where: RunningServer, catalog: Catalog) -> None:
        """Write the first line, and the warnings of the start."""
        exports = {"IEC_QUEUE_URL": where.url}
        namespaces = [service.namespace for service in catalog.services if service.queues]
        if len(namespaces) == 1:
            exports["SERVICE_NAMESPACE"] = namespaces[0]
        self._line("ready", url=where.url, port=where.port, db=str(where.db), env=exports, version=__version__)
        for warning in start_warnings(where, catalog):
            self._line("warning", message=warning)

    def __call__(self, event: events.Event) -> None:
        """Write one event."""
        match event:
            case events.AttemptEnded(job, attempt, explanation):
                if self._detail.includes(job, attempt):
                    names = {"jobId": job.id, "namespace": job.namespace, "queue": job.queue}
                    self._line("attempt", **names, **serializers.attempt(attempt, explanation))
            case events.ServiceChanged(namespace, target, is_listening):
                self._line("service", namespace=namespace, target=target, listening=is_listening)
            case events.HoldChanged(job, is_held):
                self._line("hold", jobId=job.id, namespace=job.namespace, queue=job.queue, held=is_held)
            case events.ScheduleFired(firing):
                self._line("schedule", **serializers.firing(firing))
            case events.CatalogChanged(catalog):
                self._line("catalog_changed", queues=len(catalog.queues))
            case events.CatalogRefused(findings):
                self._line("catalog_refused", findings=[str(finding) for finding in findings])
            case events.Rejected(rejection, is_news):
                if is_news:
                    self._line("rejected", **serializers.rejection(rejection))
            case events.Warned(message):
                self._line("warning", message=message)
            case events.Stopping(running):
                self._line("stopping", running=running)

    def _line(self, event: str, **fields: Any) -> None:
        self._write(json_line(event, **fields))


def _ambiguous_names(catalog: Catalog) -> set[str]:
    """Return the queue names that several services have."""
    count = Counter(name for _, name in catalog.queues)
    return {name for name, times in count.items() if times > 1}
