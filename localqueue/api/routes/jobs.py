"""Jobs: list them; show, cancel, retry, delete and replay one."""

from __future__ import annotations

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from localqueue.api import job_filter, requests, responses, schemas, serializers
from localqueue.api.context import Context
from localqueue.api.requests import Parameter
from localqueue.api.routing import Operation
from localqueue.core import envelope
from localqueue.core.models import Job, JobFilter

DETAILS = ("true", "data", "false")
LISTED_AS = ("ListedJob", "WholeJob", "JobWithData")
PAGE_LIMIT = 200
PAGE = 50


async def list_jobs(context: Context, request: Request) -> Response:
    """Respond with a page of jobs."""
    jobs = context.engine.jobs
    details = requests.one_of(request, "details", DETAILS)
    if details in ("true", "data"):
        detailed = await jobs.detailed_page(_filter(request), has_attempts=details == "true")
        return responses.json_bytes(await serializers.detailed_page(detailed, context.engine.ignored_keys))
    page = await jobs.page(_filter(request))
    previews = await jobs.previews(page.jobs)
    listed = [serializers.listed_job(snapshot, previews.get(snapshot.job.seq)) for snapshot in page.jobs]
    following = None if page.next is None else str(page.next)
    return responses.json_response({"jobs": listed, "next": following, "searched": page.searched})


async def get_job(context: Context, request: Request) -> Response:
    """Respond with a job, its data and its attempts."""
    jobs = context.engine.jobs
    details = await jobs.details(await jobs.find(request.path_params["id"]))
    return responses.json_bytes(await serializers.job_details(details, context.engine.ignored_keys))


async def get_job_data(context: Context, request: Request) -> Response:
    """Respond with the bytes of `data`."""
    jobs = context.engine.jobs
    response = responses.json_bytes(await jobs.data(await jobs.find(request.path_params["id"])))
    response.headers["Content-Disposition"] = "attachment"
    return response


async def cancel(context: Context, request: Request) -> Response:
    """Cancel a job."""
    await requests.read_object(request, ())
    return _job(context, await context.engine.jobs.cancel(request.path_params["id"]))


async def hold(context: Context, request: Request) -> Response:
    """Let a running attempt take longer than timeoutMs."""
    await requests.read_object(request, ())
    return _job(context, await context.engine.jobs.hold(request.path_params["id"], True))


async def release(context: Context, request: Request) -> Response:
    """Let a running attempt take no longer than timeoutMs from now on."""
    await requests.read_object(request, ())
    return _job(context, await context.engine.jobs.hold(request.path_params["id"], False))


async def retry(context: Context, request: Request) -> Response:
    """Start a new round of a job."""
    await requests.read_object(request, ())
    return _job(context, await context.engine.jobs.retry(request.path_params["id"]))


async def list_failures(context: Context, request: Request) -> Response:
    """Respond with the failed jobs by cause."""
    query = request.query_params
    groups = await context.engine.jobs.failures(query.get("namespace"), query.get("queue"))
    return responses.json_response({"failures": [serializers.failure(group) for group in groups]})


async def delete(context: Context, request: Request) -> Response:
    """Delete a finished job."""
    await requests.read_object(request, ())
    return _job(context, await context.engine.jobs.delete(request.path_params["id"]))


async def replay(context: Context, request: Request) -> Response:
    """Enqueue a copy of a job."""
    data = envelope.parse_replay(await requests.read_body(request, context.info.max_body))
    return _job(context, await context.engine.jobs.replay(request.path_params["id"], data), 201)


async def deliver_again(context: Context, request: Request) -> Response:
    """Send the latest attempt of a finished job again."""
    await requests.read_object(request, ())
    delivery = await context.engine.second_deliveries.deliver(request.path_params["id"])
    return responses.json_response(serializers.second_delivery(delivery))


def _job(context: Context, job: Job, status: int = 200) -> Response:
    return responses.json_response(serializers.job(context.engine.jobs.snapshot(job)), status)


def _filter(request: Request) -> JobFilter:
    return replace(
        job_filter.from_query(request, job_filter.state_of(request)),
        limit=requests.whole_number(request, "limit", PAGE_LIMIT) or PAGE,
        after=requests.whole_number(request, "after", 2**62),
    )


CURSOR: schemas.Schema = {"type": "string", "pattern": r"^[1-9]\d{0,17}$"}
FIND_ERRORS = ("unknown_job", "ambiguous_id", "storage_unavailable")
OPERATIONS = (
    Operation(
        "GET",
        "/jobs",
        list_jobs,
        "List jobs, newest first",
        schemas.record(
            jobs=schemas.list_of({"anyOf": [schemas.ref(name) for name in LISTED_AS]}),
            next=schemas.said(schemas.or_null(CURSOR), "`after` of the next page; null on the last page"),
            searched=schemas.said(
                schemas.or_null(schemas.COUNT),
                "how many jobs a search (`q`, `status`, `since`, `until`, part of an ID) has looked at for this page",
            ),
        ),
        description="Pages stay correct while jobs arrive: no job is listed twice or left out. A search takes at most "
        "a second; its page may then have fewer jobs than `limit`, and `next` continues it.",
        parameters=(
            *job_filter.parameters(),
            Parameter(
                "limit", f"the largest number of jobs; {PAGE} if absent", schemas.POSITIVE | {"maximum": PAGE_LIMIT}
            ),
            Parameter(
                "details",
                "true: each job with its data and attempts, as a WholeJob; data: with its data, as a JobWithData; "
                "a page with large data may be shorter",
                {"enum": list(DETAILS)},
            ),
            Parameter("after", "the start of the page: `next` of the previous page", CURSOR),
        ),
        errors=("storage_unavailable",),
    ),
    Operation(
        "GET",
        "/failures",
        list_failures,
        "List the failed jobs by cause",
        schemas.record(failures=schemas.list_of(schemas.ref("Failure"))),
        description="A cause is a queue, a status, and a summary without its numbers and IDs. Causes with the most "
        "jobs come first.",
        parameters=(
            Parameter("namespace", "only jobs in this namespace", schemas.TEXT),
            Parameter("queue", "only jobs in this queue", schemas.TEXT),
        ),
        errors=("unknown_namespace", "unknown_queue", "storage_unavailable"),
    ),
    Operation(
        "DELETE",
        "/jobs/{id}",
        delete,
        "Delete a finished job",
        schemas.ref("Job"),
        description="Its attempts are deleted, too. This can't be undone.",
        body=schemas.NOTHING,
        errors=(*FIND_ERRORS, "wrong_state"),
    ),
    Operation(
        "GET",
        "/jobs/{id}",
        get_job,
        "Get a job with its data and attempts",
        schemas.ref("WholeJob"),
        errors=FIND_ERRORS,
    ),
    Operation(
        "GET",
        "/jobs/{id}/data",
        get_job_data,
        "Get the data of a job, exactly as it was sent",
        schemas.ANY,
        errors=FIND_ERRORS,
    ),
    Operation(
        "POST",
        "/jobs/{id}/retry",
        retry,
        "Retry a failed or cancelled job",
        schemas.ref("Job"),
        description="Starts a new round; its first attempt is due now.",
        body=schemas.NOTHING,
        errors=(*FIND_ERRORS, "wrong_state"),
    ),
    Operation(
        "POST",
        "/jobs/{id}/cancel",
        cancel,
        "Cancel an unfinished job",
        schemas.ref("Job"),
        description="A running attempt is cut off.",
        body=schemas.NOTHING,
        errors=(*FIND_ERRORS, "wrong_state"),
    ),
    Operation(
        "POST",
        "/jobs/{id}/hold",
        hold,
        "Let a running attempt take longer than timeoutMs",
        schemas.ref("Job"),
        description="For debuggers; production would cut it off. It ends with its response, or after a release.",
        body=schemas.NOTHING,
        errors=(*FIND_ERRORS, "wrong_state"),
    ),
    Operation(
        "POST",
        "/jobs/{id}/release",
        release,
        "End the hold of a running attempt",
        schemas.ref("Job"),
        description="It has its whole timeoutMs again, from now on.",
        body=schemas.NOTHING,
        errors=(*FIND_ERRORS, "wrong_state"),
    ),
    Operation(
        "POST",
        "/jobs/{id}/replay",
        replay,
        "Enqueue a copy of a job",
        schemas.ref("Job"),
        description="The copy has the same data, or `data`, byte for byte. `replayOf` is the ID of the original.",
        body=schemas.options(data=schemas.ANY),
        errors=(*FIND_ERRORS, "unknown_namespace", "unknown_queue", "shutting_down"),
        status=201,
    ),
    Operation(
        "POST",
        "/jobs/{id}/deliver-again",
        deliver_again,
        "Deliver a finished job again, with the same jobId and attempt",
        schemas.ref("SecondDelivery"),
        description="Production does this after a lost response. The job doesn't change, and no attempt is recorded.",
        body=schemas.NOTHING,
        errors=(*FIND_ERRORS, "wrong_state", "unknown_namespace", "unknown_queue", "out_of_resources"),
    ),
)
