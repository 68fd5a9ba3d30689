"""Write events: one line each, as text for people or as JSON for programs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from localqueue import __version__
from localqueue.api import serializers
from localqueue.cli.output import phrases
from localqueue.cli.output.banner import start_warnings
from localqueue.cli.output.terminal import Painter
from localqueue.core import events
from localqueue.core.explanations import Explanation
from localqueue.core.models import Attempt, Catalog, Job, QueueKey
from localqueue.core.text import counted, safe
from localqueue.server.server import RunningServer

Write = Callable[[str], None]
Banner = Callable[[RunningServer, Catalog], str]


class TextLog:
    """The log for people."""

    def __init__(self, write: Write, *, is_quiet: bool, paint: Painter, columns: int | None, banner: Banner) -> None:
        self._write = write
        self._is_quiet = is_quiet
        self._paint = paint
        self._columns = columns
        self._banner = banner
        self._explained: set[tuple[QueueKey, str]] = set()
        self._ambiguous: set[str] = set()

    def ready(self, where: RunningServer, catalog: Catalog) -> None:
        """Write the banner and its warnings."""
        self._ambiguous = _ambiguous_names(catalog)
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
            case events.ServiceChanged(namespace, target, is_listening):
                self._write(phrases.service(namespace, target, is_listening, self._paint))
            case events.HoldChanged(job, is_held, timeout_ms):
                self._write(phrases.hold(job, is_held, timeout_ms))
            case events.ScheduleFired(firing):
                self._write(phrases.firing(firing, self._paint))
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
            case events.Stopping(running):
                waits = f"waiting for {counted(running, 'running attempt')} (Ctrl-C to stop now)"
                self._write(f"stopping: {waits if running else 'no running attempts'}")

    def _attempt(self, job: Job, attempt: Attempt, explanation: Explanation | None) -> None:
        if not self._is_quiet:
            is_ambiguous = job.queue in self._ambiguous
            self._write(phrases.delivery(job, attempt, self._paint, self._columns, with_namespace=is_ambiguous))
        if explanation is not None and (job.key, explanation.condition) not in self._explained:
            self._explained.add((job.key, explanation.condition))
            self._write(phrases.explanation("/".join(job.key), explanation, self._paint))


class JsonLog:
    """The log for programs: every line is an object with an `event`."""

    def __init__(self, write: Write, *, is_quiet: bool) -> None:
        self._write = write
        self._is_quiet = is_quiet

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
                if not self._is_quiet:
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
        self._write(json.dumps({"event": event, **fields}))


def _ambiguous_names(catalog: Catalog) -> set[str]:
    """Return the queue names that several services have."""
    count = Counter(name for _, name in catalog.queues)
    return {name for name, times in count.items() if times > 1}
