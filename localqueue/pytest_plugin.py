"""The fixture `localqueue`. The rest of the package is imported only when a test uses it."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from localqueue.core import real_time  # noqa: F401 - now, before a test replaces the system's clocks

if TYPE_CHECKING:
    from localqueue.testing.local_queue import LocalQueue
    from localqueue.testing.server_pool import ServerPool

_QUEUE: pytest.StashKey[LocalQueue] = pytest.StashKey()
_HAS_PROBLEM: pytest.StashKey[bool] = pytest.StashKey()


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


@pytest.fixture(scope="session")
def localqueue_url(
    pytestconfig: pytest.Config,
    localqueue_catalog: Any,
    localqueue_options: Mapping[str, Any],
    _localqueue_servers: ServerPool,
) -> Iterator[str]:
    """Yield the URL of the queue; the environment is set for the session, for settings that are read at import."""
    queue = _taken(_localqueue_servers, localqueue_catalog, localqueue_options, pytestconfig)
    with _environment(queue):
        yield queue.url


@pytest.fixture
def localqueue(
    request: pytest.FixtureRequest,
    localqueue_catalog: Any,
    localqueue_options: Mapping[str, Any],
    _localqueue_servers: ServerPool,
) -> Iterator[LocalQueue]:
    """Yield an empty queue with the virtual clock; IEC_QUEUE_URL and SERVICE_NAMESPACE are set during the test."""
    queue = _taken(_localqueue_servers, localqueue_catalog, localqueue_options, request.config)
    request.node.stash[_QUEUE] = queue
    with _environment(queue):
        yield queue
    _localqueue_servers.put_back(queue)


def _taken(servers: ServerPool, catalog: Any, options: Mapping[str, Any], config: pytest.Config) -> LocalQueue:
    from localqueue.core.errors import LocalqueueError

    try:
        return servers.take(catalog, options, config.invocation_params.dir)
    except LocalqueueError as error:
        pytest.fail(f"localqueue can't start: {error.message}\n{error.hint}".rstrip(), pytrace=False)


@contextlib.contextmanager
def _environment(queue: LocalQueue) -> Iterator[None]:
    """Set the variables of a service; not with the fixture `monkeypatch`, whose changes a test may undo."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("IEC_QUEUE_URL", queue.url)
        environment.setenv("SERVICE_NAMESPACE", queue.namespace)
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Fail the test if a delivery had neither a service nor a stub."""
    result = yield
    queue = item.stash.get(_QUEUE, None)
    if queue is not None and (problem := queue.problem()):
        item.stash[_HAS_PROBLEM] = True
        pytest.fail(problem, pytrace=False)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Generator[None, Any, Any]:
    """Add exceptions in handlers and the ledger to the report of a failed test."""
    report = yield
    queue = item.stash.get(_QUEUE, None) if call.when == "call" and report.failed else None
    if queue is not None:
        is_shown = item.stash.get(_HAS_PROBLEM, False)
        report.sections.extend((f"localqueue: {title}", text) for title, text in _notes(queue, is_shown))
    return report


def _notes(queue: LocalQueue, has_problem: bool) -> list[tuple[str, str]]:
    """Return the notes without the problem that is the failure; an exception in a report hook would end the run."""
    try:
        return queue.notes(is_problem_shown=has_problem)
    except Exception as error:
        return [("no notes", f"{type(error).__name__}: {error}")]
