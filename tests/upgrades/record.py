"""Record what this version writes: `python -m tests.upgrades.record`, once for each release."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

from localqueue import __version__
from tests.support import JSON, http, serving, working, write_catalog

HERE = Path(__file__).parent


def answer(job: dict[str, Any]) -> tuple[int, bytes, dict[str, str]]:
    """Fail the first attempt of each second job, and all attempts of the data `bad`."""
    content = {"Content-Type": "application/json"}
    if job["data"] == "bad" or (job["data"] == "late" and job["attempt"] == 1):
        return 500, b'{"message": "no policy"}', content
    return 200, b'{"done": true}', content


def record(folder: Path) -> None:
    """Write the database as SQL, the ledger, and the jobs as the API shows them."""
    write_catalog(folder, retries=1, delay=5000)
    with (
        working(answer) as worker,
        serving(folder, "--clock", "virtual", "--seed", "1", "--target", worker.url) as server,
    ):
        for data in ("good", "late", "bad", {"b": 1.50, "a": [12345678901234567890]}):
            server.enqueue(data)
        http.post(f"{server.url}/_localqueue/drain", headers=JSON).raise_for_status()
        server.enqueue("waits", "other")
        http.post(f"{server.url}/_localqueue/queues/shop/other/pause", headers=JSON).raise_for_status()
        ledger = http.get(f"{server.url}/_localqueue/ledger").text
        jobs = server.get("/jobs?details=true")["jobs"]
    for job in jobs:
        for attempt in job["attempts"]:
            attempt["request"]["url"] = "http://localhost/work"
    connection = sqlite3.connect(folder / ".localqueue" / "queue.db")
    marks = {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")}
    dump = "\n".join(connection.iterdump())
    connection.close()
    target = HERE / __version__
    target.mkdir(exist_ok=True)
    lines = [dump, *(f"PRAGMA {name} = {value};" for name, value in marks.items())]
    (target / "database.sql").write_text("\n".join(lines) + "\n")
    (target / "ledger.txt").write_text(ledger)
    (target / "jobs.json").write_text(json.dumps(jobs, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        record(Path(name))
