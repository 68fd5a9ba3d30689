"""Share what many tests need: a worker, and a server on the virtual clock for the command line."""

from __future__ import annotations

import gc
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from click.testing import Result

from tests.support import (
    JSON,
    WAIT_S,
    Reply,
    Server,
    Worker,
    http,
    localqueue,
    next_reply,
    serving,
    working,
    write_catalog,
)

# A shell lets the background commands of a script ignore these two, and what the tests start would, too.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)


def pytest_collection_finish() -> None:
    """Leave what exists by now out of every collection of garbage: modules and tests stay to the end."""
    gc.freeze()


@dataclass
class Shop:
    """Hold a server, and a worker that answers from a script, and then 200."""

    server: Server
    worker: Worker
    script: list[Reply] = field(default_factory=list)

    def __call__(self, *words: str, **given: Any) -> Result:
        """Run a command for this server."""
        return localqueue(*words, "--url", self.server.url, **given)

    def shown(self, *words: str, **given: Any) -> str:
        """Run a command that must succeed, and return what it writes."""
        found = self(*words, **given)
        assert (found.exit_code, found.stderr) == (0, ""), found.output
        return found.stdout

    def failing(self, *words: str, code: int = 1, **given: Any) -> str:
        """Run a command that must fail, without a traceback, and return what it says."""
        found = self(*words, **given)
        assert found.exit_code == code, found.output
        assert "Traceback" not in found.stderr
        return found.stderr

    def job(self, id_: str) -> str:
        """Return the page of a job, with what differs from run to run named."""
        text = self.shown("job", id_)
        return text.replace(id_, "ID").replace(id_[-8:], "SHORT").replace(f" --url {self.server.url}", "")


@pytest.fixture(scope="module", autouse=True)
def every_thread_ends() -> Iterator[None]:
    """A server that a test forgets to stop would run, and may spin, beside all later tests."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(WAIT_S)
        assert not thread.is_alive(), f"{thread.name} still runs"


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with working() as found:
        yield found


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    catalog = write_catalog(folder, retries=2, delay=5000)
    more = catalog.read_text().replace("name: shop", "name: depot").replace("name: other", "name: third")
    catalog.write_text(f"{catalog.read_text()}---\n{more}")
    with working() as worker:
        targets = [f"--target=shop={worker.url}", f"--target=depot={worker.url}"]
        with serving(folder, *targets, "--clock", "virtual", "--ephemeral") as server:
            yield Shop(server, worker)


@pytest.fixture
def shop(running: Shop) -> Shop:
    http.post(f"{running.server.url}/_localqueue/reset", headers=JSON)
    running.script.clear()
    running.worker.bodies.clear()
    running.worker.answer = lambda _: next_reply(running.script)
    return running
