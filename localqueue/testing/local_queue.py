"""A queue for tests: start it once, reset it per test, advance the clock instead of waiting."""

from __future__ import annotations

import asyncio
import copy
import functools
import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar

import anyio.to_thread

from localqueue.core import clock
from localqueue.core.models import QueueKey
from localqueue.core.text import counted
from localqueue.testing import assertions, report, results
from localqueue.testing.arguments import Duration, to_id, to_ms, to_time, written
from localqueue.testing.matching import ANY, Matcher
from localqueue.testing.queue_server import QueueServer
from localqueue.testing.results import EndedAttempt, Job, JobState

T = TypeVar("T")
FEW = 20
"""Up to so many jobs are read one by one: a list of thousands with their attempts takes longer."""
TIMEOUT = "60s"
"""How long `advance`, `step` and `drain` may take: longer than the default timeoutMs of an attempt."""
BLOCKED_LOOP = (
    "This call blocks the event loop of this thread. If the service runs on it, use drain_async() or another of the "
    "async methods."
)


class LocalQueue(QueueServer):
    """A queue for tests, such as the fixture `localqueue`.

    Outside pytest it is a context manager, which raises AssertionError if a delivery had neither a service nor a stub.
    """

    def __enter__(self) -> LocalQueue:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None and (problem := self.problem()):
                raise AssertionError(problem)
        finally:
            self.close()

    # jobs

    def enqueue(self, queue: str, data: Any = None, namespace: str | None = None) -> Job:
        """Enqueue a job as a service would; return it. Raises ClientError."""
        return self.job(self.client.enqueue(*self._key(queue, namespace), json.dumps(data)))

    def job(self, id: Job | str) -> Job:
        """Return a job as it is now, with its data and its attempts. Raises ClientError."""
        return results.job(self.client.job(to_id(id)))

    def jobs(self, queue: str | None = None, state: JobState | None = None, namespace: str | None = None) -> list[Job]:
        """Return every matching job, oldest first, with its data and its attempts. Raises ClientError."""
        return [results.job(content) for content in self._contents(queue, state, namespace, "true")]

    def _contents(
        self, queue: str | None, state: str | None, namespace: str | None, details: str
    ) -> list[dict[str, Any]]:
        if queue is not None:
            namespace, queue = self._key(queue, namespace)
        listed = self.client.jobs(queue=queue, state=state, namespace=namespace, details=details)
        return list(listed)[::-1]

    def retry(self, job: Job | str) -> None:
        """Start a new round of a failed or cancelled job. Raises ClientError."""
        self.client.retry(to_id(job))

    def cancel(self, job: Job | str) -> None:
        """Cancel a job. Raises ClientError."""
        self.client.cancel(to_id(job))

    def replay(self, job: Job | str, data: Any = ANY) -> Job:
        """Enqueue a copy of a job, with its data or with other data; return the copy. Raises ClientError."""
        return self.job(self.client.replay(to_id(job), None if data is ANY else json.dumps(data))["id"])

    def trigger(self, schedule: str, namespace: str | None = None) -> int | None:
        """Fire a schedule now; return the status of the response, None without one. Raises ClientError.

        With the option `{"schedules": True}`, `advance` fires schedules at their instants.
        """
        status = self.client.trigger(*self._schedule_key(schedule, namespace))["status"]
        return None if status is None else int(status)

    def pause(self, queue: str, namespace: str | None = None) -> None:
        """Pause a queue: its jobs wait. Raises ClientError."""
        self.client.pause(*self._key(queue, namespace))

    def resume(self, queue: str, namespace: str | None = None) -> None:
        """Resume a paused queue. Raises ClientError."""
        self.client.resume(*self._key(queue, namespace))

    def fault(self, queue: str, *outcomes: str | int, namespace: str | None = None) -> None:
        """Script the outcomes of the next attempts of a queue, in front of its service or stub. Raises ClientError.

        They are those of `localqueue fault add`: `"ok"`, a status, `"timeout"`, `"reset"`, `"refuse"`, `"slow=250"`,
        and `"lost-ack"`, which calls the service and loses its response.
        """
        self.client.add_faults(*self._key(queue, namespace), outcomes)

    def configure(self, queue: str, namespace: str | None = None, **settings: int) -> None:
        """Change settings of a queue, under the catalog's names, for this test. Raises ClientError."""
        self.client.change_queue(*self._key(queue, namespace), settings)

    # time

    @property
    def now(self) -> datetime:
        """Return the time of the queue's clock."""
        return datetime.fromisoformat(self.client.clock()["now"])

    def advance(
        self,
        by: Duration | None = None,
        *,
        to: str | datetime | None = None,
        settle: Duration = "0ms",
        timeout: Duration = TIMEOUT,
        raise_exceptions: bool = False,
        **parts: float,
    ) -> list[EndedAttempt]:
        """Advance the clock by `"5s"`, `seconds=5` or a timedelta, or `to` a time or `"next"`; return the attempts.

        `settle` is real time that must pass without a new job. Raises AssertionError if jobs still run after
        `timeout`, in real time; with `raise_exceptions`, also the first exception of a handler.
        """
        __tracebackhide__ = True
        if (by is not None) + (to is not None) + bool(parts) != 1:
            raise TypeError('use one of advance("5s"), advance(seconds=5), advance(to="next")')
        ms = None if to is not None else to_ms(timedelta(**parts) if by is None else by)
        move = functools.partial(
            self.client.advance,
            ms=ms,
            to=None if to is None else to_time(to),
            settle_ms=to_ms(settle),
            timeout_ms=to_ms(timeout),
        )
        return self._run(move, f"advance was still running jobs after {written(timeout)}", raise_exceptions)

    def step(self, *, timeout: Duration = TIMEOUT, raise_exceptions: bool = False) -> list[EndedAttempt]:
        """Run one attempt: the one that starts next, at its due time; return it, or nothing if no job waits."""
        __tracebackhide__ = True
        move = functools.partial(self.client.step, to_ms(timeout))
        return self._run(move, f"step was still running a job after {written(timeout)}", raise_exceptions)

    def drain(
        self,
        timeout: Duration = TIMEOUT,
        settle: Duration = "0ms",
        *,
        queue: str | None = None,
        namespace: str | None = None,
        raise_exceptions: bool = False,
    ) -> list[EndedAttempt]:
        """Run until nothing is queued, running or retrying, in all queues or in one; return the attempts.

        Raises AssertionError if that takes longer than `timeout`, in real time; with `raise_exceptions`, also the
        first exception of a handler.
        """
        __tracebackhide__ = True
        if queue is not None:
            namespace, queue = self._key(queue, namespace)
        move = functools.partial(self.client.drain, to_ms(timeout), to_ms(settle), namespace=namespace, queue=queue)
        return self._run(move, f"jobs are unfinished after {written(timeout)}", raise_exceptions)

    def _run(self, move: Callable[[], Any], late: str, raise_exceptions: bool) -> list[EndedAttempt]:
        __tracebackhide__ = True
        errors = self._errors.count
        result = move()
        if raise_exceptions and (error := self._errors.first_since(errors)) is not None:
            raise error
        if result["stoppedBy"] is not None:
            raise AssertionError(self._why_stopped(result, late))
        return [results.ended_attempt(content) for content in result["attempts"]]

    def _why_stopped(self, result: Mapping[str, Any], late: str) -> str:
        if result["stoppedBy"] != "timeout":
            return f"stopped by a {result['stoppedBy']} of the queue meanwhile"
        unfinished = [self.job(content["jobId"]) for content in result["unfinished"] if not content["held"]]
        hint = f"\n{BLOCKED_LOOP}" if _runs_loop() else ""
        return f"{late}:\n{assertions.list_jobs(unfinished)}{hint}"

    async def advance_async(self, *arguments: Any, **options: Any) -> list[EndedAttempt]:
        """Do what `advance` does, without blocking the event loop (asyncio or trio)."""
        return await _on_thread(self.advance, *arguments, **options)

    async def drain_async(self, *arguments: Any, **options: Any) -> list[EndedAttempt]:
        """Do what `drain` does, without blocking the event loop (asyncio or trio)."""
        return await _on_thread(self.drain, *arguments, **options)

    async def assert_idempotent_async(self, *arguments: Any, **options: Any) -> None:
        """Do what `assert_idempotent` does, without blocking the event loop (asyncio or trio)."""
        await _on_thread(self.assert_idempotent, *arguments, **options)

    async def step_async(self, **options: Any) -> list[EndedAttempt]:
        """Do what `step` does, without blocking the event loop (asyncio or trio)."""
        return await _on_thread(self.step, **options)

    async def wait_for_async(self, jobs: int, **options: Any) -> None:
        """Do what `wait_for` does, without blocking the event loop (asyncio or trio)."""
        await _on_thread(self.wait_for, jobs, **options)

    def wait_for(
        self, jobs: int, queue: str | None = None, timeout: Duration = "5s", namespace: str | None = None
    ) -> None:
        """Wait, in real time, until this many jobs were enqueued since the reset. Raises AssertionError."""
        __tracebackhide__ = True
        key = None if queue is None else self._key(queue, namespace)
        if not clock.wait_until(lambda: self._enqueued(key) >= jobs, to_ms(timeout) / 1000):
            where = f" in {queue}" if queue else ""
            expected = counted(jobs, "job")
            hint = f"\n{BLOCKED_LOOP}" if _runs_loop() else ""
            raise AssertionError(
                f"expected {expected}{where} within {written(timeout)}, got {self._enqueued(key)}{hint}"
            )

    def _enqueued(self, key: QueueKey | None) -> int:
        queues = self.client.queues()
        return sum(int(queue["enqueued"]) for queue in queues if key in (None, (queue["namespace"], queue["name"])))

    def ledger(self) -> str:
        """Return every attempt, one per line, with times since the start."""
        return self.client.ledger_text()

    # assertions

    def assert_enqueued(
        self,
        queue: str,
        data: Any = ANY,
        count: int | None = None,
        *,
        data_contains: Any = ANY,
        where: Callable[[Any], object] | None = None,
        namespace: str | None = None,
    ) -> list[Job]:
        """Check that jobs were enqueued, with matching data, this many; return them. Raises AssertionError.

        `data` is compared as JSON and may have matchers such as `mock.ANY` in it. `data_contains` may lack keys, at
        any depth. `where` is called with the data.
        """
        __tracebackhide__ = True
        matcher = Matcher(data, data_contains, where)
        matches = self._matching(queue, matcher, namespace)
        if len(matches) == count or (count is None and matches):
            return matches
        raise AssertionError(assertions.missing_message(queue, matcher, count, matches, self.jobs()))

    def assert_idempotent(self, job: Job | str, *, unchanged: Callable[[], Any] | None = None) -> None:
        """Deliver a finished job again, with the same jobId and attempt, and check that this changes nothing.

        It must succeed and enqueue no job, and `unchanged()`, such as `lambda: list(payments)`, must return the same
        value as before. The job itself doesn't change. Raises AssertionError, and ClientError for an unfinished job.
        """
        __tracebackhide__ = True
        before = copy.deepcopy(unchanged()) if unchanged is not None else None
        delivery = self.client.deliver_again(to_id(job))
        after = unchanged() if unchanged is not None else None
        if message := assertions.not_idempotent_message(delivery, before, after):
            raise AssertionError(message)

    def refute_enqueued(
        self,
        queue: str,
        data: Any = ANY,
        *,
        data_contains: Any = ANY,
        where: Callable[[Any], object] | None = None,
        namespace: str | None = None,
    ) -> None:
        """Check that no job with matching data was enqueued. Raises AssertionError."""
        __tracebackhide__ = True
        matcher = Matcher(data, data_contains, where)
        if matches := self._matching(queue, matcher, namespace):
            raise AssertionError(assertions.unexpected_message(queue, matcher, matches))

    def _matching(self, queue: str, matcher: Matcher, namespace: str | None) -> list[Job]:
        contents = self._contents(queue, None, namespace, "data")
        ids = [content["id"] for content in contents if matcher.matches(content["data"])]
        if len(ids) <= FEW:
            return [self.job(id_) for id_ in ids]
        wanted = set(ids)
        return [job for job in self.jobs(queue, None, namespace) if job.id in wanted]

    def assert_all_replies_used(self) -> None:
        """Check that no stub has replies left. Raises AssertionError."""
        __tracebackhide__ = True
        if unused := self._stubs.unused():
            raise AssertionError("unused replies:\n" + "\n".join(f"  {line}" for line in unused))

    # reports

    def notes(self, is_problem_shown: bool = False) -> list[tuple[str, str]]:
        """Return what helps to understand a failure, as (title, text)."""
        jobs, ledger = self.jobs(), self.ledger()
        sections = [
            ("exceptions in handlers", self._errors.report(report.EXCEPTIONS)),
            ("failed attempts", report.failed_attempts(jobs)),
            ("queued jobs", report.undelivered(jobs)),
            ("unexpected deliveries", "" if is_problem_shown else self.problem() or ""),
            ("warnings", "\n".join(self._warnings)),
            ("ledger", report.shortened(ledger)),
        ]
        return [(title, text) for title, text in sections if text]


def _runs_loop() -> bool:
    """Return whether the caller runs on an event loop, which a service on the same loop would need."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def _on_thread(call: Callable[..., T], *arguments: Any, **options: Any) -> T:
    return await anyio.to_thread.run_sync(functools.partial(call, *arguments, **options))
