"""Run `localqueue` or pytest in a process forked from one with its modules loaded: a tenth of the CPU time.

`python -m tests.forking FD` is that process, the launcher. A child of it is like `python -W error -m localqueue` in
all that a test can see: a process with its own signals, streams, folder and environment, and its exit handlers.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import inspect
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from localqueue.cli.main import main as localqueue


def _probed() -> None:
    from tests import probe

    probe.main()


PROGRAMS = {
    "localqueue": functools.partial(localqueue, prog_name="localqueue"),
    "probed": _probed,
    "pytest": pytest.main,
}
PRELOADED = (
    "localqueue.cli.commands.up",
    "localqueue.cli.commands.exec",
    "localqueue.cli.commands.tail",
    "localqueue.server.server",
    "localqueue.client.connect",
    "localqueue.testing.local_queue",
    "encodings.idna",
    "encodings.utf_8_sig",
    "execnet",
    "httpx",
    "importlib.readers",
    "pdb",
    "unittest",
    "uvicorn.lifespan.off",
    "uvicorn.protocols.websockets.auto",
    "uvloop",
    "xml.etree.ElementTree",
)
"""What most of them use; what isn't installed is left out, as they leave it out."""
PIPES = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
ROOT = Path(__file__).parent.parent
NUMBER_BYTES = 12


class _Forked(subprocess.Popen[Any]):
    """A `localqueue` with the interface of Popen; its arguments are those of `localqueue`."""

    program = "localqueue"
    _status = -1

    def _execute_child(self, *arguments: Any) -> None:
        given = inspect.signature(super()._execute_child).bind(*arguments).arguments  # type: ignore[misc]
        streams = [given[name] for name in ("p2cread", "c2pwrite", "errwrite")]
        self._status, status = os.pipe()
        request = {
            "program": self.program,
            "arguments": [os.fspath(word) for word in given["args"]],
            "folder": os.fspath(given["cwd"] or os.getcwd()),
            "environment": dict(os.environ if given["env"] is None else given["env"]),
            "new_session": bool(given["start_new_session"]),
        }
        _launcher().start(request, [*(number if fd == -1 else fd for number, fd in enumerate(streams)), status])
        os.close(status)
        self._close_pipe_fds(*(given[name] for name in PIPES))  # type: ignore[attr-defined]
        self.pid = self._read_number()
        self._child_created = True

    def _read_number(self) -> int:
        number = os.read(self._status, NUMBER_BYTES)
        assert number, "the launcher has ended"
        return int(number)

    def _internal_poll(self, *_: object, **__: object) -> int | None:
        try:
            return self._wait(0)
        except subprocess.TimeoutExpired:
            return None

    def _wait(self, timeout: float | None) -> int:
        with self._waitpid_lock:  # type: ignore[attr-defined]
            if self.returncode is None:
                if not select.select([self._status], [], [], timeout)[0]:
                    raise subprocess.TimeoutExpired(self.program, timeout or 0)
                self.returncode = self._read_number()
                os.close(self._status)
            return self.returncode


class ForkedPytest(_Forked):
    """A pytest with the same interface; its arguments are those of `python -W error -m pytest`."""

    program = "pytest"


class ForkedProbed(_Forked):
    """A `localqueue` whose event loop is probed: see tests.probe."""

    program = "probed"


class StartedPopen(subprocess.Popen[Any]):
    """A `localqueue` that is started as users do, or the single binary, with the same interface."""

    def __init__(self, arguments: Sequence[str], **options: Any) -> None:
        super().__init__([*COMMAND, *arguments], **options)


BINARY = os.environ.get("LOCALQUEUE_TEST_BINARY")
"""The single binary, if it is to be tested: `make test-binary`."""
COMMAND = [BINARY] if BINARY else [sys.executable, "-W", "error", "-m", "localqueue"]
"""How to start `localqueue` as users do."""
ForkedPopen = StartedPopen if BINARY else _Forked


def run(
    *arguments: str, given: str = "", timeout: float, program: type[subprocess.Popen[Any]] = ForkedPopen, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run a `localqueue`, or another program, to its end. Raises TimeoutExpired."""
    pipe = subprocess.PIPE
    with program(arguments, stdin=pipe, stdout=pipe, stderr=pipe, text=True, **options) as process:
        try:
            output, errors = process.communicate(given, timeout)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(arguments, process.returncode, output, errors)


class _Launcher:
    """The process that forks; it ends with the one that it works for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        command = [sys.executable, "-W", "error", "-m", "tests.forking", str(theirs.fileno())]
        with theirs:
            self._process = subprocess.Popen(command, cwd=ROOT, pass_fds=[theirs.fileno()], start_new_session=True)
        atexit.register(self._stop)

    def _stop(self) -> None:
        self._socket.close()
        self._process.wait()

    def start(self, request: dict[str, Any], descriptors: list[int]) -> None:
        """Start a process with these streams; it gets the last one to tell its pid and exit code."""
        message = json.dumps(request).encode()
        with self._lock:
            socket.send_fds(self._socket, [len(message).to_bytes(4, "big")], descriptors)
            self._socket.sendall(message)


@functools.cache
def _launcher() -> _Launcher:
    return _Launcher()


def _serve(control: socket.socket) -> dict[str, Any] | None:
    """Fork for each request, and return it in the child; return None at the end."""
    statuses: dict[int, int] = {}  # by pid: where to tell how it ended
    has_ended, wake = socket.socketpair()
    wake.setblocking(False)
    with control, has_ended, wake:
        signal.set_wakeup_fd(wake.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        while True:
            if control not in select.select([control, has_ended], [], [])[0]:
                has_ended.recv(1024)
                _tell_ends(statuses)
                continue
            size, descriptors, _, _ = socket.recv_fds(control, 4, 4)
            if not size:
                for pid in statuses:  # a run that was killed leaves no servers behind
                    os.kill(pid, signal.SIGKILL)
                for pid in statuses:  # the init process of a container may be slow to do that
                    os.waitpid(pid, 0)
                return None
            request: dict[str, Any] = json.loads(control.recv(int.from_bytes(size, "big"), socket.MSG_WAITALL))
            *streams, status = descriptors
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for descriptor in (status, *statuses.values()):
                    os.close(descriptor)
                _become(request, streams)
                return request
            statuses[pid] = status
            _tell(status, pid)
            for descriptor in streams:
                os.close(descriptor)


def _tell_ends(statuses: dict[int, int]) -> None:
    """Tell the exit code of each process that has ended."""
    while statuses and (found := os.waitpid(-1, os.WNOHANG))[0]:
        status = statuses.pop(found[0])
        _tell(status, os.waitstatus_to_exitcode(found[1]))
        os.close(status)


def _tell(status: int, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(status, str(number).rjust(NUMBER_BYTES).encode())


def _become(request: dict[str, Any], streams: list[int]) -> None:
    """Give this process what the request says."""
    if request["new_session"]:
        os.setsid()
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
    for descriptor in streams:
        if descriptor > 2:
            os.close(descriptor)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - these three stay open
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    sys.argv = [request["program"], *request["arguments"]]
    sys.path[0] = request["folder"]


def _run(program: Callable[[], Any]) -> Any:
    """Return the exit code of a program."""
    try:
        return program()
    except SystemExit as error:
        return error.code


def _end(code: Any) -> None:
    """Exit as Python does, but leave the modules as they are: to tear them down copies every page of this process."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    gc.collect()  # what nobody has closed warns now
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(int(code or 0))


if __name__ == "__main__":
    for module in PRELOADED:
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    gc.freeze()  # a collection in a child would copy these pages
    request = _serve(socket.socket(fileno=int(sys.argv[1])))
    if request is not None:
        _end(_run(PROGRAMS[request["program"]]))
