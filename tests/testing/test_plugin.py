"""The pytest fixture, by real pytest runs in processes of their own: the rules of `testing.*`."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from localqueue.core.errors import ClientError
from localqueue.testing.local_queue import LocalQueue
from tests.support import until
from tests.testing.runner import CONFTEST, Runner

CATALOG = {"metadata": {"name": "shop"}, "spec": {"queues": [{"name": "work", "endpoint": "/work"}]}}


def test_a_retry_is_tested_in_ten_lines_with_production_s_own_delays(run: Runner) -> None:
    """Rule testing.worker, testing.results."""
    output, counts = run("""
        from datetime import UTC, datetime, timedelta

        def test_claim(localqueue):
            worker = localqueue.worker("work").replies(500, "timeout", "reset", (200, {"ok": True}))
            assert localqueue.worker("work") is worker
            job = localqueue.enqueue("work", {"claimId": 7})
            attempts = localqueue.drain()
            job = localqueue.job(job.id)
            assert job.state == "completed"
            assert [each.outcome for each in job.attempts] == ["http_error", "timeout", "connection_error", "completed"]
            assert [each.outcome for each in attempts] == [each.outcome for each in job.attempts]
            assert job.attempts[0].started_at == datetime(2026, 1, 1, tzinfo=UTC)
            assert job.attempts[0].next_due_at - job.attempts[0].ended_at == timedelta(seconds=5)
            assert job.attempts[3].response.body == '{"ok": true}'
            assert [each.attempt for each in worker.requests] == [1, 2, 3, 4]
            assert worker.requests[0].json["data"] == {"claimId": 7}
            assert worker.requests[0].headers["content-type"] == "application/json"
            assert worker.requests[0].body.startswith(b'{"jobId":')
            assert localqueue.ledger() == (
                " +0.000s  work#1  1/4  http_error 500                     next +5.000s\\n"
                " +5.000s  work#1  2/4  timeout                            next +40.000s\\n"
                "+40.000s  work#1  3/4  connection_error connection_reset  next +45.000s\\n"
                "+45.000s  work#1  4/4  completed 200\\n"
            )
    """)
    assert counts == {"passed": 1}, output


def test_replies_may_be_callables_that_enqueue_and_always_is_used_after_the_script(run: Runner) -> None:
    """Rule testing.replies."""
    output, counts = run("""
        import pytest

        def test_callables(localqueue):
            def handle(request):
                localqueue.enqueue("other", request.data)
                return (202, "later") if request.attempt == 1 else 500
            localqueue.worker("work").replies(handle, lambda request: None).always(204)
            localqueue.worker("other").always(200)
            for number in range(4):
                localqueue.enqueue("work", number)
            localqueue.drain()
            assert [job.state for job in localqueue.jobs(queue="work")] == ["completed"] * 4
            found = [localqueue.job(job.id).attempts[0].status for job in localqueue.jobs("work")]
            assert found == [202, 200, 204, 204]
            localqueue.assert_enqueued("other", data=0, count=1)

        @pytest.mark.parametrize("reply", [199, 1000, True, (200,), None, ("timeout", 1)])
        def test_wrong_replies_are_refused(localqueue, reply):
            with pytest.raises(ValueError, match="a reply must be a status from 200 to 999"):
                localqueue.worker("work").replies(reply)
    """)
    assert counts == {"passed": 7}, output


def test_a_delivery_without_a_reply_gets_a_500_and_fails_the_test(run: Runner) -> None:
    """Rule testing.unexpected."""
    output, counts = run("""
        def test_neither(localqueue):
            localqueue.enqueue("work", {"claimId": 7})
            assert [each.status for each in localqueue.advance("0s")] == [500]

        def test_script_is_used_up(localqueue):
            localqueue.worker("other").replies(200)
            localqueue.worker("work").replies(500)
            localqueue.enqueue("work", "x")
            localqueue.advance(seconds=5)

        def test_unused_replies_never_fail(localqueue):
            localqueue.worker("work").replies(500, 500, 500)
    """)
    assert counts == {"failed": 2, "passed": 1}, output
    assert "unexpected deliveries" in output
    assert "nothing: the test uses neither serve(...) nor worker(...).replies(...)" in output
    assert "worker('other') got no deliveries; 1 reply left" in output
    assert "got attempt 2 of job " in output and 'with data "x"' in output


def test_failures_list_what_was_there(run: Runner) -> None:
    """Rule testing.assertions."""
    output, counts = run("""
        import pytest

        def test_assertions(localqueue):
            localqueue.configure("work", retries=0)
            job = localqueue.enqueue("work", {"claimId": 7})
            assert localqueue.assert_enqueued("work", data={"claimId": 7}, count=1)[0].id == job.id
            localqueue.refute_enqueued("other")
            localqueue.refute_enqueued("work", data={"claimId": 8})
            for check, words in [
                (lambda: localqueue.assert_enqueued("other"), "expected a job in other, got 0; these were enqueued:"),
                (lambda: localqueue.assert_enqueued("work", 8, 2), "expected 2 jobs in work with data 8, got 0"),
                (lambda: localqueue.refute_enqueued("work"), "expected no jobs in work, got 1:"),
                (lambda: localqueue.wait_for(2, "work", "20ms"), "expected 2 jobs in work within 20ms, got 1"),
            ]:
                with pytest.raises(AssertionError) as caught:
                    check()
                assert words in str(caught.value)
                if "got 1" not in words or "no job" in words:
                    assert '{"claimId": 7}' in str(caught.value)
            localqueue.wait_for(jobs=1)
            localqueue.worker("work").replies(500)
            localqueue.drain()
            assert localqueue.job(job.id).state == "failed"

        def test_unknown_names(localqueue):
            with pytest.raises(Exception, match="unknown queue 'wrok'; declared: work, other"):
                localqueue.enqueue("wrok")
            with pytest.raises(Exception, match="unknown queue 'wrok'; declared: work, other"):
                localqueue.worker("wrok")
            with pytest.raises(Exception, match="unknown key 'retry'; known: retries"):
                localqueue.configure("work", retry=1)

        def test_a_failure_shows_the_ledger(localqueue):
            localqueue.worker("work").replies(200)
            localqueue.enqueue("work")
            localqueue.drain()
            assert 0
    """)
    assert counts == {"passed": 2, "failed": 1}, output
    assert "localqueue: ledger" in output
    assert "+0.000s  work#1  1/4  completed 200" in output


SERVICES = """
import httpx
import os
import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

started = []

async def asgi_work(request):
    body = await request.json()
    if body["attempt"] == 1:
        raise RuntimeError("no database yet")
    enqueue()
    return Response(status_code=204)

async def asgi_other(request):
    return Response("ok")

class Lifespan:
    def __init__(self, app): pass
    async def __aenter__(self): started.append(True)
    async def __aexit__(self, *_): started.append(False)

asgi = Starlette(
    routes=[Route("/work", asgi_work, methods=["POST"]), Route("/other", asgi_other, methods=["POST"])],
    lifespan=Lifespan,
)

def enqueue():
    job = {"namespace": os.environ["SERVICE_NAMESPACE"], "queue": "other", "data": {"from": "handler"}}
    httpx.post(os.environ["IEC_QUEUE_URL"] + "/jobs", json=job, trust_env=False).raise_for_status()

def wsgi(environ, start_response):
    import json
    body = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
    if body["queue"] == "work" and body["attempt"] == 1:
        raise RuntimeError("no database yet")
    if body["queue"] == "work":
        enqueue()
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""


def test_an_asgi_or_wsgi_service_is_served_and_may_enqueue_in_its_handlers(run: Runner) -> None:
    """Rule testing.serve, testing.environment."""
    output, counts = run(
        SERVICES
        + """
@pytest.mark.parametrize("app", [asgi, wsgi], ids=["asgi", "wsgi"])
def test_served(localqueue, app):
    url = localqueue.serve(app)
    assert localqueue.target == url
    assert os.environ["IEC_QUEUE_URL"] == localqueue.url
    job = localqueue.enqueue("work", {"n": 1})
    made = [(each.queue, each.status) for each in localqueue.drain()]
    assert made == [("work", 500), ("work", 204 if app is asgi else 200), ("other", 200)]
    localqueue.wait_for(jobs=1, queue="other")
    localqueue.assert_enqueued("other", data={"from": "handler"}, count=1)
    assert localqueue.job(job.id).state == "completed"

def test_a_stub_takes_precedence_over_the_service_and_the_lifespan_has_run(localqueue):
    assert started == [True, False]
    localqueue.serve(asgi)
    localqueue.worker("work").replies(200)
    localqueue.enqueue("work")
    assert len(localqueue.drain()) == 1

def test_the_environment_is_set_back():
    assert "IEC_QUEUE_URL" not in os.environ
"""
    )
    assert counts == {"passed": 4}, output


def test_an_exception_in_a_handler_is_shown_in_the_failing_test_without_the_framework_s_frames(run: Runner) -> None:
    """Rule testing.exceptions."""
    output, counts = run(
        SERVICES
        + """
@pytest.mark.parametrize("app", [asgi, wsgi], ids=["asgi", "wsgi"])
def test_served(localqueue, app):
    localqueue.serve(app)
    localqueue.enqueue("work", {"n": 1})
    assert [each.status for each in localqueue.advance("0s")] == [200]

def test_stub(localqueue):
    localqueue.worker("work").replies(lambda request: 1 / 0)
    localqueue.enqueue("work")
    assert localqueue.advance("0s")[0].status == 200
"""
    )
    assert counts == {"failed": 3}, output
    assert output.count("localqueue: exceptions in handlers") == 3
    assert output.count("RuntimeError: no database yet") == 2
    assert "ZeroDivisionError" in output
    assert "starlette/routing.py" not in output


def test_a_service_that_can_t_start_is_reported(run: Runner) -> None:
    """Rule testing.serve."""
    output, counts = run("""
        import pytest

        def test_broken_lifespan(localqueue):
            async def app(scope, receive, send):
                if scope["type"] == "lifespan":
                    await receive()
                    await send({"type": "lifespan.startup.failed", "message": "no database"})
            with pytest.raises(Exception, match="its lifespan failed"):
                localqueue.serve(app)
            with pytest.raises(Exception, match="needs an ASGI or WSGI app, not int"):
                localqueue.serve(5)
    """)
    assert counts == {"passed": 1}, output


def test_each_test_starts_with_an_empty_queue_and_the_initial_time(run: Runner) -> None:
    """Rule testing.reset, testing.options."""
    (run.folder / "conftest.py").write_text(
        CONFTEST
        + """
@pytest.fixture(scope="session")
def localqueue_options():
    return {"seed": 42, "start": "2026-03-01"}
"""
    )
    output, counts = run("""
        import pytest

        @pytest.mark.parametrize("n", range(3))
        def test_same(localqueue, n):
            assert localqueue.jobs() == []
            assert localqueue.now.isoformat() == "2026-03-01T00:00:00+00:00"
            localqueue.configure("work", retries=1, retryDelayMs=250)
            localqueue.worker("work").replies(500, 500)
            job = localqueue.enqueue("work", {"n": 1})
            assert job.max_attempts == 2
            localqueue.advance("1h")
            print(job.id)
    """, "-rP")  # fmt: skip
    assert counts == {"passed": 3}, output
    assert len(set(re.findall(r"^0[0-9a-f-]{35}$", output, re.MULTILINE))) == 1


def test_nothing_is_left_behind_and_async_tests_work(run: Runner) -> None:
    """Rule testing.no-leaks, testing.async."""
    output, counts = run(
        SERVICES
        + """
import asyncio
import contextlib
import gc
import threading
from localqueue.server import event_loop

def opened():
    found = set()
    for each in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            found.add((each, os.readlink(f"/proc/self/fd/{each}")))
    return {(each, target) for each, target in found if "libffi" not in target}  # it keeps itself open

@pytest.fixture(scope="session", autouse=True)
def no_leaks():
    with asyncio.Runner(loop_factory=event_loop.loop_factory()):
        pass  # libuv keeps one pipe a process for signals, from its first loop on
    before = set(threading.enumerate())
    descriptors = opened()
    yield
    gc.collect()
    for thread in set(threading.enumerate()) - before:
        thread.join(30)  # that of a database has reported its end already, and ends
    assert set(threading.enumerate()) == before
    assert opened() - descriptors == set()

def test_async(localqueue):
    async def main():
        localqueue.worker("work").replies(500, 200)
        localqueue.enqueue("work")
        return await asyncio.to_thread(localqueue.drain)
    assert len(asyncio.run(main())) == 2

@pytest.mark.parametrize("app", [asgi, wsgi], ids=["asgi", "wsgi"])
def test_served(localqueue, app):
    localqueue.serve(app)
    localqueue.worker("other").replies(lambda request: 200)
    localqueue.enqueue("work")
    localqueue.drain()
"""
    )
    assert counts == {"passed": 3}, output


def test_the_plugin_costs_nothing_when_it_is_not_used() -> None:
    """Rule testing.lazy."""
    code = "import sys, localqueue.pytest_plugin; print([m for m in sys.modules if m.startswith('localqueue.')])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "['localqueue.core', 'localqueue.core.real_time', 'localqueue.pytest_plugin']"


def test_without_a_catalog_the_message_says_what_to_override(run: Runner) -> None:
    (run.folder / "conftest.py").write_text("")
    output, counts = run("def test_it(localqueue): pass")
    assert counts == {"error": 1}
    assert "override the fixture localqueue_catalog" in output


def test_a_wrong_catalog_or_option_is_reported_with_its_place(run: Runner) -> None:
    (run.folder / "conftest.py").write_text("")
    (run.folder / "catalog-info.yaml").write_text("kind: Component\nspec: {queues: [{name: work}]}\n")
    output, counts = run("def test_it(localqueue): pass")
    assert counts == {"error": 1}
    assert "missing_endpoint" in output


def test_outside_pytest_it_is_a_context_manager(tmp_path: Path) -> None:
    """Rule testing.context-manager."""
    before = set(threading.enumerate())
    with LocalQueue(catalog=CATALOG) as queue:
        queue.worker("work").replies(503, 200)
        queue.enqueue("work")
        assert [each.status for each in queue.drain()] == [503, 200]
    with pytest.raises(AssertionError, match="unexpected deliveries"), LocalQueue(CATALOG) as queue:
        queue.enqueue("work")
        queue.advance(to="next")
    with LocalQueue(CATALOG, "http://127.0.0.1:9", clock="wall", db=tmp_path / "queue.db") as queue:
        queue.configure("work", retries=0)
        queue.enqueue("work")
        queue.drain()
        assert [job.state for job in queue.jobs()] == ["failed"]
    until(lambda: set(threading.enumerate()) <= before, "the threads have ended")


def test_a_drain_that_does_not_end_says_what_is_left() -> None:
    with LocalQueue(CATALOG) as queue:
        hang = threading.Event()
        queue.worker("work").replies(lambda _: hang.wait(30) and 200)
        queue.enqueue("work", "x")

        def says_running() -> bool:
            with pytest.raises(AssertionError, match=r"jobs are unfinished after 50ms:\n  work \w{8} ") as caught:
                queue.drain(timeout="50ms")
            return ' running "x"' in str(caught.value)

        until(says_running, "the attempt has started: on a stalled machine, time may be over before")
        hang.set()
        queue.drain()


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((CATALOG,), {"sed": 1}, "unknown option 'sed'; options: seed"),
        ((CATALOG,), {"clock": "wall", "seed": 1}, "--seed works only with --clock virtual"),
        ((), {}, "there is no catalog-info.yaml here"),
    ],
)
def test_wrong_arguments_are_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[object], options: dict[str, object], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ClientError, match=message):
        LocalQueue(*arguments, **options)  # type: ignore[arg-type]
