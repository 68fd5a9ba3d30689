"""A test run that is killed leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.forking import ROOT
from tests.support import until, write_catalog

RUN = """
import signal
from tests.forking import ForkedPopen
process = ForkedPopen(["up", "--port=0", "--ephemeral", "--target=http://127.0.0.1:9"], cwd={folder!r})
print(process.pid, flush=True)
signal.pause()
"""


def test_a_run_that_is_killed_leaves_no_server_behind(tmp_path: Path) -> None:
    write_catalog(tmp_path)
    command = [sys.executable, "-c", RUN.format(folder=str(tmp_path))]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        pid = int(run.stdout.readline())
        assert is_alive(pid)
        run.send_signal(signal.SIGKILL)
    until(lambda: not is_alive(pid), "the server has ended")


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
