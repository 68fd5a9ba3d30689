"""Share the dashboard over a server on the wall clock; a module with other needs has a server of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.dashboard.browser import Board, board, browsing
from tests.support import Server, Worker, serving, working, write_catalog

HOUR_MS = 3_600_000


@pytest.fixture(scope="module", autouse=True)
def every_thread_ends() -> None:
    """Those of the package's fixtures outlive a module."""


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Not for the session: its event loop runs in this thread, where the tests of other packages start their own."""
    with browsing() as found:
        yield found


@pytest.fixture(scope="package")
def worker() -> Iterator[Worker]:
    with working() as found:
        yield found


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory, worker: Worker) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("dashboard")
    write_catalog(folder, retries=2, delay=HOUR_MS)
    with serving(folder, "--ephemeral", "--target", worker.url) as found:
        yield found


@pytest.fixture
def timed(browser: Browser, server: Server, worker: Worker) -> Iterator[Board]:
    """Return a board whose page's clock the test moves; that clock is one for all pages of a context."""
    with board(browser, server, worker, timezone_id="UTC") as found:
        found.page.clock.install()
        yield found


@pytest.fixture
def wall(browser: Browser, server: Server, worker: Worker) -> Iterator[Board]:
    with board(browser, server, worker) as found:
        yield found
