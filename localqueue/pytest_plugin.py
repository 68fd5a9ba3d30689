"""The fixture `localqueue`. The rest of the package is imported only when a test uses it."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from localqueue.testing.local_queue import LocalQueue
    from localqueue.testing.server_pool import ServerPool

_QUEUE: pytest.StashKey[LocalQueue] = pytest.StashKey()


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
def _localqueue_servers() -> Iterator[ServerPool]:
    from localqueue.testing.server_pool import ServerPool

    with contextlib.closing(ServerPool()) as servers:
        yield servers


@pytest.fixture
def localqueue(
    request: pytest.FixtureRequest,
    localqueue_catalog: Any,
    localqueue_options: Mapping[str, Any],
    _localqueue_servers: ServerPool,
) -> Iterator[LocalQueue]:
    """An empty queue with the virtual clock; IEC_QUEUE_URL and SERVICE_NAMESPACE are set during the test."""
    from localqueue.core.errors import LocalqueueError

    try:
        folder = request.config.invocation_params.dir
        queue = _localqueue_servers.take(localqueue_catalog, localqueue_options, folder)
    except LocalqueueError as error:
        pytest.fail(f"localqueue can't start: {error.message}\n{error.hint}".rstrip(), pytrace=False)
    request.node.stash[_QUEUE] = queue
    with pytest.MonkeyPatch.context() as environment:  # its own: a test may undo those of `monkeypatch`
        environment.setenv("IEC_QUEUE_URL", queue.url)
        environment.setenv("SERVICE_NAMESPACE", queue.namespace)
        yield queue
    _localqueue_servers.put_back(queue)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Fail the test if a delivery had neither a service nor a stub."""
    result = yield
    queue = item.stash.get(_QUEUE, None)
    if queue is not None and (problem := queue.problem()):
        pytest.fail(problem, pytrace=False)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Generator[None, Any, Any]:
    """Add exceptions in handlers and the ledger to the report of a failed test."""
    report = yield
    queue = item.stash.get(_QUEUE, None) if call.when == "call" and report.failed else None
    if queue is not None:
        report.sections.extend((f"localqueue: {title}", text) for title, text in _notes(queue))
    return report


def _notes(queue: LocalQueue) -> list[tuple[str, str]]:
    """Return the notes; an exception in a report hook would end the whole run."""
    try:
        return queue.notes()
    except Exception as error:
        return [("no notes", f"{type(error).__name__}: {error}")]
