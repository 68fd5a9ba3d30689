"""`localqueue status`, `queues`, `jobs`: list what the server has."""

from __future__ import annotations

import json
from typing import Any

import click

from localqueue.cli.job_filters import JobFilters, with_job_filters
from localqueue.cli.options import as_json, print_json, suggestion, with_client, with_colors, with_utc
from localqueue.cli.output import failures, phrases, table
from localqueue.cli.output.table import Cell, Column
from localqueue.cli.output.terminal import STATES, Painter, terminal_width
from localqueue.cli.output.time_format import TimeFormat, read_clock
from localqueue.client.client import Client
from localqueue.core.models import JobState, OutcomeKind
from localqueue.core.text import counted
from localqueue.core.times import duration, offset, parse_time

Found = dict[str, Any]
SHOWN_WARNINGS = 5
EXAMPLE = '{"claimId": 7}'
NO_QUEUE = "no queues are declared yet: add them under spec.queues in the catalog of your service"


@click.command()
@as_json
@with_utc
@with_colors
@with_client
def status(client: Client, is_json: bool, is_utc: bool, paint: Painter) -> None:
    """Show the server, its services and queues, and its warnings.

    It shows the clock and the storage, too, and for each service whether something is listening on its target.
    """
    if is_json:
        print_json(client.status_text())
        return
    state, clock = client.check(), client.clock()
    times, now_ms = read_clock(clock, is_utc)
    facts = [
        ("server", Cell(_server(state))),
        ("clock", Cell(_time(clock, times.full(now_ms)))),
        ("storage", _storage(state["storage"])),
        *map(_service, state["services"]),
        *_warnings(state, times, now_ms),
        *map(_rejection, state["rejections"]),
    ]
    _print([*table.facts(facts, paint, terminal_width()), "", *_queue_lines(client, paint)])


@click.command()
@as_json
@with_colors
@with_client
def queues(client: Client, is_json: bool, paint: Painter) -> None:
    """List the queues, with their jobs by state."""
    if is_json:
        print_json(client.queues_text())
        return
    _print(_queue_lines(client, paint))


@click.command()
@with_job_filters
@click.option("--state", "-s", type=click.Choice([state.value for state in JobState]), help="Only this state.")
@click.option("--failed", is_flag=True, help="The same as --state failed.")
@click.option("--by-error", is_flag=True, help="Failed jobs by cause, each with the command that retries them.")
@click.option("--limit", "-n", type=click.IntRange(1), default=20, show_default=True, help="How many jobs to show.")
@as_json
@with_colors
@with_client
def jobs(
    client: Client,
    filters: JobFilters,
    state: str | None,
    failed: bool,
    by_error: bool,
    limit: int,
    is_json: bool,
    paint: Painter,
) -> None:
    """List jobs, newest first, or failed jobs by cause."""
    if by_error:
        if state not in (None, "failed") or (filters.search, filters.status, filters.since) != (None,) * 3:
            raise click.UsageError("--by-error works only with --queue and --namespace")
        failures.show(client, *filters.key(client), is_json, filters.is_utc, paint)
        return
    state = "failed" if failed else state
    pages = list(client.job_pages(limit, **filters.parameters(client), state=state))
    listed = [job for page in pages for job in page["jobs"]]
    if is_json:
        print_json(json.dumps(pages[-1] | {"jobs": listed}, ensure_ascii=False))
        return
    is_filtered = filters.is_any or state is not None
    _print(_job_lines(client, listed, filters.is_utc, paint) if listed else [_no_job(client, is_filtered)])
    if pages[-1]["next"] is not None and terminal_width():
        words = [
            *filters.words,
            *(["--state", state] if state else []),
            *(["--utc"] if filters.is_utc else []),
            "--limit",
            str(limit * 5),
        ]
        click.echo(paint("dim", f"For more: {suggestion('jobs', *words)}"))


def _print(lines: list[str]) -> None:
    for line in lines:
        click.echo(line)


# status


def _server(state: Found) -> str:
    uptime = "stopping" if state["stopping"] else f"up for {duration(int(state['uptimeMs']))}"
    return f"{state['url']}, localqueue {state['version']}, pid {state['pid']}, {uptime}"


def _time(clock: Found, now: str) -> str:
    moved = f", moved by {offset(int(clock['offsetMs']))}" if clock["offsetMs"] else ""
    return f"{now}, {clock['mode']} clock{moved}"


def _storage(storage: Found) -> Cell:
    if storage["error"]:
        return Cell(f"can't be written: {storage['error']}", "bad")
    place = "a temporary file, removed at exit" if storage["ephemeral"] else storage["path"]
    return Cell(f"{place}, {int(storage['sizeBytes']) / 1024:,.0f} KiB")


def _service(service: Found) -> tuple[str, Cell]:
    name = f"{service['namespace']} at {service['target']}"
    if service["listening"]:
        return "service", Cell(f"{name}: listening")
    return "service", Cell(f"{name}: not running; start it", "bad")


def _warnings(state: Found, times: TimeFormat, now_ms: int) -> list[tuple[str, Cell]]:
    """Return the errors of an edited catalog and the latest warnings."""
    errors = [
        Cell(f"{error['file']}:{error['line']}:{error['column']}: {error['code']} {error['message']}", "bad")
        for error in state["catalog"]["refused"]
    ]
    warnings = [
        Cell(f"{times.moment(parse_time(warning['at']), now_ms)} {warning['message']}", "warn")
        for warning in state["warnings"][-SHOWN_WARNINGS:]
    ]
    return [*(("catalog", cell) for cell in errors), *(("warning", cell) for cell in warnings)]


def _rejection(rejection: Found) -> tuple[str, Cell]:
    count = counted(int(rejection["count"]), "request")
    return "refused", Cell(f"{count}: {rejection['code']}: {rejection['message']}", "bad")


# queues


def _queue_lines(client: Client, paint: Painter) -> list[str]:
    listed = client.queues()
    if not listed:
        return [NO_QUEUE]
    columns = [
        Column("queue", least=10),
        *(Column(state, is_right=True) for state in JobState),
        Column("held", least=4),
        Column("delivers to", least=8),
    ]
    rows = [_queue_row(queue, name) for queue, name in zip(listed, _names(listed), strict=True)]
    return table.lines(columns, rows, paint, terminal_width())


def _names(queues: list[Found]) -> list[str]:
    """Return the names of queues, with their namespaces if there are several."""
    is_one = len({queue["namespace"] for queue in queues}) == 1
    return [queue["name"] if is_one else f"{queue['namespace']}/{queue['name']}" for queue in queues]


def _queue_row(queue: Found, name: str) -> list[Cell]:
    counts = [_count(state, int(queue["counts"][state]), queue.get("concurrency")) for state in JobState]
    return [Cell(name), *counts, Cell(queue["held"] or "", "warn"), Cell(_settings(queue), "dim")]


def _count(state: JobState, count: int, concurrency: int | None) -> Cell:
    slots = f"/{concurrency}" if state is JobState.RUNNING and concurrency else ""
    return Cell(f"{count}{slots}", STATES.get(state, "") if count else "dim")


def _settings(queue: Found) -> str:
    if "retries" not in queue:
        return ""
    delay = f" after {duration(queue['retryDelayMs'])}" if queue["retries"] else ""
    retries = counted(queue["retries"], "retry", "retries")
    return f"{queue['endpoint']}, {retries}{delay}, timeout {duration(queue['timeoutMs'])}"


# jobs


def _job_lines(client: Client, listed: list[Found], is_utc: bool, paint: Painter) -> list[str]:
    times, now_ms = read_clock(client.clock(), is_utc)
    has_summaries = any(job["summary"] for job in listed)
    columns = [
        Column("job"),
        Column("queue", least=8),
        Column("state"),
        Column("attempt"),
        Column("last"),
        *([Column("why", least=16)] if has_summaries else []),
        Column("when", least=18),
        Column("payload", least=12),
        Column("enqueued"),
    ]
    names = _names([{**job, "name": job["queue"]} for job in listed])
    rows = [_job_row(job, name, times, now_ms, has_summaries) for job, name in zip(listed, names, strict=True)]
    return table.lines(columns, rows, paint, terminal_width())


def _job_row(job: Found, name: str, times: TimeFormat, now_ms: int, has_summaries: bool) -> list[Cell]:
    return [
        Cell(job["shortId"]),
        Cell(name),
        Cell(job["state"], STATES.get(job["state"], "")),
        Cell(f"{job['attempt']}/{job['maxAttempts']}", "" if job["attempt"] else "dim"),
        _last(job["last"]),
        *([Cell(job["summary"] or "", "bad")] if has_summaries else []),
        Cell(phrases.when(job, now_ms), "warn" if job["held"] else ""),
        Cell(job["preview"] or "", "dim"),
        Cell(times.moment(parse_time(job["createdAt"]), now_ms), "dim"),
    ]


def _last(attempt: Found | None) -> Cell:
    """Return how the latest attempt ended."""
    if attempt is None:
        return Cell("")
    tone = "good" if attempt["outcome"] == OutcomeKind.COMPLETED else "bad"
    return Cell(str(attempt["status"] or attempt["code"] or attempt["outcome"]), tone)


def _no_job(client: Client, is_filtered: bool) -> str:
    if is_filtered:
        return "no matching jobs"
    queues = [queue for queue in client.queues() if queue["held"] != "queue_missing"]
    if not queues:
        return NO_QUEUE
    name = queues[0]["name"]
    is_ambiguous = sum(queue["name"] == name for queue in queues) > 1
    argument = f"{queues[0]['namespace']}/{name}" if is_ambiguous else name
    return f"No jobs yet. To enqueue one: {suggestion('enqueue', argument, EXAMPLE)}"
