"""Serve jobs: list them, show one, cancel, retry and replay."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import Response

from localqueue.api import requests, schemas, serializers
from localqueue.api.context import Context
from localqueue.api.requests import Parameter
from localqueue.api.routing import Operation
from localqueue.core import envelope
from localqueue.core.errors import InvalidRequest
from localqueue.core.models import Job, JobFilter, JobState
from localqueue.core.text import safe

PAGE_LIMIT = 200
PAGE = 50
_PART_OF_ID = re.compile(r"[0-9a-f-]{1,36}")


async def list_jobs(context: Context, request: Request) -> Response:
    """Answer with a page of jobs."""
    jobs = context.engine.jobs
    page = await jobs.page(_filter(request))
    glimpses = await jobs.previews(page.jobs)
    listed = [serializers.listed_job(each, glimpses.get(each.job.seq)) for each in page.jobs]
    return serializers.json_response({"jobs": listed, "next": None if page.next is None else str(page.next)})


async def show(context: Context, request: Request) -> Response:
    """Answer with a job, its data and its attempts."""
    jobs = context.engine.jobs
    job = await jobs.find(request.path_params["id"])
    attempts, data = await jobs.attempts(job), await jobs.data(job)
    return serializers.json_bytes(serializers.job_with_attempts(jobs.snapshot(job), attempts, data))


async def show_data(context: Context, request: Request) -> Response:
    """Answer with the bytes of `data`."""
    jobs = context.engine.jobs
    response = serializers.json_bytes(await jobs.data(await jobs.find(request.path_params["id"])))
    response.headers["Content-Disposition"] = "attachment"
    return response


async def cancel(context: Context, request: Request) -> Response:
    """Cancel a job."""
    await requests.read_object(request, ())
    return _job(context, await context.engine.jobs.cancel(request.path_params["id"]))


async def retry(context: Context, request: Request) -> Response:
    """Start a new round of a job."""
    await requests.read_object(request, ())
    return _job(context, await context.engine.jobs.retry(request.path_params["id"]))


async def retry_failed(context: Context, request: Request) -> Response:
    """Start a new round of every failed job."""
    given = await requests.read_object(request, ("namespace", "queue"))
    for name, value in given.items():
        if not isinstance(value, str):
            raise InvalidRequest(f"expected {name} to be a string, got {safe(str(value), 60)}")
    return serializers.json_response({"retried": await context.engine.jobs.retry_failed(**given)})


async def replay(context: Context, request: Request) -> Response:
    """Enqueue a new job like this one."""
    data = envelope.parse_replay(await requests.read_body(request, context.place.max_body))
    return _job(context, await context.engine.jobs.replay(request.path_params["id"], data), 201)


def _job(context: Context, job: Job, status: int = 200) -> Response:
    return serializers.json_response(serializers.job(context.engine.jobs.snapshot(job)), status)


def _filter(request: Request) -> JobFilter:
    state = requests.one_of(request, "state", tuple(JobState))
    return JobFilter(
        namespace=request.query_params.get("namespace"),
        queue=request.query_params.get("queue"),
        state=None if state is None else JobState(state),
        id=_part_of_id(request.query_params.get("id")),
        limit=requests.whole_number(request, "limit", PAGE_LIMIT) or PAGE,
        after=requests.whole_number(request, "after", 2**62),
    )


def _part_of_id(given: str | None) -> str | None:
    if given is None or _PART_OF_ID.fullmatch(given.lower()):
        return None if given is None else given.lower()
    raise InvalidRequest(f"expected id to be the beginning of an id or a short id, got {safe(given)!r}")


FINDING = ("unknown_job", "ambiguous_id", "storage_unavailable")
ONE_QUEUE = schemas.options(namespace=schemas.TEXT, queue=schemas.TEXT)
OPERATIONS = (
    Operation(
        "GET",
        "/jobs",
        list_jobs,
        "List jobs, newest first",
        schemas.record(
            jobs=schemas.list_of(schemas.ref("ListedJob")),
            next=schemas.said(schemas.or_null(schemas.TEXT), "`after` of the next page; null on the last one"),
        ),
        description="Pages stay correct while jobs arrive: no job comes twice, none is left out.",
        parameters=(
            Parameter("namespace", "only jobs of this namespace", schemas.TEXT),
            Parameter("queue", "only jobs of this queue", schemas.TEXT),
            Parameter("state", "only jobs in this state", schemas.STATE),
            Parameter("id", "only jobs whose id or short id begins so", {"type": "string", "maxLength": 36}),
            Parameter("limit", f"how many at the most; {PAGE} if absent", schemas.POSITIVE | {"maximum": PAGE_LIMIT}),
            Parameter("after", "where the page begins: `next` of the page before", schemas.TEXT),
        ),
        errors=("storage_unavailable",),
    ),
    Operation(
        "POST",
        "/jobs/retry",
        retry_failed,
        "Start a new round of every failed job",
        schemas.record(retried=schemas.said(schemas.COUNT, "of how many")),
        description="Or of those of a namespace or a queue. They are started in the order of their enqueueing.",
        body=ONE_QUEUE,
        errors=("unknown_namespace", "unknown_queue", "storage_unavailable"),
    ),
    Operation(
        "GET", "/jobs/{id}", show, "Show a job with its data and attempts", schemas.ref("WholeJob"), errors=FINDING
    ),
    Operation(
        "GET",
        "/jobs/{id}/data",
        show_data,
        "Show the bytes of a job's data, as they were sent",
        schemas.ANY,
        errors=FINDING,
    ),
    Operation(
        "POST",
        "/jobs/{id}/retry",
        retry,
        "Start a new round of a failed or cancelled job",
        schemas.ref("Job"),
        description="Its first attempt is due now.",
        body=schemas.NOTHING,
        errors=(*FINDING, "wrong_state"),
    ),
    Operation(
        "POST",
        "/jobs/{id}/cancel",
        cancel,
        "Cancel a job that has not finished",
        schemas.ref("Job"),
        description="An attempt under way is cut off.",
        body=schemas.NOTHING,
        errors=(*FINDING, "wrong_state"),
    ),
    Operation(
        "POST",
        "/jobs/{id}/replay",
        replay,
        "Enqueue a new job like this one",
        schemas.ref("Job"),
        description="With the same data, or with `data`, byte for byte. `replayOf` of the new job names this one.",
        body=schemas.options(data=schemas.ANY),
        errors=(*FINDING, "unknown_namespace", "unknown_queue", "shutting_down"),
        status=201,
    ),
)
