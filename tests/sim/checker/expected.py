"""Know how jobs and queues must be, as far as the history tells it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from localqueue.core.models import Queue, QueueKey
from tests.sim import history
from tests.sim.history import Begun, History, Row

COUNTED = ("http_error", "timeout", "connection_error")
FINAL = ("completed", "failed", "cancelled")
PLAYS = ("advance", "advance_to", "advance_to_next", "drain")


@dataclass(slots=True)
class Problem:
    """Say which rule does not hold, and where in the history that shows."""

    rule: str
    index: int
    what: str

    def __str__(self) -> str:
        return f"{self.rule} at {self.index}: {self.what}"


@dataclass(slots=True)
class Flight:
    """An attempt under way, as far as it could be seen."""

    begun: Begun
    index: int
    now: int
    is_cut: bool  # somebody has asked to cancel it
    has_arrived: bool = False
    answer: str | None = None


@dataclass(slots=True, eq=False)
class Job:
    """A job as it must be. `state` is None where calls that overlapped leave it open."""

    call: int
    queue: QueueKey
    data: bytes
    created: int
    due: int
    due_latest: int
    since: int  # the fact that made it ready to start
    id: str = ""
    is_known: bool = False  # it exists for sure
    is_void: bool = False  # it does not exist, or not any more
    state: str | None = "pending"
    round: int = 1
    failures: int = 0
    flight: Flight | None = None
    rows: list[Row] = field(default_factory=list)
    asked: set[int] = field(default_factory=set)  # calls about it that have not returned
    was_final: int = -1  # the last fact before which it was final
    late: int = 0  # for how many seconds it was due and had a slot

    @property
    def is_there(self) -> bool:
        """Return whether it exists for sure."""
        return self.is_known and not self.is_void

    @property
    def key(self) -> tuple[int, int]:
        """Return what the order of dispatch goes by, at the earliest."""
        return (self.due, self.call)

    def new_round(self, earliest: int, now: int, index: int) -> None:
        """Follow a retry by hand that was made between these times."""
        self.state, self.round, self.failures = "pending", self.round + 1, 0
        self.due, self.due_latest, self.since, self.was_final = earliest, now, index, index


@dataclass(slots=True, eq=False)
class Lane:
    """A queue as it must be. `is_paused` is None where it is not known."""

    settings: Queue | None = None
    is_paused: bool | None = False
    pausing: set[int] = field(default_factory=set)
    under_way: int = 0
    unnamed: int = 0  # of these, how many have not been sent
    owed: list[int] = field(default_factory=list)
    since: int = 0

    @property
    def may_be_open(self) -> bool:
        """Return whether something may be started."""
        return self.settings is not None and (self.is_paused is not True or bool(self.pausing))

    @property
    def is_open(self) -> bool:
        """Return whether what is due and has a slot must be started."""
        return self.settings is not None and self.is_paused is False and not self.pausing

    def taken(self, now: int) -> int:
        """Return how many slots are not free."""
        return self.under_way + sum(until > now for until in self.owed)

    def first_slot(self, now: int) -> int | None:
        """Return from when on a slot is free if no attempt ends, or None."""
        assert self.settings is not None
        free = self.settings.concurrency - self.under_way
        owed = sorted(until for until in self.owed if until > now)
        if free <= 0:
            return None
        return now if free > len(owed) else owed[len(owed) - free]

    def settle(self) -> None:
        """Take note that the process is gone, and every attempt with it."""
        self.under_way = self.unnamed = 0


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
    """Hold what must be at one moment of a history, and the problems that were found up to there."""

    def __init__(self, found: History) -> None:
        facts = [entry.fact for entry in found]
        self.answers = {fact.call: fact.code for fact in facts if isinstance(fact, history.Returned)}
        self.problems: list[Problem] = []
        self.index = self.now = 0
        self.real = 0.0
        self.jobs: dict[bytes, Job] = {}
        self.by_id: dict[str, Job] = {}
        self.lanes: dict[QueueKey, Lane] = {}
        self.targets: Mapping[str, str] = {}
        self.calls: dict[int, Call] = {}
        self.ended: list[tuple[str, int, int]] = []  # attempts, in the order in which they were said to be on disk
        self.last_end = -1
        self.trouble, self.trouble_s = -1, -1000.0  # when the disk failed the last time
        self.newest = -1  # the attempt begun last of those that have ended
        self.lost_verbs: set[str] = set()  # what was asked for when the process died
        self.keep, self.is_virtual = 0, True
        self.told_ms = 0  # the latest time that something was said to have happened at

    def wrong(self, rule: str, what: str) -> None:
        """Note a problem."""
        self.problems.append(Problem(rule, self.index, what))

    def lane(self, key: QueueKey) -> Lane:
        """Return a queue."""
        return self.lanes.setdefault(key, Lane())

    def outstanding(self, *verbs: str) -> bool:
        """Return whether a call with such a verb has not returned."""
        return any(call.verb in verbs for call in self.calls.values())

    def ready(self) -> Iterator[tuple[Job, Lane]]:
        """Return the jobs that wait for sure in a queue that is open: no call about them or it has not returned."""
        for job in self.jobs.values():
            if job.is_there and job.state == "pending" and job.flight is None and not job.asked:
                lane = self.lane(job.queue)
                if lane.is_open:
                    yield job, lane

    def learn(self, job: Job, id_: str) -> None:
        """Take note of a job's id."""
        if job.id not in ("", id_):
            self.wrong("I1", f"job {job.data[:20]!r} was {job.id} and is {id_}")
        other = self.by_id.get(id_)
        if other is not None and other is not job and other.is_there:
            self.wrong("I1", f"the id {id_} was given twice")
        job.id = id_
        self.by_id[id_] = job

    def wipe(self, reset: int) -> None:
        """Follow a reset, the call of this number, that has been done."""
        for job in self.jobs.values():
            if job.flight is not None and job.flight.answer is None:
                self.wrong("reset.state", f"an attempt of {job.id} is under way after a reset")
            job.flight = None
            came_meanwhile = job.call > reset or job.call in self.calls
            job.is_known, job.is_void = False, job.is_void or not came_meanwhile
            job.rows, job.state, job.failures, job.round = [], "pending", 0, 1
        for lane in self.lanes.values():
            lane.is_paused, lane.owed, lane.since = (None if lane.pausing else False), [], self.index
        self.newest, self.told_ms = -1, self.now
