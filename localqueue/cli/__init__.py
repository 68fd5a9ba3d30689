"""The command line: parse, call, print, exit code."""

from __future__ import annotations

import click

from localqueue import __version__
from localqueue.cli.act import cancel, pause, replay, resume, retry
from localqueue.cli.browse import open_dashboard
from localqueue.cli.check import check
from localqueue.cli.clock import advance, clock, drain, ledger, reset
from localqueue.cli.doctor import doctor
from localqueue.cli.enqueue import enqueue
from localqueue.cli.execute import execute
from localqueue.cli.job import job
from localqueue.cli.look import jobs, queues, status
from localqueue.cli.tail import tail
from localqueue.cli.up import up

COMMANDS = (
    *(up, execute, check, enqueue, status, queues, jobs, job, tail, ledger),
    *(retry, cancel, replay, pause, resume, clock, advance, drain, reset, open_dashboard, doctor),
)


class InOrder(click.Group):
    """List commands in the order in which they were added: what is needed first stands first."""

    def list_commands(self, _: click.Context) -> list[str]:
        """Return the names of the commands."""
        return list(self.commands)


@click.group(cls=InOrder, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="localqueue")
def main() -> None:
    """The platform's job queue on your laptop.

    Run `localqueue up` in the folder of your service.
    """


for command in COMMANDS:
    main.add_command(command)
