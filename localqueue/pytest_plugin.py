"""The fixture `localqueue`. The rest of the package is imported only when a test uses it."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from localqueue.testing.local_queue import LocalQueue


@pytest.fixture(scope="session")
def localqueue_catalog(pytestconfig: pytest.Config) -> Any:
    """Return the catalog: a path or a dict. Override this; the default is the catalog of the root folder."""
    from localqueue.catalog import discovery

    paths = discovery.discover(pytestconfig.rootpath)[0] or discovery.discover(Path.cwd())[0]
    if not paths:
        pytest.fail(
            f"there is no catalog-info.yaml in {pytestconfig.rootpath}: override the fixture localqueue_catalog",
            pytrace=False,
        )
    return paths


@pytest.fixture(scope="session")
def localqueue_options() -> Mapping[str, Any]:
    """Return options of `localqueue up`, such as {"seed": 42}. Override this."""
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
    """An empty queue with the virtual clock; IEC_QUEUE_URL and SERVICE_NAMESPACE are set during the test."""
    queue = _localqueue_session
    queue.reset()
    monkeypatch.setenv("IEC_QUEUE_URL", queue.url)
    monkeypatch.setenv("SERVICE_NAMESPACE", queue.namespace)
    yield queue
    queue.reset()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Fail the test if a delivery had neither a service nor a stub."""
    result = yield
    queue = _queue_of(item)
    if queue is not None and (problem := queue.problem()):
        pytest.fail(problem, pytrace=False)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Generator[None, Any, Any]:
    """Add exceptions in handlers and the ledger to the report of a failed test."""
    report = yield
    queue = _queue_of(item) if call.when == "call" and report.failed else None
    if queue is not None:
        report.sections.extend((f"localqueue: {title}", text) for title, text in queue.notes())
    return report


def _queue_of(item: pytest.Item) -> LocalQueue | None:
    queue = getattr(item, "funcargs", {}).get("localqueue")
    return queue if hasattr(queue, "problem") and hasattr(queue, "notes") else None
