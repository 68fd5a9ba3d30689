"""The command line: parse, call, print, exit code."""

from __future__ import annotations

import click

from localqueue import __version__
from localqueue.cli.check import check
from localqueue.cli.clock import advance, clock, drain, ledger, reset
from localqueue.cli.execute import execute
from localqueue.cli.up import up


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="localqueue")
def main() -> None:
    """The platform's job queue on your laptop.

    Run `localqueue up` in the folder of your service.
    """


for command in (up, execute, check, clock, advance, drain, reset, ledger):
    main.add_command(command)
