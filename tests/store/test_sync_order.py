"""Power loss: the log of the database is synced before a job is acknowledged."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.forking import ROOT
from tests.support import http, serving, write_catalog

SOURCE = Path(__file__).with_name("sync_order.c")
COMPILER = shutil.which("cc")
JOBS = 20


class Started(subprocess.Popen[Any]):
    """A `localqueue` that isn't forked: the library must be loaded first."""

    def __init__(self, arguments: list[str], **options: Any) -> None:
        super().__init__([sys.executable, "-W", "error", "-m", "localqueue", *arguments], **options)


@pytest.mark.skipif(sys.platform != "linux", reason="the calls are watched by LD_PRELOAD and /proc, on Linux")
@pytest.mark.skipif(COMPILER is None, reason="no C compiler: the order of syncs and responses was not tested")
def test_the_log_is_synced_before_a_job_is_acknowledged(tmp_path: Path) -> None:
    """Rule storage.kill."""
    library, calls = tmp_path / "calls.so", tmp_path / "calls"
    subprocess.run([str(COMPILER), "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"], check=True)
    write_catalog(tmp_path)
    env = {"LD_PRELOAD": str(library), "LOCALQUEUE_TEST_CALLS": str(calls), "PYTHONPATH": str(ROOT)}
    with serving(tmp_path, "--target", "http://127.0.0.1:9", program=Started, env=env) as server:
        assert http.post(f"{server.url}/_localqueue/queues/shop/work/pause", json={}).status_code == 200
        before = len(calls.read_bytes())
        for number in range(JOBS):
            server.enqueue(number)
        made = calls.read_text()[before:]
    assert re.fullmatch(rf"([ws]*ws+r){{{JOBS}}}", made), made
