"""Receive deliveries, note them, and respond as a probe says."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from localqueue.core.real_time import monotonic

HOLD_S = 10.0
"""How long a response that never comes is held back at most."""


@dataclass(slots=True)
class Arrival:
    """A delivery: when it came and when its response was sent, in seconds, and what it was."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    came_s: float
    running: int
    left_s: float = 0.0

    @property
    def attempt(self) -> int:
        """Return its number, or 0 if it has none."""
        try:
            return int(json.loads(self.body)["attempt"])
        except (ValueError, KeyError, TypeError):
            return 0


@dataclass(frozen=True, slots=True)
class Answer:
    """A response: a status with body and headers, 250 ms later if `is_slow`; status 0 closes the connection.

    With `until`, it comes once that event is set: a response that is too late.
    """

    status: int = 200
    body: bytes = b"{}"
    headers: tuple[tuple[str, str], ...] = ()
    is_slow: bool = False
    until: threading.Event | None = None


@dataclass
class Worker:
    """A worker on a port; `answers` returns what to respond to the nth delivery of a probe."""

    answers: Callable[[str, int], Answer]
    port: int = 0
    arrivals: dict[str, list[Arrival]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[str, int] = {}
        self._pause = threading.Event()

    def of(self, tag: str) -> list[Arrival]:
        """Return the deliveries of a probe so far."""
        with self._lock:
            return list(self.arrivals.get(tag, ()))

    def receive(self, arrival: Arrival, tag: str) -> Answer:
        """Note a delivery; return how to respond."""
        with self._lock:
            seen = self.arrivals.setdefault(tag, [])
            seen.append(arrival)
            arrival.running = self._running[arrival.path] = self._running.get(arrival.path, 0) + 1
            number = len(seen)
        answer = self.answers(tag, number)
        if answer.is_slow:
            self._pause.wait(0.25)
        if answer.until is not None:
            answer.until.wait(HOLD_S)
        return answer

    def leave(self, arrival: Arrival) -> None:
        """Note that the response to a delivery goes out."""
        with self._lock:
            self._running[arrival.path] -= 1
            arrival.left_s = monotonic()


@contextlib.contextmanager
def working(answers: Callable[[str, int], Answer], host: str, port: int) -> Iterator[Worker]:
    """Run a worker on threads; port 0 picks a free one. Raises OSError."""
    worker = Worker(answers)
    with ThreadingHTTPServer((host, port), _handler(worker), bind_and_activate=False) as server:
        server.daemon_threads = True
        server.request_queue_size = 200
        server.server_bind()
        server.server_activate()
        worker.port = int(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield worker
        finally:
            server.shutdown()
            thread.join()


def _handler(worker: Worker) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            came_s = monotonic()
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            arrival = Arrival(self.command, self.path, headers, body, came_s, 0)
            answer = worker.receive(arrival, tag_of(body))
            worker.leave(arrival)
            self._respond(answer)

        do_GET = do_PUT = do_POST

        def _respond(self, answer: Answer) -> None:
            if answer.status == 0:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response(answer.status)
            for name, value in (("Content-Length", str(len(answer.body))), *answer.headers):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        def handle(self) -> None:
            with contextlib.suppress(OSError):
                super().handle()

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def tag_of(body: bytes) -> str:
    """Return the probe that a delivery belongs to: `tag` in its data."""
    try:
        return str(json.loads(body)["data"]["tag"])
    except (ValueError, KeyError, TypeError):
        return ""
