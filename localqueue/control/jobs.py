"""Serve jobs: list them, show one, cancel, retry and replay."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import Response

from localqueue import answers, body, envelope, query
from localqueue.control.context import Context
from localqueue.errors import InvalidRequest
from localqueue.models import Job, JobState
from localqueue.operation import Operation
from localqueue.query import Parameter
from localqueue.store.listing import Filter
from localqueue.text import safe

PAGE_LIMIT = 200
PAGE = 50
_PART_OF_ID = re.compile(r"[0-9a-f-]{1,36}")


async def list_jobs(context: Context, request: Request) -> Response:
    """Answer with a page of jobs."""
    jobs = context.engine.jobs
    page = await jobs.page(_filter(request))
    glimpses = await jobs.glimpses(page.jobs)
    listed = [answers.listed_job(each, glimpses.get(each.job.seq)) for each in page.jobs]
    return answers.reply({"jobs": listed, "next": None if page.next is None else str(page.next)})


async def show(context: Context, request: Request) -> Response:
    """Answer with a job, its data and its attempts."""
    jobs = context.engine.jobs
    job = await jobs.find(request.path_params["id"])
    attempts, data = await jobs.attempts(job), await jobs.data(job)
    return answers.raw(answers.whole_job(jobs.view(job), attempts, data))


async def show_data(context: Context, request: Request) -> Response:
    """Answer with the bytes of `data`."""
    jobs = context.engine.jobs
    response = answers.raw(await jobs.data(await jobs.find(request.path_params["id"])))
    response.headers["Content-Disposition"] = "attachment"
    return response


async def cancel(context: Context, request: Request) -> Response:
    """Cancel a job."""
    await body.read_object(request, ())
    return _job(context, await context.engine.jobs.cancel(request.path_params["id"]))


async def retry(context: Context, request: Request) -> Response:
    """Start a new round of a job."""
    await body.read_object(request, ())
    return _job(context, await context.engine.jobs.retry(request.path_params["id"]))


async def retry_failed(context: Context, request: Request) -> Response:
    """Start a new round of every failed job."""
    given = await body.read_object(request, ("namespace", "queue"))
    for name, value in given.items():
        if not isinstance(value, str):
            raise InvalidRequest(f"expected {name} to be a string, got {safe(str(value), 60)}")
    return answers.reply({"retried": await context.engine.retry_failed(**given)})


async def replay(context: Context, request: Request) -> Response:
    """Enqueue a new job like this one."""
    data = envelope.parse_replay(await body.read(request, context.place.max_body))
    return _job(context, await context.engine.replay(request.path_params["id"], data), 201)


def _job(context: Context, job: Job, status: int = 200) -> Response:
    return answers.reply(answers.job(context.engine.jobs.view(job)), status)


def _filter(request: Request) -> Filter:
    state = query.one_of(request, "state", tuple(JobState))
    return Filter(
        namespace=request.query_params.get("namespace"),
        queue=request.query_params.get("queue"),
        state=None if state is None else JobState(state),
        id=_part_of_id(request.query_params.get("id")),
        limit=query.whole_number(request, "limit", PAGE_LIMIT) or PAGE,
        after=query.whole_number(request, "after", 2**62),
    )


def _part_of_id(given: str | None) -> str | None:
    if given is None or _PART_OF_ID.fullmatch(given.lower()):
        return None if given is None else given.lower()
    raise InvalidRequest(f"expected id to be the beginning of an id or a short id, got {safe(given)!r}")


NAMESPACE = Parameter("namespace", "Only jobs of this namespace.")
QUEUE = Parameter("queue", "Only jobs of this queue.")
OPERATIONS = (
    Operation(
        "GET",
        "/jobs",
        list_jobs,
        "List jobs, newest first.",
        (
            NAMESPACE,
            QUEUE,
            Parameter("state", "Only jobs in this state."),
            Parameter("id", "Only jobs whose id or short id begins so."),
            Parameter("limit", "How many at the most."),
            Parameter("after", "Where the page begins: `next` of the page before."),
        ),
    ),
    Operation("POST", "/jobs/retry", retry_failed, "Retry all failed jobs."),
    Operation("GET", "/jobs/{id}", show, "Show a job."),
    Operation("GET", "/jobs/{id}/data", show_data, "Show the bytes of a job's data."),
    Operation("POST", "/jobs/{id}/retry", retry, "Retry a job."),
    Operation("POST", "/jobs/{id}/cancel", cancel, "Cancel a job."),
    Operation("POST", "/jobs/{id}/replay", replay, "Enqueue a job again."),
)
