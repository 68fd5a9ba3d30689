"""`tail`: follow live what the server does."""

from __future__ import annotations

import json
from collections.abc import Callable

import click

from localqueue.cli import completion
from localqueue.cli.options import as_json, with_client, with_colors
from localqueue.cli.output import phrases
from localqueue.cli.output.terminal import Painter, terminal_width
from localqueue.client import decoding
from localqueue.client.client import Client, ServerEvent
from localqueue.core import clock
from localqueue.core.errors import ConnectionBroken, NoServer
from localqueue.core.text import safe, safe_json

PERIOD_S = 0.3
"""How often to look whether the server is back."""


@click.command()
@click.option("--queue", "-q", metavar="QUEUE", help="Only of this queue.", shell_complete=completion.complete_queue)
@as_json
@with_colors
@with_client
def tail(client: Client, queue: str | None, is_json: bool, paint: Painter) -> None:
    """Follow live: one line per delivery, until ^C.

    With --json every event of the server is an object on a line of its own. When the server is restarted, it
    goes on with it.
    """
    namespace, name = completion.find_queue(client, queue) if queue else (None, None)

    def tell(event: ServerEvent) -> None:
        line = _as_json(event) if is_json else _as_text(event, paint)
        if line:
            click.echo(line)

    try:
        Following(client, tell).run(namespace, name)
    except KeyboardInterrupt:
        return


class Following:
    """Tell of every event of a server; wait for it when it has gone, and go on behind the last event."""

    def __init__(self, client: Client, tell: Callable[[ServerEvent], None]) -> None:
        self._client = client
        self._tell = tell
        self._last_id: str | None = None
        self._stopping = ""
        self._is_connected = False

    def run(self, namespace: str | None, queue: str | None) -> None:
        """Go on until ^C. Raises ClientError where there is no server to begin with."""
        self._client.check()
        while True:
            try:
                for event in self._client.events(self._last_id, namespace=namespace, queue=queue):
                    self._take(event)
            except (ConnectionBroken, NoServer):
                pass
            if self._is_connected:
                click.echo("the server has gone; waiting for it to come back", err=True)
            self._is_connected = False
            clock.pause(PERIOD_S)

    def _take(self, event: ServerEvent) -> None:
        run = event.id.partition("-")[0]  # every run of a server has ids of its own
        if not self._is_connected and run == self._stopping:
            return  # it still answers, but it is about to go
        if not self._is_connected:
            again = " again" if self._last_id else ""
            click.echo(f"following {safe(self._client.url)}{again}; ^C ends", err=True)
            self._is_connected = True
        if event.kind == "stopping":
            self._stopping = run
        self._tell(event)
        self._last_id = event.id


def _as_json(event: ServerEvent) -> str:
    """Return the event as an object on one line; what it tells is as the server sent it."""
    head = json.dumps({"event": event.kind, "id": event.id})[:-1]
    return safe_json(f'{head}, "data": {event.data}}}')


def _as_text(event: ServerEvent, paint: Painter) -> str | None:
    found = json.loads(event.data)
    match event.kind:
        case "attempt":
            return phrases.delivery(
                decoding.job(found["job"]), decoding.attempt(found["attempt"]), paint, terminal_width()
            )
        case "warning":
            return "\n".join(f"warning: {safe(line, 400)}" for line in found["message"].split("\n"))
        case "gap":
            return paint("dim", "some events were missed")
        case "reset":
            return paint("dim", "reset: every job is gone")
        case "stopping":
            return paint("dim", "the server is stopping")
    return None
