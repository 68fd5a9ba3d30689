"""Scripted outcomes: what each of them does, on both clocks, and in which order they are used."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from localqueue.core import faults
from localqueue.core.clock import Clock, VirtualClock, WallClock, delay
from localqueue.core.errors import InvalidRequest, NotFound
from localqueue.core.faults import Fault, FaultKind, parse_fault, parse_faults
from localqueue.core.models import Attempt, Outcome, OutcomeKind, Queue, Request
from localqueue.engine.engine import Engine
from localqueue.testing import LocalQueue
from tests.support import http, run_async, running_engine, serving, write_catalog


class Service:
    """A service that responds 201 to every request."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def begin(self, queue: Queue) -> Callable[[Request], Awaitable[Outcome]]:
        return self.send

    async def send(self, request: Request) -> Outcome:
        self.bodies.append(request.body)
        return Outcome(OutcomeKind.COMPLETED, 201)


@asynccontextmanager
async def engine_with(folder: Path, clock: Clock, *words: object) -> AsyncIterator[tuple[Engine, Service]]:
    service = Service()
    async with running_engine(write_catalog(folder), clock, service) as engine:
        engine.add_faults("shop", "work", parse_faults(words))
        yield engine, service


async def attempts_of(engine: Engine) -> list[Attempt]:
    return [entry.attempt for entry in await engine.ledger()]


@pytest.mark.parametrize(
    ("word", "kind", "status", "code", "took_ms", "calls"),
    [
        ("ok", "completed", 200, None, 0, 0),
        (204, "completed", 204, None, 0, 0),
        ("503", "http_error", 503, "http_503", 0, 0),
        ("timeout", "timeout", None, "timeout", 30_000, 0),
        ("reset", "connection_error", None, "connection_reset", 0, 0),
        ("refuse", "connection_error", None, "connect_refused", 0, 0),
        ("slow=250", "completed", 201, None, 250, 1),
        ("slow=30000", "timeout", None, "timeout", 30_000, 1),
        ("lost-ack", "connection_error", None, "lost_ack", 0, 1),
    ],
)
def test_an_outcome_is_injected_and_marked(
    tmp_path: Path, word: object, kind: str, status: int | None, code: str | None, took_ms: int, calls: int
) -> None:
    """Rule faults.outcomes."""

    async def main() -> None:
        async with engine_with(tmp_path, VirtualClock(0), word) as (engine, service):
            await engine.enqueue("shop", "work", b"null")
            await engine.advance(0)
            attempt = (await attempts_of(engine))[0]
            error = attempt.outcome.error
            assert (attempt.outcome.kind, attempt.outcome.status) == (kind, status)
            assert (None if error is None else error.code) == code
            assert error is None or error.message.endswith("(scripted)")
            assert (attempt.duration_ms, len(service.bodies)) == (took_ms, calls)
            assert attempt.outcome.injected == str(word)

    run_async(main())


def test_outcomes_are_used_in_starting_order_and_then_the_service_responds(tmp_path: Path) -> None:
    """Rule faults.order."""

    async def main() -> None:
        async with engine_with(tmp_path, VirtualClock(0), 503, "lost-ack") as (engine, service):
            for _ in range(3):
                await engine.enqueue("shop", "work", b"null")
            await engine.enqueue("shop", "other", b"null")
            await engine.drain()
            ledger = await engine.ledger()
            marks = [(entry.job.queue, entry.job.number, entry.attempt.outcome.injected) for entry in ledger]
            assert marks == [
                ("work", 1, "503"),
                ("work", 2, "lost-ack"),
                ("work", 3, None),
                ("other", 1, None),
                ("work", 1, None),
                ("work", 2, None),
            ]
            assert engine.faults.scripts == {}
            assert len(service.bodies) == 5  # job 2 twice: that is what idempotency is for

    run_async(main())


def test_on_the_wall_clock_an_outcome_takes_its_time(tmp_path: Path) -> None:
    """Rule faults.outcomes."""

    async def main() -> None:
        async with engine_with(tmp_path, WallClock(), "slow=60", "timeout") as (engine, _):
            for timeout_ms in (30_000, 100):  # a busy machine may be slower than `slow`
                engine.change_queue("shop", "work", {"timeoutMs": timeout_ms, "retries": 0})
                await engine.enqueue("shop", "work", b"null")
                await engine.drain()
            slow, timeout = await attempts_of(engine)
            assert (slow.outcome.kind, timeout.outcome.kind) == ("completed", "timeout")
            assert slow.duration_ms >= 60 and timeout.duration_ms >= 100

    run_async(main())


def test_a_slow_response_and_the_service_share_the_time_of_the_attempt(tmp_path: Path) -> None:
    """Rule faults.outcomes."""

    class Busy(Service):
        async def send(self, request: Request) -> Outcome:
            await delay(0.08)
            return await super().send(request)

    async def main() -> None:
        async with running_engine(write_catalog(tmp_path), WallClock(), Busy()) as engine:
            engine.change_queue("shop", "work", {"timeoutMs": 100, "retries": 0})
            engine.add_faults("shop", "work", parse_faults(["slow=90"]))
            await engine.enqueue("shop", "work", b"null")
            await engine.drain()
            assert [attempt.outcome.kind for attempt in await attempts_of(engine)] == ["timeout"]

    run_async(main())


def test_a_reset_forgets_the_outcomes_and_wrong_names_change_nothing(tmp_path: Path) -> None:
    """Rule faults.reset."""

    async def main() -> None:
        async with engine_with(tmp_path, VirtualClock(0), "ok") as (engine, _):
            for names in (("shop", "wrk"), ("shp", "work"), (None, "wrk")):
                with pytest.raises(NotFound):
                    engine.add_faults(*names, parse_faults(["ok"]))
                with pytest.raises(NotFound):
                    engine.clear_faults(*names)
            assert engine.faults.scripts == {("shop", "work"): (Fault(FaultKind.OK),)}
            engine.add_faults(None, "other", parse_faults(["reset"]))
            engine.clear_faults(name="work")
            assert list(engine.faults.scripts) == [("shop", "other")]
            await engine.reset()
            assert engine.faults.scripts == {}

    run_async(main())


@pytest.mark.parametrize("word", faults.WORDS)
def test_a_word_is_read_back_as_it_is_written(word: str) -> None:
    assert str(parse_fault(word)) == word


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("time-out", "did you mean timeout?"),
        ("lostack", "did you mean lost-ack?"),
        ("slow", "did you mean slow=250?"),
        ("slow=x", "did you mean slow=250?"),
        ("199", "unknown outcome '199'"),
        (1000, "unknown outcome '1000'"),
        (True, "must be a word or a status, not True"),
        (None, "must be a word or a status, not None"),
        ("", "unknown outcome ''"),
        ("=503", "unknown outcome"),
        ("٥٠٣", "unknown outcome"),
    ],
)
def test_a_wrong_word_names_the_nearest_one(word: Any, message: str) -> None:
    """Rule faults.words."""
    with pytest.raises(ValueError, match="nown") as caught:
        parse_fault(word)
    assert message in str(caught.value)


def test_a_queue_of_several_services_needs_its_namespace(tmp_path: Path) -> None:
    async def main() -> None:
        async with engine_with(tmp_path, VirtualClock(0), "ok") as (engine, _):
            catalog = engine.catalog
            twin = {("twin", "work"): catalog.queues[("shop", "work")]}
            engine._active.queues = {**engine._active.queues, **twin}
            with pytest.raises(InvalidRequest, match="several services have a queue 'work': shop, twin"):
                engine.add_faults(None, "work", parse_faults(["ok"]))

    run_async(main())


def test_chaos_is_the_same_for_the_same_seed_and_after_a_reset(tmp_path: Path) -> None:
    """Rule faults.chaos."""

    def outcomes(queue: LocalQueue) -> list[str | None]:
        queue.configure("work", retries=0)
        queue.worker("work").always(200)
        for _ in range(40):
            queue.enqueue("work")
        queue.drain()
        return [job.attempts[0].injected for job in queue.jobs()]

    found = []
    for seed in (7, 7, 8):
        with LocalQueue(write_catalog(tmp_path), chaos=0.5, seed=seed) as queue:
            found.append(outcomes(queue))
            queue.reset()
            assert outcomes(queue) == found[-1]
    assert found[0] == found[1] != found[2]
    assert set(found[0]) == {None, "503", "timeout", "reset", "lost-ack"}
    assert 10 <= sum(each is not None for each in found[0]) <= 30


def test_chaos_on_the_wall_clock_keeps_unique_ids_and_a_script_goes_first(tmp_path: Path) -> None:
    """Rule faults.chaos."""
    write_catalog(tmp_path, retries=0)
    ids = set()
    for _ in range(2):
        with serving(tmp_path, "--ephemeral", "--chaos", "1", "--seed", "7") as server:
            http.post(f"{server.url}/_localqueue/faults", json={"queue": "work", "outcomes": [418]})
            jobs = [server.wait_state(server.enqueue(), "failed") for _ in range(1)]
            ids.add(jobs[0]["id"])
            assert jobs[0]["attempts"][0]["injected"] == "418"
    assert len(ids) == 2
