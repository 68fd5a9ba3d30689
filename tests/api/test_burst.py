"""Many producers at once, from a real Node process."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support import serving, until, working, write_catalog

SCRIPT = Path(__file__).parent / "burst.mjs"


def fire(folder: Path, count: int) -> None:
    """Start the server at a soft limit of 1024 files, fire, and wait until each job was delivered once."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed: the burst was not tested")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count + 1000:
        pytest.skip(f"this machine allows only {hard} open files: the burst of {count} was not tested")
    write_catalog(folder)
    with working() as worker:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
        try:
            with serving(folder, "--target", worker.url, "--keep", "100000", "--quiet") as server:
                resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # for Node, whose sockets these are
                command = ["node", str(SCRIPT), server.url, str(count)]
                found = subprocess.run(command, capture_output=True, text=True, timeout=120)
                assert json.loads(found.stdout) == {"accepted": count, "ids": count}, found.stderr
                until(lambda: server.get("/queues")["queues"][1]["counts"]["completed"] == count, "all are delivered")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len({job["jobId"] for job in worker.jobs}) == len(worker.bodies) == count


def test_two_thousand_fetches_at_once_are_all_accepted(tmp_path: Path) -> None:
    """Rule enqueue.burst, the short form."""
    fire(tmp_path, 2000)


@pytest.mark.long
def test_ten_thousand_fetches_at_once_are_all_accepted(tmp_path: Path) -> None:
    """Rule enqueue.burst."""
    fire(tmp_path, 10_000)
