"""What the simulation has found, each as a history of its own: calls that race, crashes, full disks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from localqueue.core.models import Queue, QueueKey
from localqueue.engine import prefetch
from tests.sim import history
from tests.sim.checker import check
from tests.sim.history import Ended, History, Returned, Started
from tests.sim.loop import SimLoop
from tests.sim.service import Reaction
from tests.sim.world import START_MS, World, run

A: QueueKey = ("shop", "a")
B: QueueKey = ("shop", "b")
SLOW = (1.0, 0.02)
SLOWER = (1.0, 2.0)
QUICK = (0.0, 0.0)


class Stage:
    """Hold a world, and a service that answers what it is told to."""

    def __init__(self, folder: Path, queues: dict[QueueKey, Queue]) -> None:
        self.loop = SimLoop()
        self.world = World(folder, queues, self._handle, self.loop.time)
        self.answers: list[Reaction] = []
        self.arrived = 0
        self.may_answer: asyncio.Event | None = None

    async def _handle(self, _: str) -> Reaction:
        self.arrived += 1
        reaction = self.answers.pop(0) if self.answers else Reaction("answer")
        if self.may_answer is not None:
            await self.may_answer.wait()
        return reaction

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait, in simulated time, until something is so."""
        for _ in range(10_000):
            if condition():
                return
            await asyncio.sleep(0.0001)
        raise AssertionError("it never came to that")

    def ended(self) -> list[Ended]:
        return [entry.fact for entry in self.world.history if isinstance(entry.fact, Ended)]

    def play(self, work: Callable[[Stage, World], Awaitable[None]], *, is_settled: bool = True) -> History:
        """Open the world, do the work, drain and stop; the history must keep every rule."""

        async def whole() -> None:
            await self.world.open()
            self.world.disk.set_paces(QUICK, QUICK)
            await work(self, self.world)
            if self.world.engine is not None and is_settled:
                await self.world.call("drain", 10**9, 0)
                await self.world.stop()

        found = run(self.loop, self.world, whole())
        assert list(map(str, check(found, is_settled=is_settled))) == []
        return found


def stage(folder: Path, **settings: Any) -> Stage:
    given = {"concurrency": 5, "retries": 3, "retry_delay_ms": 1000, "timeout_ms": 500} | settings
    return Stage(folder, {A: Queue(*A, "/a", **given), B: Queue(*B, "/b", **given)})


def starts(found: History) -> list[int]:
    """Return when attempts were started, in ms since the start."""
    return [entry.now - START_MS for entry in found if isinstance(entry.fact, Started)]


def answer(found: History, verb: str) -> Any:
    """Return code and value of the answer to the last call of a verb."""
    calls = [entry.fact.call for entry in found if isinstance(entry.fact, history.Called) and entry.fact.verb == verb]
    facts = [entry.fact for entry in found if isinstance(entry.fact, history.Returned)]
    return next((fact.code, fact.value) for fact in facts if fact.call == calls[-1])


def test_a_job_that_ends_while_it_is_being_cancelled_is_not_started_again(tmp_path: Path) -> None:
    """Rule states.cancelled."""

    async def work(stage: Stage, world: World) -> None:
        stage.may_answer = asyncio.Event()
        id_ = await world.call("enqueue", A, b"1")
        world.background(world.call("drain", 30_000, 0))
        await stage.until(lambda: stage.arrived)
        find = world.engine.jobs.find

        async def find_what_is_no_longer_so(id_: str) -> Any:
            job = await find(id_)
            stage.may_answer.set()
            await stage.until(stage.ended)
            return job

        world.engine.jobs.find = find_what_is_no_longer_so
        await world.call("cancel", id_)

    found = stage(tmp_path).play(work)
    assert answer(found, "cancel")[0] == "wrong_state"
    assert len(starts(found)) == 1


def test_a_cancel_that_a_reset_overtakes_leaves_the_next_job_alone(tmp_path: Path) -> None:
    """Rule reset.state: numbers begin anew, and the first job has the number that the cancelled one had."""

    async def work(_: Stage, world: World) -> None:
        id_ = await world.call("enqueue", A, b"1")
        find, calls = world.engine.jobs.find, 0

        async def find_before_the_reset(id_: str) -> Any:
            nonlocal calls
            job, calls = await find(id_), calls + 1
            if calls == 1:
                await world.call("reset")
                await world.call("enqueue", B, b"2")
            return job

        world.engine.jobs.find = find_before_the_reset
        await world.call("cancel", id_)

    found = stage(tmp_path).play(work)
    assert answer(found, "cancel")[0] == "unknown_job"
    assert [entry.fact.id for entry in found if isinstance(entry.fact, Ended)] == [answer(found, "enqueue")[1]]


def test_time_does_not_move_while_a_job_is_being_stored(tmp_path: Path) -> None:
    """Rule time.instant."""

    async def work(stage: Stage, world: World) -> None:
        world.disk.set_paces(SLOW, SLOWER)
        world.background(world.call("advance", 5000, 0))
        await stage.until(lambda: world.disk.is_reading)  # the backlog
        await world.call("enqueue", A, b"1")
        await world.wait_outside()

    assert starts(stage(tmp_path).play(work)) == [0]


def test_a_drain_includes_jobs_that_arrive_while_it_stores_the_time(tmp_path: Path) -> None:
    """Rule time.drain."""

    async def work(stage: Stage, world: World) -> None:
        stage.answers = [Reaction("hang")]
        await world.call("enqueue", A, b"1")
        world.disk.set_paces(QUICK, SLOW)
        drain = asyncio.create_task(world.call("drain", 30_000, 0))
        await stage.until(lambda: any(isinstance(entry.fact, history.Ended) for entry in world.history))
        for number in range(40):
            await world.call("enqueue", B, b"2%d" % number)
        assert await drain

    found = stage(tmp_path, retries=0).play(work)
    drained = [entry.fact.value for entry in found if isinstance(entry.fact, history.Returned) and entry.fact.value]
    assert all(value[0] for value in drained if isinstance(value, tuple))


def test_to_next_waits_for_an_attempt_that_a_drain_has_given_up_on(tmp_path: Path) -> None:
    """Rule time.to-next: its retry may be what comes next."""

    async def work(stage: Stage, world: World) -> None:
        stage.may_answer = asyncio.Event()
        stage.answers = [Reaction("answer", 500), Reaction("answer", 500)]
        await world.call("enqueue", A, b"1")
        await world.call("drain", 10, 0)
        world.change(A, "retry_delay_ms", "retryDelayMs", 5000)
        stage.may_answer.set()
        await world.call("advance_to_next")

    found = stage(tmp_path).play(work)
    assert starts(found)[:2] == [0, 1000]
    code, made = answer(found, "advance_to_next")
    assert (code, [number for _, _, number in made]) == ("ok", [1, 2])


def test_a_restart_keeps_the_slots_of_timeouts(tmp_path: Path) -> None:
    """Rule time.timeout."""

    async def work(stage: Stage, world: World) -> None:
        stage.answers = [Reaction("hang")]
        await world.call("enqueue", A, b"1")
        await world.call("advance", 0, 0)
        await world.call("enqueue", A, b"2")
        await world.stop()
        await world.open()

    assert starts(stage(tmp_path, concurrency=1).play(work)) == [0, 500, 1500]


def test_time_does_not_go_back_over_a_crash(tmp_path: Path) -> None:
    """Rule time.stored: not even where only a retry by hand shows it."""

    async def work(stage: Stage, world: World) -> None:
        stage.answers = [Reaction("answer", 500), Reaction("answer", 500)]
        first = await world.call("enqueue", A, b"1")
        await world.call("advance", 0, 0)
        stage.may_answer = asyncio.Event()
        world.background(world.call("advance", 60_000, 0))
        await stage.until(lambda: stage.arrived == 2)
        await world.call("cancel", first)
        world.disk.kill()
        await world.discard()
        stage.may_answer = None
        await world.open()
        assert world.clock.now() >= START_MS + 1000

    stage(tmp_path).play(work)


def test_a_queue_of_many_slots_uses_all_of_them_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule deliver.concurrency: though not all of its jobs are in memory."""
    monkeypatch.setattr(prefetch, "WINDOW_SIZE", 8)

    async def work(stage: Stage, world: World) -> None:
        for number in range(50):
            world.background(world.call("enqueue", A, str(number).encode()))
        await world.wait_outside()
        await world.stop()
        await world.open()

    found = stage(tmp_path, concurrency=40).play(work)
    facts = [entry.fact for entry in found]
    first = next(index for index, fact in enumerate(facts) if isinstance(fact, history.Responded))
    assert sum(isinstance(fact, Started) for fact in facts[:first]) == 40


def test_a_reset_that_can_not_be_written_changes_nothing(tmp_path: Path) -> None:
    """Rule reset.state."""

    async def work(stage: Stage, world: World) -> None:
        stage.answers = [Reaction("hang")]
        await world.call("enqueue", A, b"1")
        await world.call("advance", 100, 0)
        await world.call("enqueue", A, b"2")
        world.disk.trouble.append("database or disk is full")
        await world.call("reset")
        assert world.clock.now() == START_MS + 100

    found = stage(tmp_path, concurrency=1).play(work)
    assert answer(found, "reset")[0] == "storage_unavailable"
    assert starts(found) == [0, 500, 1500]


def test_a_job_that_arrives_during_a_failing_reset_gets_an_id_of_its_own(tmp_path: Path) -> None:
    """Rule reset.state."""

    async def work(_: Stage, world: World) -> None:
        await world.call("enqueue", A, b"1")
        world.disk.trouble.append("database or disk is full")
        world.background(world.call("reset"))
        await asyncio.sleep(0)
        for number in range(2, 6):
            world.background(world.call("enqueue", A, str(number).encode()))
        await world.wait_outside()

    found = stage(tmp_path).play(work)
    assert answer(found, "reset")[0] == "storage_unavailable"
    ids = [
        fact.value
        for fact in (entry.fact for entry in found)
        if isinstance(fact, Returned) and len(str(fact.value)) == 36
    ]
    assert len(set(ids)) == len(ids) == 5


def test_a_reset_does_not_wait_for_a_drain_that_waits_itself(tmp_path: Path) -> None:
    """Rule reset.state."""

    async def work(stage: Stage, world: World) -> None:
        stage.may_answer = asyncio.Event()
        await world.call("enqueue", A, b"1")
        world.background(world.call("drain", 30_000, 0))
        world.background(world.call("advance", 60_000, 0))
        await stage.until(lambda: stage.arrived)
        before = stage.loop.time()
        await world.call("reset")
        assert stage.loop.time() - before < 0.1
        stage.may_answer.set()
        await world.wait_outside()
        assert world.clock.now() == START_MS

    stage(tmp_path).play(work)


def test_a_start_on_a_full_disk_is_refused_with_what_to_do(tmp_path: Path) -> None:
    """Rule storage.full-disk."""

    async def work(_: Stage, world: World) -> None:
        await world.stop()
        await world.open(trouble=["database or disk is full"])
        assert world.engine is None

    one = stage(tmp_path)
    with pytest.raises(AssertionError, match=r"raised DatabaseUnusable: the database can.t be written: .* full"):
        one.play(work)


def test_a_request_during_the_stop_gets_a_response(tmp_path: Path) -> None:
    """Rule stop.signals: with 503, not with a traceback."""

    async def work(_: Stage, world: World) -> None:
        id_ = await world.call("enqueue", A, b"1")
        engine = world.engine
        world.disk.set_paces(SLOW, QUICK)
        asking = [asyncio.create_task(world.call("look")), asyncio.create_task(world.call("cancel", id_))]
        await world.stop()
        world.engine = engine
        await world.call("look")
        world.engine = None
        await asyncio.wait(asking)

    assert answer(stage(tmp_path).play(work), "look")[0] == "storage_unavailable"
