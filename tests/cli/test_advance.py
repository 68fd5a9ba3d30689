"""What `advance` and `drain` print: the attempts and firings that ended."""

from __future__ import annotations

from pathlib import Path

from tests.cli.test_banner import NIGHTLY
from tests.support import localqueue, serving, working, write_catalog


def test_the_table_of_advance_lists_firings_of_schedules_among_the_attempts(tmp_path: Path) -> None:
    """Rule schedule.timeline: at the same instant, a schedule fires before the jobs run."""
    catalog = write_catalog(tmp_path, delay=5000)
    catalog.write_text(catalog.read_text() + NIGHTLY)
    options = ("--clock", "virtual", "--start", "2026-01-01T01:59:55Z", "--schedules", "--ephemeral")
    with (
        working(lambda body: 503 if body.get("attempt") == 1 else 200) as worker,
        serving(tmp_path, "--target", worker.url, *options) as server,
    ):
        id_ = server.enqueue()[-8:]
        assert localqueue("advance", "5s", "--url", server.url).stdout == (
            "started        queue                  job       attempt  outcome         next due\n"
            f"01:59:55.000Z  work                   {id_}  1/4      http_error 503  02:00:00.000Z\n"
            "02:00:00.000Z  schedule shop/nightly                     completed 200\n"
            f"02:00:00.000Z  work                   {id_}  2/4      completed 200\n"
            "2 attempts, 1 firing, now 2026-01-01 02:00:00.000Z\n"
        )
        found = localqueue("advance", "24h", "--url", server.url)
        assert found.stdout.endswith("\nno attempts, 1 firing, now 2026-01-02 02:00:00.000Z\n")
