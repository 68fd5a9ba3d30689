"""`localqueue check`: validate catalog files."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from localqueue.api import serializers
from localqueue.catalog import linter, loader
from localqueue.cli.server_options import catalog_files
from localqueue.core.errors import CatalogError
from localqueue.core.models import Catalog, Finding
from localqueue.core.text import counted


@click.command()
@click.argument("files", nargs=-1, metavar="[FILE]...", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    show_default=True,
    help="Output format; github prints annotations for GitHub Actions.",
)
def check(files: tuple[Path, ...], form: str) -> None:
    """Validate catalog files; exits 1 if there are errors.

    A FILE can be a file, a folder or a glob. Default: the catalogs that `localqueue up` would use.
    """
    paths, notes = catalog_files(files)
    catalog, findings = _load(paths)
    findings = tuple(
        sorted(
            (*notes, *findings, *linter.lint(paths)), key=lambda finding: (finding.file, finding.line, finding.column)
        )
    )
    is_empty = not any(service.queues or service.schedules for service in catalog.services)
    has_errors = any(finding.is_error for finding in findings)
    if form == "json":
        click.echo(json.dumps(_as_json(catalog, findings), indent=2))
    else:
        for finding in findings:
            click.echo(_as_github(finding) if form == "github" else str(finding))
    if form == "text":
        click.echo(_summary(paths, catalog, findings))
    if is_empty and not has_errors:
        click.echo("Error: nothing to check: no queues and no schedules are declared under spec", err=True)
    sys.exit(int(has_errors or is_empty))


def _load(paths: list[Path]) -> tuple[Catalog, tuple[Finding, ...]]:
    try:
        catalog = loader.load(paths)
    except CatalogError as error:
        return Catalog(), error.findings
    return catalog, catalog.warnings


def _summary(paths: list[Path], catalog: Catalog, findings: tuple[Finding, ...]) -> str:
    errors = sum(finding.is_error for finding in findings)
    parts = [counted(len(paths), "file")]
    if errors:
        parts.append(counted(errors, "error"))
    else:
        parts += [counted(len(catalog.queues), "queue")]
        parts += [counted(len(catalog.schedules), "schedule")] if catalog.schedules else []
    parts.append(counted(len(findings) - errors, "warning"))
    return ", ".join(parts)


def _as_json(catalog: Catalog, findings: tuple[Finding, ...]) -> dict[str, object]:
    return {
        "findings": [
            {
                "file": finding.file,
                "line": finding.line,
                "column": finding.column,
                "code": finding.code,
                "message": finding.message,
                "level": "error" if finding.is_error else "warning",
            }
            for finding in findings
        ],
        "services": [
            {
                "namespace": service.namespace,
                "target": service.target,
                "queues": [{"name": queue.name, **serializers.queue_settings(queue)} for queue in service.queues],
                "schedules": [serializers.schedule_settings(schedule) for schedule in service.schedules],
            }
            for service in catalog.services
        ],
    }


def _as_github(finding: Finding) -> str:
    level = "error" if finding.is_error else "warning"
    message = f"{finding.code} {finding.message}".replace("%", "%25")
    file = finding.file.replace("%", "%25").replace(":", "%3A").replace(",", "%2C")
    return f"::{level} file={file},line={finding.line or 1},col={finding.column or 1}::{message}"
