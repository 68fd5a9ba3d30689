"""The options that select jobs: one set for lists and for changes of many jobs."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from localqueue.cli import completion
from localqueue.cli.options import with_utc
from localqueue.cli.output.time_format import read_clock
from localqueue.cli.queue_argument import check_namespace, find_queue
from localqueue.client.client import Client
from localqueue.core.times import iso, parse_duration

_OPTIONS = (
    click.option("--queue", "-q", metavar="QUEUE", help="Only this queue.", shell_complete=completion.complete_queue),
    click.option("--namespace", metavar="NS", help="Only this service."),
    click.option("--search", metavar="TEXT", help="Only jobs with this text in the ID, the payload or a response."),
    click.option("--status", type=click.IntRange(100, 999), metavar="N", help="Only jobs whose latest status is this."),
    click.option(
        "--since",
        metavar="TIME",
        help="Only jobs enqueued since TIME: a duration such as 10m, a time such as 09:12, or ISO 8601.",
    ),
    with_utc,
)


@dataclass(frozen=True, slots=True)
class JobFilters:
    """The values of the options."""

    queue: str | None
    namespace: str | None
    search: str | None
    status: int | None
    since: str | None
    is_utc: bool

    @property
    def is_any(self) -> bool:
        """Return whether one of the options is given."""
        return bool(self.words)

    @property
    def words(self) -> list[str]:
        """Return the options as words of a command."""
        options = {"--queue": self.queue, "--namespace": self.namespace, "--search": self.search}
        options |= {"--status": None if self.status is None else str(self.status), "--since": self.since}
        return [word for option, value in options.items() if value is not None for word in (option, value)]

    def key(self, client: Client) -> tuple[str | None, str | None]:
        """Return namespace and name of the queue. Raises ClientError for an unknown or an ambiguous one."""
        if self.queue:
            return find_queue(client, self.queue, self.namespace)
        if self.namespace is not None:
            check_namespace(client, self.namespace)
        return self.namespace, None

    def parameters(self, client: Client) -> dict[str, str | int | None]:
        """Return the filter under the names of the control API."""
        namespace, queue = self.key(client)
        since = None if self.since is None else iso(_instant(client.clock(), self.since, self.is_utc))
        return {"namespace": namespace, "queue": queue, "q": self.search, "status": self.status, "since": since}


def with_job_filters(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options, as its parameter `filters`."""

    @functools.wraps(command)
    def wrapped(
        *arguments: Any,
        queue: str | None,
        namespace: str | None,
        search: str | None,
        status: int | None,
        since: str | None,
        is_utc: bool,
        **options: Any,
    ) -> None:
        command(*arguments, filters=JobFilters(queue, namespace, search, status, since, is_utc), **options)

    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped


def _instant(clock: dict[str, Any], text: str, is_utc: bool) -> int:
    """Return the instant that `--since` means, in ms: a duration counts back from the queue's own time."""
    times, now_ms = read_clock(clock, is_utc)
    with contextlib.suppress(ValueError):
        return max(now_ms - parse_duration(text), 0)
    try:
        return times.parse(text, now_ms)
    except ValueError as error:
        raise click.UsageError(f"--since must be a duration such as 10m, or a time such as 09:12: {error}") from None
