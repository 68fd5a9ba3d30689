"""Serve the routes under /_localqueue: what only localqueue has."""

from __future__ import annotations

import functools
from typing import Any

from starlette.routing import Mount

from localqueue import api, dashboard, openapi, operation
from localqueue.control import jobs, queues, status, streaming, time
from localqueue.control.board import Board
from localqueue.control.context import Context, Place
from localqueue.control.feed import Feed
from localqueue.control.metrics import Metrics
from localqueue.engine import Engine

PREFIX = "/_localqueue"
OPERATIONS = (
    *status.OPERATIONS,
    *queues.OPERATIONS,
    *jobs.OPERATIONS,
    *time.OPERATIONS,
    *streaming.OPERATIONS,
)


@functools.cache
def description() -> dict[str, Any]:
    """Return the OpenAPI document of every route, production's too."""
    return openapi.document([("", api.OPERATIONS), (PREFIX, OPERATIONS)])


def routes(engine: Engine, place: Place) -> Mount:
    """Return every route under /_localqueue."""
    context = Context(engine, place, Feed(engine), Board(engine), Metrics(engine), description)
    return Mount(PREFIX, routes=[*operation.routes(OPERATIONS, context), *dashboard.routes()])
