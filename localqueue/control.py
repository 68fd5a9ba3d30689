"""Serve the routes under /_localqueue: what only localqueue has."""

from __future__ import annotations

import os
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

import localqueue
from localqueue import answers, dashboard, steering
from localqueue.engine import Engine
from localqueue.errors import InvalidRequest
from localqueue.models import JobState
from localqueue.store import Filter
from localqueue.text import iso, safe

PAGE_LIMIT = 200
PARAMETERS = ("namespace", "queue", "state", "limit", "after")


def routes(engine: Engine, is_own: Callable[[str], bool]) -> Mount:
    """Return every route under /_localqueue."""

    async def status(_: Request) -> Response:
        return answers.reply(
            {
                "name": "localqueue",
                "version": localqueue.__version__,
                "pid": os.getpid(),
                "now": iso(engine.now()),
                "clock": engine.clock.mode,
                "storage": {"error": engine.storage_error},
                "services": [
                    {"namespace": each.namespace, "target": each.target, "catalog": each.path}
                    for each in engine.catalog.services
                ],
            }
        )

    async def queues(_: Request) -> Response:
        targets = engine.catalog.targets
        found = await engine.queues()
        return answers.reply({"queues": [answers.queue(each, targets.get(each.key[0])) for each in found]})

    async def jobs(request: Request) -> Response:
        chosen = _filter(request)
        found = await engine.jobs(chosen)
        cursor = str(found[-1].job.seq) if len(found) == chosen.limit else None
        return answers.reply({"jobs": [answers.job(each) for each in found], "next": cursor})

    async def job(request: Request) -> Response:
        view, attempts = await engine.job(request.path_params["id"])
        return answers.raw(answers.whole_job(view, attempts, await engine.data(view.job)))

    async def data(request: Request) -> Response:
        view, _ = await engine.job(request.path_params["id"])
        response = answers.raw(await engine.data(view.job))
        response.headers["Content-Disposition"] = "attachment"
        return response

    async def retry(request: Request) -> Response:
        return answers.reply(answers.job(engine.view(await engine.retry(request.path_params["id"]))))

    async def cancel(request: Request) -> Response:
        return answers.reply(answers.job(engine.view(await engine.cancel(request.path_params["id"]))))

    return Mount(
        "/_localqueue",
        routes=[
            Route("/status", status),
            Route("/queues", queues),
            Route("/jobs", jobs),
            Route("/jobs/{id}", job),
            Route("/jobs/{id}/data", data),
            Route("/jobs/{id}/retry", retry, methods=["POST"]),
            Route("/jobs/{id}/cancel", cancel, methods=["POST"]),
            *steering.routes(engine, is_own),
            *dashboard.routes(),
        ],
    )


def _filter(request: Request) -> Filter:
    given = request.query_params
    for name in given:
        if name not in PARAMETERS:
            raise InvalidRequest(f"unknown parameter {safe(name)!r}; known: {', '.join(PARAMETERS)}")
    return Filter(
        namespace=given.get("namespace"),
        queue=given.get("queue"),
        state=_state(given.get("state")),
        limit=_whole_number("limit", given.get("limit"), PAGE_LIMIT) or 50,
        after=_whole_number("after", given.get("after"), 2**62),
    )


def _state(given: str | None) -> JobState | None:
    if given is None:
        return None
    try:
        return JobState(given)
    except ValueError:
        raise InvalidRequest(f"expected state to be one of {', '.join(JobState)}, got {safe(given)!r}") from None


def _whole_number(name: str, given: str | None, largest: int) -> int | None:
    if given is None:
        return None
    if given.isascii() and given.isdigit() and len(given) < 20 and 1 <= int(given) <= largest:
        return int(given)
    raise InvalidRequest(f"expected {name} to be a number from 1 to {largest}, got {safe(given)!r}")
