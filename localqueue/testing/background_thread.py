"""Run a server on a separate thread with its own loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from localqueue.core.errors import ClientError

T = TypeVar("T")
START_S = 30.0
LoopFactory = Callable[[], asyncio.AbstractEventLoop]
Main = Callable[[Callable[[], None], asyncio.Event], Coroutine[Any, Any, None]]


class BackgroundThread:
    """A thread that runs `main(started, stop)`, which calls `started()` when it is up and ends when `stop` is set."""

    def __init__(self, name: str, main: Main, loop_factory: LoopFactory | None = None) -> None:
        self._main = main
        self._loop_factory = loop_factory
        self._is_up = threading.Event()
        self._error: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread; return once it is up. Raises what prevented the start."""
        self._thread.start()
        if not self._is_up.wait(START_S):
            raise ClientError(f"{self._thread.name} did not start within {START_S:.0f} s")
        if self._error is not None:
            self._thread.join()
            raise self._error

    def stop(self, timeout_s: float | None = None) -> None:
        """Stop the thread and wait for it, for at most `timeout_s`. Raises what went wrong in it."""
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout_s)
        if self._error is not None:
            raise self._error

    @property
    def is_alive(self) -> bool:
        """Return whether the thread still runs."""
        return self._thread.is_alive()

    def call(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine on the thread's loop, and return its result. Raises ClientError if the thread has ended."""
        if self._loop is None or self._loop.is_closed():
            raise ClientError(f"{self._thread.name} isn't running")
        return asyncio.run_coroutine_threadsafe(work(), self._loop).result()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=self._loop_factory) as runner:
                runner.run(self._work())
        except BaseException as error:  # raised where the thread is waited for
            self._error = error
        finally:
            self._is_up.set()

    async def _work(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        await self._main(self._is_up.set, self._stop)
