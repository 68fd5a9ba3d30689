"""Handlers that are still running when their test is over."""

from __future__ import annotations

import asyncio
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from localqueue.testing import LateHandlerWarning, LocalQueue, asgi_server
from tests.support import until

CATALOG = {"metadata": {"name": "shop"}, "spec": {"queues": [{"name": "work", "endpoint": "/work", "timeoutMs": 100}]}}
SLICE_S = 0.01


class Late:
    """A handler that outlives its attempt and then enqueues a job."""

    def __init__(self, queue: LocalQueue) -> None:
        self.queue = queue
        self.has_begun = threading.Event()
        self.go_on = threading.Event()
        self.is_over = threading.Event()

    def block(self) -> int:
        """Wait like a slow query, in slices, as an interrupted thread must run Python code to notice."""
        self.has_begun.set()
        try:
            while not self.go_on.is_set():
                time.sleep(SLICE_S)
            self.queue.client.enqueue("shop", "work", '"late"')
        finally:
            self.is_over.set()
        return 200

    async def wait(self) -> None:
        self.has_begun.set()
        try:
            while not self.go_on.is_set():  # noqa: ASYNC110 - the event is a thread's
                await asyncio.sleep(SLICE_S)
            await asyncio.to_thread(self.queue.client.enqueue, "shop", "work", '"late"')
        finally:
            self.is_over.set()


def time_out(queue: LocalQueue, late: Late) -> None:
    """Enqueue a job whose attempt times out while its handler runs."""
    queue.configure("work", retries=0)
    while not late.has_begun.is_set():  # on a stalled machine, time may be over before the handler gets the request
        job = queue.enqueue("work")
        queue.drain()
        assert [each.outcome for each in queue.job(job).attempts] == ["timeout"]


def flask_app(late: Late) -> Any:
    from flask import Flask  # here, as below: every process of a test run imports this module, and one runs the test

    app = Flask("late")
    app.add_url_rule("/work", view_func=lambda: (str(late.block()), 200), methods=["POST"])
    return app


def fastapi_app(late: Late) -> Any:
    from fastapi import FastAPI

    app = FastAPI()
    app.post("/work")(late.block)  # a plain function: FastAPI runs it on a thread
    return app


def asgi_app(late: Late) -> Any:
    from fastapi import FastAPI

    app = FastAPI()
    app.post("/work")(late.wait)
    return app


@pytest.fixture(scope="module")
def shared() -> Iterator[LocalQueue]:
    with LocalQueue(CATALOG) as queue:
        yield queue


@pytest.mark.parametrize(
    ("use", "name"),
    [
        (lambda queue, late: queue.serve(flask_app(late)), "POST /work"),
        (lambda queue, late: queue.serve(fastapi_app(late)), "POST /work"),
        (lambda queue, late: queue.serve(asgi_app(late)), "POST /work"),
        (lambda queue, late: queue.worker("work").always(lambda _: late.block()), r"the reply of worker\('work'\)"),
    ],
    ids=["flask", "fastapi-thread", "asgi", "stub"],
)
def test_a_handler_that_outlives_its_test_is_cut_off_and_named(
    shared: LocalQueue, use: Callable[[LocalQueue, Late], object], name: str
) -> None:
    """Rule testing.late."""
    late = Late(shared)
    use(shared, late)
    time_out(shared, late)
    with pytest.warns(LateHandlerWarning, match=f"{name} was still running and was cut off"):
        shared.reset()
    until(late.is_over.is_set, "the handler has ended")
    late.go_on.set()
    assert shared.jobs() == []


def test_a_handler_that_ends_in_time_is_no_late_one(shared: LocalQueue) -> None:
    late = Late(shared)
    shared.serve(flask_app(late))
    time_out(shared, late)
    late.go_on.set()
    until(late.is_over.is_set, "the handler has ended")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shared.reset()


def test_an_exception_in_the_lifespan_s_shutdown_is_raised(shared: LocalQueue) -> None:
    """Rule testing.lifespan."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "lifespan.startup"
        await send({"type": "lifespan.startup.complete"})
        await receive()
        raise OSError("the pool is still in use")

    shared.serve(app)
    with pytest.raises(OSError, match="still in use"):
        shared.reset()
    shared.reset()


def test_a_lifespan_whose_shutdown_hangs_is_left_and_named(shared: LocalQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule testing.late."""
    monkeypatch.setattr(asgi_server, "STOP_S", 0.0)
    go_on, is_over = threading.Event(), threading.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "lifespan.startup"
        await send({"type": "lifespan.startup.complete"})
        await receive()
        while not go_on.is_set():  # noqa: ASYNC110 - the event is a thread's
            await asyncio.sleep(SLICE_S)
        await send({"type": "lifespan.shutdown.complete"})
        is_over.set()

    shared.serve(app)
    with pytest.warns(LateHandlerWarning, match="the shutdown of the service's lifespan"):
        shared.reset()
    go_on.set()
    until(is_over.is_set, "the lifespan has ended")


def test_an_app_without_a_lifespan_is_fine(shared: LocalQueue) -> None:
    """Rule testing.lifespan."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    shared.serve(app)
    shared.configure("work", timeoutMs=30_000)
    shared.enqueue("work")
    assert [each.status for each in shared.drain()] == [204]
    shared.reset()
