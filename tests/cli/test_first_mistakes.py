"""The mistakes of a first try are explained by `up` at the first request, and by `doctor`."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import Terminal, free_port, http, localqueue, working, write_catalog


@pytest.fixture
def up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Terminal]]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SERVICE_NAMESPACE", raising=False)
    with contextlib.ExitStack() as started:

        def start() -> Terminal:
            found = Terminal(tmp_path)
            started.callback(found.stop)
            return found

        yield start


def write_service(folder: Path, port: int) -> None:
    """Write a catalog whose service is on a port, as `insureco.io/port` says."""
    text = write_catalog(folder, delay=3_600_000).read_text()
    annotated = text.replace("  name: shop", f'  name: shop\n  annotations: {{insureco.io/port: "{port}"}}')
    (folder / "catalog-info.yaml").write_text(annotated)


def doctor(terminal: Terminal) -> str:
    return localqueue("doctor", env={"IEC_QUEUE_URL": terminal.url}).stdout


def test_a_service_without_service_namespace(tmp_path: Path, up: Callable[[], Terminal]) -> None:
    """Rule enqueue.rejected, cli.doctor."""
    write_catalog(tmp_path)
    terminal = up()
    assert terminal.post({"queue": "work"}) == 400
    terminal.shows("refused: ", "namespace is missing", "SERVICE_NAMESPACE")
    assert "namespace is missing" in doctor(terminal) and "export SERVICE_NAMESPACE=shop" in doctor(terminal)


def test_a_mistyped_queue(tmp_path: Path, up: Callable[[], Terminal]) -> None:
    """Rule enqueue.rejected, cli.doctor."""
    write_catalog(tmp_path)
    terminal = up()
    assert terminal.post({"namespace": "shop", "queue": "wrok"}) == 404
    terminal.shows("refused: ", "unknown queue 'wrok'; declared: work")
    assert "unknown queue 'wrok'; declared: work" in doctor(terminal)


def test_payload_in_place_of_data(tmp_path: Path, up: Callable[[], Terminal]) -> None:
    """Rule enqueue.unknown-keys: the job is accepted, as in production; the log and its page say what is wrong."""
    write_catalog(tmp_path)
    terminal = up()
    assert terminal.post({"namespace": "shop", "queue": "work", "payload": {"claimId": 7}}) == 201
    terminal.shows("warning: ", "unknown key 'payload' (ignored), and data is missing", "Did you mean data instead of")
    assert terminal.post({"namespace": "shop", "queue": "work", "data": 1, "traceId": "t"}) == 201
    terminal.shows("unknown key 'traceId' (ignored)\n")
    jobs = http.get(f"{terminal.url}/_localqueue/jobs").json()["jobs"]
    traced, named = (localqueue("job", job["id"], "--url", terminal.url).stdout for job in jobs)
    note = "  warning   the request had unknown keys, which were ignored: "
    assert f"{note}'payload'; did you mean data?\n" in named and f"{note}'traceId'\n" in traced


def test_a_service_on_another_port(tmp_path: Path, up: Callable[[], Terminal]) -> None:
    """Rule deliver.refused, cli.doctor."""
    port = free_port()
    write_service(tmp_path, port)
    with working():
        terminal = up()
        assert terminal.post({"namespace": "shop", "queue": "work"}) == 201
        terminal.shows(f"nothing is listening on http://localhost:{port}: start shop", "next try in")
        text = doctor(terminal)
    assert "point localqueue elsewhere: localqueue up --target URL" in text and f"localhost:{port}" in text
    assert re.search(r"1 attempt, [\d.]+ m?s ago: nothing is listening", " ".join(text.split()))
    assert "→ localqueue doctor" not in text


def test_two_services_on_one_port(tmp_path: Path, up: Callable[[], Terminal]) -> None:
    """Rule catalog.shared-target, cli.doctor."""
    text = write_catalog(tmp_path).read_text()
    (tmp_path / "catalog-info.yaml").write_text(f"{text}---\n{text.replace('name: shop', 'name: depot')}")
    terminal = up()
    terminal.shows("have the same target http://localhost:3000", "--target depot=URL")
    assert "have the same target http://localhost:3000" in doctor(terminal)


def test_a_service_that_isn_t_started(tmp_path: Path, up: Callable[[], Terminal]) -> None:
    """Rule deliver.refused, cli.doctor."""
    port = free_port()
    write_service(tmp_path, port)
    terminal = up()
    assert terminal.post({"namespace": "shop", "queue": "work"}) == 201
    terminal.shows(f"nothing is listening on http://localhost:{port}: start shop, or")
    assert "Start the service" in doctor(terminal)
