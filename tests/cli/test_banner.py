"""The banner of `up`: what it says of the server and the catalog before the first job."""

from __future__ import annotations

from pathlib import Path

from localqueue.catalog.loader import load
from localqueue.cli.output.banner import banner
from localqueue.server.server import RunningServer
from tests.support import write_catalog

NIGHTLY = "  schedules:\n    - {name: nightly, cron: '0 2 * * *', endpoint: /nightly}\n"
NOT_FIRED = "\n  the clock doesn't fire schedules; for that, start the server with: localqueue up --schedules\n"


def shown(folder: Path, schedules: str, *, fires_schedules: bool) -> str:
    catalog = write_catalog(folder)
    catalog.write_text(catalog.read_text() + schedules)
    where = RunningServer("http://localhost:4327", 4327, folder, False, "wall", fires_schedules=fires_schedules)
    return banner(where, load([catalog]))


def test_the_banner_says_that_the_clock_does_not_fire_the_schedules_it_lists(tmp_path: Path) -> None:
    """Rule cli.up: without --schedules, only `trigger` fires them."""
    assert NOT_FIRED in shown(tmp_path, NIGHTLY, fires_schedules=False)
    assert NOT_FIRED not in shown(tmp_path, NIGHTLY, fires_schedules=True)
    assert NOT_FIRED not in shown(tmp_path, "", fires_schedules=False)
