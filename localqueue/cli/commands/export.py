"""`localqueue export`: turn a job into a regression test or a request."""

from __future__ import annotations

import click

from localqueue.cli import completion
from localqueue.cli.options import with_client
from localqueue.cli.output import job_export
from localqueue.cli.output.job_export import ExportedJob
from localqueue.client.client import Client
from localqueue.core.errors import ClientError
from localqueue.core.text import safe


@click.command()
@click.argument("id_", metavar="ID", shell_complete=completion.complete_job)
@click.option(
    "--as",
    "form",
    type=click.Choice(list(job_export.FORMATS)),
    required=True,
    help="pytest and node: a regression test; curl: the delivery to the handler; json: the body of POST /jobs.",
)
@with_client
def export(client: Client, id_: str, form: str) -> None:
    """Print a job as a test or as a request.

    The output runs unchanged, for example: localqueue export ID --as pytest > tests/test_claim.py
    """
    click.echo(job_export.FORMATS[form](exported_job(client, id_)), nl=False)


def exported_job(client: Client, id_: str) -> ExportedJob:
    """Return what the formats write. Raises ClientError if no catalog declares its queue."""
    job, data = client.job(id_), client.job_data(id_)
    key = (job["namespace"], job["queue"])
    queue = next((queue for queue in client.queues() if (queue["namespace"], queue["name"]) == key), None)
    if queue is None or queue["target"] is None:
        raise ClientError(
            f"no catalog declares the queue {safe('/'.join(key))}, so its endpoint is unknown",
            f"Declare it under spec.queues in the catalog of {safe(key[0])}.",
        )
    last = job["attempts"][-1] if job["attempts"] else None
    return ExportedJob(
        job["id"],
        *key,
        job["attempt"],
        data,
        queue["target"],
        queue["endpoint"],
        job_export.reason(last),
    )
