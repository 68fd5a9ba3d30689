"""Start what the tests need: loops, real servers in processes of their own, and real workers."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import itertools
import json
import os
import socket
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import httpx
from click.testing import CliRunner, Result

from localqueue.catalog.loader import load
from localqueue.cli import main
from localqueue.core.clock import Clock
from localqueue.core.errors import PortInUse
from localqueue.delivery.delivery import Delivery
from localqueue.engine.engine import Engine
from localqueue.engine.executor import Deliverer
from localqueue.server import sockets
from tests.forking import ForkedPopen

T = TypeVar("T")
_ports = itertools.count()
Told = tuple[str, str, Any]
"""Of a server-sent event: id, kind, data."""
WAIT_S = 30.0
PORTS = 100
"""How many ports a process of the tests has; there is room for 125 processes."""
JSON = {"Content-Type": "application/json"}


def client(url: str = "", **options: Any) -> httpx.Client:
    """Return a client that reads no certificates, which takes 15 ms."""
    return httpx.Client(base_url=url, trust_env=False, timeout=WAIT_S, verify=False, **options)


http = client(limits=httpx.Limits(max_keepalive_connections=0))
"""One client for all tests. No kept connection outlives its server."""


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a new loop and check that it leaves no task behind."""

    async def main() -> T:
        result = await work
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, f"tasks left behind: {left}"
        return result

    return asyncio.run(main())


def until(condition: Callable[[], T], what: str) -> T:
    """Ask again and again, for half a minute at the most, until the answer is true."""
    wait = threading.Event()
    for _ in range(int(WAIT_S / 0.02)):
        found = condition()
        if found:
            return found
        wait.wait(0.02)
    raise AssertionError(f"timed out waiting until {what}")


@functools.cache
def _first_port() -> int:
    """Take a range of ports for this process: whoever listens on the first one has it.

    Ports that the system gives out begin at 32,768, so none of these is one of them.
    """
    for port in range(20_000, 32_500, PORTS):
        with contextlib.suppress(OSError):
            listener = socket.create_server(("127.0.0.1", port))
            atexit.register(listener.close)
            return port
    raise AssertionError("all ports of the tests are taken: how many test runs are there?")


def free_port() -> int:
    """Return a port that no other process of the tests gets, and that is free on both loopback addresses."""
    while True:
        port = _first_port() + 1 + next(_ports) % (PORTS - 1)
        with contextlib.suppress(PortInUse):
            for listener in sockets.bind(None, port):
                listener.close()
            return port


Reply = int | tuple[int, bytes, dict[str, str]]
Answer = Callable[[dict[str, Any]], Reply]


def next_reply(script: list[Reply]) -> Reply:
    """Take the next reply of a script, 200 after its end; jobs may arrive at the same time."""
    with contextlib.suppress(IndexError):
        return script.pop(0)
    return 200


@dataclass
class Worker:
    """Answer deliveries on a real port; `answer` gets the parsed body and returns a status, or more."""

    answer: Answer = lambda _: 200
    bodies: list[bytes] = field(default_factory=list)
    port: int = 0
    connections: set[object] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def jobs(self) -> list[dict[str, Any]]:
        return [json.loads(body) for body in self.bodies]

    def reply(self, path: str, body: bytes) -> Reply:
        """Return the reply to a request."""
        self.bodies.append(body)
        return self.answer(json.loads(body))


@contextlib.contextmanager
def working(answer: Answer = lambda _: 200, port: int = 0) -> Iterator[Worker]:
    """Run a worker on a thread, on a free port where none is given."""
    with listening(Worker(answer), port) as worker:
        yield worker


W = TypeVar("W", bound=Worker)


@contextlib.contextmanager
def listening(worker: W, port: int = 0) -> Iterator[W]:
    """Run this worker on a thread, on a free port where none is given."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            reply = worker.reply(self.path, self.rfile.read(int(self.headers["Content-Length"])))
            status, content, headers = (reply, b"ok", {}) if isinstance(reply, int) else reply
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 200

        def process_request(self, request: Any, address: Any) -> None:
            worker.connections.add(request)
            super().process_request(request, address)

        def shutdown_request(self, request: Any) -> None:
            super().shutdown_request(request)
            worker.connections.discard(request)

        def handle_error(self, *_: object) -> None:
            pass  # localqueue was killed in the middle of a request

    with on_thread(Server(("127.0.0.1", port), Handler)) as server:
        worker.port = server.server_address[1]
        yield worker


@contextlib.contextmanager
def on_thread(server: HTTPServer) -> Iterator[HTTPServer]:
    """Run a server on a thread, and close it."""
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


CATALOG = """\
apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: shop
spec:
  queues:
    - {{name: work, endpoint: /work, concurrency: {concurrency}, retries: {retries}, retryDelayMs: {delay}}}
    - {{name: other, endpoint: /other}}
"""


def write_catalog(folder: Path, concurrency: int = 5, retries: int = 3, delay: int = 50) -> Path:
    """Write a catalog with the queues `work` and `other` of the namespace `shop`."""
    path = folder / "catalog-info.yaml"
    path.write_text(CATALOG.format(concurrency=concurrency, retries=retries, delay=delay))
    return path


@contextlib.asynccontextmanager
async def running_engine(catalog: Path, clock: Clock, deliverer: Deliverer | None = None) -> AsyncIterator[Engine]:
    """Run an engine without a server; its database is `queue.db` beside the catalog."""
    delivery = Delivery()
    database = catalog.parent / "queue.db"
    engine = await Engine.open(database, load([catalog]), clock, deliverer or delivery, lambda _: None)
    try:
        engine.start()
        yield engine
    finally:
        await engine.close()
        await delivery.aclose()


class Server:
    """Hold a `localqueue up` in a process of its own."""

    def __init__(
        self,
        folder: Path,
        *options: str,
        env: dict[str, str] | None = None,
        program: type[subprocess.Popen[Any]] = ForkedPopen,
    ) -> None:
        self.process = program(
            ["up", "--log", "json", *options],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONWARNINGS": "", **(env or {})},
        )
        self.url = ""

    def wait_ready(self) -> Server:
        """Return once it answers."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"the server did not start: {self.finish()[1]}")
        self.ready = json.loads(line)
        assert self.ready["event"] == "ready"
        self.url = self.ready["url"]
        self._drain = threading.Thread(target=self._read)
        self.events: list[dict[str, Any]] = []
        self._drain.start()
        return self

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append(json.loads(line))

    def finish(self) -> tuple[int, str]:
        """Wait for its end; return exit code and what it wrote to standard error."""
        assert self.process.stderr is not None and self.process.stdout is not None
        guard = threading.Timer(WAIT_S, self.process.kill)  # one that does not end must not hang the suite
        guard.start()
        error = self.process.stderr.read()
        code = self.process.wait(WAIT_S)
        guard.cancel()
        if self.url:
            self._drain.join()
        self.process.stderr.close()
        self.process.stdout.close()
        return code, error

    def stop(self) -> None:
        """Stop it as ^C does, and check that it ended well."""
        self.process.send_signal(2)
        code, error = self.finish()
        assert (code, error) == (0, ""), f"exit code {code}\n{error}"

    def kill(self) -> None:
        """End it as kill -9 does."""
        self.process.kill()
        self.finish()

    def enqueue(self, data: Any = None, queue: str = "work") -> str:
        """Enqueue a job; return its id."""
        answer = http.post(f"{self.url}/jobs", json={"namespace": "shop", "queue": queue, "data": data})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def get(self, path: str) -> Any:
        """Return what a route under /_localqueue answers."""
        answer = http.get(f"{self.url}/_localqueue{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def job(self, id_: str) -> dict[str, Any]:
        """Return a job."""
        found: dict[str, Any] = self.get(f"/jobs/{id_}")
        return found

    def wait_state(self, id_: str, *states: str) -> dict[str, Any]:
        """Return the job once it is in one of the states."""

        def look() -> dict[str, Any] | None:
            job = self.job(id_)
            return job if job["state"] in states else None

        return until(look, f"job {id_} is {' or '.join(states)}")  # type: ignore[return-value]


@contextlib.contextmanager
def answering(answers: dict[str, str]) -> Iterator[str]:
    """Run something that answers each path, or `*`, with a text; yield its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = answers.get(self.path, answers["*"]).encode()
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with on_thread(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        yield f"http://127.0.0.1:{server.server_address[1]}"


def localqueue(*words: str, given: str | bytes = "", env: dict[str, str] | None = None) -> Result:
    """Run a command in this process, `given` on its standard input; its outputs go to no terminal."""
    clean = {"IEC_QUEUE_URL": None, "SERVICE_NAMESPACE": None, "COLUMNS": None, "NO_COLOR": None, **(env or {})}
    return CliRunner().invoke(main, words, input=given, env=clean, prog_name="localqueue")


class Stream:
    """Read server-sent events as they come."""

    def __init__(self, answer: httpx.Response) -> None:
        self._lines = answer.iter_lines()

    def __iter__(self) -> Iterator[Told]:
        return self

    def __next__(self) -> Told:
        fields: dict[str, str] = {}
        for line in self._lines:
            if not line and "data" in fields:
                return fields["id"], fields["event"], json.loads(fields["data"])
            assert not line.startswith(":"), "nothing was told for 15 s"
            name, _, value = line.partition(": ")
            fields[name] = value
        raise StopIteration

    def take(self, kind: str, wanted: Callable[[Any], bool] = lambda _: True) -> Any:
        """Return the data of the next event of a kind."""
        return next(data for _, found, data in self if found == kind and wanted(data))


@contextlib.contextmanager
def serving(folder: Path, *options: str, port: str = "0", **more: Any) -> Iterator[Server]:
    """Run `localqueue up`, on a free port where none is given; check at the end that it stops well."""
    server = Server(folder, "--port", port, *options, **more)
    try:
        server.wait_ready()
        yield server
    except BaseException:
        server.process.kill()
        server.finish()
        raise
    if server.process.poll() is None:
        server.stop()


class Terminal:
    """Run `up` in a folder, and read what it prints for people."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._process = ForkedPopen(
            ["up", "--port", "0", *options], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.text = ""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        line = until(lambda: self._line("export IEC_QUEUE_URL="), "the banner")
        self.url = line.split("=", 1)[1].strip()
        until(lambda: self._line("timeout"), "the queues")

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.text += line
        self._process.stdout.close()

    def _line(self, part: str) -> str:
        return next((line for line in self.text.splitlines() if part in line), "")

    def shows(self, *parts: str) -> None:
        """Wait until every part was printed."""
        for part in parts:
            until(lambda part=part: part in self.text, f"{part!r} is in {self.text}")  # type: ignore[misc]

    def post(self, body: Mapping[str, Any]) -> int:
        """Send a job as a service does."""
        return http.post(f"{self.url}/jobs", json=dict(body)).status_code

    def stop(self) -> None:
        """End it as Ctrl-C does."""
        self._process.send_signal(2)
        assert self._process.wait(30) == 0
        self._reader.join()
