"""Deliver jobs to a service that misbehaves at random: each attempt is recorded as what it was, and as nothing else."""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from localqueue.core.clock import WallClock
from localqueue.core.models import Attempt, Job, JobState, Outcome, Queue, Request
from localqueue.delivery.delivery import Delivery
from localqueue.engine.engine import Engine
from tests.delivery.behaviors import Case, cases
from tests.delivery.fault_worker import Exchange, FaultWorker, Received
from tests.support import WAIT_S, run_async, running_engine

RETRIES, DELAY_MS = 2, 10
BATCH = 200
"""How many jobs are there at a time; what the service has kept open is closed after each batch."""
HASTY_MS = 250
PATIENT_MS = 60_000
DRAIN_MS = 300_000
CATALOG = """\
kind: Component
metadata: {{name: shop}}
spec:
  queues:
    - {{name: patient, endpoint: /, concurrency: 10, retries: {retries}, retryDelayMs: {delay}, timeoutMs: {patient}}}
    - {{name: hasty, endpoint: /, concurrency: 20, retries: {retries}, retryDelayMs: {delay}, timeoutMs: {hasty}}}
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the service does to the attempts of a job; only a hasty queue gets behaviors that never end."""

    number: int
    queue: str
    cases: Sequence[Case]


def sequences(count: int, seed: int) -> str:
    """Deliver `count` jobs, with failing behaviors first, a completing one last, or none."""
    counts = run_async(_play(list(_plans(count, random.Random(seed)))))
    late = f" ({counts['late']:,} late)" if counts["late"] else ""
    return (
        f"{counts['attempts']:,} attempts{late} with {len(list(cases()))} behaviors, each recorded as it was; "
        f"{counts[JobState.COMPLETED]:,} jobs completed, {counts[JobState.FAILED]:,} failed"
    )


def _plans(count: int, rng: random.Random) -> Iterator[Plan]:
    good = _deck(rng, [case for case in cases() if case.code is None])
    bad = _deck(rng, [case for case in cases() if case.code not in (None, "timeout")])
    any_bad = _deck(rng, [case for case in cases() if case.code is not None])
    for number in range(count):
        is_hasty = rng.random() < 0.5
        failing = [next(any_bad if is_hasty else bad) for _ in range(rng.randint(0, RETRIES + 1))]
        last = [next(good)] if len(failing) <= RETRIES else []
        yield Plan(number, "hasty" if is_hasty else "patient", [*failing, *last])


def _deck(rng: random.Random, given: list[Case]) -> Iterator[Case]:
    """Yield cases at random, each one once before any comes again."""
    while True:
        yield from rng.sample(given, len(given))


class Addressed:
    """A delivery that puts the number of the job and of the attempt into the target: a service sees no other sign."""

    def __init__(self, delivery: Delivery, url: str) -> None:
        self._delivery = delivery
        self._url = url

    def begin(self, _: Queue) -> Callable[[Request], Awaitable[Outcome]]:
        """Return what sends an attempt."""
        return self._send

    async def _send(self, request: Request) -> Outcome:
        body = json.loads(request.body)
        return await self._delivery.deliver(replace(request, url=f"{self._url}/{body['data']}/{body['attempt']}"))


async def _play(plans: list[Plan]) -> Counter[object]:
    found, seen = Counter[object](), set[str]()

    async def behave(exchange: Exchange) -> None:
        number, attempt = map(int, exchange.request.request_line.split()[1].split("/")[-2:])
        await plans[number].cases[attempt - 1].behave(exchange)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "catalog-info.yaml"
        path.write_text(CATALOG.format(retries=RETRIES, delay=DELAY_MS, patient=PATIENT_MS, hasty=HASTY_MS))
        delivery = Delivery()
        async with FaultWorker(then=behave) as worker:
            async with running_engine(path, WallClock(), Addressed(delivery, worker.url)) as engine:
                for start in range(0, len(plans), BATCH):
                    found += await _batch(engine, plans[start : start + BATCH])
                    _check_requests(worker.requests, seen)
                    worker.let_go()
            await delivery.aclose()
            await asyncio.wait_for(worker.wait_closed(worker.connections), WAIT_S)
    return found


async def _batch(engine: Engine, plans: list[Plan]) -> Counter[object]:
    found = Counter[object]()
    jobs = [await engine.enqueue("shop", plan.queue, b"%d" % plan.number) for plan in plans]
    played = await engine.drain(timeout_ms=DRAIN_MS)
    assert played.stopped_by is None, "jobs are stuck"
    for plan, job in zip(plans, jobs, strict=True):
        details = await engine.jobs.details(await engine.jobs.find(job.id))
        found += _checked(plan, details.snapshot.job, details.attempts or [])
    return found


def _checked(plan: Plan, job: Job, attempts: list[Attempt]) -> Counter[object]:
    """Check what is recorded of a job, and return what to count."""
    late = 0
    for number, attempt in enumerate(attempts, 1):
        case = plan.cases[number - 1]
        expected, recorded = (case.code, case.status, case.body), _recorded(attempt)
        is_late = plan.queue == "hasty" and attempt.duration_ms >= HASTY_MS and recorded[0] == "timeout"
        assert is_late or recorded == expected, f"job {plan.number}, {case.name}: {recorded} instead of {expected}"[
            :500
        ]
        assert attempt.number == number, f"job {plan.number}: {attempt.number} is recorded as attempt {number}"
        late += is_late and case.code != "timeout"
    codes = [_recorded(attempt)[0] for attempt in attempts]
    is_completed = codes[-1:] == [None] and None not in codes[:-1]
    is_failed = len(codes) == RETRIES + 1 and None not in codes
    state = JobState.COMPLETED if is_completed else JobState.FAILED if is_failed else None
    assert job.finished is state, f"job {plan.number} is {job.finished} after {codes}"
    return Counter({"attempts": len(attempts), "late": late, state: 1})


def _recorded(attempt: Attempt) -> tuple[str | None, int | None, bytes | None]:
    outcome = attempt.outcome
    code = outcome.error.code if outcome.error is not None else None
    return code, outcome.status, outcome.response.body if outcome.response is not None else None


def _check_requests(requests: list[Received], seen: set[str]) -> None:
    """Check that each attempt came at most once, as a whole request with the body of its own job."""
    for request in requests:
        method, target, version = request.request_line.split(" ")
        assert (method, version) == ("POST", "HTTP/1.1"), request.request_line
        assert target not in seen, f"{target} was sent twice"
        seen.add(target)
        body = request.json if request.body else None
        assert body is None or target.endswith(f"/{body['data']}/{body['attempt']}"), request
    requests.clear()
