"""The nouns: queues, jobs, attempts and their outcomes.

All times are integer milliseconds since the Unix epoch (UTC), all durations integer milliseconds.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from localqueue.core.clock import Deadline
from localqueue.core.records import copy_with, record

RESPONSE_BODY_LIMIT = 64 * 1024
"""How many bytes of a response's body are read and kept; the response then counts as complete."""


QueueKey = tuple[str, str]
"""A queue's namespace and name, which are unique together."""


SCHEDULE_PREFIX = "schedule:"
"""How the queue is named under which a schedule's call is delivered; the names of real ones have no colon."""


@record
class Queue:
    """A queue as a catalog declares it."""

    namespace: str
    name: str
    endpoint: str
    concurrency: int = 5
    retries: int = 3
    retry_delay_ms: int = 5000
    timeout_ms: int = 30_000
    place: str = ""
    """The file and the line that declare it, such as `catalog-info.yaml:12`."""

    @property
    def key(self) -> QueueKey:
        """Return (namespace, name), which is unique."""
        return (self.namespace, self.name)

    @property
    def is_schedule(self) -> bool:
        """Return whether this stands for a schedule, whose calls are delivered but aren't jobs."""
        return self.name.startswith(SCHEDULE_PREFIX)

    @property
    def max_attempts(self) -> int:
        """Return how many attempts a round has at most."""
        return self.retries + 1


@record
class Schedule:
    """A schedule as a catalog declares it: when to call which endpoint."""

    namespace: str
    name: str
    cron: str
    endpoint: str
    timezone: str = "UTC"
    timeout_ms: int = 30_000
    description: str = ""
    place: str = ""

    @property
    def key(self) -> QueueKey:
        """Return (namespace, name), which is unique."""
        return (self.namespace, self.name)


@record
class Service:
    """A service as a catalog document declares it: its namespace, its base URL, its queues and its schedules."""

    namespace: str
    target: str
    path: str
    queues: tuple[Queue, ...] = ()
    schedules: tuple[Schedule, ...] = ()


@record
class Finding:
    """A problem in a catalog file and its position; line and column count from 1, or are 0 for the whole file."""

    file: str
    line: int
    column: int
    code: str
    message: str
    is_error: bool = True

    def __str__(self) -> str:
        if not self.line:
            return f"{self.file}: {self.message}"
        return f"{self.file}:{self.line}:{self.column}: {self.code} {self.message}"


@record
class Catalog:
    """The services of all catalog files, and the warnings about them."""

    services: tuple[Service, ...] = ()
    warnings: tuple[Finding, ...] = ()

    @property
    def queues(self) -> Mapping[QueueKey, Queue]:
        """Return all queues by (namespace, name)."""
        queues = {queue.key: queue for service in self.services for queue in service.queues}
        return MappingProxyType(queues)

    @property
    def schedules(self) -> Mapping[QueueKey, Schedule]:
        """Return all schedules by (namespace, name)."""
        schedules = {schedule.key: schedule for service in self.services for schedule in service.schedules}
        return MappingProxyType(schedules)

    @property
    def targets(self) -> Mapping[str, str]:
        """Return the base URL of each namespace."""
        return MappingProxyType({service.namespace: service.target for service in self.services})


class JobState(enum.StrEnum):
    """The state of a job."""

    QUEUED = "queued"
    RUNNING = "running"
    RETRYING = "retrying"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_finished(self) -> bool:
        """Return whether the job is done unless somebody retries it."""
        return self in (JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED)


class OutcomeKind(enum.StrEnum):
    """The way in which an attempt ended."""

    COMPLETED = "completed"
    HTTP_ERROR = "http_error"
    TIMEOUT = "timeout"
    CONNECTION_ERROR = "connection_error"
    INTERRUPTED = "interrupted"
    CANCELLED = "cancelled"

    @property
    def is_counted(self) -> bool:
        """Return whether such an attempt counts against `retries`."""
        return self in (OutcomeKind.HTTP_ERROR, OutcomeKind.TIMEOUT, OutcomeKind.CONNECTION_ERROR)


@record
class AttemptError:
    """The reason why an attempt failed: a stable code and a sentence."""

    code: str
    message: str


@record
class Response:
    """The response of a handler: headers as text without Set-Cookie, and the first 64 KiB of the raw body."""

    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    truncated: bool = False


@record
class Outcome:
    """The result of an attempt, without its consequences for the job.

    `simulated_ms` is how long a scripted attempt takes on a clock that stands still; `injected` is the word of the
    scripted outcome, such as `lost-ack`, if there was one.
    """

    kind: OutcomeKind
    status: int | None = None
    error: AttemptError | None = None
    response: Response | None = None
    simulated_ms: int = 0
    injected: str | None = None


@record
class Request:
    """A delivery: its URL, its body, its timeout in ms, and the deadline if others can hold it."""

    url: str
    body: bytes
    timeout_ms: int
    headers: tuple[tuple[str, str], ...] = field(
        default=(("Content-Type", "application/json"), ("Accept", "*/*"), ("Accept-Encoding", "identity"))
    )
    deadline: Deadline | None = None


@record
class Job:
    """A job.

    `attempt` is the number of the latest started attempt of the round, 0 before the first;
    `failures` counts the attempts that failed, so the next attempt is `failures + 1`.
    `finished` is completed, failed or cancelled, or None while the job is pending;
    `number` counts the jobs of the queue from 1, in the order in which they were enqueued.
    """

    seq: int
    id: str
    namespace: str
    queue: str
    created_ms: int
    due_ms: int
    finished: JobState | None = None
    finished_ms: int | None = None
    round: int = 1
    attempt: int = 0
    failures: int = 0
    max_attempts: int = 0
    replay_of: str | None = None
    data_size: int = 0
    number: int = 0

    @property
    def key(self) -> QueueKey:
        """Return the (namespace, name) of the job's queue."""
        return (self.namespace, self.queue)

    @property
    def short_id(self) -> str:
        """Return the last 8 hex digits of the id, which are random."""
        return self.id[-8:]

    @property
    def next_number(self) -> int:
        """Return the number that the next attempt has."""
        return self.failures + 1


@record
class Attempt:
    """An attempt that has ended; it is never overwritten. `summary` says in one line why it failed."""

    round: int
    number: int
    max_attempts: int
    due_ms: int
    started_ms: int
    ended_ms: int
    duration_ms: int
    url: str
    outcome: Outcome
    next_due_ms: int | None
    reason: str
    summary: str | None = None

    def without_response(self) -> Attempt:
        """Return the attempt without the response, which may be large: for those who keep many attempts."""
        return copy_with(self, outcome=copy_with(self.outcome, response=None))


@record
class Firing:
    """A call of a schedule's endpoint: when it was fired, in ms, how long it took, and how it ended."""

    schedule: Schedule
    fired_ms: int
    duration_ms: int
    url: str
    outcome: Outcome

    def without_response(self) -> Firing:
        """Return the firing without the response, which may be large: for those who keep many firings."""
        return copy_with(self, outcome=copy_with(self.outcome, response=None))


@record
class FailureGroup:
    """The failed jobs of a queue with one cause: status, summary, how many, first and last time, some of the IDs.

    `pattern` is what the summaries of the cause have in common, in all queues.
    """

    key: QueueKey
    status: int | None
    summary: str
    pattern: str
    count: int
    first_ms: int
    last_ms: int
    ids: tuple[str, ...]


@record
class JobPreview:
    """The beginning of a job's payload (None if it is large) and the end of its latest attempt, for lists."""

    preview: str | None
    outcome: OutcomeKind | None = None
    status: int | None = None
    error_code: str | None = None
    summary: str | None = None


@record
class Rejection:
    """The requests that were refused for one reason.

    `namespace` and `queue` are those that the requests named, if they could be read. `is_security` marks requests that
    the security checks refused (Host, Origin).
    """

    code: str
    message: str
    hint: str
    namespace: str | None
    queue: str | None
    is_security: bool
    count: int
    first_ms: int
    last_ms: int


@record
class LedgerEntry:
    """An attempt and its job, as the job is now."""

    job: Job
    attempt: Attempt


WHOLE_ID = 36
"""The length of a full ID."""


@dataclass(frozen=True, slots=True)
class JobFilter:
    """The jobs that a list shows; None means all. `after` is the seq after which the page starts.

    `id` is an ID, the beginning of one, or the beginning of a short ID, in lower case. `text` occurs in the ID, the
    payload or a response; `status` is that of the latest attempt; `since_ms` and `until_ms` limit the time of
    enqueuing. `is_finished` leaves out the jobs that aren't finished, or those that are.
    """

    namespace: str | None = None
    queue: str | None = None
    state: JobState | None = None
    id: str | None = None
    limit: int = 50
    after: int | None = None
    text: str | None = None
    status: int | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    is_finished: bool | None = None

    @property
    def is_search(self) -> bool:
        """Return whether jobs have to be looked at one by one."""
        is_part_of_id = self.id is not None and len(self.id) != WHOLE_ID
        return is_part_of_id or (self.text, self.status, self.since_ms, self.until_ms) != (None,) * 4

    @property
    def is_by_state(self) -> bool:
        """Return whether nothing but the queue and the state of a job matters."""
        return self == JobFilter(self.namespace, self.queue, self.state, limit=self.limit)

    def fits(self, key: QueueKey) -> bool:
        """Return whether the jobs of a queue are included."""
        return self.namespace in (None, key[0]) and self.queue in (None, key[1])

    @property
    def before(self) -> int:
        """Return the seq below which the page begins."""
        return 2**62 if self.after is None else self.after
