"""`tail`: it follows a real server live, over its restarts, until ^C."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localqueue.cli.commands import tail
from localqueue.cli.output.terminal import Painter
from localqueue.client.client import ServerEvent
from tests.cli.terminal import localqueue_on_terminal
from tests.conftest import Shop
from tests.forking import ForkedPopen
from tests.support import free_port, serving, working, write_catalog


@contextlib.contextmanager
def tailing(url: str, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Follow a server in a process of its own, connected already."""
    command = ["tail", "--url", url, *words]
    with ForkedPopen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert told(process) == f"Following {url} (Ctrl-C to stop)"
            yield process
        finally:
            process.send_signal(2)
            assert process.wait(30) == 0


def told(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    return process.stderr.readline().rstrip("\n")


def shown(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


def test_tail_shows_a_line_per_delivery_as_up_does(shop: Shop) -> None:
    """Rule cli.tail."""
    with tailing(shop.server.url) as process:
        shop.script += [503, 204]
        id_ = shop.server.enqueue()[-8:]
        shop.shown("drain")
        start = f"shop/work            {id_}  attempt"
        assert shown(process) == f"00:00:00.000Z  {start} 1/3  503              0 ms  next try in 5 s"
        assert shown(process) == f"00:00:05.000Z  {start} 2/3  204              0 ms  completed"
        shop.shown("reset")
        assert shown(process) == "reset: all jobs were deleted"


@pytest.mark.parametrize(("mode", "is_said"), [("wall", True), ("virtual", False)])
def test_tail_says_that_the_wall_clock_was_advanced(mode: str, is_said: bool) -> None:
    """Rule cli.tail."""
    moved = ServerEvent("a-1", "clock", json.dumps({"mode": mode, "now": "2026-01-01T00:00:05.000Z", "offsetMs": 5000}))
    line = tail.EventLines(True, Painter(False), ())(moved)
    assert line == ("clock advanced: times are now 5 s ahead of real time" if is_said else None)


def test_tail_of_one_queue_leaves_out_the_others(shop: Shop) -> None:
    """Rule cli.tail."""
    with tailing(shop.server.url, "--queue", "other") as process:
        shop.server.enqueue()
        id_ = shop.server.enqueue(queue="other")
        shop.shown("drain")
        assert id_[-8:] in shown(process)


def test_tail_gives_every_event_as_an_object_on_a_line(shop: Shop) -> None:
    """Rule cli.tail, cli.json."""
    found: list[dict[str, Any]] = []
    with tailing(shop.server.url, "--json") as process:
        id_ = shop.server.enqueue({"big": 2**60})
        shop.shown("drain")
        while not found or found[-1]["event"] != "attempt":
            found.append(json.loads(shown(process)))
    assert found[0]["event"] == "hello"
    assert found[-1]["data"]["job"]["id"] == id_ and found[-1]["data"]["attempt"]["status"] == 200


def test_tail_waits_for_a_server_that_has_gone_and_follows_it_again(tmp_path: Path) -> None:
    """Rule cli.tail."""
    write_catalog(tmp_path)
    with working() as worker, contextlib.ExitStack() as stack:
        port = str(free_port())  # which nobody else takes while no server has it
        server = stack.enter_context(serving(tmp_path, "--target", worker.url, port=port))
        process = stack.enter_context(tailing(server.url))
        for end in ("kill", "stop"):
            getattr(server, end)()
            if end == "stop":
                assert shown(process) == "the server is stopping"
            assert told(process) == "the server has stopped; waiting for it to start again"
            server = stack.enter_context(serving(tmp_path, "--target", worker.url, port=port))
            assert told(process) == f"Following again: {server.url} (Ctrl-C to stop)"
            assert shown(process) == "some events were missed"
            id_ = server.enqueue()
            assert id_[-8:] in shown(process)


class Restarting:
    """Stand for a server that says that it stops, still answers once, and comes back."""

    url = "http://localhost:1"

    def __init__(self) -> None:
        runs = [("a-1", "hello"), ("a-2", "stopping")], [("a-2", "hello")], [("b-0", "hello"), ("b-0", "gap")]
        self._runs = [[ServerEvent(id_, kind, "{}") for id_, kind in run] for run in runs]
        self.asked: list[str | None] = []

    def check(self) -> None:
        pass

    def events(self, last_id: str | None, **_: object) -> Iterator[ServerEvent]:
        self.asked.append(last_id)
        if not self._runs:
            raise KeyboardInterrupt
        yield from self._runs.pop(0)


def test_a_server_that_is_about_to_go_is_not_taken_for_one_that_is_back(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rule cli.tail."""
    monkeypatch.setattr(tail, "PERIOD_S", 0)
    server, seen = Restarting(), list[str]()
    with pytest.raises(KeyboardInterrupt):
        tail.Follower(server, lambda event: seen.append(f"{event.id} {event.kind}")).run(None, None)  # type: ignore[arg-type]
    assert seen == ["a-1 hello", "a-2 stopping", "b-0 hello", "b-0 gap"]
    assert server.asked == [None, "a-2", "a-2", "b-0"]
    gone = "the server has stopped; waiting for it to start again"
    following = "http://localhost:1 (Ctrl-C to stop)"
    assert capsys.readouterr().err.splitlines() == [
        f"Following {following}", gone, f"Following again: {following}", gone
    ]  # fmt: skip


def test_interrupting_a_tail_ends_it_well(shop: Shop) -> None:
    """Rule cli.tail, cli.interrupt."""
    with localqueue_on_terminal("tail", "--url", shop.server.url) as found:
        found.wait_for("Following")
        shop.server.enqueue()
        shop.shown("drain")
        found.wait_for("completed")
        found.type("\x03")
        assert found.wait_end() == 0
    assert "\x1b[32m200" in found.screen and "Traceback" not in found.screen
