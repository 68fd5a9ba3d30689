"""`retry`, `cancel`, `replay`, `pause`, `resume`: what is done to jobs and queues by hand."""

from __future__ import annotations

import sys

import click

from localqueue.cli import completion, json_argument
from localqueue.cli.options import failure, with_client
from localqueue.client.client import Client, path_of
from localqueue.core.errors import ErrorResponse
from localqueue.core.text import counted, safe

_IDS = click.argument("ids", metavar="ID...", nargs=-1, shell_complete=completion.complete_job)
_QUEUE = click.argument("queue", shell_complete=completion.complete_queue)
_NAMESPACE = click.option(
    "--namespace", metavar="NS", help="Of the queue, where several services have one of that name."
)


@click.command()
@_IDS
@click.option("--failed", is_flag=True, help="Retry every job that has failed, instead of those named.")
@click.option(
    "--queue",
    "-q",
    metavar="QUEUE",
    help="With --failed: only of this queue.",
    shell_complete=completion.complete_queue,
)
@with_client
def retry(client: Client, ids: tuple[str, ...], failed: bool, queue: str | None) -> None:
    """Start a new round of failed or cancelled jobs, due now.

    It begins at attempt 1 with all its retries; what was made before stays on record.
    """
    if failed == bool(ids):
        raise click.UsageError("expected either IDs, or --failed")
    if queue and not failed:
        raise click.UsageError("--queue goes with --failed")
    if not failed:
        _each(client, ids, "retry", "retried")
        return
    namespace, name = completion.find_queue(client, queue) if queue else (None, None)
    found = client.post("/jobs/retry", {"namespace": namespace, "queue": name} if queue else {}, patience_s=None)
    click.echo(f"retried {counted(int(found['retried']), 'failed job')}")


@click.command()
@_IDS
@with_client
def cancel(client: Client, ids: tuple[str, ...]) -> None:
    """Cancel jobs; an attempt under way is cut off."""
    if not ids:
        raise click.UsageError("expected one ID or more")
    _each(client, ids, "cancel", "cancelled")


def _each(client: Client, ids: tuple[str, ...], verb: str, done: str) -> None:
    """Do it to every job; say of which it could not be done, and go on."""
    is_wrong = False
    for id_ in ids:
        try:
            found = client.post(path_of("jobs", id_, verb))
        except ErrorResponse as error:
            failure(error).show()
            is_wrong = True
        else:
            click.echo(safe(f"{done} {found['shortId']} of {found['queue']}"))
    sys.exit(int(is_wrong))


@click.command()
@click.argument("id_", metavar="ID", shell_complete=completion.complete_job)
@click.option("--data", metavar=json_argument.FORMS, help="Send this JSON instead of the data of the original.")
@with_client
def replay(client: Client, id_: str, data: str | None) -> None:
    """Enqueue a copy of a job, and print its id.

    The original is kept, and the copy names it.
    """
    found = client.replay(id_, None if data is None else json_argument.read(data))
    click.echo(safe(found["id"]))


@click.command()
@_QUEUE
@_NAMESPACE
@with_client
def pause(client: Client, queue: str, namespace: str | None) -> None:
    """Start nothing more of a queue; what is under way goes on."""
    _hold(client, queue, namespace, "pause", "paused")


@click.command()
@_QUEUE
@_NAMESPACE
@with_client
def resume(client: Client, queue: str, namespace: str | None) -> None:
    """Go on with a paused queue."""
    _hold(client, queue, namespace, "resume", "resumed")


def _hold(client: Client, queue: str, namespace: str | None, verb: str, done: str) -> None:
    key = completion.find_queue(client, queue, namespace)
    client.post(path_of("queues", *key, verb))
    click.echo(f"{done} {safe('/'.join(key))}")
