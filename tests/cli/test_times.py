"""Times for people: local, or in UTC with a mark; over a real server in a time zone that is not UTC."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from localqueue.cli.main import COMMANDS
from localqueue.cli.output.time_format import TimeFormat
from tests.cli.test_exec import ENQUEUE
from tests.conftest import Shop
from tests.forking import ForkedPopen
from tests.support import http, localqueue, serving, working, write_catalog

KOLKATA = "Asia/Kolkata"
TIME = re.compile(r"(?:(\d{4}-\d\d-\d\d)[ T])?(\d\d:\d\d:\d\d\.\d{3})(Z|[+-]\d\d:\d\d|)")
SCHEDULE = "  schedules:\n    - {name: leap, cron: '0 0 29 2 *', endpoint: /leap}\n"
Zone = Callable[[str], None]


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Zone]:
    """Return a function that moves this process to a time zone, until the end of the test."""

    def move(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield move
    monkeypatch.undo()
    time.tzset()


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


# one time


@pytest.mark.parametrize(
    ("name", "instant", "now", "local", "utc"),
    [
        ("UTC", "2026-11-30T09:12:04.411Z", "2026-11-30T23:00Z", "09:12:04.411Z", "09:12:04.411Z"),
        ("Europe/London", "2026-11-30T09:12:04.411Z", "2026-11-30T23:00Z", "09:12:04.411", "09:12:04.411Z"),
        (KOLKATA, "2026-11-30T09:12:04.411Z", "2026-11-30T10:00Z", "14:42:04.411", "09:12:04.411Z"),
        (KOLKATA, "2026-11-30T17:00:00Z", "2026-11-30T19:00Z", "2026-11-30 22:30:00.000", "17:00:00.000Z"),
        (KOLKATA, "2026-11-29T23:00:00Z", "2026-11-30T01:00Z", "04:30:00.000", "2026-11-29 23:00:00.000Z"),
        ("America/New_York", "2026-12-01T01:00:00Z", "2026-12-01T02:00Z", "20:00:00.000", "01:00:00.000Z"),
        ("America/New_York", "2026-03-08T06:59:00Z", "2026-03-08T07:00Z", "01:59:00.000", "06:59:00.000Z"),
        ("America/New_York", "2026-03-08T07:00:00Z", "2026-03-08T07:01Z", "03:00:00.000", "07:00:00.000Z"),
        ("America/New_York", "2026-11-01T05:30:00Z", "2026-11-01T06:40Z", "01:30:00.000-04:00", "05:30:00.000Z"),
        ("America/New_York", "2026-11-01T06:30:00Z", "2026-11-01T06:40Z", "01:30:00.000-05:00", "06:30:00.000Z"),
        ("America/New_York", "2026-11-01T07:00:00Z", "2026-11-01T07:00Z", "02:00:00.000", "07:00:00.000Z"),
    ],
)
def test_a_time_is_local_or_marked_and_what_is_written_can_be_read(
    zone: Zone, name: str, instant: str, now: str, local: str, utc: str
) -> None:
    """Rule cli.time: with the date if it isn't today's, and in the hour that is repeated with its offset."""
    zone(name)
    at, now_ms = ms(instant), ms(now)
    forms = [TimeFormat.on("wall", is_utc) for is_utc in (False, True)]
    assert [form.moment(at, now_ms) for form in forms] == [local, utc]
    written = [text for form in forms for text in (form.moment(at, now_ms), form.full(at), form.time_of_day(at))]
    assert [forms[0].parse(text, now_ms) for text in written] == [at] * 6
    assert forms[1].parse(utc.removesuffix("Z"), now_ms) == at


def test_virtual_time_is_in_utc_and_marked_everywhere(zone: Zone, shop: Shop) -> None:
    """Rule cli.time."""
    zone(KOLKATA)
    assert shop.shown("clock") == "2026-01-01 00:00:00.000Z (virtual clock)\n"
    shop.server.enqueue()
    shop.shown("advance", "1s")
    last = shop.server.enqueue()
    assert "00:00:00.000Z" in shop.shown("jobs") and "enqueued  00:00:01.000Z" in shop.job(last)
    found = {"00:00:01.000Z": 1, "T00:00:01": 1, "00:00:01": 1, "05:30:01+05:30": 1, "2026-01-01": 2}
    for since, count in found.items():
        assert shop.shown("jobs", "--since", since).count("  work  ") == count, since


# every command


def marks_in(text: str, since: datetime) -> list[str]:
    """Return the marks of the times in a text; each must be a moment of this test, in Kolkata or in UTC as marked."""
    marks = []
    for date, clock, mark in TIME.findall(text):
        tz = UTC if mark == "Z" else ZoneInfo(KOLKATA)
        at = datetime.fromisoformat(f"{date or datetime.now(tz).date()} {clock}").replace(tzinfo=tz)
        if not date and at > datetime.now(UTC) + timedelta(hours=1):
            at -= timedelta(days=1)  # midnight has passed meanwhile
        is_now = since - timedelta(seconds=1) <= at <= datetime.now(UTC) + timedelta(hours=1)
        is_leap_day = f"{at.astimezone(UTC):%m-%d %H:%M}" == "02-29 00:00"  # the next firing
        assert is_now or is_leap_day, f"{date} {clock}{mark} isn't a time of now in:\n{text}"
        marks.append(mark)
    return marks


SCRIPT = {
    "status": True,
    "queues": False,
    "jobs": True,
    "jobs --by-error": True,
    "job ID": True,
    "schedules": True,
    "clock": True,
    "advance --to-next": True,
    "drain --timeout 0s": True,
    "ledger": False,
    "trigger leap": False,
    "enqueue work": False,
    "retry ID": False,
    "cancel ID": False,
    "replay ID": False,
    "export ID --as pytest": False,
    "delete ID": False,
    "pause other": False,
    "resume other": False,
    "fault list": False,
    "hold ID": False,
    "release ID": False,
    "doctor": False,
    "check --catalog CATALOG": False,
    "reset": True,
}
"""Every command, in an order in which each has something to print, and whether that has times."""
LOGS = {"up", "exec", "tail"}
WITHOUT_SERVER = {"open", "conformance"}


def test_each_command_writes_local_times_or_marks_them(zone: Zone, tmp_path: Path) -> None:
    """Rule cli.time: no time in UTC without its mark."""
    assert {words.split()[0] for words in SCRIPT} | LOGS | WITHOUT_SERVER == set(COMMANDS)
    zone(KOLKATA)
    since = datetime.now(UTC)
    catalog = write_catalog(tmp_path, retries=5, delay=60_000)
    catalog.write_text(catalog.read_text() + SCHEDULE)
    options = ("--schedules", "--target")
    with working(lambda _: 503) as worker, serving(tmp_path, *options, worker.url) as server:
        http.patch(f"{server.url}/_localqueue/queues/shop/other", json={"retries": 0}).raise_for_status()
        server.wait_state(server.enqueue({"n": 2}, "work"), "retrying")
        failed = server.enqueue({"n": 1}, "other")
        server.wait_state(failed, "failed")
        for line, has_times in SCRIPT.items():
            words = line.replace("ID", failed).replace("CATALOG", str(catalog)).split()
            for option, env, mark in (((), {}, ""), (("--utc",), {}, "Z"), ((), {"LOCALQUEUE_UTC": "1"}, "Z")):
                if has_times or not mark:
                    address = () if words[0] == "check" else ("--url", server.url)
                    found = localqueue(*words, *option, *address, env=env)
                    marks = set(marks_in(found.stdout, since))
                    assert marks == ({mark} if has_times else set()), f"{line} {option} {env}: {found.output}"


def test_a_written_time_selects_the_same_jobs_when_it_is_pasted(zone: Zone, tmp_path: Path) -> None:
    """Rule cli.time."""
    zone(KOLKATA)
    write_catalog(tmp_path)
    with working() as worker, serving(tmp_path, f"--target={worker.url}") as server:
        shop = Shop(server, worker)
        for _ in range(3):
            server.enqueue()
            shop.shown("advance", "2h")
        for option in ((), ("--utc",)):
            enqueued = TIME.findall(shop.shown("jobs", *option))
            for count, (date, clock, mark) in enumerate(enqueued, 1):
                since = f"{date} {clock}{mark}".strip()
                assert len(json.loads(shop.shown("jobs", "--since", since, "--json"))["jobs"]) == count


@contextlib.contextmanager
def writing(folder: Path, *words: str) -> Iterator[Iterator[str]]:
    """Run a command in Kolkata; yield its lines."""
    env, pipe = {**os.environ, "TZ": KOLKATA}, subprocess.PIPE
    with ForkedPopen(words, cwd=folder, env=env, stdout=pipe, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout
        finally:
            if words[0] != "exec":  # it ends by itself
                process.send_signal(2)
        process.stdout.read()
        assert process.wait(30) == 0


@pytest.mark.parametrize(("options", "mark"), [((), ""), (("--utc",), "Z")])
def test_logs_are_in_local_time_or_marked(tmp_path: Path, options: tuple[str, ...], mark: str) -> None:
    """Rule cli.time: `up`, `tail` and `exec`."""
    since = datetime.now(UTC)
    write_catalog(tmp_path)
    with working() as worker:
        target = f"--target={worker.url}"
        with writing(tmp_path, "up", "--port", "0", "--ephemeral", target, *options) as up:
            url = next(line.split("=")[1].strip() for line in up if "IEC_QUEUE_URL=" in line)
            with writing(tmp_path, "tail", "--url", url, *options) as tail:
                next(line for line in tail if "Following" in line)
                names = {"namespace": "shop", "queue": "work"}
                http.post(f"{url}/jobs", json=names).raise_for_status()
                lines = [next(line for line in lines if "attempt 1/" in line) for lines in (up, tail)]
        with writing(tmp_path, "exec", target, *options, "--", "sh", "-c", ENQUEUE) as run:
            lines.append(next(line for line in run if "attempt 1/" in line))
        assert [marks_in(line, since) for line in lines] == [[mark]] * 3
