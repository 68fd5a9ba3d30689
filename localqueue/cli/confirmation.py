"""Ask on a terminal before what can't be undone."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence

import click

from localqueue.client.client import Client
from localqueue.core.text import counted


def with_yes(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command `--yes`."""
    return click.option("--yes", is_flag=True, help="Don't ask.")(command)


def confirm(
    client: Client,
    verb: str,
    states: Sequence[str],
    filters: Mapping[str, str | int | None],
    *,
    is_sure: bool,
    rest: str = "",
) -> None:
    """Ask whether to change as many jobs as there are in these states; a script, or no jobs, need no question."""
    if not is_sure and sys.stdin.isatty():
        counts = client.job_counts(**filters)
        count = sum(counts[state] for state in states)
        if count:
            jobs = counted(count, f"{states[0]} job" if len(states) == 1 else "job")
            click.confirm(f"{verb} {jobs}{rest}?", abort=True)
