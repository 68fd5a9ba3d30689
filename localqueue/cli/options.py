"""Options and errors that the commands for a running server share."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Callable
from typing import Any

import click

from localqueue.cli.output import json_text
from localqueue.cli.output.terminal import painter
from localqueue.client.connect import connect
from localqueue.client.discovery import find_server
from localqueue.core.errors import ClientError
from localqueue.core.text import safe
from localqueue.core.times import parse_duration


class Duration(click.ParamType[int]):
    """A duration such as `250ms`, `5s`, `2m` or `24h`, as ms."""

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


def at_url(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command `--url`."""
    text = "URL of the server. Default: IEC_QUEUE_URL, else .localqueue/server.json."
    return click.option("--url", metavar="URL", help=text)(command)


def with_client(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command `--url` and a client as its first argument; ClientErrors become error messages."""

    @at_url
    @functools.wraps(command)
    def wrapped(url: str | None, **options: Any) -> None:
        address = find_server(url)
        try:
            note = functools.partial(_note_owner, address.url) if address.is_default else None
            with connect(address.url, address.source, on_found=note) as client:
                command(client, **options)
        except ClientError as error:
            raise failure(error) from None
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise failure(_not_understood(error)) from None

    return wrapped


def _note_owner(url: str, status: dict[str, Any]) -> None:
    """Say whose jobs these are, if a server of another folder has the default port."""
    path = safe(str(status["storage"]["path"]), 300)
    click.echo(f"note: this folder has no server; using the one at {url}, whose database is {path}", err=True)


def _not_understood(error: Exception) -> ClientError:
    reason = f"{type(error).__name__}: {error}"
    return ClientError(f"unexpected response from the server ({reason})", "To compare versions: localqueue doctor")


def as_json(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command `--json`."""
    return click.option("--json", "is_json", is_flag=True, help="Print JSON.")(command)


def with_colors(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command `--no-color`, and the parameter `paint`, which colors its output."""

    @click.option("--no-color", is_flag=True, envvar="LOCALQUEUE_NO_COLOR", help="Don't color the output.")
    @functools.wraps(command)
    def wrapped(*arguments: Any, no_color: bool, **options: Any) -> None:
        command(*arguments, paint=painter(no_color), **options)

    return wrapped


def with_utc(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command `--utc`."""
    text = "Use UTC, not local time. Virtual time is always in UTC."
    return click.option("--utc", "is_utc", is_flag=True, envvar="LOCALQUEUE_UTC", help=text)(command)


def failure(error: ClientError) -> click.ClickException:
    """Return an error that click shows, with exit code 1."""
    lines = [safe(error.message, 1000), safe(error.hint, 400)]
    return click.ClickException("\n".join(line for line in lines if line))


def print_json(text: str) -> None:
    """Print JSON as the server sent it, indented; numbers aren't rounded and keys aren't sorted."""
    click.echo(json_text.indented(text))


def suggestion(*words: str) -> str:
    """Return a command for the same server, quoted for a shell."""
    url = click.get_current_context().params.get("url")
    return safe(shlex.join(["localqueue", *words, *(["--url", str(url)] if url else [])]), 1000)
