"""Write down what can be seen of a run from outside, in order: the one thing that the checker looks at.

Whoever can see these facts can write them: the simulation sees all of them, a campaign against a process sees the
calls, what arrived at the service, and the database afterwards.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from localqueue.core.models import Attempt, Job, Queue, QueueKey


@dataclass(slots=True)
class Opened:
    """The engine is open; `queues` is what the catalog says, `targets` where the services listen.

    `keep` is how many finished jobs are kept, `mode` says on which clock. `periods` has for each schedule by how many
    ms it fires. If jobs wait until their service listens, `silent` has the namespaces that don't, else it is None.
    `is_remote`: this is the launch of a real process, of which an attempt is seen when it arrives at the service.
    """

    queues: Mapping[QueueKey, Queue]
    targets: Mapping[str, str]
    keep: int
    mode: str
    periods: Mapping[str, int] = field(default_factory=dict)
    silent: frozenset[str] | None = None
    is_remote: bool = False


@dataclass(slots=True)
class Crashed:
    """The process is dead. Calls that have not returned never will."""


@dataclass(slots=True)
class Stopped:
    """The engine was closed."""


@dataclass(slots=True)
class Configured:
    """The catalog or what lies over it has changed; this is in force now."""

    queues: Mapping[QueueKey, Queue]
    targets: Mapping[str, str]


@dataclass(slots=True)
class Scripted:
    """The outcomes of the next attempts of a queue were scripted, in these words."""

    queue: QueueKey
    words: tuple[str, ...]


@dataclass(slots=True)
class Listening:
    """A service listens on its target from now on."""

    namespace: str


@dataclass(slots=True)
class Called:
    """A client asks for something; `call` numbers the calls from 0."""

    call: int
    verb: str
    args: tuple[Any, ...]


@dataclass(slots=True)
class Returned:
    """A call returned: `ok` with a value, or an error code."""

    call: int
    code: str
    value: Any = None


@dataclass(slots=True)
class Gone:
    """The client disconnected before its call returned; the call may have taken effect or not."""

    call: int


@dataclass(slots=True)
class Started:
    """An attempt was started under these settings; the rest is known once it is sent."""

    queue: Queue
    id: str = ""
    attempt: int = 0
    data: bytes = b""
    url: str = ""


@dataclass(slots=True)
class Arrived:
    """A delivery reached the service."""

    id: str
    queue: str
    attempt: int
    data: bytes
    url: str

    @property
    def key(self) -> tuple[str, int]:
        """Return job and attempt."""
        return (self.id, self.attempt)

    def responded(self, kind: str) -> Responded:
        """Return how it ended."""
        return Responded(self.id, self.attempt, kind)


@dataclass(slots=True)
class Fired:
    """A firing of a schedule reached the service."""

    namespace: str
    name: str
    fired_ms: int

    @property
    def key(self) -> tuple[str, int]:
        """Return schedule and instant."""
        return (self.name, self.fired_ms)

    def responded(self, kind: str) -> FiringEnded:
        """Return how it ended."""
        return FiringEnded(self.namespace, kind)


@dataclass(slots=True)
class FiringEnded:
    """The service responded to a firing, or the connection was closed."""

    namespace: str
    kind: str


@dataclass(slots=True)
class Responded:
    """The service responded (`completed` if in full), or the connection was closed (`gone`).

    `is_scripted`: this is a scripted outcome, of which the service may know nothing.
    """

    id: str
    attempt: int
    kind: str
    is_scripted: bool = False


@dataclass(slots=True, frozen=True)
class Row:
    """An attempt as it is stored."""

    round: int
    number: int
    max_attempts: int
    due_ms: int
    started_ms: int
    ended_ms: int
    outcome: str
    status: int | None
    next_due_ms: int | None
    injected: str | None


ROW = ", ".join(each.name for each in fields(Row))


@dataclass(slots=True)
class Ended:
    """An attempt is said to be on disk."""

    id: str
    queue: QueueKey
    row: Row


@dataclass(slots=True)
class Moved:
    """The queue's clock was moved."""

    before: int
    after: int


@dataclass(slots=True)
class Stored:
    """A job as it is stored."""

    id: str
    queue: QueueKey
    rows: tuple[Row, ...]
    finished: str | None
    round: int
    failures: int
    due_ms: int
    created_ms: int
    data: bytes


@dataclass(slots=True)
class Tick:
    """A second has passed, and everything had the chance to happen."""


@dataclass(slots=True)
class Disk:
    """The content of the file while no process has it open; `problem` is the result of the integrity check."""

    jobs: tuple[Stored, ...]
    counts: Mapping[str, int]
    pauses: frozenset[QueueKey]
    problem: str


@dataclass(slots=True)
class Trouble:
    """A statement that writes has failed."""

    message: str


@dataclass(slots=True)
class Wrong:
    """Something happened that must never happen, whatever the history: an exception, a leak, a call without end."""

    what: str


Fact = (
    Opened | Crashed | Stopped | Configured | Scripted | Listening | Called | Returned | Gone | Started | Arrived
    | Responded | Fired | FiringEnded | Ended | Moved | Tick | Disk | Trouble | Wrong
)  # fmt: skip


@dataclass(slots=True)
class Entry:
    """A fact, what time it was on the queue's clock in ms, and in real seconds."""

    now: int
    real: float
    fact: Fact


class History:
    """Collect facts."""

    def __init__(
        self, now: Callable[[], int], real: Callable[[], float], print_line: Callable[[str], None] | None = None
    ) -> None:
        self._now, self._real = now, real
        self.entries: list[Entry] = []
        self._record = print_line

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def add(self, fact: Fact) -> None:
        """Note what has just happened."""
        self.entries.append(Entry(self._now(), self._real(), fact))
        if self._record is not None:
            self._record(self.line(len(self.entries) - 1))

    def take(self) -> list[Entry]:
        """Remove and return what happened up to the last look at the file."""
        end = max((n for n, entry in enumerate(self.entries, 1) if isinstance(entry.fact, Disk)), default=0)
        taken, self.entries = self.entries[:end], self.entries[end:]
        return taken

    def line(self, index: int) -> str:
        """Return an entry and its number as text."""
        return f"{index:4} {line(self.entries[index])}"

    def digest(self) -> str:
        """Return what two equal histories have in common."""
        lines = map(self.line, range(len(self.entries)))
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def line(entry: Entry) -> str:
    """Return an entry as text."""
    return f"{entry.real:9.4f} {_time(entry.now)} {_text(entry.fact)}"


def read_delivery(body: bytes, url: str) -> Arrived:
    """Read a delivery as it came; `data` is what lies between its key and the last brace, byte for byte."""
    head, found, rest = body.partition(b',"data":')
    fields = json.loads(head + b"}")
    assert found and list(fields) == ["jobId", "queue", "attempt"], body[:200]
    return Arrived(fields["jobId"], fields["queue"], fields["attempt"], rest[:-1], url)


def row_of(attempt: Attempt) -> Row:
    """Return a reported attempt as it should be stored."""
    return Row(
        attempt.round, attempt.number, attempt.max_attempts, attempt.due_ms, attempt.started_ms, attempt.ended_ms,
        attempt.outcome.kind.value, attempt.outcome.status, attempt.next_due_ms,
        attempt.outcome.injected,
    )  # fmt: skip


def ended(job: Job, attempt: Attempt) -> Ended:
    """Return a reported end of an attempt."""
    return Ended(job.id, job.key, row_of(attempt))


def read_disk(path: Path, is_thorough: bool = False) -> Disk:
    """Return what is in a database that nobody has open, read without the product's help."""
    db = sqlite3.connect(path)
    try:
        rows: dict[int, list[Row]] = {}
        if not db.execute("SELECT 1 FROM pragma_table_info('attempts') WHERE name = 'injected'").fetchone():
            return Disk((), {}, frozenset(), "ok")  # it died before it was made
        for seq, *row in db.execute(f"SELECT seq, {ROW} FROM attempts ORDER BY id"):
            rows.setdefault(seq, []).append(Row(*row))
        jobs = [
            Stored(id_, (namespace, queue), tuple(rows.get(seq, ())), *rest)
            for seq, id_, namespace, queue, *rest in db.execute(
                "SELECT seq, id, namespace, queue, finished, round, failures, due_ms, created_ms, data "
                "FROM jobs JOIN payloads USING (seq) ORDER BY seq"
            )
        ]
        counts = dict(db.execute("SELECT state, total(n) FROM counts GROUP BY state"))
        pauses = frozenset(db.execute("SELECT namespace, queue FROM pauses"))
        orphans = db.execute(
            "SELECT (SELECT count(*) FROM payloads) + (SELECT count(*) FROM jobs)"
            " - 2 * (SELECT count(*) FROM jobs JOIN payloads USING (seq))"
            " + (SELECT count(*) FROM attempts WHERE seq NOT IN (SELECT seq FROM jobs))"
        ).fetchone()[0]
        problem = db.execute("PRAGMA integrity_check").fetchone()[0] if is_thorough else "ok"
    finally:
        db.close()
    return Disk(tuple(jobs), counts, pauses, "jobs, payloads and attempts do not match" if orphans else problem)


def _text(fact: Fact) -> str:
    if isinstance(fact, Disk):
        states = ", ".join(f"{job.id[-4:]}:{job.finished or 'pending'}" for job in fact.jobs)
        return f"disk {json.dumps(fact.counts)} {fact.problem} {states}"
    if isinstance(fact, Opened | Configured):
        queues = " ".join(_settings(queue) for queue in fact.queues.values())
        name = type(fact).__name__.lower()
        if isinstance(fact, Opened):
            silent = "" if fact.silent is None else f" waiting for {sorted(fact.silent)}"
            name += f" {fact.mode}{silent} {json.dumps(dict(fact.periods))}"
        return f"{name} {queues or 'no queues'} {json.dumps(dict(fact.targets))}"
    parts = (_value(getattr(fact, each.name)) for each in fields(fact))
    return " ".join((type(fact).__name__.lower(), *parts))


def _settings(queue: Queue) -> str:
    numbers = f"{queue.concurrency}/{queue.retries}/{queue.retry_delay_ms}/{queue.timeout_ms}"
    return f"{queue.namespace}.{queue.name}={numbers}"


def _value(value: Any) -> str:
    if isinstance(value, Queue):
        return _settings(value)
    if isinstance(value, Row):
        times = (_time(each) for each in (value.due_ms, value.started_ms, value.ended_ms, value.next_due_ms))
        attempt = f"round {value.round} {value.number}/{value.max_attempts} {value.outcome} {value.status}"
        attempt += f" scripted {value.injected}" if value.injected else ""
        return "{} due {} started {} ended {} next {}".format(attempt, *times)
    return repr(value) if len(repr(value)) < 400 else f"{repr(value)[:80]}... ({len(repr(value))})"


def _time(ms: int | None) -> str:
    return "-" if ms is None else f"{datetime.fromtimestamp(ms / 1000, UTC):%dT%H:%M:%S}.{ms % 1000:03}"
