"""Serve how the server is."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

import localqueue
from localqueue.api import metrics, schemas, serializers
from localqueue.api.context import Context
from localqueue.api.routing import Operation
from localqueue.core.models import Catalog, JobState
from localqueue.core.times import iso
from localqueue.engine.snapshots import QueueSnapshot


async def status(context: Context, _: Request) -> Response:
    """Answer with everything that tells whether the server is well."""
    engine, board = context.engine, context.board
    queues = await engine.queues()
    return serializers.json_response(
        {
            "name": "localqueue",
            "version": localqueue.__version__,
            "pid": os.getpid(),
            "url": context.place.url,
            "uptimeMs": board.uptime_ms,
            "now": iso(engine.now()),
            "clock": engine.clock.mode,
            "stopping": engine.is_stopping,
            "storage": {
                "path": str(context.place.db.absolute()),
                "sizeBytes": _size(context.place.db),
                "ephemeral": context.place.is_ephemeral,
                "error": engine.storage_error,
            },
            "services": await _services(context),
            "catalog": {
                "refused": [serializers.finding(each) for each in board.refused],
                "warnings": [serializers.finding(each) for each in engine.catalog.warnings],
            },
            "counts": _counts(queues),
            "warnings": [{"at": iso(each.at_ms), "message": each.message} for each in board.warnings],
            "exports": _exports(context.place.url, engine.catalog),
        }
    )


async def show_metrics(context: Context, _: Request) -> Response:
    """Answer with every number in Prometheus' text format."""
    text = context.metrics.text(await context.engine.queues())
    return Response(text.encode("utf-8", "replace"), media_type=metrics.MEDIA_TYPE)


async def describe(context: Context, _: Request) -> Response:
    """Answer with the description of every route."""
    return serializers.json_response(context.description())


async def _services(context: Context) -> list[dict[str, Any]]:
    services = context.engine.catalog.services
    listening = await context.board.listening(each.target for each in services)
    return [
        {
            "namespace": each.namespace,
            "target": each.target,
            "listening": listening[each.target],
            "catalog": each.path,
            "queues": len(each.queues),
        }
        for each in services
    ]


def _counts(queues: Iterable[QueueSnapshot]) -> dict[str, int]:
    counts = dict.fromkeys(JobState, 0)
    for queue in queues:
        for state, count in queue.counts.items():
            counts[state] += count
    return {state.value: count for state, count in counts.items()}


def _exports(url: str, catalog: Catalog) -> dict[str, str]:
    """Return what belongs into the environment of the service; of several, of the first that has queues."""
    names = [each.namespace for each in catalog.services if each.queues]
    return {"IEC_QUEUE_URL": url, **({"SERVICE_NAMESPACE": names[0]} if names else {})}


def _size(db: Path) -> int:
    """Return how many bytes the database takes, with its log."""
    return sum(path.stat().st_size for path in (db, Path(f"{db}-wal")) if path.exists())


OPERATIONS = (
    Operation(
        "GET", "/status", status, "Tell how the server is", schemas.ref("Status"), errors=("storage_unavailable",)
    ),
    Operation(
        "GET",
        "/metrics",
        show_metrics,
        "Show numbers for Prometheus, in its text format",
        schemas.TEXT,
        errors=("storage_unavailable",),
        media_type=metrics.MEDIA_TYPE,
    ),
    Operation("GET", "/openapi.json", describe, "Describe every route (OpenAPI 3.1)", {"type": "object"}),
)
