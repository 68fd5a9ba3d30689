"""`localqueue fault`: script the outcomes of the next attempts of a queue."""

from __future__ import annotations

import json
from typing import Any

import click

from localqueue.cli import completion
from localqueue.cli.options import as_json, print_json, with_client
from localqueue.cli.queue_argument import find_queue
from localqueue.client.client import Client
from localqueue.core.faults import WORDS, parse_fault
from localqueue.core.text import safe

_NAMESPACE = click.option(
    "--namespace", metavar="NS", help="Namespace of the queue, if several services have a queue of this name."
)


@click.group()
def fault() -> None:
    """Script the outcomes of the next attempts of a queue.

    Each attempt that starts uses the next outcome; later attempts are delivered as usual.
    """


@fault.command()
@click.argument("queue", shell_complete=completion.complete_queue)
@click.argument("outcomes", metavar="OUTCOME,...", nargs=-1, required=True)
@_NAMESPACE
@with_client
def add(client: Client, queue: str, outcomes: tuple[str, ...], namespace: str | None) -> None:
    """Add outcomes for the next attempts of QUEUE, such as ok,503,lost-ack.

    `ok`, a status, `timeout`, `reset` and `refuse` don't call the service. `slow=MS` calls it, and its response comes
    MS later; `lost-ack` calls it, and its response is lost. On the virtual clock, none takes real time.
    """
    if len(outcomes) > 1:
        joined = ",".join(outcome.strip(",") for outcome in outcomes)
        raise click.UsageError(f"separate the outcomes by commas, without spaces: {safe(joined)}")
    words = [word.strip() for word in outcomes[0].split(",")]
    try:
        for word in words:
            parse_fault(word)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    key = find_queue(client, queue, namespace)
    _show(client.add_faults(*key, words))


@fault.command(name="list")
@as_json
@with_client
def list_faults(client: Client, is_json: bool) -> None:
    """List the outcomes that are left."""
    left = client.faults()
    if is_json:
        print_json(json.dumps({"faults": left}))
    else:
        _show(left)


@fault.command()
@click.argument("queue", required=False, shell_complete=completion.complete_queue)
@_NAMESPACE
@with_client
def clear(client: Client, queue: str | None, namespace: str | None) -> None:
    """Forget the outcomes of QUEUE, or all."""
    key = find_queue(client, queue, namespace) if queue else (namespace, None)
    _show(client.clear_faults(*key))


def _show(left: list[dict[str, Any]]) -> None:
    for script in left:
        outcomes = ", ".join(str(word) for word in script["outcomes"])
        click.echo(f"{safe(script['namespace'])}/{safe(script['queue'])}  {safe(outcomes)}")
    if not left:
        click.echo(f"No outcomes are scripted. Outcomes: {', '.join(WORDS)}")
