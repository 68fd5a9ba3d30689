"""The dispatcher: what starts when, what holds it, and who learns of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from localqueue.core.models import JobState, OutcomeKind
from localqueue.engine.running_attempts import AttemptBatch
from tests.engine.bench import MAIL, TARGETS, TIMEOUT, A, B, Bench, job, play, queue, turns


def test_jobs_start_by_due_time_then_by_seq_in_all_queues_as_far_as_there_are_slots() -> None:
    """Rule deliver.order, deliver.concurrency."""

    async def main() -> None:
        bench = Bench(queue(A, concurrency=2), queue(B, concurrency=1))
        bench.clock.advance(10)
        await bench.ready(
            job(1, due_ms=4), job(2, due_ms=3), job(3, B, 5), job(4, due_ms=2), job(5, B, 3), job(6, B, 11)
        )
        assert bench.dispatcher.start_due()
        assert bench.started == [4, 2, 5]
        assert bench.dispatcher.next_due() is None  # nothing can start without waiting for an attempt
        await turns()
        bench.respond(5)
        await turns()
        assert bench.dispatcher.next_due() == 5
        assert bench.dispatcher.start_due() and bench.started == [4, 2, 5, 3]
        assert not bench.dispatcher.start_due()
        await turns()
        await bench.stop()

    play(main())


def test_a_limit_leaves_the_rest_as_it_was_in_order() -> None:
    """Rule time.step."""

    async def main() -> None:
        bench = Bench()
        await bench.ready(job(1, B), job(3, due_ms=7))
        bench.dispatcher.offer(job(2), b"[2]")
        assert bench.dispatcher.start_due(limit=1)
        assert bench.started == [1] and bench.dispatcher.next_due() == 0
        assert bench.dispatcher.start_due()
        assert bench.started == [1, 2] and bench.dispatcher.next_due() == 7
        await turns()
        assert bench.store.payloads == [1]  # what was in memory still is
        await bench.stop()

    play(main())


def test_the_outcomes_of_a_batch_are_applied_in_starting_order_once_all_are_in() -> None:
    """Rule time.order."""

    async def main() -> None:
        bench = Bench()
        await bench.ready(job(1), job(2), job(3))
        bench.dispatcher.start_due(AttemptBatch())
        await turns()
        for seq in (3, 1):
            bench.respond(seq)
        await turns()
        assert bench.recorded == []
        bench.respond(2)
        await turns()
        assert [seq for seq, _ in bench.recorded] == [1, 2, 3]
        await bench.stop()

    play(main())


def test_a_queue_that_is_paused_undeclared_or_of_a_silent_service_starts_nothing() -> None:
    """Rule states.paused, catalog.held, deliver.wait-for-service."""

    async def main() -> None:
        bench = Bench()
        dispatcher, all_queues = bench.dispatcher, bench.queues
        await bench.ready(job(1), job(2, B), job(3, MAIL))
        dispatcher.configure({A: all_queues[A], MAIL: all_queues[MAIL]}, TARGETS, {A})
        dispatcher.gate({"mail"})
        assert not dispatcher.start_due() and dispatcher.next_due() is None
        assert dispatcher.is_drained(None)  # held jobs don't count
        dispatcher.configure(all_queues, TARGETS)
        assert dispatcher.next_due() == 0
        assert dispatcher.start_due() and bench.started == [1, 2]
        dispatcher.gate({"shop"})
        assert dispatcher.start_due() and bench.started == [1, 2, 3]
        await turns()
        await bench.stop()

    play(main())


def test_a_queue_that_appears_later_belongs_to_the_services_that_do_not_listen() -> None:
    """Rule deliver.wait-for-service."""

    async def main() -> None:
        bench = Bench(queue(A))
        bench.dispatcher.gate({"mail"})
        bench.dispatcher.configure({MAIL: queue(MAIL)}, TARGETS)
        await bench.ready(job(3, MAIL))
        assert not bench.dispatcher.start_due()
        bench.dispatcher.gate(())
        assert bench.dispatcher.start_due()
        await turns()
        await bench.stop()

    play(main())


def test_a_job_of_a_queue_that_nobody_has_declared_is_left_to_the_disk() -> None:
    """Rule catalog.held."""

    async def main() -> None:
        bench = Bench(queue(A))
        bench.store.put(job(2, B))
        bench.dispatcher.offer(job(2, B))
        assert B not in bench.dispatcher.queues
        bench.dispatcher.configure({B: queue(B)}, TARGETS)
        await bench.run()
        assert bench.started == [2]
        await bench.stop()

    play(main())


def test_an_occupied_slot_is_free_at_its_instant_and_not_before() -> None:
    """Rule time.timeout."""

    async def main() -> None:
        bench = Bench(queue(A, concurrency=1))
        dispatcher = bench.dispatcher
        assert dispatcher.last_occupied() == 0
        dispatcher.occupy_slot(A, 50)
        dispatcher.occupy_slot(B, 70)  # a queue of an earlier catalog
        assert dispatcher.last_occupied() == 70
        await bench.ready(job(1), job(2))
        assert not dispatcher.start_due() and dispatcher.next_due() == 50
        bench.clock.advance(49)
        assert not dispatcher.start_due()
        bench.clock.advance(50)
        assert dispatcher.start_due() and bench.started == [1]
        assert dispatcher.next_due() is None
        await turns()
        await bench.stop()

    play(main())


def test_it_is_drained_up_to_an_instant_once_no_job_due_by_then_waits_or_runs() -> None:
    """Rule time.drain."""

    async def main() -> None:
        bench = Bench()
        dispatcher = bench.dispatcher
        await bench.run(job(1), job(2, B, 30))
        assert not dispatcher.is_drained(0)
        bench.respond(1)
        await turns()
        assert dispatcher.is_drained(0) and dispatcher.is_drained(29)
        assert not dispatcher.is_drained(30) and not dispatcher.is_drained(None)
        bench.clock.advance(30)
        dispatcher.start_due()
        await turns()
        assert dispatcher.is_drained(29) and not dispatcher.is_drained(30)
        assert not dispatcher.is_drained(None) and not dispatcher.is_idle
        bench.respond(2)
        await turns()
        assert dispatcher.is_drained(None) and dispatcher.is_idle
        await bench.stop()

    play(main())


def test_everybody_who_waits_for_a_change_learns_of_the_next_one() -> None:
    async def main() -> None:
        bench = Bench()
        waiting = [asyncio.create_task(bench.dispatcher.next_change()) for _ in range(3)]
        await turns(1)
        waiting[0].cancel()
        await turns(1)
        assert not waiting[1].done()
        for change in (
            lambda: bench.dispatcher.offer(job(1)),
            bench.dispatcher.wake,
            lambda: bench.dispatcher.gate(("shop",)),
            lambda: bench.dispatcher.configure(bench.queues, TARGETS),
            lambda: bench.dispatcher.release(job(1), None),
        ):
            waiting.append(asyncio.create_task(bench.dispatcher.next_change()))
            await turns(1)
            change()
            await turns(2)
            assert all(task.done() for task in waiting)
        await bench.stop()

    play(main())


def test_the_end_of_an_attempt_is_a_change() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.run(job(1))
        bench.store.may_write.clear()
        bench.respond(1)
        await turns()
        waiting = asyncio.create_task(bench.dispatcher.next_change())
        await turns()
        assert not waiting.done()
        bench.store.may_write.set()
        await waiting
        assert bench.dispatcher.running == {}
        await bench.stop()

    play(main())


def test_jobs_of_other_queues_do_not_start_meanwhile_and_do_afterwards() -> None:
    """Rule time.drain-queue."""

    async def main() -> None:
        bench = Bench()
        await bench.ready(job(1), job(2, B))
        with pytest.raises(ZeroDivisionError), bench.dispatcher.only(lambda key: key == B):
            assert bench.dispatcher.start_due() and bench.started == [2]
            assert bench.dispatcher.is_drained(None) is False
            raise ZeroDivisionError
        assert bench.dispatcher.start_due() and bench.started == [2, 1]
        await turns()
        await bench.stop()

    play(main())


def test_a_claimed_job_neither_starts_nor_is_claimed_again_until_its_release() -> None:
    """Rule retry.by-hand."""

    async def main() -> None:
        bench = Bench()
        dispatcher = bench.dispatcher
        await bench.run(job(1))
        await bench.ready(job(2, due_ms=30), job(3, due_ms=60))
        assert not dispatcher.claim(job(1))  # it is running
        assert not dispatcher.start_due() and dispatcher.next_due() == 30
        assert dispatcher.claim(job(2, due_ms=30)) and not dispatcher.claim(job(2, due_ms=30))
        assert not dispatcher.start_due() and dispatcher.next_due() == 60 and not dispatcher.is_idle
        bench.clock.advance(30)
        assert not dispatcher.start_due()
        waiting = asyncio.create_task(dispatcher.wait_attempts())
        bench.respond(1)
        await turns()
        assert not waiting.done()
        dispatcher.release(job(2, due_ms=30), job(2, due_ms=40))
        await waiting
        assert dispatcher.next_due() == 40
        assert dispatcher.claim(job(2, due_ms=40))
        dispatcher.release(job(2), replace(job(2), finished=JobState.CANCELLED, finished_ms=0))
        assert dispatcher.next_due() == 60
        await bench.stop()

    play(main())


def test_a_job_that_changed_while_it_was_claimed_is_read_again() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.ready(job(1), job(2))
        assert bench.dispatcher.claim(job(1))
        bench.store.put(replace(job(1), due_ms=80))
        assert bench.dispatcher.start_due() and bench.started == [2]
        bench.dispatcher.release(job(1), None)
        assert bench.dispatcher.next_due() is None and not bench.dispatcher.is_idle
        await bench.dispatcher.wait_loaded()
        assert bench.dispatcher.next_due() == 80
        await turns()
        await bench.stop()

    play(main())


def test_a_job_of_a_queue_without_a_state_can_be_claimed() -> None:
    async def main() -> None:
        bench = Bench(queue(A))
        assert bench.dispatcher.claim(job(1, B)) and not bench.dispatcher.claim(job(1, B))
        waiting = asyncio.create_task(bench.dispatcher.wait_attempts())
        await turns()
        assert not waiting.done()
        bench.dispatcher.release(job(1, B), job(1, B))
        await waiting
        assert bench.dispatcher.claim(job(1, B))
        bench.dispatcher.release(job(1, B), None)
        await bench.stop()

    play(main())


def test_an_attempt_is_cut_off_and_on_disk_when_the_call_returns() -> None:
    """Rule states.cancelled."""

    async def main() -> None:
        bench = Bench()
        await bench.run(job(1), job(2))
        await bench.dispatcher.cut_off(1, OutcomeKind.CANCELLED)
        assert bench.recorded == [(1, "cancelled")] and list(bench.dispatcher.running) == [2]
        await bench.stop()
        assert bench.recorded == [(1, "cancelled"), (2, "interrupted")]

    play(main())


def test_it_is_idle_only_when_the_next_jobs_are_in_memory() -> None:
    async def main() -> None:
        bench = Bench(queue(A))
        assert not bench.dispatcher.is_idle
        bench.store.may_read.clear()
        loading = asyncio.create_task(bench.dispatcher.wait_loaded())
        await turns()
        assert not bench.dispatcher.is_idle and not loading.done()
        bench.store.may_read.set()
        await loading
        assert bench.dispatcher.is_idle
        await bench.stop()

    play(main())


def test_a_running_loop_sleeps_until_the_next_due_time_and_yields_to_bursts() -> None:
    """Rule enqueue.burst."""

    async def main() -> None:
        bench = Bench(queue(A, concurrency=1))
        loop = asyncio.create_task(bench.dispatcher.run())
        await turns()
        bench.store.put(job(1), job(2), job(3))
        for each in (job(1), job(2), job(3), job(4, due_ms=70)):
            bench.dispatcher.offer(each)
        await turns()
        assert bench.started == [1] and bench.clock.waits[-1] is None
        bench.respond(1)
        await turns()
        assert bench.started == [1, 2]
        bursts = bench.store.bursts
        bench.store.has_burst = True
        bench.respond(2)
        await turns()
        assert bench.started == [1, 2, 3] and bench.store.bursts > bursts
        bench.respond(3)
        await turns()
        assert bench.clock.waits[-1] == 70
        await bench.stop()
        await loop

    play(main())


def test_a_free_slot_takes_its_next_job_before_the_outcome_is_stored() -> None:
    async def main() -> None:
        bench = Bench(queue(A, concurrency=1))
        loop = asyncio.create_task(bench.dispatcher.run())
        await turns()
        for each in (job(1), job(2), job(3, due_ms=50)):
            bench.store.put(each)
            bench.dispatcher.offer(each)
        await turns()
        bench.store.may_write.clear()
        started: list[list[int]] = []
        bench.store.at_record = lambda: started.append(bench.started)
        waits = len(bench.clock.waits)
        bench.respond(1)
        await turns()
        assert bench.started == [1, 2] and bench.recorded == [] and started == [[1, 2]]
        bench.respond(2)
        await turns()
        assert len(bench.clock.waits) > waits and bench.clock.waits[-1] == 50
        bench.store.may_write.set()
        await turns()
        await bench.stop()
        await loop

    play(main())


def test_an_attempt_that_timed_out_keeps_its_slot_and_not_the_clock() -> None:
    """Rule time.timeout."""

    async def main() -> None:
        bench = Bench(queue(A, concurrency=1, timeout_ms=500, retries=0))
        await bench.run(job(1), job(2))
        bench.respond(1, TIMEOUT)
        await turns()
        assert bench.dispatcher.next_due() == 500 == bench.dispatcher.last_occupied()
        await bench.stop()

    play(main())
