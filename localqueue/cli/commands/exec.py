"""`localqueue exec`: run a command beside a queue of its own, for tests in any language."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from localqueue.cli import child_process
from localqueue.cli.commands.up import catalog_loader, checked, explain, make_report, options
from localqueue.cli.options import DURATION
from localqueue.cli.output import event_log, run_summary
from localqueue.cli.output.progress import Progress
from localqueue.core import events
from localqueue.core.errors import CommandNotRun, StartError, Unavailable
from localqueue.core.models import Catalog, JobState
from localqueue.core.settings import Settings
from localqueue.delivery import tcp_connect
from localqueue.engine.engine import Engine
from localqueue.server import event_loop, server, sockets

SETTLE_MS = 200
"""How long no job may have come before the run is over: handlers may answer first and enqueue after."""
PROGRESS_S = 0.25
UNFINISHED = tuple(state for state in JobState if not state.is_finished)


@click.command("exec", context_settings={"allow_interspersed_args": False})
@options(port=0, db=None, grace=0.0)
@click.option("--allow-failed", is_flag=True, envvar="LOCALQUEUE_ALLOW_FAILED", help="Failed jobs are no failure.")
@click.option("--no-wait", is_flag=True, envvar="LOCALQUEUE_NO_WAIT", help="Don't wait for jobs after COMMAND.")
@click.option(
    "--wait-timeout",
    type=DURATION,
    default="60s",
    show_default=True,
    envvar="LOCALQUEUE_WAIT_TIMEOUT",
    help="How long jobs may take after COMMAND, in real time.",
)
@click.argument("command", nargs=-1, required=True, metavar="-- COMMAND...", type=click.UNPROCESSED)
def execute(command: tuple[str, ...], allow_failed: bool, no_wait: bool, wait_timeout: int, **given: Any) -> None:
    """Run COMMAND beside a queue of its own.

    The queue is on a free port and in a temporary file unless told otherwise. COMMAND finds it by IEC_QUEUE_URL
    and SERVICE_NAMESPACE. When COMMAND has ended, its jobs are waited for if the service still answers, and the
    ledger is printed. All of ours goes to standard error.

    The exit code is COMMAND's; where that is 0, it is 1 if a job failed or was not done in time.
    """
    settings = checked(Settings(**_ephemeral_unless_told(given)))
    paths, load = catalog_loader(settings)
    run = Execution(command, settings, None if no_wait else wait_timeout, allow_failed)
    try:
        event_loop.run(run.main(paths, load))
    except (StartError, Unavailable) as error:
        raise SystemExit(explain(error)) from None
    except CommandNotRun as error:
        click.echo(f"localqueue: {error.message}", err=True)
        raise SystemExit(error.exit_code) from None
    sys.exit(run.exit_code)


def _ephemeral_unless_told(given: Mapping[str, Any]) -> dict[str, Any]:
    if given["db"] is not None:
        return dict(given)
    return {name: value for name, value in given.items() if name != "db"} | {"ephemeral": True}


class Execution:
    """Serve, run COMMAND, wait for its jobs, and say how they ended; `exit_code` is what follows from it."""

    def __init__(
        self, command: Sequence[str], settings: Settings, wait_ms: int | None, is_failure_allowed: bool
    ) -> None:
        self._command = command
        self._settings = settings
        self._wait_ms = wait_ms
        self._is_failure_allowed = is_failure_allowed
        self._progress = Progress()
        self._report = make_report(settings, self._progress.line, sys.stderr, event_log.headline)
        self._failing: set[str] = set()
        self._child: child_process.Child | None = None
        self._is_asked = asyncio.Event()
        self._is_over = False
        self.exit_code = 0

    async def main(self, paths: list[Path], load: Callable[[], Catalog]) -> None:
        """Do all of it. Raises StartError, CommandNotRun."""
        with child_process.passing(self._came):
            await server.serve(server.ServerConfig(self._settings, load, paths, self._tell), self._use)

    def _came(self, kind: int) -> None:
        """Take a signal: it is COMMAND's while that runs; before and after, it ends us."""
        if self._child is not None:
            self._child.pass_on(kind)
        if kind in child_process.ASKING:
            self._is_asked.set()
            if self._child is None or not self._child.is_running:
                self.exit_code = self.exit_code or 128 + kind

    def _tell(self, event: events.Event) -> None:
        if isinstance(event, events.AttemptEnded) and event.job.finished is JobState.FAILED:
            self._failing.add(event.job.id)
        if not self._is_over and not isinstance(event, events.Stopping):  # the end of COMMAND is no news
            self._report(event)

    async def _use(self, where: server.RunningServer, engine: Engine) -> None:
        if self._is_asked.is_set():
            return
        self._report.ready(where, engine.catalog)
        self._child = child_process.Child(self._command, environment(where, engine.catalog, os.environ))
        sockets.raise_file_limit()  # not before: COMMAND would inherit it
        try:
            self.exit_code = await self._child.wait()
            gone = await _hold_what_is_gone(engine)
            why_left = await self._wait(engine)
            self._conclude(await run_summary.summarize_run(engine, self._failing, gone, why_left))
        finally:
            if await self._child.end() and self._settings.log == "text":
                self._progress.line("localqueue: ended what COMMAND had left running")

    async def _wait(self, engine: Engine) -> str:
        """Wait until the jobs are done; return what to say of those that are not."""
        if self._wait_ms is None or self._is_asked.is_set() or self.exit_code - 128 in child_process.ASKING:
            return run_summary.LEFT
        settle_ms = SETTLE_MS if engine.catalog.services else 0
        waiting = asyncio.create_task(engine.drain(self._wait_ms, settle_ms))
        asked = asyncio.create_task(self._is_asked.wait())
        while not (waiting.done() or asked.done()):
            await self._show(engine)
            await asyncio.wait([waiting, asked], timeout=PROGRESS_S, return_when=asyncio.FIRST_COMPLETED)
        self._progress.hide()
        is_cut_off = waiting.cancel()
        asked.cancel()
        await asyncio.wait([waiting, asked])
        return run_summary.LEFT if is_cut_off or waiting.result().is_idle else run_summary.LATE

    async def _show(self, engine: Engine) -> None:
        """Show on a terminal what is waited for."""
        if self._progress.is_terminal and self._settings.log == "text":
            queues = await engine.queues()
            left = {state: sum(each.counts[state] for each in queues if each.held is None) for state in UNFINISHED}
            found = ", ".join(f"{number} {state}" for state, number in left.items() if number)
            self._progress.show(f"localqueue: waiting for jobs: {found or 'none left'} (^C to leave)")

    def _conclude(self, found: run_summary.RunSummary) -> None:
        self._is_over = True  # what the stop cuts off is no news
        of_command = self.exit_code
        self.exit_code = found.exit_code(of_command, self._is_failure_allowed)
        for line in found.json_lines(self.exit_code) if self._settings.log == "json" else found.lines():
            self._progress.line(line)
        if self._settings.log == "text" and self.exit_code and not of_command:
            self._progress.line(f"localqueue: exit code 1, because {_reason(found)}")


def _reason(found: run_summary.RunSummary) -> str:
    if found.is_late:
        return "jobs were not done in time (--wait-timeout)"
    return "jobs failed (--allow-failed accepts that)"


def environment(where: server.RunningServer, catalog: Catalog, given: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of COMMAND.

    SERVICE_NAMESPACE stays if it names a service of the catalog; else it is the first one that has queues.
    """
    names = [service.namespace for service in catalog.services]
    declaring = [service.namespace for service in catalog.services if service.queues]
    found = {**given, "IEC_QUEUE_URL": where.url}
    if given.get("SERVICE_NAMESPACE") not in names and names:
        found["SERVICE_NAMESPACE"] = (declaring or names)[0]
    return found


async def _hold_what_is_gone(engine: Engine) -> dict[str, str]:
    """Hold the jobs for targets on which nothing listens any more; return those targets by namespace."""
    services = engine.catalog.services
    are_there = await asyncio.gather(*(tcp_connect.listens(service.target) for service in services))
    there = tuple(service for service, is_there in zip(services, are_there, strict=True) if is_there)
    engine.use(replace(engine.catalog, services=there))
    return {service.namespace: service.target for service in services if service not in there}
