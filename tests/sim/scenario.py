"""Play a history that a seed decides."""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from unittest import mock

from localqueue.core.models import QueueKey, Schedule
from localqueue.engine import prefetch
from tests.sim import service
from tests.sim.disk import StoreCalls
from tests.sim.history import History
from tests.sim.loop import SimLoop
from tests.sim.plan import Plan, draw_queue
from tests.sim.world import World, run

PAYLOADS = (
    '{{"n":{n}}}', '[{n}, 1.0, 1E400, -0, 12345678901234567890]', '{{ "b" :1,"a":{n} , "b":2}}',
    '"{n} \\ud800 \\u0000 ü"', "{n}", " {n} ", '{{"n":{n},"data":{{"jobId":"x"}}}}', '"{n}' + "x" * 20_000 + '"',
)  # fmt: skip
WORDS = ("ok", "204", "301", "503", "timeout", "reset", "refuse", "slow=0", "slow=50", "slow=1000", "lost-ack")
"""The outcomes that are scripted."""
MOST_JOBS = 300
"""After so many jobs none is enqueued any more: where each attempt enqueues on average, an advance would never end."""
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Where files cost least, if there is such a place: a crash here is one of the process, not of the machine."""


def play(seed: int, print_line: Callable[[str], None] | None = None, calls: StoreCalls | None = None) -> History:
    """Return the history of a seed, in which one of `calls` fails."""
    with tempfile.TemporaryDirectory(prefix="localqueue-sim-", dir=MEMORY) as folder:
        loop = SimLoop()
        scenario = Scenario(seed, Path(folder), loop.time, print_line, calls)
        with mock.patch.object(prefetch, "WINDOW_SIZE", scenario.plan.window):
            return run(loop, scenario.world, scenario.run())


class Scenario:
    """Do random things to a world, one after the other and at the same time."""

    CRONS = ("* * * * *", "* * * * *", "*/2 * * * *")

    def __init__(
        self,
        seed: int,
        folder: Path,
        real: Callable[[], float],
        print_line: Callable[[str], None] | None = None,
        calls: StoreCalls | None = None,
    ) -> None:
        self._ops, self._acts = random.Random(f"{seed}:ops"), random.Random(f"{seed}:acts")
        self._extras = random.Random(f"{seed}:extras")  # others, so that the histories without them stay the same
        self.plan = self._draw_plan()
        self._has_faults, self._has_holds = self._extras.random() < 0.3, self._extras.random() < 0.3
        namespaces = sorted({namespace for namespace, _ in self.plan.queues})
        self._has_schedules = self._extras.random() < 0.3
        self._is_waiting = self.plan.mode == "wall" and self._extras.random() < 0.4
        self.world = World(
            folder,
            self.plan.queues,
            self._handle,
            real,
            seed=seed,
            keep=self.plan.keep,
            mode=self.plan.mode,
            schedules=self._draw_schedules(namespaces) if self._has_schedules else (),
            silent=[name for name in namespaces if self._extras.random() < 0.7] if self._is_waiting else None,
            calls=calls,
            print_line=print_line,
        )
        self._keys = list(self.plan.queues)
        self._ids: deque[str] = deque(maxlen=12)
        self._at_work: list[str] = []
        self._held: list[str] = []
        self._serial = 0
        self._most_jobs = MOST_JOBS
        self._is_calm = False

    def _draw_plan(self) -> Plan:
        return Plan.draw(self._ops)

    def _draw_schedules(self, namespaces: Sequence[str]) -> tuple[Schedule, ...]:
        return tuple(
            Schedule(each, "tick", self._extras.choice(self.CRONS), "/tick", timeout_ms=300) for each in namespaces
        )

    async def run(self) -> None:
        """Play everything, then let it come to rest."""
        await self._open()
        await self._play()
        await self._finish()

    async def _play(self) -> None:
        for _ in range(self.plan.steps):
            await self._reopen()
            await self._rehearse()
            if self._ops.random() < 0.25:
                self.world.background(self._step(self._ops))
                await asyncio.sleep(self._ops.random() * 0.02)
            elif self._ops.random() < 0.06:
                await self._end_process()
            else:
                await self._step(self._ops)

    async def _finish(self) -> None:
        await self._settle()
        for _ in range(2):
            await self.world.call("drain", 10**9, 0)
        await self.world.call("look")
        await self.world.stop()

    # the process

    async def _open(self) -> None:
        has_fuse = not self._is_calm and self._ops.random() < 0.1
        await self.world.open(fuse=self._ops.randint(1, 60) if has_fuse else None)

    async def _reopen(self) -> None:
        while self.world.engine is None:
            await self.world.discard()
            await self._open()

    async def _end_process(self) -> None:
        """Stop it, kill it, or see to it that it dies soon."""
        kind = self._ops.choice(("stop", "stop", "kill", "fuse", "fuse"))
        if kind == "kill":
            self.world.disk.kill()
        elif kind == "fuse":
            self.world.disk.fuse = self._ops.randint(1, 20)
        else:
            await self.world.stop(self._ops.choice((0.0, 0.005, 10.0)))
            if not self.world.disk.is_dead:
                await self._open()

    async def _settle(self) -> None:
        """End all trouble, so that everything can finish."""
        self._is_calm = True
        self.world.disk.fuse = None
        self.world.disk.trouble.clear()
        self.world.disk.read_trouble.clear()
        self._listen()
        for id_ in self._held:
            await self.world.release(id_)
        await self.world.wait_outside()
        await self._reopen()
        self.world.restore()
        for key in (*self._keys, *self._keys):  # one call may fail
            await self.world.call("resume", key)
        if self._is_waiting:
            await asyncio.sleep(2)  # until every service is noticed

    # the service

    async def _handle(self, id_: str) -> service.Reaction:
        if id_ == "tick":
            return await self._handle_firing()
        self._at_work = [*self._at_work[-2:], id_]
        if self._has_holds and not self._is_calm and self._extras.random() < 0.3:
            await self._hold(id_)
        if not self._is_calm and self._acts.random() < self.plan.meddling:
            work = self._step(self._acts, id_)
            if self._acts.random() < 0.6:
                await work
            else:
                self.world.background(work)
        if not self._is_calm and self._acts.random() < 0.1:
            self.world.background(self._fan_out())
        return service.choose(self._acts, 0.3 if self._is_calm else self.plan.failing)

    async def _handle_firing(self) -> service.Reaction:
        """Enqueue as the handler of a schedule does, and respond."""
        if not self._is_calm:
            for _ in range(self._extras.choice((0, 1, 3))):
                await self._enqueue_one(self._extras)
        return service.choose(self._extras, 0.0 if self._is_calm else self.plan.failing)

    async def _hold(self, id_: str) -> None:
        """Hold an attempt, and release it some time later."""
        self._held.append(id_)
        await self.world.hold(id_)
        self.world.background(self._release(id_))

    async def _release(self, id_: str) -> None:
        await asyncio.sleep(self._extras.random() * 4)
        await self.world.release(id_)

    async def _fan_out(self) -> None:
        """Enqueue after the answer."""
        await asyncio.sleep(self._acts.random() * 0.05)
        await self._enqueue(self._acts)

    # what clients do; `own_id` is the job that a handler is at work on

    async def _step(self, rng: random.Random, own_id: str = "") -> None:
        steps: dict[Callable[[random.Random], Awaitable[None]], float] = {
            self._enqueue: 30, self._pause: 8, self._advance: 14, self._advance_to: 3, self._next: 8, self._drain: 7,
            self._reset: 1.5, self._edit: 6, self._change: 3, self._target: 1.5, self._look: 3, self._sleep: 5,
            self._trouble: 3, lambda rng: self._cancel(rng, own_id): 30 if own_id else 7,
            lambda rng: self._retry(rng, own_id): 7, self._set_clock: 1,
            self._retry_failed: 3,
        }  # fmt: skip
        await rng.choices(list(steps), list(steps.values()))[0](rng)

    async def _enqueue(self, rng: random.Random) -> None:
        number, is_burst = rng.choice((1, 1, 1, 1, 4, 12)), rng.random() < 0.5
        for each in [self._enqueue_one(rng) for _ in range(number)]:
            if is_burst:
                self.world.background(each)
            else:
                await each

    async def _enqueue_one(self, rng: random.Random) -> None:
        if self._serial == self._most_jobs:
            return
        self._serial += 1
        data = rng.choice(PAYLOADS).format(n=self._serial).encode()
        gone_after_s = rng.random() * 0.001 if rng.random() < 0.03 else None
        id_ = await self.world.call("enqueue", self._some_key(rng), data, gone_after_s=gone_after_s)
        if id_ is not None:
            self._ids.append(id_)

    def _some_key(self, rng: random.Random) -> QueueKey:
        return rng.choice(self._keys)

    def _some_id(self, rng: random.Random, own_id: str) -> str:
        if own_id and rng.random() < 0.4:
            return own_id
        if self._at_work and rng.random() < 0.4:
            return rng.choice(self._at_work)
        return rng.choice(self._ids) if self._ids else "nobody"

    async def _cancel(self, rng: random.Random, own_id: str) -> None:
        await self.world.call("cancel", self._some_id(rng, own_id))

    async def _retry(self, rng: random.Random, own_id: str) -> None:
        for _ in range(3):
            await self.world.call("retry", self._some_id(rng, own_id))

    async def _retry_failed(self, rng: random.Random) -> None:
        await self.world.call("retry_failed", self._some_key(rng))

    async def _pause(self, rng: random.Random) -> None:
        await self.world.call(rng.choice(("pause", "resume")), self._some_key(rng))

    async def _advance(self, rng: random.Random) -> None:
        ms = rng.choice((0, 1, 99, 100, 250, 999, 1000, 5000, 60_000))
        await self.world.call("advance", ms, rng.choice((0, 0, 0, 20)))

    async def _advance_to(self, rng: random.Random) -> None:
        await self.world.call("advance_to", self.world.clock.now() + rng.choice((-1000, 0, 100, 5000)))

    async def _next(self, _: random.Random) -> None:
        await self.world.call("advance_to_next")

    async def _drain(self, rng: random.Random) -> None:
        await self.world.call("drain", rng.choice((10, 1000, 30_000, 30_000)), rng.choice((0, 0, 60)))

    async def _reset(self, _: random.Random) -> None:
        await self.world.call("reset")

    async def _edit(self, rng: random.Random) -> None:
        key = self._some_key(rng)
        if key in self.world.catalog and rng.random() < 0.4:
            self.world.edit(key, None)
        else:
            self.world.edit(key, draw_queue(rng, key) if rng.random() < 0.5 else self.plan.queues[key])

    async def _change(self, rng: random.Random) -> None:
        field, name, values = rng.choice((
            ("concurrency", "concurrency", (1, 2, 4)), ("retries", "retries", (0, 1, 4)),
            ("retry_delay_ms", "retryDelayMs", (0, 10, 700)), ("timeout_ms", "timeoutMs", (80, 900)),
        ))  # fmt: skip
        self.world.change(self._some_key(rng), field, name, rng.choice(values))

    async def _target(self, rng: random.Random) -> None:
        namespace = self._some_key(rng)[0]
        self.world.change_target(namespace, f"http://{namespace}{rng.randint(1, 3)}.test")

    def _listen(self) -> None:
        """Let the services listen that do not yet."""
        for namespace in sorted(self.world.silent):
            self.world.listen(namespace)

    async def _rehearse(self) -> None:
        """Script outcomes, let services start, and pass from one firing of the schedules to the next, now and then."""
        rng = self._extras
        if self._has_faults and rng.random() < 0.3:
            self.world.script(self._some_key(rng), rng.choices(WORDS, k=rng.randint(1, 4)))
        if self._is_waiting and rng.random() < 0.1:
            self._listen()
        if self._has_schedules and rng.random() < 0.15:  # what fails at a firing is due again at the next one
            self.world.change(self._some_key(rng), "retry_delay_ms", "retryDelayMs", 60_000)
        if self._has_schedules and rng.random() < 0.2:
            await self.world.call("advance", rng.choice((30_000, 60_000, 150_000)), 0)

    async def _look(self, _: random.Random) -> None:
        await self.world.call("look")

    async def _sleep(self, rng: random.Random) -> None:
        await asyncio.sleep(rng.random() * (0.5 if self.plan.mode == "virtual" else rng.choice((0.5, 6.0))))

    async def _set_clock(self, rng: random.Random) -> None:
        self.world.machine.skew_s += rng.choice((-3600.0, -5.0, -0.5, 0.5, 5.0, 3600.0))

    async def _trouble(self, rng: random.Random) -> None:
        if self.plan.has_trouble and not self._is_calm and self.world.engine is not None:
            message = rng.choice(("database or disk is full", "disk I/O error", "database is locked"))
            where = self.world.disk.trouble if rng.random() < 0.7 else self.world.disk.read_trouble
            where += [message] * rng.choice((1, 1, 3, 8))
