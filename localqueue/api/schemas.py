"""Say what the JSON of the API looks like (JSON Schema, as OpenAPI 3.1 uses it); tests compare it with real answers."""

from __future__ import annotations

from typing import Any

from localqueue.catalog import loader
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
DURATION: Schema = {"type": "integer", "minimum": 0, "maximum": DAY_MS}
STATE: Schema = {"type": "string", "enum": [state.value for state in JobState]}
OUTCOME: Schema = {"type": "string", "enum": [kind.value for kind in OutcomeKind]}
NOTHING: Schema = {"type": "object", "properties": {}}
"""An object without keys; an empty body means it too."""


def said(schema: Schema, description: str) -> Schema:
    """Return a schema with a description."""
    return {**schema, "description": description}


def or_null(schema: Schema) -> Schema:
    """Return a schema that null fits too."""
    if isinstance(kind := schema.get("type"), str) and "enum" not in schema:
        return {**schema, "type": [kind, "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def list_of(schema: Schema) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": schema}


def record(**properties: Schema) -> Schema:
    """Return the schema of an object that has all these keys."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def options(**properties: Schema) -> Schema:
    """Return the schema of an object that may have these keys."""
    return {"type": "object", "properties": properties}


def ref(name: str) -> Schema:
    """Return a reference to one of COMPONENTS."""
    return {"$ref": f"#/components/schemas/{name}"}


SETTINGS: dict[str, Schema] = {
    name: {"type": "integer", "minimum": smallest, "maximum": largest}
    for name, (smallest, largest) in loader.RANGES.items()
}

JOB: dict[str, Schema] = {
    "id": said({"type": "string"}, "UUIDv7"),
    "shortId": said({"type": "string", "pattern": "^[0-9a-f]{8}$"}, "the last 8 hex digits of the id"),
    "seq": said(POSITIVE, "its place in the order of enqueueing, over all queues"),
    "namespace": TEXT,
    "queue": TEXT,
    "state": STATE,
    "held": said(
        {"enum": ["queue_missing", "paused", None]}, "why it is not started: no catalog declares its queue, or a pause"
    ),
    "round": said(POSITIVE, "1, and one more for each retry by hand"),
    "attempt": said(COUNT, "number of the latest started attempt of the round; 0 before the first"),
    "maxAttempts": said(POSITIVE, "how many attempts the round has at the most"),
    "createdAt": TIME,
    "dueAt": TIME,
    "startedAt": said(or_null(TIME), "when the attempt under way was started; null if none is"),
    "finishedAt": or_null(TIME),
    "replayOf": said(or_null(TEXT), "id of the job that this one repeats"),
}

BARE_ATTEMPT: dict[str, Schema] = {
    "round": POSITIVE,
    "number": said(POSITIVE, "counts from 1 in each round; an interrupted attempt is repeated with the same number"),
    "maxAttempts": POSITIVE,
    "dueAt": TIME,
    "startedAt": TIME,
    "endedAt": TIME,
    "durationMs": COUNT,
    "outcome": OUTCOME,
    "status": said(or_null(POSITIVE), "of the response; null without one"),
    "error": said(
        or_null(record(code=TEXT, message=TEXT)),
        "`http_<status>`, `timeout`, `connect_refused`, `connect_failed`, `connection_reset`, `closed_no_response`, "
        "`broken_response` or `protocol`",
    ),
    "nextDueAt": said(or_null(TIME), "when the next attempt is due; null if there is none"),
    "reason": said(TEXT, "why there is a next attempt, or none"),
}

QUEUE: dict[str, Schema] = {
    "namespace": TEXT,
    "name": TEXT,
    "target": said(or_null(TEXT), "where its service listens; null while no catalog declares it"),
    "held": {"enum": ["queue_missing", "paused", None]},
    "enqueued": said(COUNT, "jobs accepted since the last reset"),
    "inFlight": said(COUNT, "attempts under way"),
    "counts": ref("Counts"),
}

MADE_ATTEMPT = record(
    jobId=TEXT,
    namespace=TEXT,
    queue=TEXT,
    round=POSITIVE,
    number=POSITIVE,
    maxAttempts=POSITIVE,
    startedAt=TIME,
    outcome=OUTCOME,
    status=or_null(POSITIVE),
    nextDueAt=or_null(TIME),
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
        error=said(or_null(TEXT), "why the file could not be written the last time"),
    ),
    services=list_of(
        record(
            namespace=TEXT,
            target=TEXT,
            listening=said(FLAG, "whether the target accepts connections, as of the last few seconds"),
            catalog=said(TEXT, "the file that declares it"),
            queues=COUNT,
        )
    ),
    catalog=record(
        refused=said(list_of(ref("Finding")), "what is wrong in the latest edit, if the last good catalog is in force"),
        warnings=list_of(ref("Finding")),
    ),
    counts=ref("Counts"),
    warnings=said(list_of(record(at=TIME, message=TEXT)), "the latest 20"),
    exports=said({"type": "object", "additionalProperties": TEXT}, "what belongs into the service's environment"),
)

CLOCK = record(mode={"enum": ["wall", "virtual"]}, now=TIME, offsetMs=said(COUNT, "by how much time was moved in all"))

COMPONENTS: dict[str, Schema] = {
    "Error": record(error=record(code=TEXT, message=said(TEXT, "what is wrong"), hint=said(TEXT, "what to do"))),
    "Job": record(**JOB),
    "ListedJob": record(
        **JOB,
        preview=said(or_null(TEXT), "how the payload begins; null for one over 64 KiB"),
        last=said(
            or_null(record(outcome=OUTCOME, status=or_null(POSITIVE), code=or_null(TEXT))),
            "how the latest attempt ended",
        ),
    ),
    "WholeJob": record(**JOB, attempts=list_of(ref("Attempt")), data=said(ANY, "as it was sent, byte for byte")),
    "BareAttempt": record(**BARE_ATTEMPT),
    "Attempt": record(
        **BARE_ATTEMPT,
        request=record(url=TEXT, headers={"type": "object", "additionalProperties": TEXT}),
        response=or_null(
            record(
                headers={"type": "object", "additionalProperties": TEXT},
                body=said(TEXT, "the first 64 KiB"),
                truncated=FLAG,
            )
        ),
    ),
    "MadeAttempt": MADE_ATTEMPT,
    "Counts": record(**{state.value: COUNT for state in JobState}),
    "Queue": {
        **record(**QUEUE),
        "properties": QUEUE | {"endpoint": TEXT} | SETTINGS,
        "description": "The settings are left out while no catalog declares the queue.",
    },
    "Settings": record(endpoint=TEXT, **SETTINGS),
    "Finding": record(file=TEXT, line=POSITIVE, column=POSITIVE, code=TEXT, message=TEXT),
    "Status": STATUS,
    "Clock": CLOCK,
}

EVENTS: dict[str, tuple[Schema, str]] = {
    "hello": (
        record(version=TEXT, now=TIME, mode={"enum": ["wall", "virtual"]}),
        "first on each connection",
    ),
    "job": (record(job=ref("Job")), "a job was enqueued, started, or has changed in another way"),
    "attempt": (record(job=ref("Job"), attempt=ref("BareAttempt")), "an attempt has ended and is on disk"),
    "queues": (
        record(queues=list_of(ref("Queue"))),
        "the numbers of the queues have changed; at most four times a second",
    ),
    "clock": (ref("Clock"), "time was moved"),
    "catalog": (NOTHING, "the catalog, or settings, target or pause of a queue have changed"),
    "reset": (NOTHING, "every job is gone"),
    "warning": (record(message=TEXT), "something the user should know"),
    "gap": (NOTHING, "events were missed: load everything again"),
    "stopping": (NOTHING, "the server stops"),
}
"""Of each event what its `data` looks like, and when it is sent."""
