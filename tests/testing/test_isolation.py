"""The fixture by real pytest runs: nothing that a test does to it reaches another test, or hides a failure."""

from __future__ import annotations

from tests.support import write_catalog
from tests.testing.runner import Runner

MOCKED = """
import httpx, pytest, socket

@pytest.fixture
def mocked(monkeypatch):
    def forbidden(*_, **__):
        raise RuntimeError("a mock took this request")
    for cls in (httpx.Client, httpx.HTTPTransport):
        monkeypatch.setattr(cls, "send" if cls is httpx.Client else "handle_request", forbidden)
    monkeypatch.setattr(socket.socket, "connect", forbidden)
    monkeypatch.setattr(socket, "create_connection", forbidden)

def test_passes(localqueue, mocked):
    localqueue.worker("work").replies(500, 200)
    job = localqueue.enqueue("work", {"a": "ü?&"})
    assert len(localqueue.drain()) == 2
    assert localqueue.job(job.id).data == {"a": "ü?&"}
    assert [each.id for each in localqueue.jobs(queue="work", state="completed")] == [job.id]

def test_fails(localqueue, mocked):
    localqueue.worker("work").replies(200)
    localqueue.enqueue("work")
    localqueue.drain()
    assert False

def test_comes_after(localqueue):
    assert localqueue.jobs() == []
"""


NESTED_CONFTEST = """
import pytest

@pytest.fixture(scope="session")
def localqueue_catalog():
    return {"metadata": {"name": "THIS"}, "spec": {"queues": [{"name": "work", "endpoint": "/w"}]}}
"""
NESTED_TESTS = """
import os

URLS = set()

def test_first(localqueue):
    assert localqueue.namespace == os.environ["SERVICE_NAMESPACE"] == "THIS"
    URLS.add(localqueue.url)

def test_second(localqueue):
    assert {localqueue.url} == URLS  # started once
"""


def test_a_mock_of_an_http_library_or_of_sockets_does_not_reach_the_fixture(run: Runner) -> None:
    """Rule testing.isolation."""
    output, counts = run(MOCKED)
    assert counts == {"passed": 2, "failed": 1}, output
    assert "+0.000s  work#1  1/4  completed 200" in output and "a mock took" not in output


def test_a_server_that_a_test_has_closed_costs_that_test_alone(run: Runner) -> None:
    """Rule testing.isolation."""
    output, counts = run("""
        def test_closes(localqueue):
            localqueue.close()
            assert False, "the reason"

        def test_comes_after(localqueue):
            localqueue.worker("work").replies(200)
            localqueue.enqueue("work")
            assert len(localqueue.drain()) == 1
    """)
    assert counts == {"failed": 1, "passed": 1, "error": 1}, output
    assert "the server at http://localhost:" in output and " has stopped" in output
    assert "INTERNALERROR" not in output and "the reason" in output


def test_an_unexpected_delivery_fails_the_test_however_it_got_the_fixture(run: Runner) -> None:
    """Rule testing.unexpected."""
    output, counts = run("""
        import pytest

        def test_indirectly(request):
            queue = request.getfixturevalue("localqueue")
            queue.enqueue("work")
            queue.drain()

        @pytest.fixture
        def queue(localqueue):
            return localqueue

        def test_renamed(queue):
            queue.enqueue("work")
            queue.drain()
    """)
    assert counts == {"failed": 2}, output
    assert "unexpected deliveries" in output


def test_each_folder_has_the_server_of_its_own_catalog_and_options(run: Runner) -> None:
    """Rule testing.isolation."""
    for name in ("a", "b"):
        folder = run.folder / name
        folder.mkdir()
        (folder / "conftest.py").write_text(NESTED_CONFTEST.replace("THIS", name))
        (folder / f"test_{name}.py").write_text(NESTED_TESTS.replace("THIS", name))
    output, counts = run("def test_root(localqueue):\n    assert localqueue.namespace == 'shop'")
    assert counts == {"passed": 5}, output


def test_the_environment_stays_after_a_test_has_undone_its_changes(run: Runner) -> None:
    """Rule testing.isolation."""
    output, counts = run("""
        import os

        def test_undo(monkeypatch, localqueue):
            monkeypatch.setenv("A", "b")
            monkeypatch.undo()
            assert os.environ["IEC_QUEUE_URL"] == localqueue.url

        def test_comes_after():
            assert "IEC_QUEUE_URL" not in os.environ
    """)
    assert counts == {"passed": 2}, output


def test_a_relative_catalog_is_that_of_the_folder_where_pytest_was_started(run: Runner) -> None:
    """Rule testing.isolation."""
    write_catalog(run.folder)
    output, counts = run("""
        import pytest

        @pytest.fixture(scope="session")
        def localqueue_catalog():
            return "catalog-info.yaml"

        @pytest.fixture
        def elsewhere(monkeypatch, tmp_path):
            monkeypatch.chdir(tmp_path)

        def test_it(elsewhere, localqueue):
            assert localqueue.namespace == "shop"
    """)
    assert counts == {"passed": 1}, output


def test_each_namespace_has_its_own_service_and_others_are_not_delivered(run: Runner) -> None:
    """Rule testing.serve: a delivery to the port that the catalog names could reach a real service."""
    output, counts = run("""
        import pytest

        QUEUES = {"queues": [{"name": "work", "endpoint": "/w", "retries": 0}]}

        @pytest.fixture(scope="session")
        def localqueue_catalog():
            return [{"metadata": {"name": name}, "spec": QUEUES} for name in "abc"]

        def app_of(seen):
            def app(environ, start_response):
                seen.append(environ["PATH_INFO"])
                start_response("204 No Content", [])
                return []
            return app

        def test_two_services(localqueue):
            a, b = [], []
            localqueue.serve(app_of(a), namespace="a")
            localqueue.serve(app_of(b), namespace="b")
            for name in "ab":
                localqueue.enqueue("work", namespace=name)
            assert [each.status for each in localqueue.drain()] == [204, 204]
            assert (a, b) == (["/w"], ["/w"])

        def test_unserved(localqueue):
            localqueue.serve(app_of([]), namespace="a")
            localqueue.enqueue("work", namespace="c")
            localqueue.drain()
    """)
    assert counts == {"passed": 1, "failed": 1}, output
    assert "c/work got " in output
