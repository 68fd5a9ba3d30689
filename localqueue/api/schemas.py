"""The JSON of the API as JSON Schema for OpenAPI 3.1; tests compare it with real responses."""

from __future__ import annotations

from typing import Any

from localqueue.catalog import queue_fields
from localqueue.core.models import JobState, OutcomeKind
from localqueue.core.times import DAY_MS

Schema = dict[str, Any]

ANY: Schema = {}
TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
COUNT: Schema = {"type": "integer", "minimum": 0}
POSITIVE: Schema = {"type": "integer", "minimum": 1}
TIME: Schema = {
    "type": "string",
    "format": "date-time",
    "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$",
    "examples": ["2026-01-01T00:00:00.000Z"],
}
INSTANT: Schema = {"type": "string", "format": "date-time"}
"""A time in a request, where any offset and precision will do."""
DURATION: Schema = {"type": "integer", "minimum": 0, "maximum": DAY_MS}
STATE: Schema = {"type": "string", "enum": [state.value for state in JobState]}
OUTCOME: Schema = {"type": "string", "enum": [kind.value for kind in OutcomeKind]}
NOTHING: Schema = {"type": "object", "properties": {}, "additionalProperties": False}
"""An object without keys; an empty body means the same."""


def said(schema: Schema, description: str) -> Schema:
    """Return a schema with a description."""
    return {**schema, "description": description}


def or_null(schema: Schema) -> Schema:
    """Return a schema that also accepts null."""
    if isinstance(kind := schema.get("type"), str) and "enum" not in schema:
        return {**schema, "type": [kind, "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def list_of(schema: Schema) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": schema}


def record(**properties: Schema) -> Schema:
    """Return the schema of an object that has all these keys."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def options(*required: str, **properties: Schema) -> Schema:
    """Return the schema of a request body that may have these keys and no others."""
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return schema | {"required": list(required)} if required else schema


def ref(name: str) -> Schema:
    """Return a reference to one of COMPONENTS."""
    return {"$ref": f"#/components/schemas/{name}"}


SETTINGS: dict[str, Schema] = {
    name: {"type": "integer", "minimum": smallest, "maximum": largest}
    for name, (smallest, largest) in queue_fields.RANGES.items()
}

JOB: dict[str, Schema] = {
    "id": said({"type": "string"}, "UUIDv7"),
    "shortId": said({"type": "string", "pattern": "^[0-9a-f]{8}$"}, "the last 8 hex digits of the ID"),
    "seq": said(POSITIVE, "its place in the order in which jobs were enqueued, over all queues"),
    "namespace": TEXT,
    "queue": TEXT,
    "state": STATE,
    "held": said(
        {"enum": ["queue_missing", "paused", "service_down", "no_timeout", None]},
        "why it can't start: its queue is in no catalog or paused, or its service isn't running; `no_timeout`: it "
        "is running and isn't cut off",
    ),
    "round": said(POSITIVE, "starts at 1; each retry by hand adds 1"),
    "attempt": said(COUNT, "number of the latest started attempt of the round; 0 before the first"),
    "maxAttempts": said(POSITIVE, "the largest number of attempts in the round"),
    "createdAt": TIME,
    "dueAt": TIME,
    "startedAt": said(or_null(TIME), "when the running attempt started; null if none is running"),
    "finishedAt": or_null(TIME),
    "replayOf": said(or_null(TEXT), "ID of the job that this one is a copy of"),
}

ERROR = said(
    or_null(record(code=TEXT, message=TEXT)),
    "`http_<status>`, `timeout`, `connect_refused`, `connect_failed`, `connection_reset`, `closed_no_response`, "
    "`broken_response`, `protocol`, `lost_ack` or `payload_missing`",
)
SUMMARY = said(or_null(TEXT), "why it failed, in the handler's own words; at most 160 characters")
HTTP_STATUS = said(or_null(POSITIVE), "status of the response; null without a response")
RESPONSE = or_null(
    record(
        headers={"type": "object", "additionalProperties": TEXT},
        body=said(TEXT, "the first 64 KiB"),
        truncated=FLAG,
    )
)
EXPLANATION = record(
    condition=said(TEXT, "a row of docs/troubleshooting.md, such as `wrong_path`"),
    text=said(TEXT, "what it means"),
    command=said(TEXT, "a command that helps"),
)
ENDING_FIELDS: dict[str, Schema] = {"outcome": OUTCOME, "status": HTTP_STATUS, "error": ERROR, "response": RESPONSE}
ENDING = record(**ENDING_FIELDS)
EXPLAINED = said(or_null(ref("Explanation")), "null if the status needs no explanation")
FIRING = record(
    namespace=TEXT, name=TEXT, firedAt=TIME, durationMs=COUNT, url=TEXT, **ENDING_FIELDS, explanation=EXPLAINED
)

BARE_ATTEMPT: dict[str, Schema] = {
    "round": POSITIVE,
    "number": said(POSITIVE, "starts at 1 in each round; an interrupted attempt is repeated with the same number"),
    "maxAttempts": POSITIVE,
    "dueAt": TIME,
    "startedAt": TIME,
    "endedAt": TIME,
    "durationMs": COUNT,
    "outcome": OUTCOME,
    "status": HTTP_STATUS,
    "error": ERROR,
    "injected": said(or_null(TEXT), "the scripted outcome, such as `lost-ack`; null if there was none"),
    "summary": SUMMARY,
    "nextDueAt": said(or_null(TIME), "when the next attempt is due; null if there is none"),
    "reason": said(TEXT, "why there is a next attempt, or why not"),
}

SECONDS: Schema = {**list_of(COUNT), "minItems": 60, "maxItems": 60}

QUEUE: dict[str, Schema] = {
    "namespace": TEXT,
    "name": TEXT,
    "target": said(or_null(TEXT), "base URL of its service; null while no catalog declares it"),
    "held": {"enum": ["queue_missing", "paused", "service_down", None]},
    "changed": said(
        {"type": "object", "properties": SETTINGS | {"target": TEXT}, "additionalProperties": False},
        "what the catalog says of the settings that were changed until the next reset; {} if none was",
    ),
    "enqueued": said(COUNT, "jobs accepted since the last reset"),
    "inFlight": said(COUNT, "running attempts"),
    "counts": ref("Counts"),
}

ENDED_ATTEMPT = record(
    jobId=TEXT,
    namespace=TEXT,
    queue=TEXT,
    round=POSITIVE,
    number=POSITIVE,
    maxAttempts=POSITIVE,
    startedAt=TIME,
    outcome=OUTCOME,
    status=HTTP_STATUS,
    error=ERROR,
    nextDueAt=or_null(TIME),
)

ENDED_FIRING = record(namespace=TEXT, name=TEXT, firedAt=TIME, outcome=OUTCOME, status=HTTP_STATUS, error=ERROR)

UNFINISHED_JOB = record(
    jobId=TEXT,
    namespace=TEXT,
    queue=TEXT,
    state=STATE,
    held=JOB["held"],
    attempt=COUNT,
    maxAttempts=POSITIVE,
    dueAt=TIME,
)

REJECTION = record(
    code=said(TEXT, "the error code"),
    message=TEXT,
    hint=TEXT,
    namespace=said(or_null(TEXT), "as the request named it; null if it could not be read"),
    queue=or_null(TEXT),
    security=said(FLAG, "whether the security checks refused it"),
    count=POSITIVE,
    firstAt=TIME,
    lastAt=TIME,
)

STATUS = record(
    name={"const": "localqueue"},
    version=TEXT,
    pid=POSITIVE,
    url=TEXT,
    uptimeMs=COUNT,
    now=TIME,
    clock={"enum": ["wall", "virtual"]},
    stopping=said(FLAG, "whether new jobs are refused"),
    storage=record(
        path=TEXT,
        sizeBytes=COUNT,
        ephemeral=said(FLAG, "whether the file is removed at exit"),
        error=said(or_null(TEXT), "why the last write to the file failed; null if it succeeded"),
    ),
    services=list_of(
        record(
            namespace=TEXT,
            target=TEXT,
            listening=said(FLAG, "whether the target accepted connections in the last few seconds"),
            catalog=said(TEXT, "the catalog that declares it"),
            queues=COUNT,
        )
    ),
    catalog=record(
        refused=said(
            list_of(ref("Finding")), "the errors in the latest edit, while the last valid catalog is still in use"
        ),
        warnings=list_of(ref("Finding")),
    ),
    counts=ref("Counts"),
    warnings=said(list_of(record(at=TIME, message=TEXT)), "the latest 20"),
    rejected=said(COUNT, "refused requests since the last reset"),
    explanations=said(
        list_of(
            record(namespace=TEXT, queue=TEXT, count=POSITIVE, lastAt=TIME, explanation=ref("Explanation")),
        ),
        "how attempts have ended since the start or the reset, by queue and condition; no `service_down` while the "
        "service is listening",
    ),
    rejections=said(list_of(ref("Rejection")), "the newest 20 reasons of refused requests"),
    exports=said({"type": "object", "additionalProperties": TEXT}, "the variables to set for the service"),
)

CLOCK = record(mode={"enum": ["wall", "virtual"]}, now=TIME, offsetMs=said(COUNT, "the sum of all moves of the clock"))

COMPONENTS: dict[str, Schema] = {
    "Error": record(error=record(code=TEXT, message=said(TEXT, "what is wrong"), hint=said(TEXT, "how to fix it"))),
    "Job": record(**JOB),
    "ListedJob": record(
        **JOB,
        preview=said(or_null(TEXT), "the beginning of the payload; null if it is larger than 64 KiB"),
        last=said(
            or_null(record(outcome=OUTCOME, status=or_null(POSITIVE), code=or_null(TEXT))),
            "the end of the latest attempt",
        ),
        summary=said(or_null(TEXT), "why the latest attempt failed; null if it didn't"),
    ),
    "WholeJob": record(
        **JOB,
        ignoredKeys=said(
            list_of(TEXT), "unknown keys of its request; kept for the latest 1,000 such jobs until a reset or a stop"
        ),
        attempts=list_of(ref("Attempt")),
        data=said(ANY, "exactly as it was sent"),
    ),
    "JobWithData": record(**JOB, data=said(ANY, "exactly as it was sent")),
    "BareAttempt": record(**BARE_ATTEMPT),
    "Attempt": record(
        **BARE_ATTEMPT,
        request=record(url=TEXT, headers={"type": "object", "additionalProperties": TEXT}),
        response=RESPONSE,
        explanation=EXPLAINED,
    ),
    "Explanation": EXPLANATION,
    "Failure": record(
        namespace=TEXT,
        queue=TEXT,
        status=HTTP_STATUS,
        summary=said(TEXT, "that of the newest job; others may have other numbers and IDs in it"),
        cause=said(TEXT, "the summary with numbers and IDs replaced by `#`; a cause has the same text in every queue"),
        pattern=said(
            TEXT, "the summary with `#` for the numbers and IDs that differ among the listed jobs of this cause"
        ),
        count=POSITIVE,
        firstAt=TIME,
        lastAt=TIME,
        jobs=said(list_of(TEXT), "IDs of up to three of the jobs"),
    ),
    "Schedule": record(
        namespace=TEXT,
        name=TEXT,
        cron=said(TEXT, "five fields"),
        timezone=said(TEXT, "an IANA name"),
        endpoint=TEXT,
        timeoutMs=POSITIVE,
        description=TEXT,
        target=TEXT,
        nextAt=said(or_null(TIME), "null without `--schedules`"),
        last=said(or_null(ref("Firing")), "since the start or the reset"),
    ),
    "Firing": FIRING,
    "SecondDelivery": record(
        job=ref("Job"),
        attempt=POSITIVE,
        first=said(ENDING, "the latest attempt, as it is stored"),
        second=ENDING,
        differences=said(list_of(TEXT), "how the second outcome differs from the first; [] if it doesn't"),
        enqueued=said(list_of(ref("Job")), "jobs that were enqueued during the second delivery; 100 at most"),
        enqueuedCount=COUNT,
    ),
    "EndedAttempt": ENDED_ATTEMPT,
    "EndedFiring": ENDED_FIRING,
    "Counts": record(**{state.value: COUNT for state in JobState}),
    "Queue": {
        **record(**QUEUE),
        "properties": QUEUE | {"endpoint": TEXT} | SETTINGS,
        "description": "Without settings while no catalog declares the queue.",
    },
    "RecentAttempts": record(
        completed=said(SECONDS, "attempts that completed"),
        failed=said(SECONDS, "attempts that failed; interrupted and cancelled ones are left out"),
        durations=said(
            record(count=COUNT, p50Ms=or_null(COUNT), p95Ms=or_null(COUNT)),
            "how long the latest of these attempts took, 250 at most, without scripted outcomes; null without any",
        ),
    ),
    "Settings": record(endpoint=TEXT, **SETTINGS),
    "Finding": record(file=TEXT, line=said(COUNT, "0: the whole file"), column=COUNT, code=TEXT, message=TEXT),
    "Rejection": REJECTION,
    "UnfinishedJob": UNFINISHED_JOB,
    "Status": STATUS,
    "Clock": CLOCK,
}

EVENTS: dict[str, tuple[Schema, str]] = {
    "hello": (
        record(version=TEXT, now=TIME, mode={"enum": ["wall", "virtual"]}),
        "first on each connection",
    ),
    "job": (record(job=ref("Job")), "a job was enqueued, started, or changed otherwise"),
    "attempt": (record(job=ref("Job"), attempt=ref("BareAttempt")), "an attempt has ended and is on disk"),
    "queues": (
        record(queues=list_of(ref("Queue")), rejected=said(COUNT, "refused requests since the last reset")),
        "the queues have changed, or a request was refused; at most four times a second",
    ),
    "clock": (ref("Clock"), "the clock was moved"),
    "catalog": (NOTHING, "the catalog, or the settings, target or pause of a queue have changed"),
    "reset": (NOTHING, "all jobs were deleted"),
    "deleted": (record(count=COUNT), "finished jobs were deleted by hand"),
    "hold": (record(jobId=TEXT, held=FLAG), "a running attempt was held, or released"),
    "schedule": (ref("Firing"), "a schedule was fired, and its call has ended"),
    "warning": (record(message=TEXT), "a warning for the user"),
    "rejected": (ref("Rejection"), "a request was refused; repetitions are reported at 10, 100, 1000..."),
    "gap": (NOTHING, "events were missed; reload everything"),
    "stopping": (NOTHING, "the server is stopping"),
}
"""The `data` of each event, and when it is sent."""
