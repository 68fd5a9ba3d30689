"""Run real processes, write down what can be seen of them, and let the checker of the simulation look at it."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from localqueue.catalog.loader import load
from tests.sim import history
from tests.sim.checker import check
from tests.sim.history import Called, Crashed, Disk, Ended, Entry, Fact, History, Opened, Responded, Returned, Stopped
from tests.support import JSON, Reply, Server, Worker, http, listening, until, write_catalog

KEEP = 1_000_000
KEY = ("shop", "work")
DELAY_MS = 20
PAYLOADS = ('{{"n":{n}}}', "[{n}, 1.0, 1E400, -0]", '{{ "b" :1,"a":{n} , "b":2}}', '"{n} \\ud800 \\u0000 ü"', "[ {n} ]")
BODY = b'{"namespace":"shop","queue":"work","data":%b}'
PRODUCERS = 2
CONCURRENCY = 3
HANDLER_S = 0.005
"""How long every other delivery takes, so that all slots of the queue are taken."""
LAST = "/last"
"""A path that no queue has: a request to it arrives behind everything that a dead process has sent."""


@dataclass
class Service(Worker):
    """A service that writes down what arrives."""

    observed: Observed = field(kw_only=True)

    def reply(self, path: str, body: bytes) -> Reply:
        """Respond to a delivery."""
        if path == LAST:
            return 200
        arrived = history.read_delivery(body, self.url + path)
        queue = self.observed.queues["shop", arrived.queue]
        self.observed.note(history.Started(queue, arrived.id, arrived.attempt, arrived.data, arrived.url), arrived)
        if arrived.id[-1] in "13579bdf":
            threading.Event().wait(HANDLER_S)
        status = status_of(arrived.id, arrived.attempt)
        self.observed.note(arrived.responded("completed" if status == 200 else "http_error"))
        return status


def status_of(id_: str, attempt: int) -> int:
    """Return what the service responds to an attempt: 500 to the first one of some jobs, and to each one of others."""
    last = int(id_[-1], 16)
    return 500 if last == 0 or (last < 4 and attempt == 1) else 200


class Observed:
    """The processes that run on one folder, one after the other, and the history of them all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.queues = load([write_catalog(folder, CONCURRENCY, delay=DELAY_MS)]).queues
        self.service = Service(observed=self)
        self.history = History(lambda: int(time.time() * 1000), time.monotonic)
        self._lock = threading.Lock()
        self._calls, self._serials = itertools.count(), itertools.count()
        self._begin = 0
        self._rows: dict[str, int] = {}

    def note(self, *facts: Fact) -> None:
        """Write down what was just seen; several threads see something."""
        with self._lock:
            for fact in facts:
                self.history.add(fact)

    # a process

    def start(self, crash_at: str = "") -> Server:
        """Launch a server."""
        self._begin = len(self.history.entries)
        self.note(Opened(self.queues, {"shop": self.service.url}, KEEP, "wall", is_remote=True))
        options = ("--port", "0", "--target", self.service.url, "--keep", str(KEEP))
        return Server(self._folder, *options, *(["--crash-at", crash_at] if crash_at else []))

    def produce(self, url: str) -> list[threading.Thread]:
        """Enqueue from several threads, for as long as the server accepts jobs."""
        threads = [threading.Thread(target=self._produce, args=(url,)) for _ in range(PRODUCERS)]
        for thread in threads:
            thread.start()
        return threads

    def _produce(self, url: str) -> None:
        while self.enqueue(url):
            pass

    def enqueue(self, url: str) -> str:
        """Enqueue a job; return its ID, or "" if it wasn't accepted."""
        call, serial = next(self._calls), next(self._serials)
        data = PAYLOADS[serial % len(PAYLOADS)].format(n=serial).encode()
        self.note(Called(call, "enqueue", (KEY, data)))
        try:
            response = http.post(f"{url}/jobs", content=BODY % data, headers=JSON)
        except httpx.TransportError:
            return ""  # it may have been enqueued or not
        is_accepted = response.status_code == 201
        id_ = response.json()["id"] if is_accepted else ""
        self.note(Returned(call, "ok" if is_accepted else str(response.status_code), id_))
        return str(id_)

    def crashed(self) -> None:
        """Write down that the process is dead, and what it has left."""
        self._end(Crashed())

    def settle(self) -> None:
        """Let every job finish, and stop."""
        server = self.start().wait_ready()
        self.wait_quiet(server)
        server.stop()
        self._end(Stopped())

    def wait_quiet(self, server: Server) -> None:
        """Return when every job has finished."""

        def is_quiet() -> bool:
            counts = [queue["counts"] for queue in server.get("/queues")["queues"]]
            return not any(each["queued"] + each["running"] + each["retrying"] for each in counts)

        until(is_quiet, "all jobs are finished")

    def check(self) -> None:
        """Check the whole history, now that every job had the chance to finish."""
        problems = check(self.history)
        assert problems == [], "\n".join(f"{each}\n    {self.history.line(each.index)[:400]}" for each in problems[:5])

    @property
    def acknowledged(self) -> int:
        """Return how many jobs were accepted."""
        return sum(isinstance(entry.fact, Returned) and entry.fact.code == "ok" for entry in self.history)

    # what it leaves

    def _end(self, fact: Crashed | Stopped) -> None:
        http.post(self.service.url + LAST, content=b"")
        until(lambda: not self.service.connections, "the service has seen everything that was sent")
        disk = self._read_disk(is_thorough=isinstance(fact, Stopped))
        self._add_rows(disk)
        self.note(fact, disk)

    def _read_disk(self, is_thorough: bool) -> Disk:
        """Read a copy: to open the file itself would recover its log, which is for the next process to do."""
        with tempfile.TemporaryDirectory() as copy:
            for path in (self._folder / ".localqueue").glob("queue.db*"):
                shutil.copy(path, copy)
            return history.read_disk(Path(copy) / "queue.db", is_thorough)

    def _add_rows(self, disk: Disk) -> None:
        """Add the end of each attempt that is on disk: behind its response, which is as exact as it can be seen."""
        rows = {
            (job.id, row.number): Ended(job.id, job.queue, row)
            for job in disk.jobs
            for row in job.rows[self._rows.get(job.id, 0) :]
        }
        self._rows = {job.id: len(job.rows) for job in disk.jobs}
        entries = self.history.entries
        entries[self._begin :] = _with_rows(entries[self._begin :], rows)


def _with_rows(entries: Sequence[Entry], rows: dict[tuple[str, int], Ended]) -> list[Entry]:
    found = []
    for entry in entries:
        found.append(entry)
        if isinstance(entry.fact, Responded) and (ended := rows.pop((entry.fact.id, entry.fact.attempt), None)):
            found.append(Entry(entry.now, entry.real, ended))
    found += [Entry(entries[-1].now, entries[-1].real, ended) for ended in rows.values()]  # seen by nobody
    return found


@contextlib.contextmanager
def observing(folder: Path) -> Iterator[Observed]:
    """Observe the processes that run on a folder."""
    observed = Observed(folder)
    with listening(observed.service):
        yield observed
