"""What the report of a failed test says."""

from __future__ import annotations

from tests.testing.runner import Runner


def test_a_failure_shows_the_job_the_url_the_response_and_the_handler_s_own_frames(run: Runner) -> None:
    """Rule testing.report."""
    output, counts = run("""
        from flask import Flask
        app = Flask("shop")

        @app.post("/work")
        def handle():
            return "first line é\\n" + "x" * 2000, 422

        @app.post("/other")
        def fail():
            return explain()

        def explain():
            raise LookupError("no policy for claim 13")

        def test_fails(localqueue):
            localqueue.serve(app)
            localqueue.configure("work", retries=0)
            localqueue.enqueue("work", {"claim": "ü"})
            localqueue.enqueue("other")
            localqueue.drain()
            assert False
    """)
    assert counts == {"failed": 1}, output
    section = output.partition("localqueue: failed attempts")[2].partition("--- localqueue")[0]
    assert "work " in section and 'failed {"claim": "ü"}' in section
    assert "  attempt 1/1  POST http://127.0.0.1:" in section and "/work  the service responded 422" in section
    assert "    | first line é" in section and "x" * 700 not in section
    exceptions = output.partition("localqueue: exceptions in handlers")[2].partition("--- localqueue")[0]
    assert "LookupError: no policy for claim 13" in exceptions and "in explain" in exceptions
    assert "site-packages" not in exceptions


def test_a_test_that_forgot_to_drain_is_told_how_jobs_are_delivered(run: Runner) -> None:
    """Rule testing.report."""
    output, counts = run("""
        def test_fails(localqueue):
            localqueue.worker("work").always(200)
            localqueue.enqueue("work")
            localqueue.pause("other")
            localqueue.enqueue("other")
            assert localqueue.jobs(state="completed")

        def test_fails_for_another_reason(localqueue):
            localqueue.worker("work").always(200)
            localqueue.enqueue("work")
            localqueue.drain()
            assert False
    """)
    assert counts == {"failed": 2}, output
    assert output.count("localqueue: queued jobs") == 1
    assert "\n1 job not delivered yet: drain() and advance(...) deliver jobs\n" in output


def test_deliveries_without_a_reply_are_shown_once(run: Runner) -> None:
    """Rule testing.report."""
    output, counts = run("""
        def test_fails(localqueue):
            localqueue.configure("work", retries=0)
            localqueue.enqueue("work", {"claim": "ü"})
            localqueue.drain()
    """)
    assert counts == {"failed": 1}
    assert output.count("shop/work got") == 1
    assert "got attempt 1 of job " in output and 'with data {"claim": "ü"}' in output


def test_a_long_ledger_is_cut_in_the_middle(run: Runner) -> None:
    """Rule testing.report."""
    output, _ = run("""
        def test_fails(localqueue):
            localqueue.worker("work").always(200)
            for number in range(100):
                localqueue.client.enqueue("shop", "work", "1")
            localqueue.drain()
            assert False
    """)
    ledger = output.partition("localqueue: ledger")[2]
    assert "work#1 " in ledger and "work#100 " in ledger and "work#50 " not in ledger
    assert "... 60 more attempts ..." in ledger


def test_a_refused_call_shows_its_hint(run: Runner) -> None:
    """Rule testing.report."""
    output, _ = run("""
        def test_fails(localqueue):
            localqueue.worker("work").always(200)
            job = localqueue.enqueue("work")
            localqueue.drain()
            localqueue.retry(job)
    """)
    assert "is completed" in output
    assert "To run it again: localqueue replay" in output


def test_settings_that_are_read_at_import_get_the_url_of_the_session(run: Runner) -> None:
    """Rule testing.session-url."""
    (run.folder / "settings.py").write_text("import os\nURL = os.environ['IEC_QUEUE_URL']\n")
    output, counts = run("""
        import os, pytest

        @pytest.fixture(scope="session")
        def settings(localqueue_url):
            import settings
            assert settings.URL == localqueue_url == os.environ["IEC_QUEUE_URL"]
            return settings

        @pytest.mark.parametrize("n", range(2))
        def test_it(localqueue, settings, n):
            assert settings.URL == localqueue.url
            assert os.environ["SERVICE_NAMESPACE"] == "shop"
            localqueue.enqueue("work")
            assert len(localqueue.jobs()) == 1
    """)
    assert counts == {"passed": 2}, output


def test_the_fixture_logs_nothing_that_a_test_would_record(run: Runner) -> None:
    """Rule testing.isolation."""
    output, counts = run(
        """
        import logging

        async def app(scope, receive, send):
            assert scope["type"] == "http"
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body"})

        def test_logs(localqueue, caplog):
            caplog.set_level(logging.DEBUG)
            localqueue.serve(app)
            localqueue.enqueue("work")
            localqueue.worker("other").replies(500, 200)
            localqueue.enqueue("other")
            assert len(localqueue.drain()) == 3
            localqueue.reset()
            assert caplog.records == []

        def test_setup(localqueue, caplog):
            assert caplog.get_records("setup") == []
    """,
        "--log-level=DEBUG",
    )
    assert counts == {"passed": 2}, output
