"""`localqueue retry`, `cancel`, `delete`, `replay`, `pause`, `resume`: change jobs and queues by hand."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import click

from localqueue.cli import completion, confirmation, json_argument
from localqueue.cli.job_filters import JobFilters, with_job_filters
from localqueue.cli.options import failure, with_client
from localqueue.cli.output import second_delivery
from localqueue.cli.queue_argument import find_queue
from localqueue.client.client import Client
from localqueue.core.errors import ErrorResponse
from localqueue.core.models import JobState
from localqueue.core.text import counted, safe

FINISHED = [state.value for state in JobState if state.is_finished]
UNFINISHED = [state.value for state in JobState if not state.is_finished]
_IDS = click.argument("ids", metavar="ID...", nargs=-1, shell_complete=completion.complete_job)
_QUEUE = click.argument("queue", shell_complete=completion.complete_queue)
_NAMESPACE = click.option(
    "--namespace", metavar="NS", help="Namespace of the queue, if several services have a queue of this name."
)


@click.command()
@_IDS
@click.option("--failed", is_flag=True, help="Retry every failed job, or those that the other options select.")
@with_job_filters
@click.option("--error", metavar="TEXT", help="Only jobs with this summary (see: jobs --by-error).")
@with_client
def retry(client: Client, ids: tuple[str, ...], failed: bool, filters: JobFilters, error: str | None) -> None:
    """Start a new round of failed or cancelled jobs.

    The round starts now, at attempt 1, with all retries. Earlier attempts are kept.
    """
    if (filters.is_any or error) and not failed:
        raise click.UsageError("--queue, --namespace, --search, --status, --since and --error work only with --failed")
    if failed == bool(ids):
        raise click.UsageError("name at least one job ID, or use --failed")
    if not failed:
        _each(ids, client.retry, "retried")
        return
    count = client.retry_failed(**filters.parameters(client), summary=error)
    click.echo(f"retried {counted(count, 'failed job')}")


@click.command()
@_IDS
@click.option("--unfinished", is_flag=True, help="Cancel every unfinished job, or those that the other options select.")
@with_job_filters
@confirmation.with_yes
@with_client
def cancel(client: Client, ids: tuple[str, ...], unfinished: bool, filters: JobFilters, yes: bool) -> None:
    """Cancel jobs. Running attempts are cut off."""
    if filters.is_any and not unfinished:
        raise click.UsageError("--queue, --namespace, --search, --status and --since work only with --unfinished")
    if unfinished == bool(ids):
        raise click.UsageError("name at least one job ID, or use --unfinished")
    if not unfinished:
        _each(ids, client.cancel, "cancelled")
        return
    parameters = filters.parameters(client)
    confirmation.confirm(client, "Cancel", UNFINISHED, parameters, is_sure=yes)
    click.echo(f"cancelled {counted(client.cancel_unfinished(**parameters), 'job')}")


@click.command()
@_IDS
@with_client
def hold(client: Client, ids: tuple[str, ...]) -> None:
    """Don't cut running attempts off, for a debugger.

    They may take longer than timeoutMs, where production would cut them off. They end with their responses, or after
    `localqueue release`.
    """
    if not ids:
        raise click.UsageError("name at least one job ID")
    _each(ids, client.hold, "held")


@click.command()
@_IDS
@with_client
def release(client: Client, ids: tuple[str, ...]) -> None:
    """End the hold of running attempts.

    Each has its whole timeoutMs again.
    """
    if not ids:
        raise click.UsageError("name at least one job ID")
    _each(ids, client.release, "released")


@click.command()
@_IDS
@click.option("--finished", is_flag=True, help="Delete every finished job, or those that the other options select.")
@click.option("--state", type=click.Choice(FINISHED), help="The same as --finished, but only jobs in this state.")
@with_job_filters
@confirmation.with_yes
@with_client
def delete(
    client: Client, ids: tuple[str, ...], finished: bool, state: str | None, filters: JobFilters, yes: bool
) -> None:
    """Delete finished jobs with their attempts. This can't be undone."""
    if bool(ids) + finished + (state is not None) != 1:
        raise click.UsageError("use one of: job IDs, --finished, --state")
    if filters.is_any and ids:
        raise click.UsageError(
            "--queue, --namespace, --search, --status and --since work only with --finished or --state"
        )
    if ids:
        _each(ids, client.delete, "deleted")
        return
    parameters = filters.parameters(client)
    confirmation.confirm(client, "Delete", [state] if state else FINISHED, parameters, is_sure=yes)
    click.echo(f"deleted {counted(client.delete_finished(state or 'finished', **parameters), 'job')}")


def _each(ids: tuple[str, ...], act: Callable[[str], dict[str, Any]], done: str) -> None:
    """Do something with every job; after an error, continue with the next job."""
    has_failed = False
    for id_ in ids:
        try:
            job = act(id_)
        except ErrorResponse as error:
            failure(error).show()
            has_failed = True
        else:
            click.echo(safe(f"{done} {job['shortId']} in {job['queue']}"))
    sys.exit(int(has_failed))


@click.command()
@click.argument("id_", metavar="ID", shell_complete=completion.complete_job)
@click.option("--data", metavar=json_argument.FORMS, help="Send this JSON instead of the original data.")
@click.option("--same-id", is_flag=True, help="Deliver the job itself again, with its jobId and attempt, and compare.")
@with_client
def replay(client: Client, id_: str, data: str | None, same_id: bool) -> None:
    """Enqueue a copy of a job, and print its ID.

    The original isn't changed; the copy is linked to it. With --same-id, the service gets the finished job itself a
    second time, as after a lost response in production. Both responses are shown; the exit code is 1 if the second
    delivery fails.
    """
    if same_id:
        if data is not None:
            raise click.UsageError("--data can't be used with --same-id, which sends the original data")
        delivery = client.deliver_again(id_)
        click.echo(second_delivery.describe(delivery))
        sys.exit(int(delivery["second"]["outcome"] != "completed"))
    job = client.replay(id_, None if data is None else json_argument.read(data))
    click.echo(safe(job["id"]))


@click.command()
@_QUEUE
@_NAMESPACE
@with_client
def pause(client: Client, queue: str, namespace: str | None) -> None:
    """Pause a queue. Running attempts finish."""
    key = find_queue(client, queue, namespace)
    client.pause(*key)
    click.echo(f"paused {safe('/'.join(key))}")


@click.command()
@_QUEUE
@_NAMESPACE
@with_client
def resume(client: Client, queue: str, namespace: str | None) -> None:
    """Resume a paused queue."""
    key = find_queue(client, queue, namespace)
    client.resume(*key)
    click.echo(f"resumed {safe('/'.join(key))}")
