"""A catalog is edited while the server runs: half-written files never take effect."""

from __future__ import annotations

import threading
from pathlib import Path

from tests.support import serving, until, write_catalog


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
