"""Bugs in what rehearses failure: scripted outcomes, holds, services that start late, schedules."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any
from unittest import mock

from localqueue.core import clock
from localqueue.core.faults import FaultKind
from localqueue.core.models import Queue
from localqueue.engine import dispatcher, executor, fault_injector, running_attempts, schedules, service_watch, timeline
from localqueue.engine.running_attempts import AttemptBatch
from tests.sim.plants.planted import Planted


def _script_is_used_from_its_end() -> Any:
    real = fault_injector.FaultInjector.begin

    def begin(self: fault_injector.FaultInjector, queue: Queue) -> Any:
        if queue.key in self._scripts:
            self._scripts[queue.key].reverse()
        return real(self, queue)

    return mock.patch.object(fault_injector.FaultInjector, "begin", begin)


def _script_is_not_used_up() -> Any:
    real = fault_injector.FaultInjector.begin

    def begin(self: fault_injector.FaultInjector, queue: Queue) -> Any:
        if queue.key in self._scripts:
            self._scripts[queue.key].extend(list(self._scripts[queue.key])[:1])
        return real(self, queue)

    return mock.patch.object(fault_injector.FaultInjector, "begin", begin)


def _acknowledgement_arrives() -> Any:
    real = fault_injector.FaultInjector._around

    async def around(self: fault_injector.FaultInjector, fault: Any, call: Any, request: Any) -> Any:
        return await (call(request) if fault.kind is FaultKind.LOST_ACK else real(self, fault, call, request))

    return mock.patch.object(fault_injector.FaultInjector, "_around", around)


def _injected_is_not_stored() -> Any:
    real = running_attempts.attempt_record

    def attempt_record(running: Any, outcome: Any, *rest: Any) -> Any:
        return real(running, replace(outcome, injected=None), *rest)

    return mock.patch.object(executor, "attempt_record", attempt_record)


def _script_outlives_a_reset() -> Any:
    return mock.patch.object(fault_injector.FaultInjector, "restart", lambda self: None)


def _service_is_called_all_the_same() -> Any:
    real = fault_injector.FaultInjector._scripted

    def scripted(self: fault_injector.FaultInjector, fault: Any, queue: Queue) -> Any:
        call, send = self._inner.begin(queue), real(self, fault, queue)

        async def both(request: Any) -> Any:
            if fault.kind in (FaultKind.OK, FaultKind.STATUS):
                await call(request)
            return await send(request)

        return both

    return mock.patch.object(fault_injector.FaultInjector, "_scripted", scripted)


def _simulated_time_is_free() -> Any:
    real = executor.Executor._finish

    async def finish(self: Any, state: Any, attempt: Any, outcome: Any, data: Any) -> None:
        await real(self, state, attempt, replace(outcome, simulated_ms=0), data)

    return mock.patch.object(executor.Executor, "_finish", finish)


def _hold_is_ignored() -> Any:
    return mock.patch.object(clock.Deadline, "hold", lambda self, is_held: None)


def _release_ends_at_once() -> Any:
    real = clock.Deadline.hold

    def hold(self: clock.Deadline, is_held: bool) -> None:
        real(self, is_held)
        if not is_held and self._task is not None:
            asyncio.get_running_loop().call_later(0.01, self._end)

    return mock.patch.object(clock.Deadline, "hold", hold)


def _late_release() -> Any:
    """Bring back what the simulation found: a release after the response ended the attempt without a record."""
    real = clock.Deadline.__aexit__

    async def aexit(self: clock.Deadline, *error: Any) -> None:
        task = self._task
        try:
            await real(self, *error)
        finally:
            self._task = task

    return mock.patch.object(clock.Deadline, "__aexit__", aexit)


def _nobody_waits_for_services() -> Any:
    return mock.patch.object(dispatcher.Dispatcher, "gate", lambda self, namespaces: self.wake())


def _services_are_not_noticed() -> Any:
    async def probe(self: service_watch.ServiceWatch) -> dict[str, bool]:
        return {}

    return mock.patch.object(service_watch.ServiceWatch, "probe", probe)


def _firings_are_jumped_over() -> Any:
    return mock.patch.object(schedules.Schedules, "next_due", lambda self: None)


def _jobs_come_before_firings() -> Any:
    async def play_instant(self: timeline.VirtualTimeline) -> None:
        while True:
            await self._rest()
            if not self._dispatcher.start_due(AttemptBatch()) and not self._schedules.fire_due():
                return

    return mock.patch.object(timeline.VirtualTimeline, "_play_instant", play_instant)


def _fired_twice() -> Any:
    real = schedules.Schedules._start

    def start(self: schedules.Schedules, schedule: Any) -> Any:
        real(self, schedule)
        return real(self, schedule)

    return mock.patch.object(schedules.Schedules, "_start", start)


def _plan_outlives_a_reset() -> Any:
    return mock.patch.object(schedules.Schedules, "restart", schedules.Schedules.configure)


def _time_moves_while_a_schedule_fires() -> Any:
    return mock.patch.object(schedules.Schedules, "is_idle", True)


PLANTS = {
    "a script is used from its end": Planted(_script_is_used_from_its_end, "faults.order", 7),
    "a script is not used up": Planted(_script_is_not_used_up, "faults.order", 31),
    "a script outlives a reset": Planted(_script_outlives_a_reset, "faults.order", 125),
    "a scripted outcome is not marked": Planted(_injected_is_not_stored, "faults.order", 7),
    "an acknowledgement that is to be lost arrives": Planted(_acknowledgement_arrives, "faults.outcomes", 14),
    "the service is called though it should not be": Planted(_service_is_called_all_the_same, "faults.outcomes", 7),
    "a scripted delay takes no time": Planted(_simulated_time_is_free, "I5", 27),
    "a hold is ignored": Planted(_hold_is_ignored, "deliver.hold", 28),
    "a release ends an attempt at once": Planted(_release_ends_at_once, "deliver.hold", 28),
    "a late release ends an attempt without a record": Planted(_late_release, "I2", 57),
    "jobs do not wait for their service": Planted(_nobody_waits_for_services, "deliver.wait-for-service", 1),
    "nobody notices that a service listens": Planted(_services_are_not_noticed, "I2", 1),
    "time jumps over a firing": Planted(_firings_are_jumped_over, "schedule.timeline", 7),
    "jobs come before the firings of their instant": Planted(_jobs_come_before_firings, "schedule.timeline", 61),
    "a schedule fires twice": Planted(_fired_twice, "schedule.timeline", 7),
    "the plan of a schedule outlives a reset": Planted(_plan_outlives_a_reset, "schedule.timeline", 84),
    "time moves while a schedule fires": Planted(_time_moves_while_a_schedule_fires, "schedule.timeline", 61),
}
