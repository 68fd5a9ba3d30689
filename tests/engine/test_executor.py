"""One attempt: its request, its record, its times, and what happens where something can't be read, sent or stored."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest

from localqueue.core import crashpoint, events
from localqueue.core.errors import NotFound, OutOfResources
from localqueue.core.models import AttemptError, JobState, Outcome, OutcomeKind
from localqueue.engine import executor
from localqueue.engine.prefetch import PendingJob
from localqueue.engine.running_attempts import AttemptBatch, RunningAttempt
from tests.engine.bench import ERROR, OK, TARGETS, TIMEOUT, A, B, Bench, job, play, queue, turns


def test_the_request_goes_to_target_and_endpoint_with_the_number_of_the_attempt() -> None:
    """Rule deliver.body."""

    async def main() -> None:
        bench = Bench(queue(A, timeout_ms=1500, retries=6))
        bench.clock.advance(20)
        await bench.run(job(1, failures=2, attempt=2, due_ms=10))
        request = bench.requests[1]
        assert (request.url, request.timeout_ms) == ("http://shop/a", 1500)
        assert request.body == b'{"jobId":"job-1","queue":"a","attempt":3,"data":"stored"}'
        started = bench.told(events.Started)[0]
        assert (started.job.attempt, started.job.max_attempts, started.started_ms) == (3, 7, 20)
        assert request.deadline is not None and not request.deadline.is_held
        attempt = bench.dispatcher.running[1]
        assert attempt.deadline is request.deadline and not attempt.is_held
        request.deadline.hold(True)
        assert attempt.is_held
        await bench.stop()

    play(main())


def test_a_record_can_wait_while_its_slot_is_taken_again_or_many_jobs_arrive() -> None:
    async def main() -> None:
        bench = Bench(queue(A, concurrency=1))
        running = asyncio.create_task(bench.dispatcher.run())
        await bench.ready(job(1), job(2), job(3))
        for seq in (1, 2, 3):
            await turns()
            bench.store.has_burst = seq == 3
            bench.respond(seq)
        await turns()
        assert bench.store.can_wait == [True, True, True]
        bench.store.has_burst = False
        bench.dispatcher.offer(job(4))
        await turns()
        bench.respond(4)
        await turns()
        assert bench.store.can_wait == [True, True, True, False]
        await bench.stop()
        await running

    play(main())


def test_data_in_memory_is_not_read_again() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.ready()
        bench.dispatcher.offer(job(1), b"[7]")
        bench.dispatcher.start_due()
        await turns()
        assert bench.requests[1].body.endswith(b'"data":[7]}') and bench.store.payloads == []
        bench.respond(1, ERROR)
        await turns()
        bench.clock.advance(5000)
        bench.dispatcher.start_due()
        await turns()
        assert bench.requests[1].body.endswith(b'"data":[7]}') and bench.store.payloads == []
        await bench.stop()

    play(main())


def test_small_data_comes_with_the_job_from_disk() -> None:
    async def main() -> None:
        bench = Bench()
        bench.store.put(job(1), job(2))
        bench.store.small[1] = b"[1]"
        await bench.dispatcher.wait_loaded()
        bench.dispatcher.start_due()
        await turns()
        assert bench.requests[1].body.endswith(b'"data":[1]}') and bench.store.payloads == [2]
        await bench.stop()

    play(main())


def test_the_deadline_is_that_of_the_queue() -> None:
    """Rule deliver.deadline."""

    async def main() -> None:
        bench = Bench(queue(A, timeout_ms=1500))
        await bench.run(job(1))
        await asyncio.sleep(1.499)
        assert bench.recorded == []
        await asyncio.sleep(0.002)
        assert bench.recorded == [(1, "timeout")]
        await bench.stop()

    play(main())


def test_without_timeouts_every_deadline_is_held() -> None:
    """Rule deliver.hold."""

    async def main() -> None:
        bench = Bench(has_timeouts=False)
        await bench.run(job(1))
        assert bench.dispatcher.running[1].is_held
        await bench.stop()

    play(main())


def test_the_record_has_the_times_of_a_running_clock() -> None:
    """Rule states.attempts, retry.delay."""

    async def main() -> None:
        bench = Bench(queue(A, retries=1, retry_delay_ms=400))
        bench.clock.is_running = True
        bench.clock.advance(100)
        bench.clock.seconds = 7.0
        await bench.run(job(1, due_ms=90))
        bench.clock.advance(160)
        bench.clock.seconds = 9.0604
        bench.respond(1, ERROR)
        await turns()
        before, after, attempt = bench.store.recorded[0]
        assert (before, after.failures, after.due_ms) == (job(1, due_ms=90), 1, 561)
        assert (attempt.due_ms, attempt.started_ms, attempt.ended_ms, attempt.duration_ms) == (90, 100, 161, 2060)
        assert (attempt.url, attempt.outcome, attempt.round, attempt.number) == ("http://shop/a", ERROR, 1, 1)
        assert (attempt.max_attempts, attempt.next_due_ms) == (2, 561)
        assert attempt.reason == "retry 1 of 1, 400 ms after the end of the attempt"
        assert attempt.summary == "responded 500"
        assert bench.dispatcher.last_occupied() == 0
        ended = bench.told(events.AttemptEnded)
        assert [(each.job, each.attempt) for each in ended] == [(after, attempt)]
        await bench.stop()

    play(main())


def test_an_attempt_never_ends_before_its_start() -> None:
    async def main() -> None:
        bench = Bench()
        bench.clock.advance(100)
        await bench.run(job(1))
        bench.clock.reset()
        bench.respond(1)
        await turns()
        assert bench.store.recorded[0][2].ended_ms == 100
        await bench.stop()

    play(main())


@pytest.mark.parametrize(
    ("outcome", "ms"), [(TIMEOUT, 500), (Outcome(OutcomeKind.COMPLETED, 200, simulated_ms=70), 70), (OK, 0)]
)
def test_time_that_a_standing_clock_has_not_counted_is_part_of_the_attempt(outcome: Outcome, ms: int) -> None:
    """Rule time.timeout, time.simulated."""

    async def main() -> None:
        bench = Bench(queue(A, timeout_ms=500, retries=0))
        bench.clock.advance(10)
        bench.clock.seconds = 0.01
        await bench.run(job(1))
        bench.respond(1, outcome)
        await turns()
        attempt = bench.store.recorded[0][2]
        assert (attempt.started_ms, attempt.ended_ms, attempt.duration_ms) == (10, 10 + ms, ms)
        assert bench.dispatcher.last_occupied() == (10 + ms if ms else 0)
        await bench.stop()

    play(main())


def test_the_end_of_an_attempt_is_explained() -> None:
    """Rule explain.conditions."""

    async def main() -> None:
        bench = Bench()
        await bench.run(job(1))
        bench.respond(1, replace(ERROR, status=404))
        await turns()
        explanation = bench.told(events.AttemptEnded)[0].explanation
        assert explanation is not None and "/a" in str(explanation)
        await bench.stop()

    play(main())


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Yield the real time that warnings go by."""
    now = [100.0]
    monkeypatch.setattr(executor, "monotonic", lambda: now[0])
    yield now


def test_data_that_can_not_be_read_is_no_attempt_and_is_read_again_a_second_later(seconds: list[float]) -> None:
    """Rule deliver.own-faults."""

    async def main() -> None:
        bench = Bench(queue(A, concurrency=2))
        await bench.ready(job(1), job(2), job(3))
        bench.store.read_errors = ["damaged", "damaged"]
        bench.dispatcher.start_due()
        await turns()
        assert bench.dispatcher.running == {} and bench.recorded == []
        assert [event.message for event in bench.told(events.Warned)] == ["damaged"]
        assert bench.dispatcher.start_due() and bench.started == [1, 2, 3]
        assert bench.dispatcher.next_due() == 1000
        bench.clock.advance(1000)
        bench.dispatcher.start_due()
        await turns()
        assert bench.dispatcher.running[1].job.attempt == 1
        bench.respond(1)
        await turns()
        assert bench.recorded == [(1, "completed")]
        await bench.stop()

    play(main())


def test_a_job_without_a_payload_fails_and_the_damage_is_reported() -> None:
    """Rule storage.damage."""

    async def main() -> None:
        bench = Bench(queue(A, retries=0))
        await bench.ready(job(1))
        bench.store.read_errors = [NotFound("the job no longer exists", "It was pruned.")]
        bench.dispatcher.start_due()
        await turns()
        [(_, after, attempt)] = bench.store.recorded
        error = AttemptError("payload_missing", "the payload of this job is missing in the database file")
        assert after.finished is JobState.FAILED
        assert attempt.outcome == Outcome(OutcomeKind.CONNECTION_ERROR, None, error)
        damage = "the database is damaged: a job has no payload. Keep a copy, and start with another --db PATH"
        assert [event.message for event in bench.told(events.Warned)] == [damage]
        await bench.stop()

    play(main())


def test_the_same_warning_is_repeated_after_ten_seconds_and_another_one_at_once(seconds: list[float]) -> None:
    """Rule deliver.own-faults."""

    async def main() -> None:
        bench = Bench()
        for at, message in ((0.0, "a"), (9.9, "a"), (10.0, "a"), (11.0, "b"), (12.0, "a"), (13.0, "a")):
            seconds[0] = 100 + at
            await bench.run(job(1, due_ms=bench.clock.now()))
            bench.respond(1, OutOfResources(message))
            await turns()
            bench.clock.advance(bench.clock.now() + 1000)
        assert [event.message for event in bench.told(events.Warned)] == ["a", "a", "b", "a"]
        await bench.stop()

    play(main())


def test_the_first_warning_is_shown_however_long_the_machine_runs(seconds: list[float]) -> None:
    async def main() -> None:
        bench = Bench()
        seconds[0] = 1.0
        await bench.run(job(1))
        bench.respond(1, OutOfResources("no descriptors"))
        await turns()
        assert len(bench.told(events.Warned)) == 1
        await bench.stop()

    play(main())


def test_an_outcome_that_can_not_be_stored_is_kept_and_nothing_starts_meanwhile() -> None:
    """Rule storage.full-disk."""

    async def main() -> None:
        bench = Bench(queue(A, concurrency=1))
        loop = asyncio.get_running_loop()
        await bench.run(job(1))
        bench.dispatcher.offer(job(2))
        bench.store.write_errors = ["full", "full", "full"]
        began = loop.time()
        bench.respond(1)
        await turns()
        assert not bench.dispatcher.start_due() and bench.dispatcher.next_due() is None
        assert bench.dispatcher.running and not bench.told(events.AttemptEnded)
        await bench.dispatcher.next_change()
        assert loop.time() - began == pytest.approx(3)
        await turns()
        assert bench.recorded == [(1, "completed")] and len(bench.told(events.AttemptEnded)) == 1
        warnings = [event.message for event in bench.told(events.Warned)]
        assert warnings == ["full; deliveries wait until the database can be written again"]
        assert bench.dispatcher.start_due() and bench.started == [1, 2]
        await turns()
        await bench.stop()

    play(main())


def test_a_running_loop_continues_by_itself_once_an_outcome_is_stored() -> None:
    """Rule storage.full-disk."""

    async def main() -> None:
        bench = Bench(queue(A, concurrency=1))
        loop = asyncio.create_task(bench.dispatcher.run())
        await bench.ready(job(1))
        await turns()
        bench.store.write_errors = ["full"]
        bench.respond(1)
        await turns()
        bench.dispatcher.offer(job(2))
        await turns()
        assert bench.started == [1]
        await asyncio.sleep(1.5)
        assert bench.started == [1, 2]
        await bench.stop()
        await loop

    play(main())


def test_nothing_starts_until_each_of_several_outcomes_is_stored() -> None:
    """Rule storage.full-disk."""

    async def main() -> None:
        bench = Bench(queue(A, concurrency=2))
        await bench.run(job(1), job(2), job(3))
        bench.store.write_errors = ["full"] * 3
        bench.respond(1)
        bench.respond(2)
        await asyncio.sleep(1.5)  # one of them is stored now, the other isn't
        assert len(bench.recorded) == 1 and not bench.dispatcher.start_due()
        await asyncio.sleep(1)
        assert len(bench.recorded) == 2 and bench.dispatcher.start_due()
        await turns()
        await bench.stop()

    play(main())


def test_a_stop_gives_up_an_outcome_that_can_not_be_stored() -> None:
    """Rule storage.full-disk."""

    async def main() -> None:
        bench = Bench()
        await bench.run(job(1))
        bench.store.write_errors = ["full"] * 100
        bench.respond(1)
        await turns()
        await bench.dispatcher.stop(5)
        await turns()
        assert bench.dispatcher.running == {} and bench.recorded == []
        assert not bench.told(events.AttemptEnded)

    play(main())


def test_crash_points_are_reached_before_the_request_and_after_the_response(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule storage.rehearsal."""

    async def main() -> None:
        bench = Bench()
        reached: list[tuple[str, bool, int]] = []

        def reach(point: str) -> None:
            reached.append((point, 1 in bench.requests, len(bench.recorded)))

        monkeypatch.setattr(crashpoint, "reach", reach)
        await bench.run(job(1))
        bench.respond(1)
        await turns()
        assert reached == [("before-send", False, 0), ("after-send", True, 0)]
        await bench.stop()

    play(main())


def test_an_attempt_that_can_not_be_made_does_not_hold_up_its_batch() -> None:
    """Rule deliver.own-faults."""

    async def main() -> None:
        bench = Bench()
        await bench.ready(job(1), job(2))
        bench.dispatcher.start_due(AttemptBatch())
        await turns()
        bench.respond(1, OutOfResources("no descriptors"))
        await turns()
        assert bench.recorded == []
        bench.respond(2)
        await turns()
        assert bench.recorded == [(2, "completed")]
        await bench.stop()

    play(main())


def test_an_error_of_our_own_is_not_kept_silent() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.run(job(1))
        bench.respond(1, ZeroDivisionError("a bug"))
        await turns()
        with pytest.raises(ZeroDivisionError):
            await bench.dispatcher.failure
        del bench.dispatcher

    play(main())


def test_an_error_of_our_own_in_a_load_is_not_kept_silent() -> None:
    async def main() -> None:
        bench = Bench(queue(A))
        bench.store.read_errors = [ZeroDivisionError("a bug")]
        bench.dispatcher.start_due()
        with pytest.raises(ZeroDivisionError):
            await bench.dispatcher.failure

    play(main())


def test_a_load_that_fails_is_reported_and_made_again() -> None:
    """Rule storage.full-disk."""

    async def main() -> None:
        bench = Bench(queue(A))
        bench.store.read_errors = ["locked"]
        bench.store.put(job(1))
        loop = asyncio.get_running_loop()
        began = loop.time()
        await bench.dispatcher.wait_loaded()
        assert loop.time() - began == pytest.approx(1)
        assert [event.message for event in bench.told(events.Warned)] == ["locked"]
        assert bench.dispatcher.start_due() and bench.started == [1]
        await turns()
        await bench.stop()

    play(main())


def test_an_attempt_without_a_deadline_is_not_held() -> None:
    attempt = RunningAttempt(job(1), job(1), queue(A), "http://x/", 0, 0.0)
    assert not attempt.is_held and PendingJob(job(1)).order == (0, 1)


def test_a_slot_is_only_for_its_queue() -> None:
    """Rule deliver.concurrency."""

    async def main() -> None:
        bench = Bench(queue(A, concurrency=1), queue(B, concurrency=1))
        await bench.run(job(1), job(2), job(3, B))
        assert bench.started == [1, 3]
        bench.respond(3)
        await turns()
        assert not bench.dispatcher.start_due()
        bench.dispatcher.configure({A: queue(A, concurrency=2)}, TARGETS)
        assert bench.dispatcher.start_due() and bench.started == [1, 3, 2]
        await turns()
        await bench.stop()

    play(main())
