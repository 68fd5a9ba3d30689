"""Give tests the fixture `localqueue`. Nothing of localqueue is imported before a test asks for it."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from localqueue.testing.local_queue import LocalQueue


@pytest.fixture(scope="session")
def localqueue_catalog(pytestconfig: pytest.Config) -> Any:
    """Override this: the path of the catalog, or the catalog as a dict. Default: the one of the root folder."""
    from localqueue.catalog import loader

    found = loader.discover(pytestconfig.rootpath) or loader.discover(Path.cwd())
    if not found:
        pytest.fail(
            f"no catalog-info.yaml in {pytestconfig.rootpath}: override the session fixture localqueue_catalog",
            pytrace=False,
        )
    return found


@pytest.fixture(scope="session")
def localqueue_options() -> Mapping[str, Any]:
    """Override this: options of `localqueue up`, such as {"seed": 42}."""
    return {}


@pytest.fixture(scope="session")
def _localqueue_session(localqueue_catalog: Any, localqueue_options: Mapping[str, Any]) -> Iterator[LocalQueue]:
    from localqueue.core.errors import LocalqueueError
    from localqueue.testing.local_queue import LocalQueue

    try:
        queue = LocalQueue(localqueue_catalog, **localqueue_options)
        queue.start()
    except LocalqueueError as error:
        pytest.fail(f"localqueue can't start: {error.message}\n{error.hint}".rstrip(), pytrace=False)
    yield queue
    queue.close()


@pytest.fixture
def localqueue(_localqueue_session: LocalQueue, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalQueue]:
    """Give a test a queue of its own: on the virtual clock, empty, with IEC_QUEUE_URL and SERVICE_NAMESPACE set."""
    queue = _localqueue_session
    queue.reset()
    monkeypatch.setenv("IEC_QUEUE_URL", queue.url)
    monkeypatch.setenv("SERVICE_NAMESPACE", queue.namespace)
    yield queue
    queue.reset()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Fail a test of whose deliveries some had neither a service nor a stand-in."""
    found = yield
    queue = _queue_of(item)
    if queue is not None and (problem := queue.problem()):
        pytest.fail(problem, pytrace=False)
    return found


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Generator[None, Any, Any]:
    """Show with a failed test what its queue knows: exceptions in handlers, the ledger."""
    report = yield
    queue = _queue_of(item) if call.when == "call" and report.failed else None
    if queue is not None:
        report.sections.extend((f"localqueue: {title}", text) for title, text in queue.notes())
    return report


def _queue_of(item: pytest.Item) -> LocalQueue | None:
    found = getattr(item, "funcargs", {}).get("localqueue")
    return found if hasattr(found, "problem") and hasattr(found, "notes") else None
