"""Many jobs at once: count, retry, cancel or delete all that a filter selects."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from localqueue.api import job_filter, requests, responses, schemas
from localqueue.api.context import Context
from localqueue.api.requests import Parameter
from localqueue.api.routing import Operation
from localqueue.core.errors import InvalidRequest
from localqueue.core.models import JobState

RETRIED = (JobState.FAILED, JobState.CANCELLED)
UNFINISHED = tuple(state for state in JobState if not state.is_finished)
DELETED = ("finished", *(state.value for state in JobState if state.is_finished))


async def count_jobs(context: Context, request: Request) -> Response:
    """Respond with the number of jobs by state."""
    work = context.engine.bulk.count(job_filter.from_query(request, job_filter.state_of(request)))
    counts = await requests.while_connected(request, work)
    return responses.json_response({state.value: n for state, n in counts.items()})


async def retry_jobs(context: Context, request: Request) -> Response:
    """Start a new round of every failed job."""
    content = await requests.read_object(request, (*job_filter.NAMES, "summary"))
    summary = requests.text(content, "summary") if "summary" in content else None
    wanted = job_filter.from_body(content, RETRIED)
    return responses.json_response({"retried": await context.engine.bulk.retry(wanted, summary)})


async def cancel_jobs(context: Context, request: Request) -> Response:
    """Cancel every unfinished job."""
    wanted = job_filter.from_body(await requests.read_object(request, job_filter.NAMES), UNFINISHED)
    return responses.json_response({"cancelled": await context.engine.bulk.cancel(wanted)})


async def delete_jobs(context: Context, request: Request) -> Response:
    """Delete every finished job, or those of one state."""
    await requests.read_object(request, ())
    state = requests.one_of(request, "state", DELETED)
    if state is None:
        raise InvalidRequest("state is missing", "To delete all of them: DELETE /_localqueue/jobs?state=finished")
    wanted = job_filter.from_query(request, state=None if state == "finished" else JobState(state))
    return responses.json_response({"deleted": await context.engine.bulk.delete(wanted)})


UNKNOWN = ("unknown_namespace", "unknown_queue", "storage_unavailable")
OPERATIONS = (
    Operation(
        "GET",
        "/jobs/counts",
        count_jobs,
        "Count jobs by state",
        schemas.ref("Counts"),
        description="Counts the jobs that `GET /jobs` lists with the same filters.",
        parameters=job_filter.parameters(),
        errors=UNKNOWN,
    ),
    Operation(
        "POST",
        "/jobs/retry",
        retry_jobs,
        "Retry all failed jobs",
        schemas.record(retried=schemas.said(schemas.COUNT, "the number of retried jobs")),
        description="With filters, only those that `GET /jobs` lists with the same filters, or with a cause that "
        "`GET /failures` lists: its `status` and `summary`. They start in the order in which they were enqueued.",
        body=job_filter.keys(RETRIED, "failed", summary=schemas.TEXT),
        errors=UNKNOWN,
    ),
    Operation(
        "POST",
        "/jobs/cancel",
        cancel_jobs,
        "Cancel all unfinished jobs",
        schemas.record(cancelled=schemas.said(schemas.COUNT, "the number of cancelled jobs")),
        description="With filters, only those that `GET /jobs` lists with the same filters. Running attempts are cut "
        "off.",
        body=job_filter.keys(UNFINISHED, "all three"),
        errors=UNKNOWN,
    ),
    Operation(
        "DELETE",
        "/jobs",
        delete_jobs,
        "Delete finished jobs",
        schemas.record(deleted=schemas.said(schemas.COUNT, "the number of deleted jobs")),
        description="With filters, only those that `GET /jobs` lists with the same filters. Their attempts are "
        "deleted, too. This can't be undone.",
        parameters=job_filter.parameters(
            state=Parameter(
                "state",
                "completed, failed, cancelled, or finished for all of them",
                {"enum": list(DELETED)},
                is_required=True,
            ),
        ),
        body=schemas.NOTHING,
        errors=UNKNOWN,
    ),
)
