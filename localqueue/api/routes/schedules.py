"""Schedules: list them, and fire one now."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from localqueue.api import requests, responses, schemas, serializers
from localqueue.api.context import Context
from localqueue.api.routing import Operation


async def list_schedules(context: Context, _: Request) -> Response:
    """Respond with every schedule."""
    schedules = context.engine.schedules
    listed = [serializers.schedule(snapshot) for snapshot in schedules.snapshots()]
    return responses.json_response({"enabled": schedules.is_enabled, "schedules": listed})


async def trigger(context: Context, request: Request) -> Response:
    """Fire a schedule now."""
    await requests.read_object(request, ())
    names = request.path_params
    firing = await context.engine.schedules.trigger(names["namespace"], names["name"])
    return responses.json_response(serializers.firing(firing))


OPERATIONS = (
    Operation(
        "GET",
        "/schedules",
        list_schedules,
        "List the schedules of the catalogs",
        schemas.record(
            enabled=schemas.said(schemas.FLAG, "whether the clock fires them (`--schedules`)"),
            schedules=schemas.list_of(schemas.ref("Schedule")),
        ),
    ),
    Operation(
        "POST",
        "/schedules/{namespace}/{name}/trigger",
        trigger,
        "Fire a schedule now",
        schemas.ref("Firing"),
        description="Responds when the service has responded. A firing isn't a job and isn't retried.",
        body=schemas.NOTHING,
        errors=("unknown_schedule", "wrong_state", "out_of_resources"),
    ),
)
