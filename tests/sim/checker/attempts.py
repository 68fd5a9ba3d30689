"""Check attempts: when they are started, what they carry, how they end, and what follows."""

from __future__ import annotations

from tests.sim import history
from tests.sim.checker.expected import COUNTED, FINAL, PLAYS, Expected, Job, QueueView, RunningAttempt
from tests.sim.checker.scripted import UNKNOWN, calls_service, may_end, slow_ms
from tests.sim.history import Row, Started

EXACT_S = 0.002
"""How exactly a timer goes by its time."""


class Attempts:
    """Follow attempts from their start to their row."""

    def __init__(self, expected: Expected) -> None:
        self._expected = expected
        self._interrupted: set[tuple[str, Row]] = set()  # of jobs that were not known then; the disk may show them

    # the start

    def scripted(self, fact: history.Scripted) -> None:
        """Follow the script of a queue. A reset in progress may or may not clear it."""
        view = self._expected.view(fact.queue)
        if self._expected.outstanding("reset"):
            view.script = None
        elif view.script is not None:
            view.script.extend(fact.words)

    def started(self, fact: Started) -> None:
        """Check that this may be started now."""
        here, view = self._expected, self._expected.view(fact.queue.key)
        here.latest_ms = here.now
        self._check_queue(fact, view)
        view.active += 1
        word = view.take_word()
        if not fact.id:
            view.unsent += 1  # it was cut off before it was sent
            return
        job = here.jobs.get(fact.data)
        if job is None:
            here.report("I8", f"attempt {fact.attempt} of {fact.id} has data that nobody sent: {fact.data[:60]!r}")
            return
        here.learn(job, fact.id)
        self._check_job(fact, job)
        job.is_known = True
        job.running = RunningAttempt(fact, here.index, here.now, bool(job.open_calls), word)

    def _check_queue(self, fact: Started, view: QueueView) -> None:
        here = self._expected
        if here.is_virtual and not here.outstanding(*PLAYS):
            here.report("time.virtual", f"an attempt of {fact.id} was started by itself")
        if not view.may_start:
            rule = "deliver.wait-for-service" if view.is_silent else "states.paused"
            here.report(rule, f"{fact.id} was started while its queue was held")
        if view.settings is None:
            return
        if fact.queue != view.settings:
            here.report("configure.queues", f"{fact.id} was started under {fact.queue}, not under {view.settings}")
        taken = view.taken(here.now) - (0 if here.is_virtual else view.unsent)  # those may have been cut off already
        if taken >= view.settings.concurrency:
            here.report("I6", f"{fact.id} was started though {taken} slots were taken")

    def _check_job(self, fact: Started, job: Job) -> None:
        here = self._expected
        if job.is_deleted:
            here.report("I7", f"{fact.id} was started, a job that does not exist")
        if job.running is not None:
            here.report("I7", f"{fact.id} was started while an attempt of it was running")
        self._apply_open_retry(job)
        if job.state in FINAL:
            here.report("I7", f"{fact.id} was started though it was {job.state}")
        if job.state is not None:  # else it may be in a new round, and due since a time that is not known
            self._check_turn(fact, job)
        if fact.url != here.targets.get(job.queue[0], "") + fact.queue.endpoint:
            here.report("configure.targets", f"{fact.id} went to {fact.url}")

    def _check_turn(self, fact: Started, job: Job) -> None:
        here = self._expected
        if fact.attempt != job.failures + 1:
            here.report("I9", f"attempt {fact.attempt} of {fact.id} came after {job.failures} failures")
        if here.now < job.due - here.slack_ms:
            here.report("I5", f"{fact.id} was started {job.due - here.now} ms early")
        if not here.is_remote:  # else the order in which they arrive is seen, not that of their starts
            self._check_order(job)

    def _apply_open_retry(self, job: Job) -> None:
        """Start a new round of a finished job if a retry by hand that has not returned may have done so."""
        here = self._expected
        retries = [here.calls[call].now for call in job.open_calls if here.calls[call].verb.startswith("retry")]
        if job.state in FINAL and retries:
            job.new_round(min(retries), here.now, here.index)

    def _check_order(self, job: Job) -> None:
        here = self._expected
        for other, view in here.ready():
            is_first = other is not job and (other.due_latest, other.call) < job.key
            is_first &= here.is_virtual or other.queue == job.queue  # else the slot may not be known to be free yet
            is_old = other.id and max(other.since, view.since) < here.index
            if is_first and is_old and not view.unsent and view.first_slot(here.now) == here.now:
                here.report("deliver.order", f"{job.id} was started before {other.id}, which was first")
                return

    # on the wire

    def arrived(self, fact: history.Arrived) -> None:
        """Check what came to the service."""
        here, job = self._expected, self._expected.by_id.get(fact.id)
        if job is None or job.running is None or job.running.has_arrived:
            here.report("I7", f"attempt {fact.attempt} of {fact.id} arrived, which was not started")
            return
        job.running.has_arrived = True
        if not calls_service(job.running.scripted):
            here.report("faults.outcomes", f"{fact.id} arrived though its outcome was scripted: {job.running.scripted}")
        if fact.data != job.data:
            here.report("I8", f"{fact.id} carries {fact.data[:60]!r} instead of {job.data[:60]!r}")
        started = job.running.started
        if (fact.queue, fact.attempt, fact.url) != (job.queue[1], started.attempt, started.url):
            here.report("deliver.body", f"{fact.id} arrived as {fact}")

    def responded(self, fact: history.Responded) -> None:
        """Follow the service's answer, or the scripted outcome that came of it: from then on the slot is free."""
        job = self._expected.by_id.get(fact.id)
        running = None if job is None else job.running
        if running is None:
            return
        running.has_arrived |= fact.is_scripted
        if running.answer is None or not fact.is_scripted:
            running.answer = fact.kind
            running.answer_s, running.answer_ms = self._expected.real, self._expected.now
        is_over = fact.is_scripted or not slow_ms(running.scripted)
        if is_over and not running.is_free:
            running.is_free = True
            self._expected.view(running.started.queue.key).active -= 1

    # the end

    def ended(self, fact: history.Ended) -> None:
        """Compare what is reported of an attempt with what was seen of it."""
        here, job = self._expected, self._expected.by_id.get(fact.id)
        running, view = None if job is None else job.running, here.view(fact.queue)
        view.active -= running is None or not running.is_free
        view.unsent -= running is None
        if here.is_virtual and fact.row.outcome in ("completed", "http_error", "connection_error"):
            view.simulated.append(fact.row.ended_ms)
        here.ended.append((fact.id, fact.row.round, fact.row.number))
        here.last_end = here.index
        if job is None:  # cut off before it was sent, and before its enqueueing returned, if it ever will
            self._end_unknown(fact)
            return
        if running is None:  # cut off before it was sent
            self._apply_open_retry(job)
        self.record(job, fact.row)

    def _end_unknown(self, fact: history.Ended) -> None:
        if fact.row.outcome != "interrupted" or not self._may_interrupt():
            self._expected.report("states.attempts", f"{fact.id}, which nobody knows, is {fact.row.outcome}")
        self._interrupted.add((fact.id, fact.row))

    def _may_interrupt(self) -> bool:
        here = self._expected
        return here.outstanding("stop", "reset") or not here.lost_verbs.isdisjoint(("stop", "reset"))

    def record(self, job: Job, row: Row) -> None:
        """Compare an attempt that is on disk with what was seen of it, and follow it."""
        here = self._expected
        self._check_row(job, row)
        self._check_outcome(job, row)
        self._check_end(job, row)
        self._check_hold(job, row)
        running, job.running = job.running, None
        job.rows.append(row)
        if row.outcome == "timeout" and here.is_virtual:
            here.view(job.queue).reserved.append(row.ended_ms)
        if row.outcome in COUNTED:
            self._failed(job, row, running)
        elif row.outcome in FINAL:
            job.state = row.outcome
        self._check_sequence(running, row)
        job.since = here.index
        if job.state in FINAL:
            job.was_final = here.index

    def _check_row(self, job: Job, row: Row) -> None:
        here = self._expected
        if job.state is None:
            job.state, job.round, job.failures = "pending", row.round, row.number - 1
            job.due = job.due_latest = row.due_ms
        elif (row.round, row.number) != (job.round, job.failures + 1):
            here.report(
                "I9", f"{row.number} in round {row.round} of {job.id} after {job.failures} in round {job.round}"
            )
        if not job.due <= row.due_ms <= job.due_latest:
            here.report("I5", f"{job.id} was due at {row.due_ms} instead of {job.due}")
        job.due = job.due_latest = row.due_ms
        if row.started_ms < row.due_ms:
            here.report("I5", f"attempt {row.number} of {job.id} was started {row.due_ms - row.started_ms} ms early")
        if job.running is not None and not self._may_start_at(job.running, row.started_ms):
            here.report(
                "I5", f"attempt {row.number} of {job.id} is said to be of {row.started_ms}, not {job.running.now}"
            )

    def _may_start_at(self, running: RunningAttempt, started_ms: int) -> bool:
        here = self._expected
        return started_ms <= running.now + here.slack_ms if here.is_remote else started_ms == running.now

    def _check_outcome(self, job: Job, row: Row) -> None:
        here = self._expected
        answer = job.running.answer if job.running is not None else None
        if row.outcome == "cancelled":
            is_right = bool(job.open_calls) if job.running is None else job.running.is_cancelled
        elif row.outcome == "interrupted":
            is_right = self._may_interrupt() or (job.id, row) in self._interrupted
        elif job.running is not None and job.running.scripted is not None:
            self._check_scripted(job, job.running, row)
            return
        else:
            is_right = row.outcome == answer or (row.outcome == "timeout" and answer == "gone")
            is_right &= row.injected is None
        if not is_right:
            rule = "I3" if "completed" in (row.outcome, answer) else "states.attempts"
            here.report(rule, f"attempt {row.number} of {job.id} is {row.outcome}, it was responded: {answer}")

    def _check_scripted(self, job: Job, running: RunningAttempt, row: Row) -> None:
        here, word = self._expected, running.scripted
        if word in (None, UNKNOWN):
            return
        if row.injected != word:
            here.report("faults.order", f"attempt {row.number} of {job.id} had {row.injected}, scripted was {word}")
        elif not may_end(word, row, running.answer, running.started.queue.timeout_ms, here.is_virtual):
            what = f"{row.outcome} {row.status}, responded was {running.answer}"
            here.report("faults.outcomes", f"attempt {row.number} of {job.id} had {word} and is {what}")

    def _failed(self, job: Job, row: Row, running: RunningAttempt | None) -> None:
        job.failures = row.number
        if running is None:
            return
        here, queue = self._expected, running.started.queue
        expected = None
        if row.number > queue.retries:
            job.state = "failed"
        else:
            job.due = job.due_latest = expected = row.ended_ms + queue.retry_delay_ms
        if row.next_due_ms != expected:
            rule = "I4" if None in (row.next_due_ms, expected) else "I5"
            what = f"attempt {row.number} of {job.id} with retries {queue.retries}"
            here.report(rule, f"{what}: next due {row.next_due_ms} instead of {expected}")

    def _check_end(self, job: Job, row: Row) -> None:
        here, running = self._expected, job.running
        if running is None or row.outcome in ("cancelled", "interrupted") or running.scripted == UNKNOWN:
            return
        ended_ms = row.started_ms
        if row.outcome == "timeout" and (here.is_virtual or running.answer == "gone"):
            ended_ms += running.started.queue.timeout_ms
        elif row.outcome != "timeout":
            ended_ms += slow_ms(running.scripted)
        if row.outcome == running.answer:
            ended_ms = max(ended_ms, running.answer_ms - here.behind_ms)
        if row.ended_ms != ended_ms and (here.is_virtual or row.ended_ms < ended_ms):
            here.report("I5", f"attempt {row.number} of {job.id} ended at {row.ended_ms} instead of {ended_ms}")

    def _check_hold(self, job: Job, row: Row) -> None:
        """Check that an attempt is not cut off while it is held, and has its whole time after that."""
        running = job.running
        if running is None or row.injected or (row.outcome, running.answer) != ("timeout", "gone"):
            return
        since_s = running.answer_s - running.held_s
        if since_s > 0 and (running.is_held or since_s < running.started.queue.timeout_ms / 1000 - EXACT_S):
            state = "held" if running.is_held else "released"
            self._expected.report("deliver.hold", f"{job.id} was cut off {since_s:.3f} s after it was {state}")

    def _check_sequence(self, running: RunningAttempt | None, row: Row) -> None:
        here = self._expected
        if (
            running is None
            or running.is_cancelled
            or row.outcome in ("cancelled", "interrupted")
            or not here.is_virtual
        ):
            return
        if here.trouble > running.index:
            return  # it was written as soon as that was possible
        if running.index < here.newest:
            here.report("time.order", f"{running.started.id} was applied after one that was started later")
        here.newest = running.index
