"""A simulated service that fails in every way in which services fail."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from localqueue.core.clock import Clock
from localqueue.core.models import RESPONSE_BODY_LIMIT, Outcome, OutcomeKind, Queue, Request
from localqueue.delivery.errors import ExchangeError
from localqueue.delivery.transport import Headers, Transport
from localqueue.delivery.url import Url
from localqueue.engine.executor import Deliverer, Send
from localqueue.engine.fault_injector import FaultInjector
from tests.sim.history import Arrived, Fired, History, Responded, Started, Wrong, read_delivery

FIRING = b"{}"
"""The body of a schedule's firing."""
GOOD = (200, 200, 201, 204, 299)
BAD = (301, 304, 400, 404, 429, 500, 500, 503, 599)
ERRORS: tuple[tuple[str, type[Exception], tuple[str, ...]], ...] = (
    ("connect", ExchangeError, ("connect_refused", "refused")),
    ("connect", ExchangeError, ("connect_failed", "no address")),
    ("send", BrokenPipeError, ("broken pipe",)),
    ("wait", ExchangeError, ("connection_reset", "reset by peer")),
    ("wait", ExchangeError, ("closed_no_response", "closed")),
    ("wait", ExchangeError, ("protocol", "illegal status line")),
    ("wait", ConnectionResetError, ("reset by peer",)),
)


@dataclass(frozen=True, slots=True)
class Reaction:
    """Say what the service does with a delivery: answer, break off, or hang, `delay_s` after it came."""

    kind: str
    status: int = 200
    size: int = 2
    delay_s: float = 0.0
    phase: str = "wait"
    error: Exception | None = None


def choose(rng: random.Random, failing: float) -> Reaction:
    """Return what to do; `failing` is the share of deliveries that end badly."""
    delay_s = rng.choice((0.0, 0.0, 0.001, 0.01, rng.random() * 0.05))
    if rng.random() >= failing:
        size = rng.choice((0, 2, 2, 2, 100, RESPONSE_BODY_LIMIT, RESPONSE_BODY_LIMIT + 1))
        return Reaction("answer", rng.choice(GOOD), size, delay_s)
    kind = rng.choice(("answer", "answer", "answer", "answer", "break", "break", "cut", "hang", "drip", "expire"))
    if kind == "answer":
        return Reaction(kind, rng.choice(BAD), 2, delay_s)
    if kind == "break":
        phase, error, words = rng.choice(ERRORS)  # one error that is raised again and again would keep every traceback
        return Reaction(kind, delay_s=delay_s, phase=phase, error=error(*words))
    if kind == "expire":
        return Reaction(kind, error=TimeoutError("the wire's own timeout"))
    return Reaction(kind, 200, 100, delay_s)


class Service:
    """Answer deliveries; `handler` is what it does with each before it answers, in a task of its own."""

    def __init__(self, history: History, handler: Callable[[str], Awaitable[Reaction]]) -> None:
        self.history = history
        self.handler = handler
        self.is_cut_off = False
        self.open = 0
        self.calls: Counter[str] = Counter()
        self.held: set[str] = set()
        """The jobs of which an attempt was held, or was to be held."""
        self.expired: set[tuple[str, int]] = set()
        self.tasks: set[asyncio.Task[Reaction]] = set()

    def transport(self) -> Transport:
        """Be what `Delivery(transport=...)` asks for."""
        return _Transport(self)

    def handle(self, id_: str) -> asyncio.Task[Reaction]:
        """Run the handler; it continues if the connection is closed meanwhile."""
        task = asyncio.ensure_future(self.handler(id_))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task


class _Transport:
    """Be one connection to the service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.phase = "connect"
        self._is_busy = False
        service.open += 1

    async def aclose(self) -> None:
        self._service.open -= 1

    async def send(self, url: Url, headers: Headers, body: bytes) -> _Response:
        if self._service.is_cut_off:
            await asyncio.get_running_loop().create_future()
        if self._is_busy:
            self._service.history.add(Wrong("two deliveries over one connection"))
        self._is_busy = True
        self.phase = "wait"
        address = f"{url.scheme}://{url.authority}{url.target.decode()}"
        arrived = _fired(url, dict(headers)) if body == FIRING else read_delivery(body, address)
        self._service.history.add(arrived)
        self._service.calls[arrived.key[0]] += 1
        try:
            reaction = await asyncio.shield(self._service.handle(arrived.key[0]))
            if reaction.delay_s:
                await asyncio.sleep(reaction.delay_s)
            return self._answer(arrived, reaction, await self._head(reaction))
        except asyncio.CancelledError:
            self._ended(arrived, "gone")
            raise
        except TimeoutError:
            self._service.expired.add(arrived.key)
            self._ended(arrived, "timeout")
            raise
        except Exception:
            self._ended(arrived, "connection_error")
            raise

    async def _head(self, reaction: Reaction) -> int:
        if reaction.error is not None:
            self.phase = reaction.phase
            raise reaction.error
        if reaction.kind == "hang":
            await asyncio.get_running_loop().create_future()
        self.phase = "read"
        return reaction.status

    def _answer(self, arrived: Arrived | Fired, reaction: Reaction, status: int) -> _Response:
        return _Response(self, arrived, reaction, status)

    def _ended(self, arrived: Arrived | Fired, kind: str) -> None:
        self._is_busy = False
        if not self._service.is_cut_off:
            self._service.history.add(arrived.responded(kind))


class _Response:
    """Send the reaction, and record how it ended."""

    def __init__(self, transport: _Transport, arrived: Arrived | Fired, reaction: Reaction, status: int) -> None:
        self.status, self.headers = status, [(b"X-Served", b"yes")]
        self._transport, self._arrived, self._reaction = transport, arrived, reaction
        half = reaction.size // 2
        self._sizes: Iterator[int] = iter((half, reaction.size - half))
        self._sent = 0
        self._is_over = False

    @property
    def is_at_end(self) -> bool:
        return False

    async def read(self) -> bytes:
        if self._sent and self._reaction.kind == "cut":
            self._end("connection_error")
            raise ExchangeError("broken_response", "the response was cut short")
        if self._sent and self._reaction.kind == "drip":
            await asyncio.get_running_loop().create_future()
        for size in self._sizes:
            await asyncio.sleep(0)
            if size:
                self._sent += size
                return b"x" * size
        self._end("completed" if 200 <= self.status < 300 else "http_error")
        return b""

    async def aclose(self) -> None:
        is_good = 200 <= self.status < 300
        self._end(("completed" if is_good else "http_error") if self._sent >= RESPONSE_BODY_LIMIT else "gone")

    def _end(self, kind: str) -> None:
        if not self._is_over:
            self._is_over = True
            self._transport._ended(self._arrived, kind)


def _fired(url: Url, headers: dict[bytes, bytes]) -> Fired:
    """Read a firing as it came."""
    at = datetime.fromisoformat(headers[b"X-Fired-At"].decode())
    namespace = url.authority.partition(".")[0].rstrip("0123456789")
    return Fired(namespace, headers[b"X-Schedule-Name"].decode(), round(at.timestamp() * 1000))


class Tap(FaultInjector):
    """Note what is started, and when a scripted outcome is in."""

    def __init__(self, service: Service, inner: Deliverer, clock: Clock, chaos: float, seed: int) -> None:
        super().__init__(inner, clock, chaos, seed)
        self._service = service

    def begin(self, queue: Queue) -> Send:
        """Be the deliverer that the dispatcher knows."""
        started = Started(queue)
        if not self._service.is_cut_off:
            self._service.history.add(started)
        send = super().begin(queue)

        async def deliver(request: Request) -> Outcome:
            arrived = read_delivery(request.body, request.url)
            started.id, started.attempt, started.data, started.url = (
                arrived.id,
                arrived.attempt,
                arrived.data,
                arrived.url,
            )
            before, calls = asyncio.get_running_loop().time(), self._service.calls[arrived.id]
            try:
                outcome = await send(request)
            except asyncio.CancelledError:
                self._over(arrived, "gone")
                raise
            if self._service.calls[arrived.id] > calls:
                self._check_time(started, outcome, (asyncio.get_running_loop().time() - before) * 1000)
            if outcome.injected is not None:
                self._over(arrived, outcome.kind.value)
            return outcome

        return deliver

    def _over(self, arrived: Arrived, kind: str) -> None:
        if not self._service.is_cut_off:
            self._service.history.add(Responded(arrived.id, arrived.attempt, kind, True))

    def _check_time(self, started: Started, outcome: Outcome, took_ms: float) -> None:
        if started.id in self._service.held:
            return  # the checker knows better
        limit = started.queue.timeout_ms
        is_early = outcome.kind is OutcomeKind.TIMEOUT and took_ms < limit - 1 and outcome.injected is None
        if took_ms > limit + 1 or (is_early and (started.id, started.attempt) not in self._service.expired):
            self._service.history.add(Wrong(f"an attempt of {took_ms:.0f} ms with timeoutMs {limit}: {outcome.kind}"))
