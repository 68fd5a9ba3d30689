"""A database of an earlier release is migrated: its ledger, jobs, pauses and time are as they were."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from localqueue import __version__
from tests.support import JSON, http, serving, working, write_catalog
from tests.upgrades.record import HERE, answer

RELEASES = sorted(path.name for path in HERE.iterdir() if (path / "database.sql").exists())


def test_this_version_is_recorded() -> None:
    assert __version__ in RELEASES, "run: python -m tests.upgrades.record"


@pytest.mark.parametrize("release", RELEASES)
def test_what_a_release_wrote_is_read(tmp_path: Path, release: str) -> None:
    """Rule storage.upgrade."""
    write_catalog(tmp_path, retries=1, delay=5000)
    folder = tmp_path / ".localqueue"
    folder.mkdir(mode=0o700)
    connection = sqlite3.connect(folder / "queue.db")
    connection.executescript((HERE / release / "database.sql").read_text())
    connection.close()
    with (
        working(answer) as worker,
        serving(tmp_path, "--clock", "virtual", "--seed", "1", "--target", worker.url) as server,
    ):
        assert http.get(f"{server.url}/_localqueue/ledger").text == (HERE / release / "ledger.txt").read_text()
        jobs = json.loads((HERE / release / "jobs.json").read_text())
        found = {job["id"]: job for job in server.get("/jobs?details=true")["jobs"]}
        assert list(found) == [job["id"] for job in jobs]
        for job in jobs:
            assert _plain(job).items() <= _plain(found[job["id"]]).items()
        http.post(f"{server.url}/_localqueue/queues/shop/other/resume", headers=JSON).raise_for_status()
        http.post(f"{server.url}/_localqueue/drain", headers=JSON).raise_for_status()
        assert server.job(jobs[0]["id"])["state"] == "completed"


def _plain(job: dict[str, Any]) -> dict[str, Any]:
    """Return a job without what follows from the settings in force, or may get more fields."""
    attempts = [(each["round"], each["number"], each["outcome"], each["status"]) for each in job["attempts"]]
    return {name: value for name, value in job.items() if name not in ("attempts", "held")} | {"attempts": attempts}
