"""Send signals to a server at random moments of its start, its work and its stop: it ends well and loses no job."""

from __future__ import annotations

import contextlib
import random
import signal
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

import localqueue
from localqueue.core.interrupts import INTERRUPTED
from tests.forking import ForkedPopen, StartedPopen
from tests.support import WAIT_S, Server, http, serving, until, working, write_catalog

INT, TERM, HUP, KILL = signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL
STOP, CONT = signal.SIGSTOP, signal.SIGCONT
KINDS = (
    (INT,), (TERM,), (HUP,), (KILL,), (INT, INT), (TERM, TERM), (HUP, INT), (INT, TERM, INT), (TERM, KILL),
    (STOP, CONT, INT),
)  # fmt: skip
PHASES = ("start", "work", "stop")
PACKAGE = Path(localqueue.__file__).parent
RUNNING = 3
CYCLES = 50
"""How many servers one database outlives."""
LONG_GRACE_S, SHORT_GRACE_S = 600, 0.3


def signals(count: int, seed: int) -> str:
    """Send `count` series of signals, each kind in each phase before any comes again."""
    for kind in (INT, HUP):  # what a shell lets a command in the background ignore, the servers would ignore, too
        signal.signal(kind, signal.default_int_handler if kind is INT else signal.SIG_DFL)
    rng, codes = random.Random(seed), Counter[int]()
    chosen = _deck(rng)
    jobs = 0
    while count > 0:
        with tempfile.TemporaryDirectory() as folder, _shop(Path(folder), rng) as shop:
            for _ in range(min(count, CYCLES)):
                codes[shop.play(*next(chosen))] += 1
            jobs += shop.settle()
        count -= CYCLES
    listed = ", ".join(f"{code}: {number:,}" for code, number in sorted(codes.items()))
    return f"exit codes {listed}; {jobs:,} jobs, none lost, none counted a signal as a failure"


def _deck(rng: random.Random) -> Iterator[tuple[str, tuple[signal.Signals, ...]]]:
    whole = [(phase, kinds) for phase in PHASES for kinds in KINDS]
    while True:
        yield from rng.sample(whole, len(whole))


@contextlib.contextmanager
def _shop(folder: Path, rng: random.Random) -> Iterator[Shop]:
    write_catalog(folder, retries=0, concurrency=RUNNING)
    shop = Shop(folder, rng)
    with working(shop.answer) as worker:
        shop.target = worker.url
        try:
            yield shop
        finally:
            shop.may_answer.set()


class Shop:
    """A folder whose servers get signals, and a service that holds the jobs until it may answer."""

    status = 200

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self._folder = folder
        self._rng = rng
        self.target = ""
        self.may_answer = threading.Event()
        self._arrived = 0
        self._acknowledged: list[str] = []
        self._followers: list[threading.Thread] = []

    def answer(self, _: dict[str, Any]) -> int:
        """Hold a job."""
        may_answer = self.may_answer
        self._arrived += 1
        may_answer.wait()
        return self.status

    def play(self, phase: str, kinds: tuple[signal.Signals, ...]) -> int:
        """Send signals to a server; return its exit code."""
        program = (
            ForkedPopen if phase == "work" else StartedPopen
        )  # a forked one neither starts nor ends as Python does
        server = Server(self._folder, "--port", "0", *self._options(kinds), program=program)
        try:
            if phase != "start":
                server.wait_ready()
            if phase == "work":
                self._work(server)
            for number, kind in enumerate(kinds):
                self._pause(0.6 if number == 0 and phase == "start" else 0.2)
                server.process.send_signal(kind)
                if self._rng.random() < 0.2:
                    self.may_answer.set()
        except BaseException:
            server.kill()
            raise
        code, errors = server.finish()
        self.may_answer.set()  # the attempts that were cut off
        _check_end(phase, kinds, code, errors)
        for follower in self._followers:
            follower.join()
        self._followers.clear()
        return code

    def _pause(self, longest: float) -> None:
        threading.Event().wait(self._rng.uniform(0, longest))  # the moment must not depend on what the server does

    def _options(self, kinds: tuple[signal.Signals, ...]) -> list[str]:
        stops = [kind for kind in kinds if kind in (INT, TERM, HUP)]
        grace = LONG_GRACE_S if len(stops) > 1 else SHORT_GRACE_S  # a second signal ends the longest grace
        return ["--target", self.target, "--grace", str(grace)]

    def _work(self, server: Server) -> None:
        """Let jobs run, and follow the events."""
        self.may_answer, self._arrived = threading.Event(), 0
        self._acknowledged += [server.enqueue() for _ in range(RUNNING)]
        is_open = threading.Event()
        self._followers.append(threading.Thread(target=_follow, args=(server.url, is_open)))
        self._followers[0].start()
        assert is_open.wait(WAIT_S)
        until(lambda: self._arrived >= RUNNING, "the jobs are running")

    def settle(self) -> int:
        """Let every job complete, check the attempts, and return how many jobs there were."""
        with serving(self._folder, *self._options(())) as server:
            for id_ in self._acknowledged:
                job = server.wait_state(id_, "completed", "failed")
                *before, last = [(each["number"], each["outcome"]) for each in job["attempts"]]
                assert last == (1, "completed") and set(before) <= {(1, "interrupted")}, (id_, job["attempts"])
        return len(self._acknowledged)


def _check_end(phase: str, kinds: tuple[signal.Signals, ...], code: int, errors: str) -> None:
    """Check an exit code and what was written to standard error."""
    expected = {0}
    if KILL in kinds:
        expected.add(-KILL)
    if phase == "start":  # before localqueue's own code runs, Python decides
        expected |= {INTERRUPTED, 1, *(-kind for kind in kinds)}
    assert code in expected, f"{phase}, {kinds}: exit code {code}, {errors}"
    is_of_python = phase == "start" and "Traceback" in errors and str(PACKAGE) not in errors
    assert not errors or is_of_python, f"{phase}, {kinds}: {errors}"


def _follow(url: str, is_open: threading.Event) -> None:
    """Read the events until the server ends."""
    stream = http.stream("GET", f"{url}/_localqueue/events", timeout=None)
    with contextlib.suppress(httpx.TransportError), stream as events:
        is_open.set()
        events.read()
