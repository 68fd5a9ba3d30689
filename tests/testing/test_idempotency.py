"""`assert_idempotent`, `--deliver-twice` and `replay --same-id`: the same jobId comes twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Shop
from tests.support import http, serving, until, working, write_catalog
from tests.testing.runner import Runner

SAMPLE = Path(__file__).parents[2] / "sample-service"
CHECK = 'if (claim_id, job["jobId"]) in done:'
WORK = "        process(claim_id, amount)\n"
FOLLOW_UP = '        await enqueue("sync-record", job["data"])\n'
UNCLOSED = ("ResourceWarning", "pytest.PytestUnraisableExceptionWarning")
"""The sample service never closes its client."""
TESTS = f"""
import importlib
import pytest

@pytest.fixture(scope="session")
def localqueue_catalog():
    return {str(SAMPLE / "catalog-info.yaml")!r}

@pytest.fixture
def app(localqueue, localqueue_url):
    import app
    importlib.reload(app)  # its client belongs to the loop of the test before
    localqueue.serve(app.app)
    return app

def test_asserted(localqueue, app):
    job = localqueue.enqueue("process-claim", {{"claimId": "c-1", "amount": 5}})
    localqueue.drain()
    localqueue.assert_idempotent(job, unchanged=lambda: app.claims)

def test_a_response_is_lost(localqueue, app):
    localqueue.fault("process-claim", "lost-ack")
    localqueue.enqueue("process-claim", {{"claimId": "c-1", "amount": 5}})
    localqueue.drain()
    assert app.claims["c-1"]["processed"] == 1
"""


@pytest.mark.parametrize("is_checked", [True, False])
def test_the_sample_service_needs_its_idempotency_check(run: Runner, is_checked: bool) -> None:
    """Rule deliver.twice, faults.outcomes."""
    source = (SAMPLE / "python/app.py").read_text()
    assert (source.count(CHECK), source.count(WORK)) == (1, 1)
    source = source.replace(WORK, WORK + FOLLOW_UP)
    (run.folder / "app.py").write_text(source if is_checked else source.replace(CHECK, "if False:"))
    output, counts = run(TESTS, *(f"-Wignore::{kind}" for kind in UNCLOSED))
    if is_checked:
        assert counts == {"passed": 2}, output
        return
    assert counts == {"failed": 2}, output
    assert "isn't idempotent; its second delivery, with the same jobId," in output
    assert "enqueued 1 job: sync-record " in output
    assert "make the handler check first whether this jobId is already done; if so, respond 200" in output
    assert "changed the result of `unchanged`: {'c-1': {'claimId': 'c-1', 'processed': 1" in output
    assert "assert 2 == 1" in output and "lost_ack (injected)" in output


def test_the_fixture_says_what_a_second_delivery_did(run: Runner) -> None:
    """Rule deliver.twice."""
    output, counts = run("""
        import asyncio
        import pytest
        from localqueue.testing import ClientError

        def test_fails(localqueue):
            localqueue.worker("work").replies(200, 503)
            job = localqueue.enqueue("work")
            localqueue.drain()
            with pytest.raises(AssertionError, match="failed: the service responded 503"):
                asyncio.run(localqueue.assert_idempotent_async(job))
            assert localqueue.job(job).state == "completed" and len(localqueue.job(job).attempts) == 1

        def test_unfinished(localqueue):
            localqueue.worker("work").replies(200)
            job = localqueue.enqueue("work")
            with pytest.raises(ClientError, match="only completed or failed jobs can be delivered again"):
                localqueue.assert_idempotent(job)
            localqueue.drain()
    """)
    assert counts == {"passed": 2}, output


def test_replay_with_the_same_id_shows_both_responses_and_changes_nothing(shop: Shop) -> None:
    """Rule deliver.twice."""
    shop.script += [(200, b'{"status": "done"}', {}), (200, b'{"status": "already done"}', {}), 500, 200]
    id_ = shop.server.enqueue({"claim": 7})
    shop.shown("drain")
    before = shop.server.job(id_)
    text = shop.shown("replay", id_[-8:], "--same-id").replace(id_[-8:], "SHORT")
    assert text.splitlines() == [
        "shop/work SHORT, attempt 1, delivered again",
        '  first   200  {"status": "done"}',
        '  second  200  {"status": "already done"}',
        "  the bodies of the responses differ",
        "  no jobs enqueued during the second delivery",
    ]
    found = shop("replay", id_, "--same-id")
    assert found.exit_code == 1 and "  second  500  ok" in found.stdout
    assert shop.server.job(id_) == before
    assert shop.worker.bodies[0] == shop.worker.bodies[1] == shop.worker.bodies[2]
    assert "--data can't be used with --same-id" in shop.failing("replay", id_, "--same-id", "--data", "1", code=2)


def test_a_job_that_was_not_delivered_can_not_be_delivered_again(shop: Shop) -> None:
    id_ = shop.server.enqueue()
    error = shop.failing("replay", id_, "--same-id")
    assert f"job {id_[-8:]} is queued; only completed or failed jobs can be delivered again" in error
    shop.shown("cancel", id_)
    assert "is cancelled; only completed or failed jobs" in shop.failing("replay", id_, "--same-id")
    assert "there is no job 00000000" in shop.failing("replay", "0" * 8, "--same-id")


def test_a_second_delivery_names_the_jobs_that_were_enqueued_meanwhile(tmp_path: Path) -> None:
    """Rule deliver.twice."""
    urls: list[str] = []

    def enqueue(job: dict[str, Any]) -> int:
        if job["queue"] == "work":
            for number in range(2):
                http.post(f"{urls[0]}/jobs", json={"namespace": "shop", "queue": "other", "data": number})
        return 200

    write_catalog(tmp_path)
    with working(enqueue) as worker, serving(tmp_path, "--target", worker.url) as server:
        urls.append(server.url)
        id_ = server.enqueue()
        server.wait_state(id_, "completed")
        found = http.post(
            f"{server.url}/_localqueue/jobs/{id_}/deliver-again", headers={"Content-Type": "application/json"}
        ).json()
        assert found["enqueuedCount"] == 2 and [job["queue"] for job in found["enqueued"]] == ["other", "other"]
        assert found["enqueued"][0]["seq"] < found["enqueued"][1]["seq"]
        assert found["differences"] == [] and found["job"]["state"] == "completed"


def test_deliver_twice_sends_what_completes_again_and_warns_of_differences(tmp_path: Path) -> None:
    """Rule deliver.twice."""
    seen: dict[str, int] = {}

    def answer(job: dict[str, Any]) -> int | tuple[int, bytes, dict[str, str]]:
        seen[job["jobId"]] = seen.get(job["jobId"], 0) + 1
        if job["data"] == "fails":
            return 500
        if seen[job["jobId"]] == 1:
            return 200, b'{"a": 1, "b": 2}', {}
        if job["data"] == "skips":
            return 200, b'{"success": true, "skipped": true}', {}
        return (409, b"", {}) if job["data"] == "differs" else (200, b'{"b":2,"a":1}', {})

    write_catalog(tmp_path, retries=0)
    with working(answer) as worker, serving(tmp_path, "--target", worker.url, "--deliver-twice") as server:
        ids = {data: server.enqueue(data) for data in ("same", "skips", "differs", "fails")}
        states = {data: server.wait_state(id_, "completed", "failed") for data, id_ in ids.items()}
        assert [state["state"] for state in states.values()] == ["completed", "completed", "completed", "failed"]
        assert [len(state["attempts"]) for state in states.values()] == [1, 1, 1, 1]
        assert [seen[id_] for id_ in ids.values()] == [2, 2, 2, 1]
        warnings = until(
            lambda: [each for each in server.events if "delivered twice:" in each.get("message", "")], "it"
        )
    assert [each["message"] for each in warnings] == [
        f"shop/work {ids['differs'][-8:]}, delivered twice: the first delivery got 200, the second one failed: "
        "the service responded 409; the bodies of the responses differ (--deliver-twice)"
    ]
