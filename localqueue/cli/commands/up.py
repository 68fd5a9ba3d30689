"""`localqueue up`: run the queue beside a service."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import click

from localqueue.catalog import loader
from localqueue.cli.commands.check import NO_CATALOG
from localqueue.cli.output.event_log import Banner, JsonLog, TextLog, Write, banner
from localqueue.cli.output.terminal import painter, terminal_width
from localqueue.core.errors import CatalogError, LocalqueueError, StartError
from localqueue.core.models import Catalog
from localqueue.core.settings import OPTIONS, Option, Settings
from localqueue.engine.engine import Engine
from localqueue.server import event_loop, server, sockets
from localqueue.server.signals import handling_stop_signals


def options(**defaults: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command every option of the table; `defaults` are those in which it differs from Settings."""
    defaults = {field.name: field.default for field in dataclasses.fields(Settings)} | defaults

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        for option in reversed(OPTIONS):
            command = _click_option(option, defaults[option.name])(command)
        return command

    return decorate


def _click_option(option: Option, default: Any) -> Callable[[Any], Any]:
    shown = not option.many and not option.flag and default is not None
    return click.option(
        option.flag_name,
        option.name,
        help=option.help,
        metavar=option.metavar or None,
        multiple=option.many,
        is_flag=option.flag,
        type=None if option.flag else _type(option),
        default=default,
        show_default=shown,
        envvar=option.env,
    )


def _type(option: Option) -> click.ParamType[Any]:
    if option.choices:
        return click.Choice(option.choices)
    if option.kind is Path:
        return click.Path(path_type=Path)
    if option.kind is int:
        return click.IntRange(_int(option.minimum), _int(option.maximum))
    if option.kind is float:
        return click.FloatRange(option.minimum, option.maximum)
    return click.STRING


def _int(bound: float | None) -> int | None:
    return None if bound is None else int(bound)


@click.command()
@options()
def up(**given: Any) -> None:
    """Run the queue beside your service.

    It accepts jobs, delivers them to your service, and retries as in production.
    """
    settings = checked(Settings(**given))
    paths, load = catalog_loader(settings)
    sockets.raise_file_limit()
    try:
        event_loop.run(_serve(settings, paths, load, make_report(settings, _write, sys.stdout)))
    except StartError as error:
        raise SystemExit(explain(error)) from None


async def _serve(settings: Settings, paths: list[Path], load: Callable[[], Catalog], report: TextLog | JsonLog) -> None:
    with handling_stop_signals() as signals:

        async def use(where: server.RunningServer, engine: Engine) -> None:
            with server.announced(where):
                report.ready(where, engine.catalog)
                event_loop.relax_garbage_collection()
                await signals.first.wait()

        await server.serve(server.ServerConfig(settings, load, paths, report, skip_grace=signals.second), use)


def checked(settings: Settings) -> Settings:
    """Return the settings. Raises UsageError where they do not go together."""
    if problem := settings.problem():
        raise click.UsageError(problem)
    return settings


def explain(error: LocalqueueError) -> int:
    """Write why the server could not start, or go on; return the exit code."""
    if isinstance(error, CatalogError):
        for finding in error.findings:
            click.echo(str(finding), err=True)
    else:
        click.echo(f"localqueue: {error.message}", err=True)
    if error.hint:
        click.echo(error.hint, err=True)
    return 1


def catalog_loader(settings: Settings) -> tuple[list[Path], Callable[[], Catalog]]:
    """Return the catalog files, and what reads them under these settings. Raises UsageError."""
    paths = list(settings.catalog) or [path.relative_to(Path.cwd()) for path in loader.discover(Path.cwd())]
    if not paths:
        raise click.ClickException(NO_CATALOG)
    try:
        single, named = loader.split_targets(settings.target)
    except ValueError as error:
        raise click.UsageError(f"--target: {error}") from None

    def load() -> Catalog:
        return loader.load(paths, namespace=settings.namespace, target=single, targets=named)

    return paths, load


def make_report(settings: Settings, write: Write, stream: TextIO, banner: Banner = banner) -> TextLog | JsonLog:
    """Return what tells of events under these settings; `stream` is where `write` leads."""
    if settings.log == "json":
        return JsonLog(write, is_quiet=settings.quiet)
    colours = painter(settings.no_color, stream)
    return TextLog(write, is_quiet=settings.quiet, paint=colours, columns=terminal_width(stream), banner=banner)


def _write(line: str) -> None:
    """Write a line at once; a closed output stops nothing."""
    try:
        print(line, flush=True)
    except (BrokenPipeError, ValueError):
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
