"""Word what happens: one line an event, as text for people or as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from localqueue import __version__
from localqueue.api import serializers
from localqueue.cli.output import phrases, table
from localqueue.cli.output.table import Cell, Column
from localqueue.cli.output.terminal import Painter, terminal_width
from localqueue.core import events
from localqueue.core.models import Attempt, Catalog, Job, Queue
from localqueue.core.text import safe
from localqueue.core.times import duration
from localqueue.server.server import RunningServer

Write = Callable[[str], None]
Banner = Callable[[RunningServer, Catalog], str]


class TextLog:
    """Write events for people."""

    def __init__(self, write: Write, *, is_quiet: bool, paint: Painter, columns: int | None, banner: Banner) -> None:
        self._write = write
        self._is_quiet = is_quiet
        self._paint = paint
        self._columns = columns
        self._banner = banner
        self._silent: set[str] = set()

    def ready(self, where: RunningServer, catalog: Catalog) -> None:
        """Write the banner."""
        self._write(self._banner(where, catalog))
        for finding in catalog.warnings:
            self._write(f"warning: {finding}")
        for service in catalog.services:
            if not _is_local(service.target):
                self._write(f"warning: payloads leave this machine: {service.namespace} is at {service.target}")

    def __call__(self, event: events.Event) -> None:
        """Write one event."""
        match event:
            case events.AttemptEnded(job, attempt):
                self._attempt(job, attempt)
            case events.CatalogChanged(catalog):
                self._write(f"catalog reloaded: {len(catalog.queues)} queues")
            case events.CatalogRefused(findings):
                for finding in findings:
                    self._write(f"{finding}")
                self._write("the last good catalog stays in force")
            case events.Warned(message):
                self._write(f"warning: {safe(message, 400)}")
            case events.Stopping(running):
                waits = f"waiting for {running} running, ^C again to stop now" if running else "nothing is running"
                self._write(f"stopping: {waits}")

    def _attempt(self, job: Job, attempt: Attempt) -> None:
        error = attempt.outcome.error
        if error is not None and error.code == "connect_refused" and attempt.url not in self._silent:
            self._silent.add(attempt.url)
            self._write(f"warning: {safe(error.message)}")
        elif error is None:
            self._silent.discard(attempt.url)
        if not self._is_quiet:
            self._write(phrases.delivery(job, attempt, self._paint, self._columns))


class JsonLog:
    """Write events for programs: every line an object with an `event`."""

    def __init__(self, write: Write, *, is_quiet: bool) -> None:
        self._write = write
        self._is_quiet = is_quiet

    def ready(self, where: RunningServer, catalog: Catalog) -> None:
        """Write the first line."""
        exports = {"IEC_QUEUE_URL": where.url}
        self._line("ready", url=where.url, port=where.port, db=str(where.db), env=exports, version=__version__)
        for finding in catalog.warnings:
            self._line("warning", message=str(finding))

    def __call__(self, event: events.Event) -> None:
        """Write one event."""
        match event:
            case events.AttemptEnded(job, attempt):
                if not self._is_quiet:
                    self._line("attempt", jobId=job.id, queue=job.queue, **serializers.attempt(attempt))
            case events.CatalogChanged(catalog):
                self._line("catalog_changed", queues=len(catalog.queues))
            case events.CatalogRefused(findings):
                self._line("catalog_refused", findings=[str(finding) for finding in findings])
            case events.Warned(message):
                self._line("warning", message=message)
            case events.Stopping(running):
                self._line("stopping", running=running)

    def _line(self, event: str, **fields: Any) -> None:
        self._write(json.dumps({"event": event, **fields}))


def banner(where: RunningServer, catalog: Catalog) -> str:
    """Return what `up` shows first."""
    storage = "a temporary file, removed at exit" if where.is_ephemeral else f"{where.db} (durable)"
    lines = [f"localqueue {__version__} on {where.url}", f"  storage  {safe(str(storage))}"]
    lines.append(f"  watch    {where.url} in a browser, or `localqueue open`")
    if where.clock == "virtual":
        lines.append("  clock    virtual: nothing is delivered but by `localqueue advance` and `localqueue drain`")
    for service in catalog.services:
        lines += ["", f"  {service.namespace} at {service.target}, declared in {service.path}"]
        lines += _queues(service.queues)
    if not catalog.queues:
        lines += ["", "  no queue is declared yet: add them under spec.queues"]
    names = [service.namespace for service in catalog.services if service.queues]
    lines += ["", f"  export IEC_QUEUE_URL={where.url}"]
    lines += [f"  export SERVICE_NAMESPACE={name}" for name in names]
    return "\n".join([*lines, ""])


def headline(where: RunningServer, catalog: Catalog) -> str:
    """Return what `exec` shows first."""
    clock = " (virtual clock)" if where.clock == "virtual" else ""
    services = ", ".join(f"{service.namespace} at {service.target}" for service in catalog.services)
    return f"localqueue: {where.url}{clock} for {services or 'no service'}"


def _queues(queues: Sequence[Queue]) -> list[str]:
    """Return the queues with their settings as a table that fits the terminal."""
    columns = [
        Column("queue", least=10),
        Column("endpoint", least=10),
        *(Column(title, is_right=True) for title in ("at once", "retries", "every", "timeout")),
    ]
    rows = [[Cell(text) for text in (queue.name, queue.endpoint, *_settings(queue))] for queue in queues]
    columns_left = terminal_width()
    shown = table.lines(columns, rows, Painter(False), columns_left and columns_left - 4)
    return [f"    {line}" for line in shown if queues]


def _settings(queue: Queue) -> tuple[str, ...]:
    every, timeout = duration(queue.retry_delay_ms), duration(queue.timeout_ms)
    return str(queue.concurrency), str(queue.retries), every, timeout


def _is_local(target: str) -> bool:
    host = target.split("://", 1)[-1]
    return host.startswith(("localhost", "127.", "[::1]"))
