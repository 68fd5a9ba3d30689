"""Status, metrics, refused requests, and the OpenAPI document."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

import localqueue
from localqueue.api import metrics, responses, schemas, serializers
from localqueue.api.context import Context
from localqueue.api.routing import Operation
from localqueue.api.status_tracker import Explained
from localqueue.core.models import Catalog, JobState
from localqueue.core.times import iso
from localqueue.engine.snapshots import QueueSnapshot

SHOWN_REJECTIONS = 20
"""How many reasons of refused requests the status includes."""


async def status(context: Context, _: Request) -> Response:
    """Respond with the server's status."""
    engine, tracker = context.engine, context.tracker
    queues, services = await engine.queues(), await _services(context)
    listening = {service["namespace"] for service in services if service["listening"]}
    return responses.json_response(
        {
            "name": "localqueue",
            "version": localqueue.__version__,
            "pid": os.getpid(),
            "url": context.info.url,
            "uptimeMs": tracker.uptime_ms,
            "now": iso(engine.now()),
            "clock": engine.clock.mode,
            "stopping": engine.is_stopping,
            "storage": {
                "path": str(context.info.db.absolute()),
                "sizeBytes": _size(context.info.db),
                "ephemeral": context.info.is_ephemeral,
                "error": engine.storage_error,
            },
            "services": services,
            "catalog": {
                "refused": [serializers.finding(problem) for problem in tracker.catalog_errors],
                "warnings": [serializers.finding(problem) for problem in engine.catalog.warnings],
            },
            "counts": _counts(queues),
            "warnings": [{"at": iso(warning.at_ms), "message": warning.message} for warning in tracker.warnings],
            "explanations": [_explained(explained) for explained in tracker.explained(listening)],
            "rejected": engine.rejections.total,
            "rejections": [
                serializers.rejection(rejection) for rejection in engine.rejections.newest_first()[:SHOWN_REJECTIONS]
            ],
            "exports": _exports(context.info.url, engine.catalog),
        }
    )


def _explained(explained: Explained) -> dict[str, Any]:
    namespace, queue = explained.key
    return {
        "namespace": namespace,
        "queue": queue,
        "count": explained.count,
        "lastAt": iso(explained.last_ms),
        "explanation": serializers.explanation(explained.explanation),
    }


async def show_metrics(context: Context, _: Request) -> Response:
    """Respond with all metrics in Prometheus' text format."""
    text = context.metrics.text(await context.engine.queues(), context.engine.rejections.by_code)
    return Response(text.encode("utf-8", "replace"), media_type=metrics.MEDIA_TYPE)


async def list_rejections(context: Context, _: Request) -> Response:
    """Respond with the refused requests by reason."""
    rejections = context.engine.rejections
    content = [serializers.rejection(rejection) for rejection in rejections.newest_first()]
    return responses.json_response({"total": rejections.total, "rejections": content})


async def describe(context: Context, _: Request) -> Response:
    """Respond with the OpenAPI document."""
    return responses.json_response(context.document())


async def _services(context: Context) -> list[dict[str, Any]]:
    services = context.engine.catalog.services
    listening = await context.tracker.listening(service.target for service in services)
    return [
        {
            "namespace": service.namespace,
            "target": service.target,
            "listening": listening[service.target],
            "catalog": service.path,
            "queues": len(service.queues),
        }
        for service in services
    ]


def _counts(queues: Iterable[QueueSnapshot]) -> dict[str, int]:
    counts = dict.fromkeys(JobState, 0)
    for queue in queues:
        for state, count in queue.counts.items():
            counts[state] += count
    return {state.value: count for state, count in counts.items()}


def _exports(url: str, catalog: Catalog) -> dict[str, str]:
    """Return the environment of the service; SERVICE_NAMESPACE is left out if several services have queues."""
    names = [service.namespace for service in catalog.services if service.queues]
    return {"IEC_QUEUE_URL": url, **({"SERVICE_NAMESPACE": names[0]} if len(names) == 1 else {})}


def _size(db: Path) -> int:
    """Return the size of the database and its log in bytes."""
    return sum(path.stat().st_size for path in (db, Path(f"{db}-wal")) if path.exists())


OPERATIONS = (
    Operation(
        "GET", "/status", status, "Get the server's status", schemas.ref("Status"), errors=("storage_unavailable",)
    ),
    Operation(
        "GET",
        "/metrics",
        show_metrics,
        "Get metrics in Prometheus' text format",
        schemas.TEXT,
        errors=("storage_unavailable",),
        media_types=(metrics.MEDIA_TYPE,),
    ),
    Operation(
        "GET",
        "/rejections",
        list_rejections,
        "List refused requests by reason, newest first",
        schemas.record(
            total=schemas.said(schemas.COUNT, "refused requests since the last reset"),
            rejections=schemas.list_of(schemas.ref("Rejection")),
        ),
        description="One entry per error code, namespace and queue; the newest 200.",
    ),
    Operation("GET", "/openapi.json", describe, "Get this description (OpenAPI 3.1)", {"type": "object"}),
)
