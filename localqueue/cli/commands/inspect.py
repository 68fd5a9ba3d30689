"""`status`, `queues`, `jobs`: what there is, at a glance."""

from __future__ import annotations

import json
from typing import Any

import click

from localqueue.cli import completion
from localqueue.cli.options import as_json, print_json, suggestion, with_client, with_colors
from localqueue.cli.output import phrases, table
from localqueue.cli.output.table import Cell, Column
from localqueue.cli.output.terminal import STATES, Painter, terminal_width
from localqueue.client.client import Client
from localqueue.core.models import JobState, OutcomeKind
from localqueue.core.text import counted
from localqueue.core.times import duration, moment, offset, parse_time

Found = dict[str, Any]
SHOWN_WARNINGS = 5
EXAMPLE = '{"claimId": 7}'
NO_QUEUE = "no queue is declared yet: add one under spec.queues in the catalog of your service"


@click.command()
@as_json
@with_colors
@with_client
def status(client: Client, is_json: bool, paint: Painter) -> None:
    """Show the server, its time and storage, services and queues.

    Of a service it is shown whether anything listens there; then what is wrong, if anything is.
    """
    if is_json:
        print_json(client.text("/status"))
        return
    found, clock = client.check(), client.get("/clock")
    facts = [
        ("server", Cell(_server(found))),
        ("time", Cell(_time(clock))),
        ("storage", _storage(found["storage"])),
        *map(_service, found["services"]),
        *_warnings(found, parse_time(clock["now"])),
    ]
    _print([*table.facts(facts, paint, terminal_width()), "", *_queue_lines(client, paint)])


@click.command()
@as_json
@with_colors
@with_client
def queues(client: Client, is_json: bool, paint: Painter) -> None:
    """Show every queue: its jobs by state, and what holds it."""
    if is_json:
        print_json(client.text("/queues"))
        return
    _print(_queue_lines(client, paint))


@click.command()
@click.option("--queue", "-q", metavar="QUEUE", help="Only of this queue.", shell_complete=completion.complete_queue)
@click.option("--state", "-s", type=click.Choice([state.value for state in JobState]), help="Only in this state.")
@click.option("--limit", "-n", type=click.IntRange(1), default=20, show_default=True, help="How many to show.")
@as_json
@with_colors
@with_client
def jobs(client: Client, queue: str | None, state: str | None, limit: int, is_json: bool, paint: Painter) -> None:
    """Show jobs, newest first."""
    namespace, name = completion.find_queue(client, queue) if queue else (None, None)
    pages = list(client.pages(limit, namespace=namespace, queue=name, state=state))
    found = [job for page in pages for job in page["jobs"]]
    if is_json:
        print_json(json.dumps({"jobs": found, "next": pages[-1]["next"]}, ensure_ascii=False))
        return
    _print(_job_lines(client, found, paint) if found else [_no_job(client, queue, state)])
    if pages[-1]["next"] is not None and terminal_width():
        chosen = [*(("--queue", queue) if queue else ()), *(("--state", state) if state else ())]
        click.echo(paint("dim", f"there are more: {suggestion('jobs', *chosen, '--limit', str(limit * 5))}"))


def _print(lines: list[str]) -> None:
    for line in lines:
        click.echo(line)


# status


def _server(found: Found) -> str:
    state = "is stopping" if found["stopping"] else f"up for {duration(int(found['uptimeMs']))}"
    return f"{found['url']}, localqueue {found['version']}, pid {found['pid']}, {state}"


def _time(clock: Found) -> str:
    moved = f", moved by {offset(int(clock['offsetMs']))}" if clock["offsetMs"] else ""
    return f"{clock['now']}, {clock['mode']} clock{moved}"


def _storage(found: Found) -> Cell:
    if found["error"]:
        return Cell(f"can't be written: {found['error']}", "bad")
    where = "a temporary file, removed at exit" if found["ephemeral"] else found["path"]
    return Cell(f"{where}, {int(found['sizeBytes']) / 1024:,.0f} KiB")


def _service(found: Found) -> tuple[str, Cell]:
    where = f"{found['namespace']} at {found['target']}"
    if found["listening"]:
        return "service", Cell(f"{where} listens")
    return "service", Cell(f"{where}: nothing listens there; start it", "bad")


def _warnings(found: Found, now_ms: int) -> list[tuple[str, Cell]]:
    """Return what the user should know: a refused catalog, and the latest warnings."""
    refused = [
        Cell(f"refused: {each['file']}:{each['line']}:{each['column']}: {each['code']} {each['message']}", "bad")
        for each in found["catalog"]["refused"]
    ]
    warnings = [
        Cell(f"{moment(parse_time(each['at']), now_ms)} {each['message']}", "warn")
        for each in found["warnings"][-SHOWN_WARNINGS:]
    ]
    return [*(("catalog", cell) for cell in refused), *(("warning", cell) for cell in warnings)]


# queues


def _queue_lines(client: Client, paint: Painter) -> list[str]:
    found = client.get("/queues")["queues"]
    if not found:
        return [NO_QUEUE]
    columns = [
        Column("queue", least=10),
        *(Column(state, is_right=True) for state in JobState),
        Column("held", least=4),
        Column("delivers to", least=8),
    ]
    rows = [_queue_row(each, name) for each, name in zip(found, _names(found), strict=True)]
    return table.lines(columns, rows, paint, terminal_width())


def _names(found: list[Found]) -> list[str]:
    """Return what to call the queues: with their namespaces where there are several."""
    is_one = len({each["namespace"] for each in found}) == 1
    return [each["name"] if is_one else f"{each['namespace']}/{each['name']}" for each in found]


def _queue_row(found: Found, name: str) -> list[Cell]:
    counts = [_count(state, int(found["counts"][state]), found.get("concurrency")) for state in JobState]
    return [Cell(name), *counts, Cell(found["held"] or "", "warn"), Cell(_settings(found), "dim")]


def _count(state: JobState, count: int, concurrency: int | None) -> Cell:
    slots = f"/{concurrency}" if state is JobState.RUNNING and concurrency else ""
    return Cell(f"{count}{slots}", STATES.get(state, "") if count else "dim")


def _settings(found: Found) -> str:
    if "retries" not in found:
        return ""
    return (
        f"{found['endpoint']}, {counted(found['retries'], 'retry', 'retries')} "
        f"every {duration(found['retryDelayMs'])}, timeout {duration(found['timeoutMs'])}"
    )


# jobs


def _job_lines(client: Client, found: list[Found], paint: Painter) -> list[str]:
    now_ms = parse_time(client.get("/clock")["now"])
    columns = [
        Column("job"),
        Column("queue", least=8),
        Column("state"),
        Column("attempt"),
        Column("last"),
        Column("when", least=18),
        Column("payload", least=12),
        Column("enqueued"),
    ]
    names = _names([{**each, "name": each["queue"]} for each in found])
    rows = [_job_row(each, name, now_ms) for each, name in zip(found, names, strict=True)]
    return table.lines(columns, rows, paint, terminal_width())


def _job_row(found: Found, name: str, now_ms: int) -> list[Cell]:
    return [
        Cell(found["shortId"]),
        Cell(name),
        Cell(found["state"], STATES.get(found["state"], "")),
        Cell(f"{found['attempt']}/{found['maxAttempts']}", "" if found["attempt"] else "dim"),
        _last(found["last"]),
        Cell(phrases.when(found, now_ms), "warn" if found["held"] else ""),
        Cell(found["preview"] or "", "dim"),
        Cell(moment(parse_time(found["createdAt"]), now_ms), "dim"),
    ]


def _last(found: Found | None) -> Cell:
    """Return how the latest attempt ended."""
    if found is None:
        return Cell("")
    tone = "good" if found["outcome"] == OutcomeKind.COMPLETED else "bad"
    return Cell(str(found["status"] or found["code"] or found["outcome"]), tone)


def _no_job(client: Client, queue: str | None, state: str | None) -> str:
    if queue or state:
        return "no job fits"
    known = client.get("/queues")["queues"]
    if not known:
        return NO_QUEUE
    return f"no job yet; enqueue one: {suggestion('enqueue', known[0]['name'], EXAMPLE)}"
