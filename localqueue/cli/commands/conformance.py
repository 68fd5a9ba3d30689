"""`localqueue conformance`: compare a queue with the platform's rules, from outside."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from localqueue.cli.options import as_json, failure, with_colors
from localqueue.cli.output import table
from localqueue.cli.output.table import Cell, Column
from localqueue.cli.output.terminal import Painter, terminal_width
from localqueue.cli.own_command import own_command
from localqueue.conformance import battery, catalog
from localqueue.conformance.battery import RuleResult
from localqueue.core.errors import ClientError
from localqueue.core.text import counted
from localqueue.server import sockets

WORKER_PORT = 4328


@click.command()
@click.option(
    "--url", metavar="URL", help="The queue to test. Default: a localqueue of its own, which is started for it."
)
@click.option("--worker-host", metavar="ADDR", default="127.0.0.1", show_default=True, help="Address of the worker.")
@click.option(
    "--worker-port",
    metavar="PORT",
    type=click.IntRange(0, 65535),
    default=WORKER_PORT,
    show_default=True,
    help="Port of the worker; the queue delivers to it.",
)
@click.option("--print-catalog", is_flag=True, help="Print the catalog that the queue needs, and end.")
@as_json
@with_colors
def conformance(
    url: str | None, worker_host: str, worker_port: int, print_catalog: bool, is_json: bool, paint: Painter
) -> None:
    """Test a queue by the platform's rules.

    The queue is localqueue, or iec-queue where it can reach your worker. The command enqueues jobs, receives their
    deliveries, and prints rule, source, expected and seen. `platform` is the public reference, `decision` is ours where
    the reference is silent. Exits 1 if a rule of the platform doesn't hold.
    """
    if print_catalog:
        click.echo(catalog.text(worker_port), nl=False)
        return
    try:
        worker_port = worker_port or _free_port()
        with contextlib.ExitStack() as stack:
            if url is None:
                url = stack.enter_context(_own_server(worker_port))
            results = battery.run(url, worker_host, worker_port)
    except ClientError as error:
        raise failure(error) from None
    except OSError as error:
        raise click.ClickException(
            f"the worker can't listen on {worker_host}:{worker_port}: {error.strerror}\n"
            "Use another port, and the same one in the catalog: localqueue conformance --worker-port 0"
        ) from None
    if is_json:
        click.echo(json.dumps({"url": url, "rules": [_as_json(result) for result in results]}, indent=2))
    else:
        _print(results, paint)
    broken = [result for result in results if not result.holds and result.rule.source == "platform"]
    sys.exit(int(bool(broken)))


def _print(results: Sequence[RuleResult], paint: Painter) -> None:
    columns = [Column(""), Column("rule"), Column("source"), Column("expected", least=20), Column("seen", least=12)]
    rows = [_row(result) for result in results]
    for line in table.lines(columns, rows, paint, terminal_width()):
        click.echo(line)
    broken = sum(not result.holds for result in results)
    click.echo(f"\n{counted(len(results), 'rule')}, {f'{broken} broken' if broken else 'all hold'}")


def _row(result: RuleResult) -> list[Cell]:
    rule = result.rule
    mark = Cell("✓", "good") if result.holds else Cell("✗", "bad")
    seen = Cell(result.seen, "" if result.holds else "bad")
    return [mark, Cell(rule.name), Cell(rule.source, "dim"), Cell(rule.expected), seen]


def _as_json(result: RuleResult) -> dict[str, Any]:
    rule = result.rule
    return {
        "rule": rule.name,
        "source": rule.source,
        "expected": rule.expected,
        "seen": result.seen,
        "holds": result.holds,
    }


def _free_port() -> int:
    listeners = sockets.bind(None, 0)
    port = int(listeners[0].getsockname()[1])
    for listener in listeners:
        listener.close()
    return port


@contextlib.contextmanager
def _own_server(worker_port: int) -> Iterator[str]:
    """Run a server with the catalog of the rules. Raises ClientError."""
    with tempfile.TemporaryDirectory(prefix="localqueue-") as folder:
        (Path(folder) / "catalog-info.yaml").write_text(catalog.text(worker_port))
        command = [*own_command(), "up", "--port", "0", "--ephemeral", "--log", "json"]
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout is not None
                line = server.stdout.readline()
                if not line:
                    raise ClientError("the localqueue for the rules didn't start", "To see why: localqueue doctor")
                yield str(json.loads(line)["url"])
            finally:
                server.terminate()
