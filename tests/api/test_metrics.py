"""The numbers for Prometheus, read by its official parser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

import localqueue
from localqueue.api.metrics import BOUNDS_MS, Metrics
from localqueue.core import events
from localqueue.core.clock import VirtualClock
from localqueue.core.models import Attempt, Job, JobState, Outcome, OutcomeKind
from localqueue.engine.snapshots import QueueSnapshot
from tests.support import Server, http, run_async, running_engine, serving, working, write_catalog

Numbers = dict[tuple[str, ...], float]
LINE = re.compile(r'(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+\{([a-z]+="([^"\\\n]|\\["\\n])*",?)*\} \S+)')


def parsed(text: str) -> Numbers:
    """Return every sample by name and label values, without le; check that no metric comes twice."""
    families = list(text_string_to_metric_families(text))
    assert len({family.name for family in families}) == len(families)
    assert all(family.documentation and family.type != "unknown" for family in families)
    return {(sample.name, *sample.labels.values()): sample.value for family in families for sample in family.samples}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("metrics")
    write_catalog(folder, retries=1, delay=0)
    with (
        working(lambda job: 500 if job["data"] == "bad" else 200) as worker,
        serving(folder, "--target", worker.url) as found,
    ):
        yield found


def scrape(server: Server) -> str:
    answer = http.get(f"{server.url}/_localqueue/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return answer.text


def test_jobs_and_attempts_are_counted_by_queue(server: Server) -> None:
    """Rule metrics.numbers."""
    for data, state in (("good", "completed"), ("good", "completed"), ("bad", "failed")):
        server.wait_state(server.enqueue(data), state)
    found = parsed(scrape(server))
    assert found["localqueue_build_info", localqueue.__version__] == 1
    assert found["localqueue_jobs", "shop", "work", "completed"] == 2
    assert found["localqueue_jobs", "shop", "work", "failed"] == 1
    assert found["localqueue_jobs", "shop", "other", "queued"] == 0
    assert found["localqueue_jobs_enqueued_total", "shop", "work"] == 3
    assert found["localqueue_attempts_total", "shop", "work", "completed"] == 2
    assert found["localqueue_attempts_total", "shop", "work", "http_error"] == 2
    assert found["localqueue_attempts_in_flight", "shop", "work"] == 0
    assert found["localqueue_queue_concurrency", "shop", "work"] == 5
    assert found["localqueue_queue_held", "shop", "work"] == 0
    assert found["localqueue_attempt_duration_seconds_count", "shop", "work"] == 4
    assert 0 < found["localqueue_attempt_duration_seconds_sum", "shop", "work"] < 60


def test_every_line_follows_the_text_format(server: Server) -> None:
    """Rule metrics.format."""
    text = scrape(server)
    assert text.endswith("\n")
    assert [line for line in text.splitlines() if not LINE.fullmatch(line)] == []


def test_durations_fall_into_buckets_up_to_and_including_their_bound(tmp_path: Path) -> None:
    """Rule metrics.numbers."""

    async def check() -> None:
        async with running_engine(write_catalog(tmp_path), VirtualClock(0)) as engine:
            metrics = Metrics(engine)
            for duration_ms in (0, 5, 6, 60_000, 60_001, 86_400_000):
                outcome = Outcome(OutcomeKind.TIMEOUT)
                attempt = Attempt(1, 1, 4, 0, 0, 0, duration_ms, "http://x/", outcome, None, "")
                engine.hub(events.AttemptEnded(Job(1, "id", "shop", "work", 0, 0), attempt))
            found = parsed(metrics.text([], {}))
            name = "localqueue_attempt_duration_seconds_bucket"
            counts = [found[name, "shop", "work", str(ms / 1000)] for ms in BOUNDS_MS]
            assert counts == [2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 4]
            assert found[name, "shop", "work", "+Inf"] == 6
            engine.hub(events.WasReset())
            assert "attempt_duration_seconds_count" not in metrics.text([], {})

    run_async(check())


def test_a_hostile_name_of_a_queue_stays_within_its_label(tmp_path: Path) -> None:
    """Rule metrics.format."""

    async def check() -> None:
        async with running_engine(write_catalog(tmp_path), VirtualClock(0)) as engine:
            name = 'a"} 1\n\\n{é\u2028'
            status = QueueSnapshot((name, name), None, dict.fromkeys(JobState, 0), "queue_missing", 7)
            found = parsed(Metrics(engine).text([status], {}))
            assert found["localqueue_jobs_enqueued_total", name, name] == 7
            assert found["localqueue_queue_held", name, name] == 1

    run_async(check())
