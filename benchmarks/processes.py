"""Start processes, read their first line, measure their memory, and end them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

READY_S = 120.0
END_S = 30.0
IDLE_S = 0.3
IDLE_WITHIN_S = 180.0
ROOT = Path(__file__).parents[1]


class BenchmarkError(Exception):
    """A failed run, whose figures are meaningless."""


def clean_environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment without variables that set options of the system under test."""
    ours = ("LOCALQUEUE_", "IEC_QUEUE_URL", "SERVICE_NAMESPACE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "PYTHONPATH": str(ROOT), **(more or {})}


class Child:
    """A process that prints one line of JSON when it is ready."""

    def __init__(self, command: Sequence[str], folder: Path, env: Mapping[str, str] | None = None) -> None:
        self._errors = open(folder / "stderr.txt", "ab+")  # noqa: SIM115
        self.started = time.monotonic()
        self._process = subprocess.Popen(
            command, cwd=folder, env=clean_environment(env), stdout=subprocess.PIPE, stderr=self._errors
        )

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self._process.pid

    def line(self) -> dict[str, Any]:
        """Return the next line that it says, within two minutes. Raises BenchmarkError."""
        assert self._process.stdout is not None
        guard = threading.Timer(READY_S, self._process.kill)
        guard.start()
        line = self._process.stdout.readline()
        guard.cancel()
        if not line:
            raise BenchmarkError(f"{' '.join(map(str, self._process.args))[:200]} ended: {self.errors()}")  # type: ignore[arg-type]
        found: dict[str, Any] = json.loads(line)
        return found

    def wait_listening(self, port: int) -> None:
        """Return once something of it answers on the port. Raises BenchmarkError."""
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return
            if self._process.poll() is not None or time.monotonic() > self.started + READY_S:
                raise BenchmarkError(f"it does not listen on port {port}: {self.errors()}")
            time.sleep(0.01)

    def errors(self) -> str:
        """Return the end of what it wrote to standard error."""
        self._errors.seek(0)
        return self._errors.read()[-2000:].decode(errors="replace").strip()

    def end(self, kind: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end, and wait; return its exit code."""
        if self._process.poll() is None:
            self._process.send_signal(kind)
        try:
            return self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
        finally:
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._errors.close()

    def finish(self) -> dict[str, Any]:
        """Return its one line, once it has ended by itself. Raises BenchmarkError."""
        try:
            return self.line()
        finally:
            self.end()


@contextlib.contextmanager
def running(command: Sequence[str], folder: Path, env: Mapping[str, str] | None = None) -> Iterator[Child]:
    """Run a process for a while."""
    child = Child(command, folder, env)
    try:
        yield child
    finally:
        child.end()


def module(name: str, **told: Any) -> list[str]:
    """Return the command that runs one of our own processes."""
    return [sys.executable, "-m", f"benchmarks.{name}", json.dumps(told)]


def get(url: str, timeout_s: float = READY_S) -> Any:
    """Return the JSON response of a URL on this machine."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=timeout_s) as answer:
        return json.loads(answer.read())


def post(url: str, body: bytes = b"") -> None:
    """Send a request."""
    asked = urllib.request.Request(url, data=body, method="POST", headers={"Content-Type": "application/json"})
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked, timeout=READY_S).close()


def memory_mb(pid: int, *, peak: bool = False) -> float:
    """Return the memory of a process, now or at its peak, in MB (10^6 bytes)."""
    name = "VmHWM:" if peak else "VmRSS:"
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024 / 1e6
    except FileNotFoundError:  # no /proc: macOS knows the present only
        found = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True)
        return int(found.stdout) * 1024 / 1e6


def wait_idle(pid: int) -> None:
    """Return once a process has used next to no CPU time for a moment, or after three minutes."""
    end = time.monotonic() + IDLE_WITHIN_S
    before = cpu_s(pid)
    while time.monotonic() < end:
        time.sleep(IDLE_S)
        now = cpu_s(pid)
        if now - before < IDLE_S / 10:
            return
        before = now


def cpu_s(pid: int) -> float:
    """Return the CPU time (user and system) of all threads of a process, in s."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except FileNotFoundError:  # no /proc: wait for the whole time
        return time.monotonic()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
