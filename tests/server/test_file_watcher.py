"""A catalog is edited while the server runs: half-written files never take effect."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from localqueue.catalog import loader
from localqueue.core import events
from localqueue.core.models import Catalog
from localqueue.core.settings import Settings
from localqueue.engine.engine import Engine
from localqueue.server.server import RunningServer, ServerConfig, serve
from tests.support import WAIT_S, run_async, serving, until, write_catalog


def test_a_catalog_that_an_editor_empties_for_a_moment_keeps_its_queues(tmp_path: Path) -> None:
    """Rule catalog.reload."""
    path = write_catalog(tmp_path)
    with serving(tmp_path, "--target", "http://127.0.0.1:9") as server:
        text = path.read_text()
        path.write_text("")
        until(lambda: any("empty" in str(event.get("message")) for event in server.events), "the warning")
        server.enqueue()  # its queue is still declared
        path.write_text(text.replace("retries: 3", "retries: 7"))
        until(lambda: server.get("/queues")["queues"][1]["retries"] == 7, "the edit takes effect")
    assert not [event for event in server.events if event["event"] == "catalog_refused"]


def test_an_edit_while_the_server_starts_takes_effect_though_the_catalog_is_read_once(tmp_path: Path) -> None:
    """Rule catalog.reload."""
    path = write_catalog(tmp_path)
    edited = path.read_text().replace("retries: 3", "retries: 17")  # another size: within a tick, times are the same
    found: list[Catalog] = []

    def load() -> Catalog:
        found.append(loader.load([path], target="http://127.0.0.1:9"))
        if len(found) == 1:
            path.write_text(edited)
        return found[-1]

    async def main() -> None:
        is_changed = asyncio.Event()

        async def use(_: RunningServer, engine: Engine) -> None:
            engine.hub.add_for((events.CatalogChanged,), lambda _: is_changed.set())
            assert engine.catalog == found[0] and len(found) == 1
            await asyncio.wait_for(is_changed.wait(), WAIT_S)
            assert engine.catalog.queues["shop", "work"].retries == 17

        settings = Settings(ephemeral=True, port=0)
        await serve(ServerConfig(settings, load, [path], lambda _: None), use)

    run_async(main())


def test_a_catalog_that_is_rewritten_all_the_time_keeps_its_queues(tmp_path: Path) -> None:
    """Rule catalog.reload."""
    path = write_catalog(tmp_path)
    text = path.read_text()
    stop = threading.Event()

    def rewrite() -> None:
        while not stop.wait(0.02):
            with path.open("w") as file:
                file.write(text[: len(text) // 2])
                file.flush()
                stop.wait(0.02)
                file.write(text[len(text) // 2 :])

    with serving(tmp_path, "--target", "http://127.0.0.1:9") as server:
        writer = threading.Thread(target=rewrite)
        writer.start()
        try:
            for _ in range(150):
                server.enqueue()
        finally:
            stop.set()
            writer.join()
    assert not [event for event in server.events if event["event"] == "catalog_refused"]


def test_the_server_continues_while_a_large_catalog_is_read(tmp_path: Path) -> None:
    """Rule catalog.reload."""
    path = write_catalog(tmp_path)
    has_continued, loops = threading.Event(), list[asyncio.AbstractEventLoop]()

    def load() -> Catalog:
        if loops:
            loops[0].call_soon_threadsafe(has_continued.set)
            assert has_continued.wait(WAIT_S), "the event loop waits for the catalog"
        return loader.load([path], target="http://127.0.0.1:9")

    async def main() -> None:
        is_changed = asyncio.Event()

        async def use(_: RunningServer, engine: Engine) -> None:
            loops.append(asyncio.get_running_loop())
            engine.hub.add_for((events.CatalogChanged,), lambda _: is_changed.set())
            path.write_text(path.read_text().replace("retries: 3", "retries: 7"))
            await is_changed.wait()
            assert engine.catalog.queues["shop", "work"].retries == 7

        await serve(ServerConfig(Settings(ephemeral=True, port=0), load, [path], lambda _: None), use)

    run_async(main())
