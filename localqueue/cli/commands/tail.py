"""`localqueue tail`: follow the server live."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection
from typing import Any

import click

from localqueue.cli import completion
from localqueue.cli.options import as_json, with_client, with_colors, with_utc
from localqueue.cli.output import phrases
from localqueue.cli.output.terminal import Painter, terminal_width
from localqueue.cli.output.time_format import TimeFormat
from localqueue.cli.queue_argument import find_queue
from localqueue.client import decoding
from localqueue.client.client import Client, ServerEvent
from localqueue.core import clock
from localqueue.core.errors import ConnectionBroken, NoServer
from localqueue.core.text import safe, safe_json

PERIOD_S = 0.3
"""How often to check whether the server is back."""


@click.command()
@click.option("--queue", "-q", metavar="QUEUE", help="Only this queue.", shell_complete=completion.complete_queue)
@as_json
@with_utc
@with_colors
@with_client
def tail(client: Client, queue: str | None, is_json: bool, is_utc: bool, paint: Painter) -> None:
    """Follow deliveries live, one line each, until Ctrl-C.

    With --json, prints every event of the server as one JSON object per line. It survives restarts of the server.
    """
    namespace, name = find_queue(client, queue) if queue else (None, None)
    count = Counter(declared["name"] for declared in client.queues())
    ambiguous = {queue_name for queue_name, times in count.items() if times > 1}

    line_of = _as_json if is_json else EventLines(is_utc, paint, ambiguous)

    def show(event: ServerEvent) -> None:
        if line := line_of(event):
            click.echo(line)

    try:
        Follower(client, show).run(namespace, name)
    except KeyboardInterrupt:
        return


class Follower:
    """A follower of a server's events, which waits for a stopped server and continues after the last event."""

    def __init__(self, client: Client, show: Callable[[ServerEvent], None]) -> None:
        self._client = client
        self._show = show
        self._last_id: str | None = None
        self._stopping = ""
        self._is_connected = False

    def run(self, namespace: str | None, queue: str | None) -> None:
        """Follow until interrupted. Raises ClientError if no server is running at first."""
        self._client.check()
        while True:
            try:
                for event in self._client.events(self._last_id, namespace=namespace, queue=queue):
                    self._take(event)
            except (ConnectionBroken, NoServer):
                pass
            if self._is_connected:
                click.echo("the server has stopped; waiting for it to start again", err=True)
            self._is_connected = False
            clock.pause(PERIOD_S)

    def _take(self, event: ServerEvent) -> None:
        run = event.id.partition("-")[0]  # every run of a server has its own ids
        if not self._is_connected and run == self._stopping:
            return  # it still responds, but it is about to stop
        if not self._is_connected:
            verb = "Following again:" if self._last_id else "Following"
            click.echo(f"{verb} {safe(self._client.url)} (Ctrl-C to stop)", err=True)
            self._is_connected = True
        if event.kind == "stopping":
            self._stopping = run
        self._show(event)
        self._last_id = event.id


def _as_json(event: ServerEvent) -> str:
    """Return the event as an object on one line, its data as the server sent it."""
    head = json.dumps({"event": event.kind, "id": event.id})[:-1]
    return safe_json(f'{head}, "data": {event.data}}}')


class EventLines:
    """A formatter of events for people. Each connection starts with a `hello`, which names the clock."""

    def __init__(self, is_utc: bool, paint: Painter, ambiguous: Collection[str]) -> None:
        self._is_utc = is_utc
        self._times = TimeFormat(is_utc)
        self._paint = paint
        self._ambiguous = ambiguous

    def __call__(self, event: ServerEvent) -> str | None:
        """Return the line of an event, or None if it has none."""
        content = json.loads(event.data)
        match event.kind:
            case "hello":
                self._times = TimeFormat.on(content["mode"], self._is_utc)
            case "attempt":
                return self._delivery(content)
            case "warning":
                return "\n".join(f"warning: {safe(line, 400)}" for line in content["message"].split("\n"))
            case "rejected":
                return phrases.rejection(decoding.rejection(content), self._paint)
            case "clock" if content["mode"] == "wall":
                return self._paint("dim", phrases.clock_moved(int(content["offsetMs"])))
            case "gap":
                return self._paint("dim", "some events were missed")
            case "reset":
                return self._paint("dim", "reset: all jobs were deleted")
            case "stopping":
                return self._paint("dim", "the server is stopping")
        return None

    def _delivery(self, content: dict[str, Any]) -> str:
        job, attempt = decoding.job(content["job"]), decoding.attempt(content["attempt"])
        at, is_ambiguous = self._times.time_of_day(attempt.ended_ms), job.queue in self._ambiguous
        return phrases.delivery(at, job, attempt, self._paint, terminal_width(), with_namespace=is_ambiguous)
