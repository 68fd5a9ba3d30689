"""Schedules: fired by the clock, across daylight saving, or by hand; a fan-out from start to end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from localqueue.catalog.loader import load
from localqueue.core import events, real_time
from localqueue.core.clock import WallClock
from localqueue.core.settings import Settings
from localqueue.delivery.delivery import Delivery
from localqueue.engine.engine import Engine
from localqueue.testing import ClientError, LocalQueue
from tests.support import JSON, client, http, localqueue, run_async, serving, until, working

DENVER = "America/Denver"
DAY_MS = 86_400_000


def catalog(*schedules: dict[str, Any]) -> dict[str, Any]:
    queues = [{"name": "sync-record", "endpoint": "/internal/jobs/sync-record", "concurrency": 20}]
    return {"metadata": {"name": "shop"}, "spec": {"queues": queues, "schedules": list(schedules)}}


def nightly(**fields: Any) -> dict[str, Any]:
    return {"name": "nightly", "cron": "0 2 * * *", "endpoint": "/internal/cron/nightly", "timezone": DENVER, **fields}


class Service:
    """An app that notes when its schedule was fired; `status` is what it responds."""

    def __init__(self) -> None:
        self.fired: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self.status = 200
        routes = [Route("/internal/cron/{name}", self.fire, methods=["POST"])]
        self.app = Starlette(routes=routes)

    async def fire(self, request: Request) -> Response:
        self.fired.append(dict(request.headers))
        self.bodies.append(await request.body())
        return Response("", self.status)

    @property
    def instants(self) -> list[str]:
        return [headers["x-fired-at"] for headers in self.fired]


@pytest.fixture
def service() -> Service:
    return Service()


@contextlib.contextmanager
def queue_at(start: str, service: Service, *schedules: dict[str, Any]) -> Iterator[LocalQueue]:
    with LocalQueue(catalog(*(schedules or (nightly(),))), schedules=True, start=start) as queue:
        queue.serve(service.app)
        yield queue


@pytest.mark.parametrize(
    ("start", "cron", "days", "instants"),
    [  # the clocks of Denver change at 2026-03-08 02:00 (-7 to -6) and at 2026-11-01 02:00 (-6 to -7)
        ("2026-03-07T00:00:00Z", "0 2 * * *", 3, ["03-07T09:00", "03-08T09:00", "03-09T08:00"]),
        ("2026-03-07T00:00:00Z", "30 2 * * *", 3, ["03-07T09:30", "03-08T09:00", "03-09T08:30"]),
        ("2026-10-31T00:00:00Z", "30 1 * * *", 3, ["10-31T07:30", "11-01T07:30", "11-02T08:30"]),
        ("2026-11-01T06:00:00Z", "*/30 1 * * *", 1, ["11-01T07:00", "11-01T07:30", "11-01T08:00", "11-01T08:30"]),
    ],
)
def test_daylight_saving_moves_firings_as_in_debian_s_cron(
    service: Service, start: str, cron: str, days: int, instants: list[str]
) -> None:
    """Rule schedule.cron."""
    with queue_at(start, service, nightly(cron=cron)) as queue:
        queue.advance(days=days)
    assert service.instants == [f"2026-{instant}:00.000Z" for instant in instants]


def test_a_firing_sends_the_headers_of_the_platform_and_is_not_retried(service: Service) -> None:
    """Rule schedule.fire."""
    service.status = 500
    with queue_at("2026-01-01T00:00:00Z", service) as queue:
        assert queue.advance("24h") == []
        assert queue.ledger() == ""
    [headers], [body] = service.fired, service.bodies
    assert (headers["x-schedule-name"], headers["x-cron-expression"]) == ("nightly", "0 2 * * *")
    assert headers["x-fired-at"] == "2026-01-01T09:00:00.000Z"
    assert (headers["content-type"], body) == ("application/json", b"{}")


def test_a_fan_out_of_300_jobs_is_one_advance() -> None:
    """Rule schedule.timeline: the cron handler responds first; the jobs that it enqueues are due then."""
    events: list[str] = []
    url: list[str] = []

    def enqueue_all() -> None:
        events.append("enqueued")
        with client(url[0]) as connection:
            for number in range(300):
                job = {"namespace": "shop", "queue": "sync-record", "data": number}
                connection.post("/jobs", json=job).raise_for_status()

    async def fire(_: Request) -> Response:
        events.append("fired")
        return JSONResponse({"started": True}, 202, background=BackgroundTask(enqueue_all))

    async def sync(request: Request) -> Response:
        events.append("synced")
        job = await request.json()
        return Response("", 503 if job["attempt"] == 1 and job["data"] % 50 == 0 else 200)

    app = Starlette(
        routes=[
            Route("/internal/cron/nightly", fire, methods=["POST"]),
            Route("/internal/jobs/sync-record", sync, methods=["POST"]),
        ]
    )
    with LocalQueue(catalog(nightly()), schedules=True, start="2026-01-01T00:00:00Z") as queue:
        url.append(queue.url)
        queue.serve(app)
        queue.advance(to="2026-01-01T02:00:00-07:00", settle="1s")
        queue.drain()
        jobs = queue.jobs(state="completed")
    assert len(jobs) == 300 and events[:2] == ["fired", "enqueued"]
    assert {job.created_at for job in jobs} == {datetime(2026, 1, 1, 9, tzinfo=UTC)}
    assert [job.data for job in jobs if len(job.attempts) == 2] == [0, 50, 100, 150, 200, 250]


def test_a_drain_fires_what_lies_on_its_way_and_ends(service: Service) -> None:
    """Rule schedule.timeline."""
    with queue_at("2026-01-01T08:59:00Z", service) as queue:
        queue.configure("sync-record", retries=1, retryDelayMs=120_000)
        queue.worker("sync-record").replies(500, 200)
        queue.enqueue("sync-record")
        queue.drain()
        assert queue.now == datetime(2026, 1, 1, 9, 1, tzinfo=UTC)
        queue.drain()
    assert service.instants == ["2026-01-01T09:00:00.000Z"]


def test_a_drain_fires_at_its_instant_what_lies_on_the_way_to_the_end_of_a_timeout(service: Service) -> None:
    """Rule schedule.timeline: no job waits any more, but the attempt that timed out lasts longer."""
    with queue_at("2026-01-01T08:59:00Z", service) as queue:
        queue.configure("sync-record", retries=0, timeoutMs=120_000)
        queue.fault("sync-record", "timeout")
        queue.enqueue("sync-record")
        queue.drain()
        assert queue.now == datetime(2026, 1, 1, 9, 1, tzinfo=UTC)
    assert service.instants == ["2026-01-01T09:00:00.000Z"]


def test_step_and_next_stop_at_a_firing(service: Service) -> None:
    """Rule schedule.timeline."""
    with queue_at("2026-01-01T08:59:59Z", service) as queue:
        queue.worker("sync-record").replies(500, 200)
        queue.enqueue("sync-record")
        assert [attempt.status for attempt in queue.step()] == [500]
        assert queue.step() == [] and len(service.fired) == 1
        assert [attempt.status for attempt in queue.step()] == [200]
        queue.advance(to="next")
        assert queue.now == datetime(2026, 1, 2, 9, tzinfo=UTC) and len(service.fired) == 2


def test_a_reset_starts_the_schedules_again(service: Service) -> None:
    """Rule schedule.timeline."""
    with queue_at("2026-01-01T00:00:00Z", service) as queue:
        queue.advance(days=2)
        queue.reset()
        queue.serve(service.app)
        queue.advance("10h")
    assert service.instants == [f"2026-01-0{day}T09:00:00.000Z" for day in (1, 2, 1)]


def test_without_the_option_only_a_trigger_fires(service: Service) -> None:
    """Rule schedule.trigger."""
    with LocalQueue(catalog(nightly())) as queue:
        queue.serve(service.app)
        queue.advance(days=3)
        assert service.fired == []
        service.status = 202
        assert queue.trigger("nightly") == 202 and len(service.fired) == 1
        with pytest.raises(ClientError, match="unknown schedule 'nightl'; declared: nightly"):
            queue.trigger("nightl")


def test_a_firing_that_no_service_gets_fails_the_test_of_the_fixture() -> None:
    with LocalQueue(catalog(nightly())) as queue:
        assert queue.trigger("nightly") == 500
        assert "shop was called by schedule:nightly at /internal/cron/nightly" in str(queue.problem())
        queue.reset()


# over HTTP and in the terminal


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    declared = {"kind": "Component", **catalog(nightly(cron="* * * * *"))}
    (tmp_path / "catalog-info.yaml").write_text(json.dumps(declared))
    return tmp_path


def test_the_wall_clock_fires_when_it_is_moved(tmp_path: Path) -> None:
    """Rule schedule.fire, schedule.missed: what was missed is fired once."""
    far = datetime.now(UTC) + timedelta(hours=12)  # so that nothing is due by itself while the test runs
    daily = nightly(cron=f"{far.minute} {far.hour} * * *", timezone="UTC")
    (tmp_path / "catalog-info.yaml").write_text(json.dumps({"kind": "Component", **catalog(daily)}))
    with working(lambda _: 204) as worker, serving(tmp_path, "--schedules", "--target", worker.url) as server:
        http.post(f"{server.url}/_localqueue/clock/advance", json={"ms": 3 * DAY_MS}, headers=JSON)
        until(lambda: worker.bodies, "it was fired")
        [listed] = server.get("/schedules")["schedules"]
        assert listed["last"]["status"] == 204 and listed["nextAt"] > listed["last"]["firedAt"]
        until(lambda: [each for each in server.events if each["event"] == "schedule"], "the log has it")
    assert worker.bodies == [b"{}"]


def test_what_was_missed_while_the_machine_slept_is_fired_once_it_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rule schedule.missed."""
    path = tmp_path / "catalog-info.yaml"
    path.write_text(json.dumps({"kind": "Component", **catalog(nightly())}))
    fired: list[events.Event] = []
    has_fired = asyncio.Event()

    def report(event: events.Event) -> None:
        if isinstance(event, events.ScheduleFired):
            fired.append(event)
            has_fired.set()

    async def scenario() -> None:
        async with contextlib.aclosing(Delivery()) as delivery:
            settings = Settings(ephemeral=True, schedules=True)
            engine = await Engine.open(tmp_path / "queue.db", load([path]), WallClock(), delivery, report, settings)
            engine.start()
            for _ in range(20):
                await asyncio.sleep(0)  # until it waits for the night
            now, *others = real_time.SYSTEM
            monkeypatch.setattr(real_time, "SYSTEM", (lambda: now() + 86_400, *others))
            engine.check_clock()
            await asyncio.wait_for(has_fired.wait(), 30)
            await engine.close()

    run_async(scenario())
    assert len(fired) == 1


def test_the_commands_list_and_trigger(folder: Path) -> None:
    """Rule schedule.trigger, cli.schedules."""
    with working(lambda _: (500, b"no database", {})) as worker, serving(folder, "--target", worker.url) as server:
        listed = localqueue("schedules", "--url", server.url)
        assert listed.exit_code == 0 and "shop/nightly  * * * * *  America/Denver" in listed.output
        assert "localqueue up --schedules" in listed.output
        found = localqueue("trigger", "nightly", "--url", server.url)
        assert (found.exit_code, found.output.split()) == (1, ["shop/nightly", "500", *found.output.split()[2:]])
        assert "no database" in found.output
        unknown = localqueue("trigger", "shop/nightyl", "--url", server.url)
        assert unknown.exit_code == 1 and "unknown schedule 'nightyl'; declared: nightly" in unknown.stderr
        answer = http.post(f"{server.url}/_localqueue/schedules/shop/x/trigger", headers=JSON)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_schedule")
        http.put(f"{server.url}/_localqueue/targets/shop", json={"url": "http://127.0.0.1:9"}).raise_for_status()
        refused = localqueue("trigger", "nightly", "--url", server.url)
        assert refused.output.lower().count("nothing is listening on") == 1
    assert worker.bodies == [b"{}"]


def test_a_trigger_that_a_reset_cuts_off_is_refused_with_the_reason(folder: Path) -> None:
    """Rule schedule.trigger."""
    may_respond = threading.Event()

    def answer(_: dict[str, Any]) -> int:
        may_respond.wait(30)
        return 200

    with working(answer) as worker, serving(folder, "--target", worker.url) as server, ThreadPoolExecutor(1) as threads:
        url = f"{server.url}/_localqueue/schedules/shop/nightly/trigger"
        triggering = threads.submit(http.post, url, headers=JSON)
        until(lambda: worker.bodies, "the service was called")
        assert http.post(f"{server.url}/_localqueue/reset", headers=JSON).status_code == 200
        refused = triggering.result(30)
        may_respond.set()
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "wrong_state")
        assert "was cut off by a reset" in refused.json()["error"]["message"]
        assert http.post(url, headers=JSON).json()["status"] == 200


def test_a_changed_catalog_changes_the_schedules(folder: Path) -> None:
    with serving(folder, "--schedules") as server:
        path = folder / "catalog-info.yaml"
        path.write_text(path.read_text().replace("nightly", "hourly"))
        until(lambda: server.get("/schedules")["schedules"][0]["name"] == "hourly", "the catalog is reloaded")
        assert server.get("/schedules")["schedules"][0]["nextAt"] is not None


@pytest.fixture
def problems(tmp_path: Path) -> Iterator[Any]:
    def check(**fields: Any) -> str:
        schedule = {key: value for key, value in nightly(**fields).items() if value is not None}
        declared = {"kind": "Component", **catalog(schedule)}
        (tmp_path / "catalog-info.yaml").write_text(json.dumps(declared))
        found = localqueue("check", str(tmp_path))
        assert found.exit_code == 1
        return found.output

    yield check


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"cron": "0 0 2 * * *"},
            "wrong_cron cron must have 5 fields (minute, hour, day, month, weekday), "
            'not "0 0 2 * * *"; without seconds: "0 2 * * *"',
        ),
        ({"cron": "0 0 2 * * * *"}, 'weekday), not "0 0 2 * * * *"\n'),
        ({"cron": "0 0 25 * * *"}, 'weekday), not "0 0 25 * * *"\n'),
        ({"cron": "0 25 * * *"}, "wrong_cron cron must be valid (bad hour)"),
        ({"cron": "0 0 31 2 *"}, "wrong_cron cron must"),
        ({"cron": 5}, "wrong_cron cron must be a string in quotes, not 5"),
        ({"cron": None}, "missing_cron the cron of this schedule is missing"),
        ({"timezone": "America/Denvr"}, 'not "America/Denvr"; did you mean America/Denver'),
        ({"timezone": "../etc"}, "wrong_timezone timezone must be an IANA name"),
        ({"timeoutMs": 0}, "out_of_range timeoutMs must be a whole number from 1"),
        ({"endpoint": "http://x/y"}, "wrong_endpoint endpoint must be a path on the service"),
        ({"name": None}, "missing_name the name of this schedule is missing"),
        ({"description": []}, "wrong_type description must be a string, not a list"),
    ],
)
def test_a_wrong_schedule_is_refused_with_its_place(problems: Any, fields: dict[str, Any], message: str) -> None:
    """Rule schedule.catalog."""
    text = problems(**fields)
    assert message in text and ":1:" in text


def test_two_schedules_of_one_name_are_refused(tmp_path: Path) -> None:
    """Rule schedule.catalog."""
    declared = {"kind": "Component", **catalog(nightly(), nightly(cron="5 5 * * *"))}
    (tmp_path / "catalog-info.yaml").write_text(json.dumps(declared, indent=1))
    found = localqueue("check", str(tmp_path))
    assert 'duplicate_schedule schedule "nightly" is already declared at' in found.output
