"""`localqueue check`: say what is wrong with catalog files."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from localqueue.api import serializers
from localqueue.catalog import loader
from localqueue.core.errors import CatalogError
from localqueue.core.models import Catalog, Finding

NO_CATALOG = (
    "no catalog found: expected ./catalog-info.yaml or */catalog-info.yaml.\n"
    "Name one with --catalog FILE, or declare queues in a new one:\n\n"
    "  apiVersion: backstage.io/v1alpha1\n  kind: Component\n  metadata: {name: my-service}\n"
    "  spec:\n    queues:\n      - {name: my-queue, endpoint: /internal/jobs/my-queue}\n"
)


@click.command()
@click.argument("files", nargs=-1, metavar="[FILE]...", type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(["text", "json", "github"]), default="text")
def check(files: tuple[Path, ...], form: str) -> None:
    """Say what is wrong with catalog files; exit code 1 if anything is."""
    paths = list(files) or [path.relative_to(Path.cwd()) for path in loader.discover(Path.cwd())]
    if not paths:
        raise click.ClickException(NO_CATALOG)
    found, findings = _load(paths)
    if form == "json":
        click.echo(json.dumps(_as_json(found, findings), indent=2))
    else:
        for finding in findings:
            click.echo(_as_github(finding) if form == "github" else str(finding))
    if form == "text":
        click.echo(_summary(paths, found, findings))
    sys.exit(int(any(finding.is_error for finding in findings)))


def _load(paths: list[Path]) -> tuple[Catalog, tuple[Finding, ...]]:
    try:
        found = loader.load(paths, environ={})
    except CatalogError as error:
        return Catalog(), error.findings
    return found, found.warnings


def _summary(paths: list[Path], found: Catalog, findings: tuple[Finding, ...]) -> str:
    errors = sum(finding.is_error for finding in findings)
    warnings = len(findings) - errors
    files = f"{len(paths)} file{'s' * (len(paths) != 1)}"
    if errors:
        return f"{files}: {errors} error{'s' * (errors != 1)}, {warnings} warning{'s' * (warnings != 1)}"
    return f"{files}: {len(found.queues)} queue{'s' * (len(found.queues) != 1)}, {warnings} warning(s)"


def _as_json(found: Catalog, findings: tuple[Finding, ...]) -> dict[str, object]:
    return {
        "findings": [
            {
                "file": each.file,
                "line": each.line,
                "column": each.column,
                "code": each.code,
                "message": each.message,
                "level": "error" if each.is_error else "warning",
            }
            for each in findings
        ],
        "services": [
            {
                "namespace": service.namespace,
                "target": service.target,
                "queues": [{"name": queue.name, **serializers.queue_settings(queue)} for queue in service.queues],
            }
            for service in found.services
        ],
    }


def _as_github(finding: Finding) -> str:
    level = "error" if finding.is_error else "warning"
    message = f"{finding.code} {finding.message}".replace("%", "%25")
    file = finding.file.replace("%", "%25").replace(":", "%3A").replace(",", "%2C")
    return f"::{level} file={file},line={finding.line},col={finding.column}::{message}"
