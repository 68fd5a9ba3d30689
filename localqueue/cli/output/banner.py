"""What `up` and `exec` show first."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence

from localqueue import __version__
from localqueue.cli.output import phrases, table
from localqueue.cli.output.table import Cell, Column
from localqueue.cli.output.terminal import Painter, terminal_width
from localqueue.core.addresses import is_loopback, split_url
from localqueue.core.models import Catalog, Queue, Schedule, Service
from localqueue.core.text import safe
from localqueue.core.times import duration
from localqueue.server.server import RunningServer


def banner(where: RunningServer, catalog: Catalog) -> str:
    """Return the banner of `up`: storage, services, queues, and the lines to export."""
    storage = "a temporary file, removed at exit" if where.is_ephemeral else f"{where.db} (durable)"
    lines = [f"localqueue {__version__} on {where.url}", f"  storage    {safe(str(storage))}"]
    lines.append(f"  dashboard  {where.url}/ (or: localqueue open)")
    if where.clock == "virtual":
        lines.append("  clock      virtual: jobs run only when you use `localqueue advance` or `localqueue drain`")
    lines += ["", f"  export IEC_QUEUE_URL={where.url}"]
    for service in catalog.services:
        lines += ["", f"  {service.namespace} at {service.target}, declared in {service.path}"]
        lines += _service(service)
    if catalog.schedules and not where.fires_schedules:
        lines += ["", f"  {phrases.NOT_FIRED}"]
    if not catalog.queues and not catalog.schedules:
        lines += ["", "  no queues are declared yet: add them under spec.queues"]
    return "\n".join([*lines, ""])


def headline(where: RunningServer, catalog: Catalog) -> str:
    """Return the first line of `exec`."""
    clock = " (virtual clock)" if where.clock == "virtual" else ""
    services = ", ".join(f"{service.namespace} at {service.target}" for service in catalog.services)
    return f"localqueue: {where.url}{clock} for {services or 'no service'}"


def start_warnings(where: RunningServer, catalog: Catalog, environ: Mapping[str, str] = os.environ) -> Iterator[str]:
    """Yield what may surprise the user about this start."""
    if where.crash_report:
        yield where.crash_report
    if where.delivers_twice:
        yield "each attempt that completes is delivered twice, with the same jobId (--deliver-twice)"
    if not where.has_timeouts:
        yield "attempts aren't cut off after timeoutMs; production does that (--no-timeouts)"
    if where.chaos:
        yield f"{where.chaos:.0%} of all attempts fail at random; they are marked as injected (--chaos)"
    yield from map(str, catalog.warnings)
    for service in catalog.services:
        if not is_loopback(split_url(service.target)[1]):
            yield f"payloads leave this machine: {service.namespace} is at {service.target}"
    if where.host is not None and not is_loopback(where.host):
        access = "everything" if where.allow_remote else "POST /jobs"
        yield f"listening on {where.host}: other machines can use {access} (--host, --allow-remote)"
    yield from _namespace_warning(catalog, environ.get("SERVICE_NAMESPACE"))


def _namespace_warning(catalog: Catalog, exported: str | None) -> Iterator[str]:
    names = [service.namespace for service in catalog.services]
    if exported and names and exported not in names:
        yield (
            f"SERVICE_NAMESPACE={safe(exported)} is set in this shell, but no catalog declares it; a service that is "
            f"started here would get 404. Set it first: export SERVICE_NAMESPACE={names[0]}"
        )


def _service(service: Service) -> list[str]:
    if not service.queues and not service.schedules:
        return []
    lines = [f"    export SERVICE_NAMESPACE={service.namespace}"]
    lines += _queues(service.queues) if service.queues else []
    return [*lines, *_schedules(service.schedules)] if service.schedules else lines


def _schedules(schedules: Sequence[Schedule]) -> list[str]:
    """Return the schedules as a table that fits the terminal."""
    columns = [Column("schedule", least=10), Column("endpoint", least=10), Column("cron"), Column("timezone")]
    rows = [
        [Cell(text) for text in (schedule.name, schedule.endpoint, schedule.cron, schedule.timezone)]
        for schedule in schedules
    ]
    return _table(columns, rows)


def _queues(queues: Sequence[Queue]) -> list[str]:
    """Return the queues with their settings as a table that fits the terminal."""
    columns = [
        Column("queue", least=10),
        Column("endpoint", least=10),
        *(Column(title, is_right=True) for title in ("concurrency", "retries", "retry delay", "timeout")),
    ]
    rows = [[Cell(text) for text in (queue.name, queue.endpoint, *_settings(queue))] for queue in queues]
    return _table(columns, rows)


def _table(columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> list[str]:
    columns_left = terminal_width()
    lines = table.lines(columns, rows, Painter(False), columns_left and columns_left - 4)
    return [f"    {line}" for line in lines]


def _settings(queue: Queue) -> tuple[str, ...]:
    delay, timeout = duration(queue.retry_delay_ms), duration(queue.timeout_ms)
    return str(queue.concurrency), str(queue.retries), delay, timeout
