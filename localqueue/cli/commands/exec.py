"""`localqueue exec`: run a command with a separate queue, for tests in any language."""

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
from localqueue.cli.options import DURATION
from localqueue.cli.output import run_summary
from localqueue.cli.output.banner import headline
from localqueue.cli.output.progress import Progress
from localqueue.cli.output.run_summary import RunSummary, Undeliverable
from localqueue.cli.run_recorder import RunRecorder
from localqueue.cli.server_options import catalog_loader, checked_settings, explain, make_log, server_options
from localqueue.core import events
from localqueue.core.errors import CommandNotRun, StartError, Unavailable
from localqueue.core.models import Catalog, JobState
from localqueue.core.settings import Settings
from localqueue.engine.engine import Engine
from localqueue.server import event_loop, server, sockets

SETTLE_MS = 200
"""How long no job may arrive before the run is over: handlers may respond first and enqueue afterwards."""
PROGRESS_S = 0.25
UNFINISHED = tuple(state for state in JobState if not state.is_finished)


@click.command("exec", context_settings={"allow_interspersed_args": False})
@server_options(port=0, db=None, grace=0.0, wait_for_service=None)
@click.option("--allow-failed", is_flag=True, envvar="LOCALQUEUE_ALLOW_FAILED", help="Exit 0 even if jobs failed.")
@click.option("--no-wait", is_flag=True, envvar="LOCALQUEUE_NO_WAIT", help="Don't wait for jobs after COMMAND.")
@click.option(
    "--wait-timeout",
    type=DURATION,
    default="60s",
    show_default=True,
    envvar="LOCALQUEUE_WAIT_TIMEOUT",
    help="How long to wait for jobs after COMMAND, in real time.",
)
@click.argument("command", nargs=-1, required=True, metavar="-- COMMAND...", type=click.UNPROCESSED)
def execute(command: tuple[str, ...], allow_failed: bool, no_wait: bool, wait_timeout: int, **options: Any) -> None:
    """Run COMMAND with a separate queue.

    By default the queue uses a free port and a temporary file. COMMAND gets IEC_QUEUE_URL and, if there is one
    service, SERVICE_NAMESPACE. After COMMAND, localqueue waits for its jobs if the service still responds, and prints
    every attempt. localqueue's own output goes to stderr.

    The exit code is COMMAND's. If that is 0, it is 1 if a job failed, was left after a failed attempt, did not finish
    in time, or was for a service that never listened.
    """
    settings = checked_settings(_with_defaults(options))
    paths, load = catalog_loader(settings)
    run = Run(command, settings, None if no_wait else wait_timeout, allow_failed)
    try:
        event_loop.run(run.main(paths, load))
    except (StartError, Unavailable) as error:
        raise SystemExit(explain(error)) from None
    except CommandNotRun as error:
        explain(error)
        raise SystemExit(error.exit_code) from None
    finally:
        run.finish_output()
    sys.exit(run.exit_code)


def _with_defaults(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options with those defaults of `exec` that depend on other options."""
    chosen = dict(options)
    if chosen["db"] is None:
        del chosen["db"]
        chosen["ephemeral"] = True
    if chosen["wait_for_service"] is None:
        chosen["wait_for_service"] = chosen["clock"] == "wall"
    return chosen


class Run:
    """A run of COMMAND with its server, and the `exit_code` that follows from it."""

    def __init__(
        self, command: Sequence[str], settings: Settings, wait_ms: int | None, is_failure_allowed: bool
    ) -> None:
        self._command = command
        self._settings = settings
        self._wait_ms = wait_ms
        self._is_failure_allowed = is_failure_allowed
        self._progress = Progress()
        self._log = make_log(settings, self._progress.line, sys.stderr, headline, has_summary=True)
        self._recorder = RunRecorder()
        self._child: child_process.Child | None = None
        self._stop_requested = asyncio.Event()
        self._is_over = False
        self.exit_code = 0

    def finish_output(self) -> None:
        """Write what waits for a reader."""
        self._progress.finish()

    async def main(self, paths: list[Path], load: Callable[[], Catalog]) -> None:
        """Run everything. Raises StartError, CommandNotRun."""
        with child_process.passing_signals(self._on_signal):
            await server.serve(server.ServerConfig(self._settings, load, paths, self._on_event), self._use)

    def _on_signal(self, kind: int) -> None:
        """Pass a signal on to COMMAND while it runs; before and after, it ends the run."""
        if self._child is not None:
            self._child.pass_on(kind)
        if kind in child_process.STOP_SIGNALS:
            self._stop_requested.set()
            if self._child is None or not self._child.is_running:
                self.exit_code = self.exit_code or 128 + kind

    def _on_event(self, event: events.Event) -> None:
        self._recorder(event)
        if not self._is_over and not isinstance(event, events.Stopping):  # the summary is the end of the log
            self._log(event)

    async def _use(self, where: server.RunningServer, engine: Engine) -> None:
        if self._stop_requested.is_set():
            return
        self._log.ready(where, engine.catalog)
        environ = environment(where, engine.catalog, os.environ)
        self._note_namespace(engine.catalog)
        self._child = child_process.Child(self._command, environ)
        sockets.raise_file_limit()  # after the start, or COMMAND would inherit it
        engine.watch_services()
        try:
            self.exit_code = await self._child.wait()
            undeliverable = await self._hold_undeliverable(engine)
            reason = await self._wait(engine)
            failed, rejections = self._recorder.failed, self._recorder.rejections
            self._conclude(await run_summary.summarize_run(engine, failed, rejections, undeliverable, reason))
        finally:
            if await self._child.end() and self._settings.log != "json":
                self._progress.line("localqueue: ended the processes that COMMAND had left running")

    def _note_namespace(self, catalog: Catalog) -> None:
        names = _namespaces(catalog)
        if len(names) > 1 and self._settings.log != "json":
            text = f"SERVICE_NAMESPACE isn't set for COMMAND, because there are several services: {', '.join(names)}"
            self._progress.line(f"localqueue: {text}")

    async def _hold_undeliverable(self, engine: Engine) -> Undeliverable:
        """Hold the jobs for targets on which nothing listens, and return what isn't delivered."""
        paused = [queue.key for queue in await engine.queues() if queue.held == "paused"]
        services = engine.catalog.services
        listening = await engine.services.probe()
        engine.use(
            replace(engine.catalog, services=tuple(service for service in services if listening[service.namespace]))
        )
        gone = {service.namespace: service.target for service in services if not listening[service.namespace]}
        return Undeliverable(
            paused, gone, [namespace for namespace in gone if not engine.services.has_listened(namespace)]
        )

    async def _wait(self, engine: Engine) -> str:
        """Wait until every job has finished; return why the others haven't."""
        was_stopped = self.exit_code - 128 in child_process.STOP_SIGNALS
        if self._wait_ms is None or self._stop_requested.is_set() or was_stopped:
            return run_summary.NOT_WAITED_FOR
        settle_ms = SETTLE_MS if engine.catalog.services else 0
        waiting = asyncio.create_task(engine.drain(self._wait_ms, settle_ms))
        stop = asyncio.create_task(self._stop_requested.wait())
        while not (waiting.done() or stop.done()):
            await self._show_progress(engine)
            await asyncio.wait([waiting, stop], timeout=PROGRESS_S, return_when=asyncio.FIRST_COMPLETED)
        self._progress.hide()
        is_cut_off = waiting.cancel()
        stop.cancel()
        await asyncio.gather(waiting, stop, return_exceptions=True)
        is_timed_out = not is_cut_off and waiting.result().stopped_by == "timeout"
        return run_summary.TIMED_OUT if is_timed_out else run_summary.NOT_WAITED_FOR

    async def _show_progress(self, engine: Engine) -> None:
        if self._progress.is_terminal and self._settings.log != "json":
            queues = await engine.queues()
            counts = {state: sum(queue.counts[state] for queue in queues if queue.held is None) for state in UNFINISHED}
            text = ", ".join(f"{number} {state}" for state, number in counts.items() if number)
            self._progress.show(f"localqueue: waiting for jobs: {text or 'none left'} (Ctrl-C to stop waiting)")

    def _conclude(self, summary: RunSummary) -> None:
        self._is_over = True  # what the stop cuts off isn't logged any more
        problems = summary.problems(self._is_failure_allowed)
        command_code, self.exit_code = self.exit_code, self.exit_code or int(bool(problems))
        is_json = self._settings.log == "json"
        for line in summary.json_lines(self.exit_code) if is_json else summary.lines():
            self._progress.line(line)
        if problems and not command_code and not is_json:
            self._progress.line(f"localqueue: exit code 1: {'; '.join(problems)}")
            if summary.waits_for_retries and self._settings.clock == "wall":
                self._progress.line(
                    "localqueue: retries wait in real time; to run them without the delays, add: --clock virtual"
                )


def _namespaces(catalog: Catalog) -> list[str]:
    declaring = [service.namespace for service in catalog.services if service.queues]
    return declaring or [service.namespace for service in catalog.services]


def environment(where: server.RunningServer, catalog: Catalog, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of COMMAND: with one service it names its namespace, with several it names none."""
    inherited = {name: value for name, value in environ.items() if name != "SERVICE_NAMESPACE"}
    names = _namespaces(catalog)
    only = {"SERVICE_NAMESPACE": names[0]} if len(names) == 1 else {}
    return {**inherited, "IEC_QUEUE_URL": where.url, **only}
