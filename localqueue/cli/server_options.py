"""The options of the commands that run a server: from the table of options to click, and to a catalog."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import click

from localqueue.catalog import discovery, loader, targets
from localqueue.cli import port_holder
from localqueue.cli.output.banner import banner
from localqueue.cli.output.event_log import Banner, Detail, JsonLog, TextLog, Write
from localqueue.cli.output.terminal import painter, terminal_width
from localqueue.cli.output.time_format import TimeFormat
from localqueue.core.errors import CatalogError, LocalqueueError, PortInUse
from localqueue.core.models import Catalog
from localqueue.core.settings import OPTIONS, Option, Settings

NO_CATALOG = (
    "no catalog found: there is no catalog-info.yaml that declares queues, here or up to three levels below.\n"
    "Use --catalog FILE, or create one:\n\n"
    "  apiVersion: backstage.io/v1alpha1\n  kind: Component\n  metadata: {name: my-service}\n"
    "  spec:\n    queues:\n      - {name: my-queue, endpoint: /internal/jobs/my-queue}\n"
    "    internalDependencies:\n      - {service: iec-queue}\n"
)


def server_options(**defaults: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command every option of the table; `defaults` are those in which it differs from Settings."""
    defaults = {field.name: field.default for field in dataclasses.fields(Settings)} | defaults

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        for option in reversed(OPTIONS):
            command = _click_option(option, defaults[option.name])(command)
        return command

    return decorate


def _click_option(option: Option, default: Any) -> Callable[[Any], Any]:
    return click.option(
        f"{option.flag_name}/--no-{option.flag_name[2:]}" if option.can_be_off else option.flag_name,
        option.name,
        help=option.help,
        metavar=option.metavar or None,
        multiple=option.many,
        is_flag=option.flag,
        type=None if option.flag else _type(option),
        default=default,
        show_default=not option.many and not option.flag and default is not None,
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


def checked_settings(options: dict[str, Any]) -> Settings:
    """Return the settings. Raises UsageError if options don't go together."""
    settings = Settings(**options)
    if problem := settings.problem():
        raise click.UsageError(problem)
    return settings


def catalog_files(named: tuple[Path, ...]) -> discovery.Discovered:
    """Return the catalog files that are named, or those of the current folder. Raises ClickException."""
    paths, notes = (discovery.expand(named), []) if named else discovery.discover(Path.cwd())
    if not paths:
        skipped = "".join(f"{note}\n" for note in notes)
        raise click.ClickException(skipped + NO_CATALOG)
    return [_relative(path) for path in paths], notes


def _relative(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def catalog_loader(settings: Settings) -> tuple[list[Path], Callable[[], Catalog]]:
    """Return the catalog files, and a function that reads them. Raises UsageError, ClickException."""
    paths, notes = catalog_files(settings.catalog)
    try:
        single, by_namespace = targets.split_targets(settings.target)
    except ValueError as error:
        raise click.UsageError(f"--target: {error}") from None

    def load() -> Catalog:
        catalog = loader.load(paths, namespace=settings.namespace, target=single, targets=by_namespace)
        return dataclasses.replace(catalog, warnings=(*notes, *catalog.warnings))

    return paths, load


def make_log(
    settings: Settings, write: Write, stream: TextIO, banner: Banner = banner, *, has_summary: bool = False
) -> TextLog | JsonLog:
    """Return the listener that writes events; `stream` is where `write` leads.

    With a summary at the end, `--quiet` needs no line for a failed job, and many of them need no hint.
    """
    detail = _detail(settings, has_summary)
    if settings.log == "json":
        return JsonLog(write, detail=detail)
    paint, columns = painter(settings.no_color, stream), terminal_width(stream)
    times = TimeFormat.on(settings.clock, settings.utc)
    return TextLog(
        write,
        detail=detail,
        times=times,
        paint=paint,
        columns=columns,
        banner=banner,
        has_summary=has_summary,
        is_wall=settings.clock == "wall",
    )


def _detail(settings: Settings, has_summary: bool) -> Detail:
    if settings.quiet:
        return Detail.NONE if has_summary else Detail.FAILED_JOBS
    return Detail.FAILURES if settings.log == "failures" else Detail.ALL


def explain(error: LocalqueueError) -> int:
    """Write why the server could not start or had to stop; return the exit code."""
    if isinstance(error, CatalogError):
        for finding in error.findings:
            print(finding, file=sys.stderr)
    else:
        message = port_holder.described(error) if isinstance(error, PortInUse) else error.message
        print(f"Error: {message}", file=sys.stderr)
    if error.hint:
        print(error.hint, file=sys.stderr)
    return 1
