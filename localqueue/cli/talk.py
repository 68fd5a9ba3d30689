"""What commands share that talk to a running server: where it is, what they print, how they fail."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

import click

from localqueue.client import Client, find
from localqueue.errors import ClientError
from localqueue.text import parse_duration, safe


class Duration(click.ParamType[int]):
    """Take `250ms`, `5s`, `2m`, `24h`; give ms."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the duration in ms, or fail with a usage error."""
        if isinstance(value, int):
            return value
        try:
            return parse_duration(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


DURATION = Duration()


def talks(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command `--url` and a client as its first argument; end it with a clear message if it can't talk."""

    @click.option("--url", help="Where the server is. Default: IEC_QUEUE_URL, else .localqueue/server.json.")
    @functools.wraps(command)
    def wrapped(url: str | None, **given: Any) -> None:
        try:
            with Client(find(url)) as client:
                command(client, **given)
        except ClientError as error:
            raise failure(error) from None

    return wrapped


def as_json(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command `--json`."""
    return click.option("--json", "is_json", is_flag=True, help="Print JSON for programs.")(command)


def failure(error: ClientError) -> click.ClickException:
    """Return the error as click shows it: exit code 1."""
    lines = [safe(error.message, 400), safe(error.hint, 400)]
    return click.ClickException("\n".join(line for line in lines if line))


def print_json(found: object) -> None:
    """Print JSON."""
    click.echo(json.dumps(found, indent=2))
