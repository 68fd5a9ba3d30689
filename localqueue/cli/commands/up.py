"""`localqueue up`: run the queue beside a service."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from localqueue import __version__
from localqueue.cli.output.event_log import JsonLog, TextLog, json_line
from localqueue.cli.output.line_output import LineOutput
from localqueue.cli.server_options import catalog_loader, checked_settings, explain, make_log, server_options
from localqueue.core import events
from localqueue.core.errors import StartError
from localqueue.core.models import Catalog
from localqueue.core.settings import Settings
from localqueue.engine.engine import Engine
from localqueue.server import event_loop, server, sockets
from localqueue.server.end_of_input import calling_at_end_of_input
from localqueue.server.signals import handling_stop_signals
from localqueue.store import server_file


@click.command()
@server_options()
@click.option(
    "--stop-on-eof", is_flag=True, help="Stop when standard input ends, as a pipe does with the program that has it."
)
def up(stop_on_eof: bool, **options: Any) -> None:
    """Run the queue beside your service.

    It accepts jobs, delivers them to your service, and retries failed ones as production does.
    """
    settings = checked_settings(options)
    paths, load = catalog_loader(settings)
    sockets.raise_file_limit()
    output = log_output(settings)
    log = make_log(settings, lambda line: output.write(f"{line}\n"), sys.stdout)
    try:
        event_loop.run(_serve(settings, paths, load, log, stop_on_eof))
    except StartError as error:
        raise SystemExit(explain(error)) from None
    finally:
        output.flush()


async def _serve(
    settings: Settings, paths: list[Path], load: Callable[[], Catalog], log: TextLog | JsonLog, stop_on_eof: bool
) -> None:
    with handling_stop_signals() as requests, contextlib.ExitStack() as stack:
        if stop_on_eof:
            stack.enter_context(calling_at_end_of_input(requests.add))

        async def use(where: server.RunningServer, engine: Engine) -> None:
            entry: dict[str, str | int] = {
                "url": where.url,
                "pid": os.getpid(),
                "db": str(where.db),
                "version": __version__,
            }
            with server_file.announced(entry) as other:
                log.ready(where, engine.catalog)
                if other is not None:
                    log(events.Warned(_not_announced(where.url, other["url"])))
                if where.lost_log:
                    engine.hub(events.Warned(where.lost_log))
                event_loop.relax_garbage_collection()
                await requests.first.wait()

        await server.serve(server.ServerConfig(settings, load, paths, log, skip_grace=requests.second), use)


def _not_announced(url: str, other: str) -> str:
    return f"commands in this folder use the server that is already running at {other}; for this one, add: --url {url}"


def log_output(settings: Settings) -> LineOutput:
    """Return the output of the log; a note in it about dropped lines is an event, too, if the log is for programs."""
    if settings.log == "json":
        return LineOutput(sys.stdout, lambda text: json_line("warning", message=text))
    return LineOutput(sys.stdout)
