"""Share the dashboard over a server on the wall clock; a module with other needs has a server of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.dashboard.browser import Board, board
from tests.support import Server, Worker, serving, write_catalog

HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, worker: Worker) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("dashboard")
    write_catalog(folder, retries=2, delay=HOUR_MS)
    with serving(folder, "--ephemeral", "--target", worker.url) as found:
        yield found


@pytest.fixture
def wall(browser: Browser, server: Server, worker: Worker) -> Iterator[Board]:
    with board(browser, server, worker) as found:
        yield found
