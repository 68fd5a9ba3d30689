"""Run COMMAND in a separate process group: pass signals on to it, give it the terminal, end what it leaves running.

Because the group is separate, a terminal's Ctrl-C reaches only localqueue, and COMMAND gets it once, from localqueue.
And the processes that COMMAND leaves running can be ended without searching for them.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence

from localqueue.core import clock
from localqueue.core.errors import CommandNotRun
from localqueue.core.text import safe

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
"""The signals that ask a process to stop."""
PASSED_ON = (*STOP_SIGNALS, signal.SIGTSTP, signal.SIGCONT, signal.SIGWINCH)
END_S = 2.0
"""How long the processes that COMMAND left running may take to end before they are killed."""
_PR_SET_CHILD_SUBREAPER = 36
_PYTHON_IGNORES = (signal.SIGPIPE, signal.SIGXFSZ)


class Child:
    """The process of COMMAND while it runs, and the rest of its process group afterwards."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str]) -> None:
        """Start it. Raises CommandNotRun."""
        _adopt_orphans()
        try:
            self.group = os.posix_spawnp(command[0], list(command), environ, setpgroup=0, setsigdef=_PYTHON_IGNORES)
        except OSError as error:
            raise _spawn_error(command[0], error) from None
        self._lifeline = _Lifeline(self.group)
        self.is_running = True
        self._wants_terminal = False
        self._terminal = _Terminal()

    async def wait(self) -> int:
        """Return how COMMAND ended, as shells do: its exit code, or 128 plus the number of the signal."""
        while True:
            _, status = await asyncio.to_thread(os.waitpid, self.group, os.WUNTRACED)
            if not os.WIFSTOPPED(status):
                break
            self._stopped(os.WSTOPSIG(status))
        self.is_running = False
        self._terminal.take_back()
        return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)

    def pass_on(self, kind: int) -> None:
        """Pass a signal on to COMMAND; once it has ended, only Ctrl-Z has an effect."""
        if not self.is_running:
            if kind == signal.SIGTSTP:
                _stop_our_group()
        elif kind == signal.SIGCONT:
            self._continue()
        else:
            self._send(kind)

    def _send(self, kind: int) -> None:
        """Send SIGTERM to COMMAND only, as `kill` does; other signals to its group, as a terminal does."""
        with contextlib.suppress(ProcessLookupError):
            (os.kill if kind == signal.SIGTERM else os.killpg)(self.group, kind)
        if self._wants_terminal and kind in STOP_SIGNALS:
            self._signal(signal.SIGCONT)  # a stopped process would not notice

    async def end(self) -> bool:
        """End the rest of the group, including COMMAND; return whether any process was left."""
        self._terminal.close()
        self._lifeline.close()
        if not self._signal(signal.SIGTERM):
            return False
        self._signal(signal.SIGCONT)  # a stopped process could not end
        if not await asyncio.to_thread(clock.wait_until, self._is_gone, END_S):
            self._signal(signal.SIGKILL)
        return True

    def _is_gone(self) -> bool:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-self.group, os.WNOHANG)[0]:
                pass
        return not self._signal(0)

    def _signal(self, kind: int) -> bool:
        """Return whether the group has a process that can get the signal."""
        try:
            os.killpg(self.group, kind)
        except ProcessLookupError:
            return False
        except PermissionError:  # a process exists, but localqueue may not signal it
            return kind == 0
        return True

    def _stopped(self, kind: int) -> None:
        """Do what a shell does with a stopped job: give it the terminal if it asks for that, otherwise stop too."""
        if not self._terminal.exists:
            return
        self._wants_terminal = kind in (signal.SIGTTIN, signal.SIGTTOU)
        if not (self._wants_terminal and self._terminal.lend(self.group)):
            self._terminal.take_back()
            _stop_our_group()
        self._continue()

    def _continue(self) -> None:
        """Let COMMAND continue, unless it waits for a terminal that localqueue can't give."""
        if not self._wants_terminal or self._terminal.lend(self.group):
            self._wants_terminal = False
            self._signal(signal.SIGCONT)


class _Lifeline:
    """A small process that ends COMMAND's group if localqueue is killed: its pipe then closes."""

    _SCRIPT = "read line || { kill -TERM -$0; sleep 2; kill -KILL -$0; }"

    def __init__(self, group: int) -> None:
        reader, self._writer = os.pipe()
        actions = [(os.POSIX_SPAWN_DUP2, reader, 0)]
        try:
            self._pid = os.posix_spawn(
                "/bin/sh", ["sh", "-c", self._SCRIPT, str(group)], {}, setpgroup=0, file_actions=actions
            )
        except OSError:  # no shell: COMMAND then outlives a kill -9 of localqueue
            self._pid = 0
        os.close(reader)

    def close(self) -> None:
        """End the process without ending the group."""
        if self._writer < 0:
            return
        with contextlib.suppress(OSError):
            os.write(self._writer, b"done\n")
        os.close(self._writer)
        self._writer = -1
        if self._pid:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self._pid, 0)


class _Terminal:
    """The controlling terminal, if there is one; COMMAND can read from it once it asks."""

    def __init__(self) -> None:
        try:
            self._fd = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            self._fd = -1
        self._is_lent = False

    @property
    def exists(self) -> bool:
        """Return whether there is a controlling terminal."""
        return self._fd >= 0

    def lend(self, group: int) -> bool:
        """Let a group read from the terminal if localqueue is in the foreground; return whether it can."""
        with contextlib.suppress(OSError):  # the terminal was closed
            if os.tcgetpgrp(self._fd) == os.getpgrp():
                self._give(group)
                self._is_lent = True
        return self._is_lent

    def take_back(self) -> bool:
        """Take the terminal back; return whether it was lent."""
        was_lent, self._is_lent = self._is_lent, False
        if was_lent:
            with contextlib.suppress(OSError):
                self._give(os.getpgrp())
        return was_lent

    def close(self) -> None:
        """Take the terminal back and close it."""
        self.take_back()
        if self.exists:
            os.close(self._fd)
            self._fd = -1

    def _give(self, group: int) -> None:
        before = signal.pthread_sigmask(
            signal.SIG_BLOCK, {signal.SIGTTOU}
        )  # otherwise taking it back would stop localqueue
        try:
            os.tcsetpgrp(self._fd, group)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _stop_our_group() -> None:
    """Stop as Ctrl-Z does, and return when continued, or at once if SIGTSTP is ignored."""
    handler = signal.getsignal(signal.SIGTSTP)
    if handler is not signal.SIG_IGN:
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.killpg(os.getpgrp(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, handler)


def _adopt_orphans() -> None:
    """Become the parent of the processes that COMMAND leaves running: init may take seconds to reap them."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


@contextlib.contextmanager
def passing_signals(pass_on: Callable[[int], None]) -> Iterator[None]:
    """Handle the signals that are passed on; ignored ones (nohup) stay ignored."""
    loop = asyncio.get_running_loop()
    kinds = [kind for kind in PASSED_ON if signal.getsignal(kind) is not signal.SIG_IGN]
    for kind in kinds:
        loop.add_signal_handler(kind, pass_on, kind)
    try:
        yield
    finally:
        for kind in kinds:
            loop.remove_signal_handler(kind)


def _spawn_error(name: str, error: OSError) -> CommandNotRun:
    shown = safe(name)
    if not isinstance(error, FileNotFoundError):
        why = "it isn't executable" if isinstance(error, PermissionError) else error.strerror
        return CommandNotRun(f"can't run {shown}: {why}", exit_code=126)
    if shutil.which(name):
        return CommandNotRun(f"can't run {shown}: the interpreter in its first line doesn't exist", exit_code=126)
    return CommandNotRun(f"command not found: {shown}", exit_code=127)
