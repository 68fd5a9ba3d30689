"""Serve the routes under /_localqueue: what only localqueue has."""

from __future__ import annotations

import os
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

import localqueue
from localqueue import answers, dashboard
from localqueue.control import parameters, steering, streaming
from localqueue.control.feed import Feed
from localqueue.engine import Engine
from localqueue.errors import InvalidRequest
from localqueue.models import JobState
from localqueue.store import Filter
from localqueue.text import iso, safe

PAGE_LIMIT = 200


def routes(engine: Engine, is_own: Callable[[str], bool]) -> Mount:
    """Return every route under /_localqueue."""
    feed = Feed(engine)

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
        return answers.reply(answers.queues(await engine.queues(), engine.catalog.targets))

    async def jobs(request: Request) -> Response:
        chosen = _filter(request)
        found = await engine.jobs(chosen)
        cursor = str(found[-1].job.seq) if len(found) == chosen.limit else None
        glimpses = await engine.glimpses(found)
        listed = [answers.listed_job(each, glimpses.get(each.job.seq)) for each in found]
        return answers.reply({"jobs": listed, "next": cursor})

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

    async def follow(request: Request) -> Response:
        return streaming.open_stream(request, feed)

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
            Route("/events", follow),
            *steering.routes(engine, is_own),
            *dashboard.routes(),
        ],
    )


def _filter(request: Request) -> Filter:
    given = parameters.read(request, ("namespace", "queue", "state", "limit", "after"))
    return Filter(
        namespace=given.get("namespace"),
        queue=given.get("queue"),
        state=_state(given.get("state")),
        limit=parameters.whole_number("limit", given.get("limit"), PAGE_LIMIT) or 50,
        after=parameters.whole_number("after", given.get("after"), 2**62),
    )


def _state(given: str | None) -> JobState | None:
    if given is None:
        return None
    try:
        return JobState(given)
    except ValueError:
        raise InvalidRequest(f"expected state to be one of {', '.join(JobState)}, got {safe(given)!r}") from None
