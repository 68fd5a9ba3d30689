"""Run COMMAND in a process group of its own: pass signals on to it, lend it the terminal, end what it leaves.

Because the group is its own, a terminal's ^C reaches us alone and COMMAND gets it once, from us; and what
COMMAND leaves behind can be ended without looking for it.
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

ASKING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
"""The signals that ask to stop."""
PASSED_ON = (*ASKING, signal.SIGTSTP, signal.SIGCONT, signal.SIGWINCH)
END_S = 2.0
"""How long what COMMAND left behind may take to end before it is killed."""
_PR_SET_CHILD_SUBREAPER = 36
_PYTHON_IGNORES = (signal.SIGPIPE, signal.SIGXFSZ)


class Child:
    """Hold COMMAND while it runs, and the rest of its process group after it."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str]) -> None:
        """Start it. Raises CommandNotRun."""
        _adopt_orphans()
        try:
            self.group = os.posix_spawnp(command[0], list(command), environ, setpgroup=0, setsigdef=_PYTHON_IGNORES)
        except OSError as error:
            raise _explained(command[0], error) from None
        self.is_running = True
        self._is_asking = False
        self._terminal = _Terminal()

    async def wait(self) -> int:
        """Return how COMMAND ended, as shells say it: its exit code, or 128 and the number of the signal."""
        while True:
            _, status = await asyncio.to_thread(os.waitpid, self.group, os.WUNTRACED)
            if not os.WIFSTOPPED(status):
                break
            self._stopped(os.WSTOPSIG(status))
        self.is_running = False
        self._terminal.take_back()
        return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)

    def pass_on(self, kind: int) -> None:
        """Give COMMAND a signal that came to us; once it has ended, only ^Z is left to heed."""
        if not self.is_running:
            if kind == signal.SIGTSTP:
                _stop_our_group()
        elif kind == signal.SIGCONT:
            self._go_on()
        else:
            self._send(kind)

    def _send(self, kind: int) -> None:
        """Send SIGTERM to COMMAND alone, as `kill` does; others to its group, as a terminal does."""
        with contextlib.suppress(ProcessLookupError):
            (os.kill if kind == signal.SIGTERM else os.killpg)(self.group, kind)
        if self._is_asking and kind in ASKING:
            self._signal(signal.SIGCONT)  # what is stopped would not notice

    async def end(self) -> bool:
        """End what is left of the group, COMMAND included; return whether anything was."""
        self._terminal.close()
        if not self._signal(signal.SIGTERM):
            return False
        self._signal(signal.SIGCONT)  # what is stopped could not end
        if not await asyncio.to_thread(clock.wait_until, self._is_gone, END_S):
            self._signal(signal.SIGKILL)
        return True

    def _is_gone(self) -> bool:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-self.group, os.WNOHANG)[0]:
                pass
        return not self._signal(0)

    def _signal(self, kind: int) -> bool:
        """Return whether somebody of the group is there to get the signal."""
        try:
            os.killpg(self.group, kind)
        except ProcessLookupError:
            return False
        except PermissionError:  # somebody is there, but may not be signalled by us
            return kind == 0
        return True

    def _stopped(self, kind: int) -> None:
        """Do what a shell does with a job that stopped: lend it the terminal if it asks for that, else stop too."""
        if not self._terminal.is_there:
            return
        self._is_asking = kind in (signal.SIGTTIN, signal.SIGTTOU)
        if not (self._is_asking and self._terminal.lend(self.group)):
            self._terminal.take_back()
            _stop_our_group()
        self._go_on()

    def _go_on(self) -> None:
        """Let COMMAND go on, unless it waits for a terminal that is not ours to lend."""
        if not self._is_asking or self._terminal.lend(self.group):
            self._is_asking = False
            self._signal(signal.SIGCONT)


class _Terminal:
    """Hold the controlling terminal, if there is one; it is COMMAND's to read from once COMMAND asks for it."""

    def __init__(self) -> None:
        try:
            self._fd = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            self._fd = -1
        self._is_lent = False

    @property
    def is_there(self) -> bool:
        """Return whether there is one."""
        return self._fd >= 0

    def lend(self, group: int) -> bool:
        """Let a group read from the terminal, if it is ours to give; return whether it was."""
        with contextlib.suppress(OSError):  # it was hung up
            if os.tcgetpgrp(self._fd) == os.getpgrp():
                self._give(group)
                self._is_lent = True
        return self._is_lent

    def take_back(self) -> bool:
        """Read from the terminal ourselves again; return whether it was lent."""
        was_lent, self._is_lent = self._is_lent, False
        if was_lent:
            with contextlib.suppress(OSError):
                self._give(os.getpgrp())
        return was_lent

    def close(self) -> None:
        """Take it back for good."""
        self.take_back()
        if self.is_there:
            os.close(self._fd)
            self._fd = -1

    def _give(self, group: int) -> None:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})  # else taking it back would stop us
        try:
            os.tcsetpgrp(self._fd, group)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _stop_our_group() -> None:
    """Stop as ^Z does, and return when somebody lets us go on, or at once where nobody could."""
    handler = signal.getsignal(signal.SIGTSTP)
    if handler is not signal.SIG_IGN:
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.killpg(os.getpgrp(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, handler)


def _adopt_orphans() -> None:
    """Be told of the end of what COMMAND leaves behind, where the system can: an init may take seconds to note it."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


@contextlib.contextmanager
def passing(pass_on: Callable[[int], None]) -> Iterator[None]:
    """Handle the signals that are passed on; those that we were told to ignore (nohup) stay ignored."""
    loop = asyncio.get_running_loop()
    kinds = [kind for kind in PASSED_ON if signal.getsignal(kind) is not signal.SIG_IGN]
    for kind in kinds:
        loop.add_signal_handler(kind, pass_on, kind)
    try:
        yield
    finally:
        for kind in kinds:
            loop.remove_signal_handler(kind)


def _explained(name: str, error: OSError) -> CommandNotRun:
    shown = safe(name)
    if not isinstance(error, FileNotFoundError):
        why = "it is not executable" if isinstance(error, PermissionError) else error.strerror
        return CommandNotRun(f"can't run {shown}: {why}", exit_code=126)
    if shutil.which(name):
        return CommandNotRun(f"can't run {shown}: the interpreter in its first line does not exist", exit_code=126)
    return CommandNotRun(f"command not found: {shown}", exit_code=127)
