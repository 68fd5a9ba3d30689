"""The expected state of jobs and queues, as far as the history determines it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from localqueue.core.clock import JUMP_MS
from localqueue.core.models import Queue, QueueKey
from tests.sim.checker.scripted import UNKNOWN
from tests.sim.history import Row, Started

COUNTED = ("http_error", "timeout", "connection_error")
FINAL = ("completed", "failed", "cancelled")
NOTICED_S = 1.0
"""Within how many seconds it is noticed that a service listens."""
CLOCKS_MS = 2
"""By how much two processes may read one clock differently; each rounds to whole ms."""
PLAYS = ("advance", "advance_to", "advance_to_next", "drain")


@dataclass(slots=True)
class Problem:
    """A rule that does not hold, and where the history shows it."""

    rule: str
    index: int
    what: str

    def __str__(self) -> str:
        return f"{self.rule} at {self.index}: {self.what}"


@dataclass(slots=True)
class RunningAttempt:
    """A running attempt, as far as it is visible from outside."""

    started: Started
    index: int
    now: int
    is_cancelled: bool  # a call to cancel it has started
    scripted: str | None = None  # the word of its outcome
    has_arrived: bool = False
    is_free: bool = False  # its slot
    answer: str | None = None
    answer_s: float = 0.0  # when that was, in real time
    answer_ms: int = 0  # and on the queue's clock
    is_held: bool = False
    held_s: float = -1000.0  # when it was held or released the last time


@dataclass(slots=True, eq=False)
class Job:
    """The expected state of a job. `state` is None if overlapping calls leave it open."""

    call: int
    queue: QueueKey
    data: bytes
    created: int
    created_latest: int
    due: int
    due_latest: int
    since: int  # the fact that made it ready to start
    id: str = ""
    is_known: bool = False  # it exists for sure
    is_deleted: bool = False  # it does not exist, or not any more
    state: str | None = "pending"
    round: int = 1
    failures: int = 0
    running: RunningAttempt | None = None
    rows: list[Row] = field(default_factory=list)
    open_calls: set[int] = field(default_factory=set)  # calls about it that have not returned
    was_final: int = -1  # the last fact before which it was final
    admitted: list[int] = field(default_factory=list)  # when resets ended that it may have waited for
    late: int = 0  # for how many seconds it was due and had a slot

    @property
    def is_there(self) -> bool:
        """Return whether it exists for sure."""
        return self.is_known and not self.is_deleted

    @property
    def key(self) -> tuple[int, int]:
        """Return what the order of dispatch goes by, at the earliest."""
        return (self.due, self.call)

    def new_round(self, earliest: int, now: int, index: int) -> None:
        """Follow a retry by hand that was made between these times."""
        self.state, self.round, self.failures = "pending", self.round + 1, 0
        self.due, self.due_latest, self.since, self.was_final = earliest, now, index, index


@dataclass(slots=True, eq=False)
class QueueView:
    """The expected state of a queue. `is_paused` is None if unknown."""

    settings: Queue | None = None
    is_paused: bool | None = False
    pausing: set[int] = field(default_factory=set)
    active: int = 0
    unsent: int = 0  # of these, how many have not been sent
    reserved: list[int] = field(default_factory=list)
    simulated: list[int] = field(default_factory=list)  # the same for scripted delays; a restart forgets them
    is_silent: bool = False  # its service has not listened yet, so that its jobs wait
    listens_s: float = -1000.0  # when it was first known to
    script: deque[str] | None = field(default_factory=deque)  # None: unknown
    since: int = 0

    @property
    def may_start(self) -> bool:
        """Return whether something may be started."""
        return self.settings is not None and not self.is_silent and (self.is_paused is not True or bool(self.pausing))

    @property
    def is_open(self) -> bool:
        """Return whether what is due and has a slot must be started."""
        return self.settings is not None and not self.is_silent and self.is_paused is False and not self.pausing

    def taken(self, now: int) -> int:
        """Return how many slots are not free."""
        return self.active + len(self._later(now))

    def _later(self, now: int) -> list[int]:
        return sorted(until for until in (*self.reserved, *self.simulated) if until > now)

    def first_slot(self, now: int) -> int | None:
        """Return from when on a slot is free if no attempt ends, or None."""
        assert self.settings is not None
        free = self.settings.concurrency - self.active
        reserved = self._later(now)
        if free <= 0:
            return None
        return now if free > len(reserved) else reserved[len(reserved) - free]

    def settle(self) -> None:
        """Note that the process has died, and every attempt with it."""
        self.active = self.unsent = 0
        self.simulated, self.script = [], deque()

    def take_word(self) -> str | None:
        """Take the scripted outcome of the attempt that starts now, if there is one."""
        if self.script is None:
            return UNKNOWN
        return self.script.popleft() if self.script else None


@dataclass(slots=True, eq=False)
class Call:
    """A call that has not returned."""

    index: int
    now: int
    real: float
    verb: str
    args: tuple[Any, ...]
    ended: int  # how many attempts had ended before it
    jobs: list[Job] = field(default_factory=list)  # those that it is about
    is_alone: bool = True  # no other play, reset or stop overlaps with it
    is_undisturbed: bool = True  # nobody asks for anything else meanwhile
    moves: int = 0


class Expected:
    """The expected state at one moment of a history, and the problems found so far."""

    def __init__(self) -> None:
        self.answers: dict[int, str] = {}  # the codes of the calls, also of those that have not returned yet
        self.problems: list[Problem] = []
        self.index = self.now = 0
        self.real = 0.0
        self.instant = 0  # the first fact at this moment of real time
        self.jobs: dict[bytes, Job] = {}
        self.by_id: dict[str, Job] = {}
        self.views: dict[QueueKey, QueueView] = {}
        self.targets: Mapping[str, str] = {}
        self.calls: dict[int, Call] = {}
        self.ended: list[tuple[str, int, int]] = []  # attempts, in the order in which they were said to be on disk
        self.last_end = -1
        self.trouble, self.trouble_s = -1, -1000.0  # when the disk failed the last time
        self.newest = -1  # the attempt started last of those that have ended
        self.lost_verbs: set[str] = set()  # calls that were running when the process died
        self.keep, self.is_virtual, self.is_remote = 0, True, False
        self.silent: set[str] = set()  # the namespaces whose jobs wait, because their services have not listened yet
        self.latest_ms = 0  # the latest time that something was said to have happened at

    @property
    def slack_ms(self) -> int:
        """Return by how much the times of a fact and of a row may differ."""
        return CLOCKS_MS if self.is_remote else 0

    @property
    def behind_ms(self) -> int:
        """Return by how much a process's clock may be behind: it was interrupted while it compared the system's."""
        return JUMP_MS if self.is_remote else 0

    def report(self, rule: str, what: str) -> None:
        """Note a problem."""
        self.problems.append(Problem(rule, self.index, what))

    def view(self, key: QueueKey) -> QueueView:
        """Return a queue."""
        return self.views.setdefault(key, QueueView())

    def outstanding(self, *verbs: str) -> bool:
        """Return whether a call with such a verb has not returned."""
        return any(call.verb in verbs for call in self.calls.values())

    def ready(self) -> Iterator[tuple[Job, QueueView]]:
        """Return the jobs that wait for sure in a queue that is open: no call about them or it has not returned."""
        for job in self.jobs.values():
            if job.is_there and job.state == "pending" and job.running is None and not job.open_calls:
                view = self.view(job.queue)
                if view.is_open and self.real - view.listens_s > NOTICED_S:
                    yield job, view

    def learn(self, job: Job, id_: str) -> None:
        """Take note of a job's id."""
        if job.id not in ("", id_):
            self.report("I1", f"job {job.data[:20]!r} was {job.id} and is {id_}")
        other = self.by_id.get(id_)
        if other is not None and other is not job and other.is_there:
            self.report("I1", f"the id {id_} was given twice")
        if job.id == "" and (made := int(id_[:8] + id_[9:13], 16)) in job.admitted:
            job.created = job.created_latest = job.due = job.due_latest = made
        job.id = id_
        self.by_id[id_] = job

    def reset_all(self, reset: int) -> None:
        """Follow a reset, the call of this number, that has been done."""
        for job in self.jobs.values():
            if job.running is not None and job.running.answer is None:
                self.report("reset.state", f"an attempt of {job.id} is running after a reset")
            job.running = None
            came_meanwhile = job.call > reset or job.call in self.calls
            job.is_known, job.is_deleted = False, job.is_deleted or not came_meanwhile
            job.rows, job.state, job.failures, job.round = [], "pending", 0, 1
        for view in self.views.values():
            view.is_paused, view.reserved, view.since = (None if view.pausing else False), [], self.index
            view.simulated, view.script = [], None if view.script is None else deque()
        self.newest, self.latest_ms = -1, self.now
