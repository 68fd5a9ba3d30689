"""The control API: every route under /_localqueue."""

from __future__ import annotations

import functools
from typing import Any

from starlette.routing import Mount

from localqueue.api import openapi, routing
from localqueue.api.context import Context, ServerInfo
from localqueue.api.event_buffer import EventBuffer
from localqueue.api.metrics import Metrics
from localqueue.api.recent_attempts import RecentHistory
from localqueue.api.routes import bulk, clock, events, faults, jobs, production, queues, schedules, status
from localqueue.api.status_tracker import StatusTracker
from localqueue.dashboard import routes as dashboard
from localqueue.engine.engine import Engine

PREFIX = "/_localqueue"
# Routes are tried in this order, so tests find what they call most at the beginning.
OPERATIONS = (
    *clock.OPERATIONS,
    *bulk.OPERATIONS,  # before the routes of one job: `/jobs/counts` looks like one
    *jobs.OPERATIONS,
    *queues.OPERATIONS,
    *faults.OPERATIONS,
    *schedules.OPERATIONS,
    *status.OPERATIONS,
    *events.OPERATIONS,
)


@functools.cache
def document() -> dict[str, Any]:
    """Return the OpenAPI document of both APIs."""
    return openapi.document([("", production.OPERATIONS), (PREFIX, OPERATIONS)])


def routes(engine: Engine, info: ServerInfo) -> Mount:
    """Return every route under /_localqueue."""
    context = Context(
        engine, info, EventBuffer(engine), StatusTracker(engine), Metrics(engine), RecentHistory(engine), document
    )
    return Mount(PREFIX, routes=[*routing.routes(OPERATIONS, context), *dashboard.routes()])
