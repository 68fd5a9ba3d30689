"""What a LocalQueue does, in this process: jobs, replies, time, assertions, and wrong arguments."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from localqueue.core.errors import ClientError
from localqueue.testing import LocalQueue, Reply
from tests.support import until

CATALOG = {
    "metadata": {"name": "shop"},
    "spec": {
        "queues": [
            {"name": "work", "endpoint": "/work", "retries": 1, "timeoutMs": 10_000},
            {"name": "other", "endpoint": "/other"},
        ]
    },
}


@pytest.fixture(scope="module")
def shared() -> Iterator[LocalQueue]:
    with LocalQueue(CATALOG) as queue:
        yield queue


@pytest.fixture
def queue(shared: LocalQueue) -> Iterator[LocalQueue]:
    yield shared
    shared.reset()


# jobs


def test_listed_jobs_have_their_data_and_their_attempts(queue: LocalQueue) -> None:
    queue.worker("work").replies((503, "busy"), 200)
    job = queue.enqueue("work", {"claimId": 7})
    queue.drain()
    assert queue.jobs() == [queue.job(job)]
    assert [(each.status, each.url) for each in queue.jobs()[0].attempts] == [
        (503, "http://localhost:3000/work"),
        (200, "http://localhost:3000/work"),
    ]


def test_jobs_are_read_in_pages_not_one_by_one(queue: LocalQueue) -> None:
    for number in range(450):
        queue.client.enqueue("shop", "work", str(number))
    connection = queue.client._connection
    with mock.patch.object(connection, "send", wraps=connection.send) as sent:
        assert queue.assert_enqueued("work", 17, count=1)[0].data == 17
        assert sent.call_count == 4  # three pages, and the job that it returns
        queue.assert_enqueued("work", where=lambda number: number > 0, count=449)
        assert sent.call_count == 10  # three pages with the data, three with everything


def test_a_paused_queue_waits_until_it_is_resumed(queue: LocalQueue) -> None:
    queue.worker("work").always(200)
    job = queue.enqueue("work")
    queue.pause("work")
    assert (queue.drain(), queue.job(job).held) == ([], "paused")
    queue.resume("work")
    assert [each.status for each in queue.drain()] == [200]


def test_a_job_is_replayed_with_its_data_or_with_other_data(queue: LocalQueue) -> None:
    first = queue.enqueue("work", {"claimId": 7})
    copy, changed = queue.replay(first), queue.replay(first.id, {"claimId": 8})
    assert (copy.data, changed.data) == ({"claimId": 7}, {"claimId": 8})
    assert {copy.replay_of, changed.replay_of} == {first.id}


# replies


def test_a_reply_has_a_status_a_body_and_headers(queue: LocalQueue) -> None:
    queue.worker("work").replies(Reply(503, {"busy": True}, {"Retry-After": "7", "Content-Type": "x/y"}), Reply())
    job = queue.enqueue("work")
    queue.drain()
    first, second = queue.job(job).attempts
    assert first.response is not None and second.response is not None
    assert dict(first.response.headers) == {"content-type": "x/y", "retry-after": "7"}
    assert (first.response.body, second.response.body) == ('{"busy": true}', "")


def test_a_delay_takes_virtual_time_and_a_long_one_is_a_timeout(queue: LocalQueue) -> None:
    """Rule time.simulated."""
    queue.configure("work", concurrency=1)
    queue.worker("work").replies(Reply(200, delay="3s"), lambda _: Reply(500, delay="10s"), 200)
    queue.enqueue("work")
    queue.enqueue("work")
    queue.drain()
    assert queue.ledger() == (
        " +0.000s  work#1  1/2  completed 200\n"
        " +3.000s  work#2  1/2  timeout        next +18.000s\n"
        "+18.000s  work#2  2/2  completed 200\n"
    )
    assert [job.attempts[0].duration_ms for job in queue.jobs()] == [3000, 10_000]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Reply(99), ValueError, "from 200 to 999"),
        (lambda: Reply(200, {1, 2}), ValueError, "can't be sent as JSON"),
        (lambda: Reply(200, headers={"X": "a\r\nY: b"}), ValueError, "printable ASCII"),
        (lambda: Reply(200, headers={"X": 1}), ValueError, "printable ASCII"),  # type: ignore[dict-item]
        (lambda: Reply(200, delay=5), TypeError, 'use one like "5s"'),  # type: ignore[arg-type]
        (lambda: Reply(200, delay="5"), ValueError, "5"),
    ],
)
def test_a_reply_is_checked_when_it_is_made(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    "reply", [100, True, "time-out", (200, "a", "b"), (200, {1}), None, object(), mock.AsyncMock(), [200]]
)
def test_a_reply_that_can_t_be_sent_is_refused_when_it_is_scripted(queue: LocalQueue, reply: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        queue.worker("work").replies(200, reply)
    with pytest.raises((ValueError, TypeError)):
        queue.worker("work").always(reply)
    assert queue.worker("work").unused == 0


def test_unused_replies_are_an_error_only_where_it_is_asked_for(queue: LocalQueue) -> None:
    queue.worker("work").replies(200, 200)
    queue.enqueue("work")
    queue.drain()
    with pytest.raises(AssertionError, match=r"unused replies:\n  worker\('work'\) got 1 delivery; 1 reply left"):
        queue.assert_all_replies_used()
    queue.enqueue("work")
    queue.drain()
    queue.assert_all_replies_used()


# exceptions


def test_an_exception_of_a_handler_can_be_raised_in_the_test(queue: LocalQueue) -> None:
    """Rule testing.raise."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        raise LookupError("no policy")

    queue.serve(app)
    queue.enqueue("work")
    with pytest.raises(LookupError, match="no policy"):
        queue.advance("0s", raise_exceptions=True)
    assert [each.status for each in queue.drain()] == [500]  # it was retried, without raising
    queue.worker("other").replies(mock.Mock(side_effect=ValueError("bad reply")))
    queue.enqueue("other")
    with pytest.raises(ValueError, match="bad reply"):
        queue.step(raise_exceptions=True)


# time


def test_another_clock_moves_along(queue: LocalQueue) -> None:
    """Rule testing.on-time."""
    seen: list[datetime] = []
    queue.worker("work").replies(500, lambda _: seen.append(datetime(1999, 1, 1, tzinfo=UTC)))
    queue.on_time(seen.append)
    queue.enqueue("work")
    queue.drain()
    start = datetime(2026, 1, 1, tzinfo=UTC)
    assert seen == [start, start + timedelta(seconds=5), datetime(1999, 1, 1, tzinfo=UTC)]


def test_an_exception_of_on_time_fails_the_test_and_not_the_server(queue: LocalQueue) -> None:
    calls: list[datetime] = []

    def fail_later(now: datetime) -> None:
        calls.append(now)
        if len(calls) > 1:
            raise RuntimeError("no such time")

    queue.on_time(fail_later)
    queue.advance("1s")
    assert "on_time raised RuntimeError: no such time" in (queue.problem() or "")


def test_time_is_moved_without_blocking_the_loop(queue: LocalQueue) -> None:
    """Rule testing.async."""
    queue.worker("work").replies(500, 200, 200)

    async def main() -> None:
        queue.enqueue("work")
        await queue.wait_for_async(1, queue="work")
        assert [each.status for each in await queue.step_async()] == [500]
        assert [each.status for each in await queue.advance_async("5s")] == [200]
        queue.enqueue("work")
        assert [each.status for each in await queue.drain_async(queue="work")] == [200]

    asyncio.run(main())


def test_a_call_that_blocks_the_service_s_own_loop_names_the_async_method(queue: LocalQueue) -> None:
    """Rule testing.async."""
    queue.worker("work").always(lambda _: queue.client.enqueue("shop", "work", "1") and 200)

    async def main() -> None:
        queue.enqueue("work")
        with pytest.raises(AssertionError, match=r"use drain_async\(\)"):
            queue.drain(timeout="20ms")
        with pytest.raises(AssertionError, match=r"use drain_async\(\)"):
            queue.wait_for(10_000, timeout="5ms")

    asyncio.run(main())


def test_a_reset_meanwhile_is_named(queue: LocalQueue) -> None:
    is_running, go_on = threading.Event(), threading.Event()

    def wait(_: object) -> int:
        is_running.set()
        return 200 if go_on.wait(30) else 500

    queue.worker("work").always(wait)
    queue.enqueue("work")
    found: list[str] = []

    def drain() -> None:
        try:
            queue.drain()
        except AssertionError as error:
            found.append(str(error))

    thread = threading.Thread(target=drain)
    thread.start()
    is_running.wait(30)
    queue.client.reset()
    thread.join(30)
    go_on.set()
    assert found == ["stopped by a reset of the queue meanwhile"]


# assertions


def test_data_may_be_matched_in_part_or_by_a_function(queue: LocalQueue) -> None:
    """Rule testing.matching."""
    for number in range(3):
        queue.enqueue("work", {"claimId": number, "lines": [{"sku": "a", "n": number}]})
    assert len(queue.assert_enqueued("work", data_contains={"lines": [{"sku": "a"}]}, count=3)) == 3
    assert queue.assert_enqueued("work", where=lambda data: data["claimId"] > 1)[0].data["claimId"] == 2
    queue.assert_enqueued("work", {"claimId": 1, "lines": mock.ANY}, count=1)
    queue.refute_enqueued("work", data_contains={"claimId": 9})
    with pytest.raises(AssertionError, match=r"lines\[0\]\.n is 1, not 2"):
        queue.assert_enqueued("work", {"claimId": 1, "lines": [{"sku": "a", "n": 2}]})
    with pytest.raises(KeyError):
        queue.assert_enqueued("work", where=lambda data: data["nothing"])


def test_a_failure_among_thousands_of_jobs_lists_a_few(queue: LocalQueue) -> None:
    for number in range(300):
        queue.client.enqueue("shop", "work", str(number))
    with pytest.raises(AssertionError) as caught:
        queue.assert_enqueued("work", "é")
    lines = str(caught.value).splitlines()
    assert lines[0] == 'expected a job in work with data "é", got 0; these were enqueued:'
    assert lines[1].endswith('queued 0  (is 0, not "é")')
    assert (len(lines), lines[-1]) == (22, "  and 280 more")


def test_an_unknown_queue_is_refused_everywhere(queue: LocalQueue) -> None:
    """Rule testing.unknown."""
    queue.worker("work").always(200)
    for call in (
        queue.worker,
        queue.enqueue,
        queue.jobs,
        queue.configure,
        queue.pause,
        queue.resume,
        queue.assert_enqueued,
        queue.refute_enqueued,
        lambda name: queue.drain(queue=name),
        lambda name: queue.wait_for(1, name),
    ):
        with pytest.raises(ClientError, match="unknown queue 'wrk'; declared: work"):
            call("wrk")


def test_a_wrong_argument_says_what_is_right(queue: LocalQueue) -> None:
    job = queue.enqueue("work")
    wrong: list[tuple[Any, str]] = [
        (lambda: queue.advance(5), '5 is not a duration; use one like "5s"'),
        (lambda: queue.advance(), "use one of"),
        (lambda: queue.advance("5s", to="next"), "use one of"),
        (lambda: queue.advance(to=datetime(2026, 1, 2)), "must be aware"),
        (lambda: queue.advance("-5s"), "-5s"),
        (lambda: queue.configure("work", retries="1"), "not '1'"),
        (lambda: queue.configure("work", retry=1), "retries"),
        (lambda: queue.job("../status"), "'../status' isn't the ID of a job"),
        (lambda: queue.job(""), "isn't the ID of a job"),
        (lambda: queue.cancel(7), "7 is not a job"),
        (lambda: queue.jobs(state="done"), "state must be one of"),
        (lambda: queue.retry(job), "queued"),
    ]
    for call, message in wrong:
        with pytest.raises((TypeError, ValueError, ClientError)) as caught:
            call()
        assert message in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clock": "virtal"}, "the option clock must be one of wall, virtual, not 'virtal'"),
        ({"keep": -1}, "the option keep must be a whole number from 1 to 100000000, not -1"),
        ({"max_body": "10"}, "the option max_body must be a whole number from 1024 to 536870912, not '10'"),
        ({"port": 99999}, "the option port must be a whole number from 0 to 65535, not 99999"),
        ({"port": True}, "the option port must be"),
        ({"grace": "1"}, "the option grace must be a number from 0 to 3600"),
        ({"ephemeral": 1}, "the option ephemeral must be True or False"),
        ({"start": "soon"}, "--start"),
        ({"start": datetime(2026, 1, 1)}, "must be aware"),
        ({"target": 5}, "the option target must be a str, not 5"),
        ({"namespace": 5}, "the option namespace must be a str"),
    ],
)
def test_a_wrong_option_is_refused_before_the_start(options: dict[str, Any], message: str) -> None:
    """Rule testing.options."""
    with pytest.raises((ClientError, TypeError), match=message):
        LocalQueue(CATALOG, **options)


def test_options_take_the_types_that_tests_have(tmp_path: Path) -> None:
    """Rule testing.options."""
    start = datetime(2030, 1, 1, tzinfo=UTC)
    with LocalQueue(CATALOG, start=start, seed=7, db=str(tmp_path / "q.db"), target=None) as queue:
        assert queue.now == start
    assert (tmp_path / "q.db").exists()


# leaving nothing behind


def test_an_instance_leaves_no_thread_no_descriptor_and_no_folder() -> None:
    """Rule testing.no-leaks."""

    def use() -> Path:
        with LocalQueue(CATALOG) as queue:
            queue.worker("work").always(lambda _: 200)
            queue.enqueue("work")
            queue.drain()
            return queue._folder.path

    use()
    threads, descriptors = set(threading.enumerate()), len(os.listdir("/proc/self/fd"))
    folder = use()
    until(lambda: set(threading.enumerate()) <= threads, "the threads have ended")
    assert (len(os.listdir("/proc/self/fd")), folder.exists()) == (descriptors, False)


def test_threads_that_gevent_has_replaced_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule testing.options."""
    monkeypatch.setitem(sys.modules, "gevent.monkey", mock.Mock(is_module_patched=lambda name: name == "threading"))
    with pytest.raises(ClientError, match="gevent has replaced the threads"), LocalQueue(CATALOG):
        pass
