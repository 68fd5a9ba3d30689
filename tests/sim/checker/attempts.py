"""Check attempts: when they are started, what they carry, how they end, and what follows."""

from __future__ import annotations

from tests.sim import history
from tests.sim.checker.expected import COUNTED, FINAL, PLAYS, Expected, Flight, Job, Lane
from tests.sim.history import Begun, Row


class Attempts:
    """Follow attempts from their start to their row."""

    def __init__(self, expected: Expected) -> None:
        self._expected = expected

    # the start

    def begun(self, fact: Begun) -> None:
        """Check that this may be started now."""
        here, lane = self._expected, self._expected.lane(fact.queue.key)
        here.told_ms = here.now
        self._look_at_lane(fact, lane)
        lane.under_way += 1
        if not fact.id:
            lane.unnamed += 1  # it was cut off before it was sent
            return
        job = here.jobs.get(fact.data)
        if job is None:
            here.wrong("I8", f"attempt {fact.attempt} of {fact.id} has data that nobody sent: {fact.data[:60]!r}")
            return
        here.learn(job, fact.id)
        self._look_at_job(fact, job)
        job.is_known = True
        job.flight = Flight(fact, here.index, here.now, is_cut=bool(job.asked))

    def _look_at_lane(self, fact: Begun, lane: Lane) -> None:
        here = self._expected
        if here.is_virtual and not here.outstanding(*PLAYS):
            here.wrong("time.virtual", f"an attempt of {fact.id} was started by itself")
        if not lane.may_be_open:
            here.wrong("states.paused", f"{fact.id} was started while its queue was held")
        if lane.settings is None:
            return
        if fact.queue != lane.settings:
            here.wrong("configure.queues", f"{fact.id} was started under {fact.queue}, not under {lane.settings}")
        taken = lane.taken(here.now) - (0 if here.is_virtual else lane.unnamed)  # those may have been cut off already
        if taken >= lane.settings.concurrency:
            here.wrong("I6", f"{fact.id} was started though {taken} slots were taken")

    def _look_at_job(self, fact: Begun, job: Job) -> None:
        here = self._expected
        if job.is_void:
            here.wrong("I7", f"{fact.id} was started, a job that does not exist")
        if job.flight is not None:
            here.wrong("I7", f"{fact.id} was started while an attempt of it was under way")
        self._apply_open_retry(job)
        if job.state in FINAL:
            here.wrong("I7", f"{fact.id} was started though it was {job.state}")
        if job.state is not None and fact.attempt != job.failures + 1:
            here.wrong("I9", f"attempt {fact.attempt} of {fact.id} came after {job.failures} failures")
        if here.now < job.due:
            here.wrong("I5", f"{fact.id} was started {job.due - here.now} ms early")
        if fact.url != here.targets.get(job.queue[0], "") + fact.queue.endpoint:
            here.wrong("configure.targets", f"{fact.id} went to {fact.url}")
        self._look_at_order(job)

    def _apply_open_retry(self, job: Job) -> None:
        """Start a new round of a finished job if a retry by hand that has not returned may have done so."""
        here = self._expected
        retries = [here.calls[call].now for call in job.asked if here.calls[call].verb.startswith("retry")]
        if job.state in FINAL and retries:
            job.new_round(min(retries), here.now, here.index)

    def _look_at_order(self, job: Job) -> None:
        here = self._expected
        for other, lane in here.ready():
            is_first = other is not job and (other.due_latest, other.call) < job.key
            is_first &= here.is_virtual or other.queue == job.queue  # else the slot may not be known to be free yet
            is_old = other.id and max(other.since, lane.since) < here.index
            if is_first and is_old and not lane.unnamed and lane.first_slot(here.now) == here.now:
                here.wrong("deliver.order", f"{job.id} was started before {other.id}, which was first")
                return

    # on the wire

    def arrived(self, fact: history.Arrived) -> None:
        """Check what came to the service."""
        here, job = self._expected, self._expected.by_id.get(fact.id)
        if job is None or job.flight is None or job.flight.has_arrived:
            here.wrong("I7", f"attempt {fact.attempt} of {fact.id} arrived, which was not started")
            return
        job.flight.has_arrived = True
        if fact.data != job.data:
            here.wrong("I8", f"{fact.id} carries {fact.data[:60]!r} instead of {job.data[:60]!r}")
        begun = job.flight.begun
        if (fact.queue, fact.attempt, fact.url) != (job.queue[1], begun.attempt, begun.url):
            here.wrong("deliver.body", f"{fact.id} arrived as {fact}")

    def answered(self, fact: history.Answered) -> None:
        """Follow the service's answer: from now on the slot is free."""
        job = self._expected.by_id.get(fact.id)
        if job is not None and job.flight is not None:
            job.flight.answer = fact.kind
            self._expected.lane(job.flight.begun.queue.key).under_way -= 1

    # the end

    def ended(self, fact: history.Ended) -> None:
        """Compare what is told of an attempt with what was seen of it."""
        here, job = self._expected, self._expected.by_id.get(fact.id)
        if job is None:
            return  # cut off before it was sent, and before its enqueueing was answered
        lane = here.lane(job.queue)
        lane.under_way -= job.flight is None or not job.flight.has_arrived
        lane.unnamed -= job.flight is None
        here.ended.append((fact.id, fact.row.round, fact.row.number))
        here.last_end = here.index
        if job.flight is None:  # cut off before it was sent
            self._apply_open_retry(job)
        self.record(job, fact.row)

    def record(self, job: Job, row: Row) -> None:
        """Compare an attempt that is on disk with what was seen of it, and follow it."""
        here = self._expected
        self._look_at_row(job, row)
        self._look_at_outcome(job, row)
        flight, job.flight = job.flight, None
        job.rows.append(row)
        if row.outcome == "timeout" and here.is_virtual:
            here.lane(job.queue).owed.append(row.ended_ms)
        if row.outcome in COUNTED:
            self._failed(job, row, flight)
        elif row.outcome in FINAL:
            job.state = row.outcome
        self._look_at_sequence(flight, row)
        job.since = here.index
        if job.state in FINAL:
            job.was_final = here.index

    def _look_at_row(self, job: Job, row: Row) -> None:
        here = self._expected
        if job.state is None:
            job.state, job.round, job.failures = "pending", row.round, row.number - 1
            job.due = job.due_latest = row.due_ms
        elif (row.round, row.number) != (job.round, job.failures + 1):
            here.wrong("I9", f"{row.number} in round {row.round} of {job.id} after {job.failures} in round {job.round}")
        if not job.due <= row.due_ms <= job.due_latest:
            here.wrong("I5", f"{job.id} was due at {row.due_ms} instead of {job.due}")
        job.due = job.due_latest = row.due_ms
        if row.started_ms < row.due_ms:
            here.wrong("I5", f"attempt {row.number} of {job.id} was started {row.due_ms - row.started_ms} ms early")
        if job.flight is not None and row.started_ms != job.flight.now:
            here.wrong(
                "I5", f"attempt {row.number} of {job.id} is said to be of {row.started_ms}, not {job.flight.now}"
            )

    def _look_at_outcome(self, job: Job, row: Row) -> None:
        here = self._expected
        answer = job.flight.answer if job.flight is not None else None
        if row.outcome == "cancelled":
            is_right = bool(job.asked) if job.flight is None else job.flight.is_cut
        elif row.outcome == "interrupted":
            is_right = here.outstanding("stop", "reset") or not here.lost_verbs.isdisjoint(("stop", "reset"))
        else:
            is_right = row.outcome == answer or (row.outcome == "timeout" and answer == "gone")
        if not is_right:
            rule = "I3" if "completed" in (row.outcome, answer) else "states.attempts"
            here.wrong(rule, f"attempt {row.number} of {job.id} is {row.outcome}, it was answered: {answer}")

    def _failed(self, job: Job, row: Row, flight: Flight | None) -> None:
        job.failures = row.number
        if flight is None:
            return
        here, queue = self._expected, flight.begun.queue
        self._look_at_end(job, row, flight)
        expected = None
        if row.number > queue.retries:
            job.state = "failed"
        else:
            job.due = job.due_latest = expected = row.ended_ms + queue.retry_delay_ms
        if row.next_due_ms != expected:
            rule = "I4" if None in (row.next_due_ms, expected) else "I5"
            what = f"attempt {row.number} of {job.id} with retries {queue.retries}"
            here.wrong(rule, f"{what}: next due {row.next_due_ms} instead of {expected}")

    def _look_at_end(self, job: Job, row: Row, flight: Flight) -> None:
        here = self._expected
        ended_ms = row.started_ms
        if row.outcome == "timeout" and (here.is_virtual or flight.answer == "gone"):
            ended_ms += flight.begun.queue.timeout_ms
        if row.ended_ms != ended_ms and (here.is_virtual or row.ended_ms < ended_ms):
            here.wrong("I5", f"attempt {row.number} of {job.id} ended at {row.ended_ms} instead of {ended_ms}")

    def _look_at_sequence(self, flight: Flight | None, row: Row) -> None:
        here = self._expected
        if flight is None or flight.is_cut or row.outcome in ("cancelled", "interrupted") or not here.is_virtual:
            return
        if here.trouble > flight.index:
            return  # it was written as soon as that was possible
        if flight.index < here.newest:
            here.wrong("time.order", f"{flight.begun.id} was applied after one that was started later")
        here.newest = flight.index
