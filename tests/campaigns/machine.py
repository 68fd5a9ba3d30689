"""Compare localqueue with the model after every call: hypothesis chooses the calls, and shortens what fails."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from starlette.types import ASGIApp

from localqueue.api import app
from localqueue.api.context import ServerInfo
from localqueue.catalog import loader
from localqueue.core import settings as server_settings
from localqueue.core.clock import VirtualClock
from localqueue.core.models import AttemptError, Outcome, OutcomeKind, Queue, Request
from localqueue.core.times import iso
from localqueue.engine.engine import Engine
from localqueue.engine.executor import Send
from localqueue.testing.in_process import _Call, _scope
from tests.campaigns.queue_model import FINISHED, START_MS, STATES, Model, ModelAttempt, ModelJob, Settings
from tests.support import write_catalog

CONTROL = "/_localqueue"
DECLARED = {"work": Settings(2, 2, 50, 30_000), "other": Settings(5, 3, 5000, 30_000)}
MOST_JOBS = 40
SHORT_STEPS, LONG_STEPS = 50, 100
"""How many calls an example has; a long one is part of a campaign of at least LONG examples."""
LONG = 100


class _Service:
    """Respond to each attempt with the status that the data of the job has for it."""

    def begin(self, queue: Queue) -> Send:
        """Return what makes an attempt."""
        return self._send

    async def _send(self, request: Request) -> Outcome:
        body = json.loads(request.body)
        status = body["data"][min(body["attempt"], len(body["data"])) - 1]
        if status < 300:
            return Outcome(OutcomeKind.COMPLETED, status)
        return Outcome(OutcomeKind.HTTP_ERROR, status, AttemptError(f"http_{status}", f"responded {status}"))


class LocalqueueUnderTest:
    """An engine and its app on a loop that runs only during a call."""

    def __init__(self, folder: Path) -> None:
        self._loop = asyncio.new_event_loop()
        catalog = write_catalog(folder, concurrency=2, retries=2, delay=50)
        self._engine, self._app = self._loop.run_until_complete(self._open(folder / "queue.db", catalog))

    async def _open(self, database: Path, catalog: Path) -> tuple[Engine, ASGIApp]:
        options = server_settings.Settings(ephemeral=True, clock="virtual")
        declared, clock = loader.load([catalog]), VirtualClock(START_MS)
        engine = await Engine.open(database, declared, clock, _Service(), lambda _: None, options)
        engine.start()
        info = ServerInfo("http://localhost:4327", database, True, lambda _: False, 1024 * 1024)
        return engine, app.build(engine, info).asgi

    def call(self, method: str, path: str, body: Any = None, **parameters: str) -> tuple[int, Any]:
        """Return the status and the content of a response."""
        request = b"" if body is None else json.dumps(body).encode()
        call = _Call(self._app, _scope(method, path, parameters), request)
        status, content = self._loop.run_until_complete(call.run())
        return status, json.loads(content)

    def close(self) -> None:
        """Stop it."""
        self._loop.run_until_complete(self._engine.close())
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()


QUEUES = st.sampled_from(list(DECLARED))
STATUSES = st.lists(st.sampled_from([200, 204, 302, 404, 500, 503]), min_size=1, max_size=3)
OUTCOMES = st.sampled_from(["ok", "503", "404", "timeout", "reset", "refuse", "slow=40", "slow=70000", "lost-ack"])
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "concurrency": st.sampled_from([None, 1, 2, 3]),
        "retries": st.sampled_from([None, 0, 1, 4]),
        "retryDelayMs": st.sampled_from([0, None, 60_000]),
        "timeoutMs": st.sampled_from([None, 20_000, 60_000]),
    },
)


def is_equal(found: object, expected: object) -> None:
    """Compare what was found with the model; pytest explains no assertion here."""
    assert found == expected, f"found    {found}\nexpected {expected}"


def machine(server: LocalqueueUnderTest) -> type[RuleBasedStateMachine]:
    """Return the state machine for a server; each example begins with a reset."""

    class Machine(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.model = Model(DECLARED)
            self.ids: dict[int, str] = {}
            assert server.call("POST", f"{CONTROL}/reset")[0] == 200

        def ask(self, status: int, method: str, path: str, body: Any = None, **parameters: str) -> Any:
            found, content = server.call(method, CONTROL + path, body, **parameters)
            assert found == status, (method, path, body, found, content)
            return content

        def job(self, number: int) -> ModelJob:
            jobs = list(self.model.jobs.values())
            return jobs[number % len(jobs)]

        # jobs

        @precondition(lambda self: len(self.model.jobs) < MOST_JOBS)
        @rule(queue=QUEUES, statuses=STATUSES, count=st.integers(1, 3))
        def enqueue(self, queue: str, statuses: list[int], count: int) -> None:
            for _ in range(count):
                status, content = server.call("POST", "/jobs", {"namespace": "shop", "queue": queue, "data": statuses})
                assert status == 201, content
                self.ids[self.model.enqueue(queue, statuses).seq] = content["id"]

        @precondition(lambda self: 0 < len(self.model.jobs) < MOST_JOBS)
        @rule(number=st.integers(0, MOST_JOBS))
        def replay(self, number: int) -> None:
            job = self.job(number)
            content = self.ask(201, "POST", f"/jobs/{self.ids[job.seq]}/replay")
            self.ids[self.model.enqueue(job.queue, job.statuses, job.seq).seq] = content["id"]

        @precondition(lambda self: self.model.jobs)
        @rule(number=st.integers(0, MOST_JOBS), verb=st.sampled_from(["retry", "cancel", "delete", "hold", "release"]))
        def change(self, number: int, verb: str) -> None:
            job = self.job(number)
            is_possible = verb not in ("hold", "release") and getattr(self.model, verb)(job)  # nothing runs
            method, path = ("DELETE", "") if verb == "delete" else ("POST", f"/{verb}")
            self.ask(200 if is_possible else 409, method, f"/jobs/{self.ids[job.seq]}{path}")

        @rule(queue=st.sampled_from([None, *DECLARED]), verb=st.sampled_from(["retry", "cancel", "delete"]))
        def change_all(self, queue: str | None, verb: str) -> None:
            wanted = {"namespace": "shop"} | ({"queue": queue} if queue else {})
            jobs = [job for job in self.model.jobs.values() if queue in (None, job.queue)]
            if verb == "delete":
                found = self.ask(200, "DELETE", "/jobs", state="finished", **wanted)["deleted"]
                assert found == sum(self.model.delete(job) for job in jobs)
            elif verb == "cancel":
                found = self.ask(200, "POST", "/jobs/cancel", wanted)["cancelled"]
                assert found == sum(self.model.cancel(job) for job in jobs)
            else:
                found = self.ask(200, "POST", "/jobs/retry", wanted)["retried"]
                assert found == sum(self.model.retry(job) for job in jobs if job.finished == "failed")

        # queues

        @rule(queue=QUEUES, is_paused=st.booleans())
        def pause(self, queue: str, is_paused: bool) -> None:
            self.ask(200, "POST", f"/queues/shop/{queue}/{'pause' if is_paused else 'resume'}")
            self.model.queues[queue].is_paused = is_paused

        @rule(queue=QUEUES, changes=CHANGES)
        def configure(self, queue: str, changes: dict[str, int | None]) -> None:
            content = self.ask(200, "PATCH", f"/queues/shop/{queue}", changes)
            self.model.configure(queue, changes)
            assert content == {"endpoint": f"/{queue}", **vars(self.model.queues[queue].settings)}

        @rule(queue=QUEUES, outcomes=st.lists(OUTCOMES, min_size=1, max_size=3))
        def script(self, queue: str, outcomes: list[str]) -> None:
            self.ask(200, "POST", "/faults", {"queue": queue, "outcomes": outcomes})
            self.model.queues[queue].outcomes += outcomes

        @rule(queue=QUEUES)
        def forget_script(self, queue: str) -> None:
            self.ask(200, "DELETE", "/faults", queue=queue)
            self.model.queues[queue].outcomes.clear()

        @rule()
        def reset(self) -> None:
            self.ask(200, "POST", "/reset")
            self.model.reset()

        # time

        @rule(ms=st.sampled_from([0, 1, 49, 50, 5000, 30_000, 100_000]))
        def advance(self, ms: int) -> None:
            self.moved(self.ask(200, "POST", "/clock/advance", {"ms": ms}), self.model.advance(self.model.now + ms))

        @rule()
        def advance_to_next(self) -> None:
            self.moved(self.ask(200, "POST", "/clock/advance", {"to": "next"}), self.model.advance_to_next())

        @rule()
        def step(self) -> None:
            self.moved(self.ask(200, "POST", "/clock/step"), self.model.step())

        @rule(queue=st.sampled_from([None, *DECLARED]))
        def drain(self, queue: str | None) -> None:
            content = self.ask(200, "POST", "/drain", {"queue": queue} if queue else {})
            self.moved(content, self.model.drain([queue] if queue else list(DECLARED)))

        def moved(self, content: dict[str, Any], made: list[ModelAttempt]) -> None:
            assert content["stoppedBy"] is None
            found = [each | {"error": None} for each in content["attempts"]]
            is_equal(found, [self.ended(attempt) for attempt in made])
            unfinished = [job for job in self.model.jobs.values() if job.finished is None]
            is_equal(content["unfinishedCount"], len(unfinished))

        def ended(self, attempt: ModelAttempt) -> dict[str, Any]:
            job = self.model.jobs[attempt.job]
            return {
                "jobId": self.ids[attempt.job],
                "namespace": "shop",
                "queue": job.queue,
                "round": attempt.round,
                "number": attempt.number,
                "maxAttempts": job.max_attempts,
                "startedAt": iso(attempt.started_ms),
                "outcome": attempt.outcome,
                "status": attempt.status,
                "error": None,  # its texts are not the model's
                "nextDueAt": None if attempt.next_due_ms is None else iso(attempt.next_due_ms),
            }

        # what must hold after every call

        @invariant()
        def jobs_are_equal(self) -> None:
            content = self.ask(200, "GET", "/jobs", limit="200", details="true")
            found = [_found(job) for job in content["jobs"]]
            is_equal(found, [self.expected(job) for job in reversed(self.model.jobs.values())])

        def expected(self, job: ModelJob) -> dict[str, Any]:
            queue, state = self.model.queues[job.queue], job.state(self.model.now)
            is_waiting = state not in FINISHED
            return {
                "id": self.ids[job.seq],
                "seq": job.seq,
                "queue": job.queue,
                "state": state,
                "held": "paused" if is_waiting and queue.is_paused else None,
                "round": job.round,
                "attempt": job.attempt,
                "maxAttempts": queue.settings.retries + 1 if is_waiting else job.max_attempts,
                "dueAt": iso(job.due_ms),
                "finishedAt": None if job.finished_ms is None else iso(job.finished_ms),
                "replayOf": None if job.replay_of is None else self.ids[job.replay_of],
                "data": job.statuses,
                "attempts": [
                    (each.round, each.number, iso(each.started_ms), iso(each.ended_ms), each.outcome, each.injected)
                    for each in job.attempts
                ],
            }

        @invariant()
        def queues_are_equal(self) -> None:
            content = self.ask(200, "GET", "/queues")["queues"]
            found = {queue["name"]: (queue["held"], queue["enqueued"], queue["counts"]) for queue in content}
            is_equal(found, {name: self.expected_queue(name) for name in DECLARED})

        def expected_queue(self, name: str) -> tuple[str | None, int, dict[str, int]]:
            queue, counts = self.model.queues[name], dict.fromkeys(STATES, 0)
            for job in self.model.jobs.values():
                counts[job.state(self.model.now)] += job.queue == name
            return "paused" if queue.is_paused else None, queue.enqueued, counts

        @invariant()
        def time_is_equal(self) -> None:
            is_equal(self.ask(200, "GET", "/clock")["now"], iso(self.model.now))

        @invariant()
        def scripts_are_equal(self) -> None:
            found = {each["queue"]: each["outcomes"] for each in self.ask(200, "GET", "/faults")["faults"]}
            is_equal(found, {name: queue.outcomes for name, queue in self.model.queues.items() if queue.outcomes})

    return Machine


_KEYS = ("id", "seq", "queue", "state", "held", "round", "attempt", "maxAttempts", "dueAt", "finishedAt", "replayOf")


def _found(job: dict[str, Any]) -> dict[str, Any]:
    attempts = [
        (each["round"], each["number"], each["startedAt"], each["endedAt"], each["outcome"], each["injected"])
        for each in job["attempts"]
    ]
    return {**{key: job[key] for key in _KEYS}, "data": job["data"], "attempts": attempts}


def examples(count: int, number: int) -> str:
    """Compare `count` random sequences of calls; `number` is their seed."""
    steps = LONG_STEPS if count >= LONG else SHORT_STEPS
    options = settings(
        max_examples=count,
        stateful_step_count=steps,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    with tempfile.TemporaryDirectory() as folder:
        set_hypothesis_home_dir(Path(folder) / "hypothesis")
        server = LocalqueueUnderTest(Path(folder))
        try:
            run_state_machine_as_test(seed(number)(machine(server)), settings=options)
        finally:
            server.close()
            set_hypothesis_home_dir(None)
    return f"{count:,} sequences of up to {steps} calls: jobs, attempts, counts and time as in the model"
