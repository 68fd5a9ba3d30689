"""`doctor`: it finds what is wrong with a set-up, with a server or without."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from localqueue.cli import diagnostics
from tests.server.test_up import has_ipv6
from tests.support import Server, Worker, answering, localqueue, serving, write_catalog


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, worker: Worker) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("service")
    write_catalog(folder)
    with serving(folder, "--target", worker.url, "--ephemeral") as found:
        yield found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder with a good catalog and no server."""
    write_catalog(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


NOWHERE = f"http://localhost:{free_port()}"


def edit(folder: Path, old: str, new: str) -> None:
    catalog = folder / "catalog-info.yaml"
    catalog.write_text(catalog.read_text().replace(old, new))


def doctor(code: int, *words: str, **env: str) -> str:
    found = localqueue("doctor", *words, env={"IEC_QUEUE_URL": NOWHERE, **env})
    assert (found.exit_code, found.stderr) == (code, ""), found.output
    return found.stdout


def test_a_good_set_up_is_found_good(folder: Path, server: Server, worker: Worker) -> None:
    """Rule cli.doctor."""
    text = doctor(0, IEC_QUEUE_URL=server.url, SERVICE_NAMESPACE="shop")
    notes = [line for line in text.splitlines() if " note " in line]
    assert all("without uvloop" in line or "without httptools" in line for line in notes)  # the fall-backs work
    assert text.endswith("\nnothing is wrong\n")
    assert "catalog-info.yaml: 2 queues of shop" in text
    assert f"pid {server.process.pid} answers at {server.url} (as IEC_QUEUE_URL says)" in text
    assert f"shop listens on 127.0.0.1 ({worker.url})" in text


def test_without_server_and_service_it_says_what_to_start(folder: Path) -> None:
    """Rule cli.doctor."""
    edit(folder, "name: shop", 'name: shop\n  annotations: {insureco.io/port: "9"}')
    text = doctor(0)
    assert f"none runs at {NOWHERE} (as IEC_QUEUE_URL says)" in text and "→ start one: localqueue up" in text
    assert "shop at http://localhost:9: nothing listens there" in text and "→ start your service" in text
    assert "→ before you start your service: export SERVICE_NAMESPACE=shop" in text


def test_problems_of_the_catalog_are_listed(folder: Path) -> None:
    """Rule cli.doctor."""
    edit(folder, "/work", "work")
    assert re.search(r"✗ wrong  catalog      catalog-info.yaml:7:\d+: wrong_endpoint", doctor(1))
    (folder / "catalog-info.yaml").unlink()
    assert "✗ wrong  catalog      there is none in this folder or one below" in doctor(1)


def test_what_is_no_localqueue_is_told(folder: Path) -> None:
    """Rule cli.doctor."""
    with answering({"*": "{}"}) as url:
        text = doctor(1, IEC_QUEUE_URL=url)
        assert f"what answers at {url} is no localqueue" in text and "→ it may be a shared environment: unset" in text
        assert "→ another program has the port: localqueue up --port 0" in doctor(1, "--url", url)
    assert "expected the URL of a localqueue" in doctor(1, "--url", "ftp://x")


def test_a_taken_port_is_told(folder: Path) -> None:
    """Rule cli.doctor."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))  # and does not listen
        port = other.getsockname()[1]
        text = doctor(1, "--url", f"http://localhost:{port}")
    assert f"port {port} is in use on 127.0.0.1" in text and "→ Choose another with --port PORT" in text


def test_a_server_of_another_folder_is_told(folder: Path, server: Server) -> None:
    """Rule cli.doctor."""
    edit(folder, "name: shop", "name: depot")
    text = doctor(1, "--url", server.url, SERVICE_NAMESPACE="")
    assert "it serves shop, not depot of this folder" in text and "→ start one for this folder: localqueue up" in text


def test_an_environment_that_leads_elsewhere_is_told(folder: Path, server: Server) -> None:
    """Rule cli.doctor."""
    text = doctor(1, "--url", server.url, IEC_QUEUE_URL="http://localhost:9", SERVICE_NAMESPACE="shp")
    assert "IEC_QUEUE_URL=http://localhost:9 leads elsewhere" in text
    assert "SERVICE_NAMESPACE=shp, which nothing serves" in text and "export SERVICE_NAMESPACE=shop" in text


def test_a_service_on_the_other_address_alone_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule cli.doctor."""
    if not has_ipv6():
        pytest.skip("this machine has no IPv6: ::1 was not tested")
    monkeypatch.chdir(tmp_path)
    write_catalog(tmp_path)
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as service:
        port = service.getsockname()[1]
        with serving(tmp_path, "--target", f"http://127.0.0.1:{port}", "--ephemeral") as server:
            text = doctor(1, "--url", server.url)
    assert f"shop at http://127.0.0.1:{port}: nothing listens there, but something does at http://[::1]:{port}" in text


def test_old_or_missing_parts_are_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule cli.doctor."""
    monkeypatch.setattr(diagnostics.connections, "sqlite_version", lambda: ("3.31.1", False))
    monkeypatch.setattr(diagnostics, "_version_of", lambda name: "" if name == "uvloop" else "1.0")
    monkeypatch.setattr(diagnostics.resource, "getrlimit", lambda _: (256, 512))
    text = doctor(1)
    assert "SQLite 3.31.1, which is too old" in text
    assert "without uvloop: everything works, but slower" in text and "→ pip install uvloop" in text
    assert "at most 512 open files" in text and "→ raise the limit: ulimit -Hn 4096" in text


def test_programs_can_read_it_too(folder: Path) -> None:
    """Rule cli.doctor, cli.json."""
    found = json.loads(doctor(0, "--json"))
    assert {check["topic"] for check in found} >= {"versions", "catalog", "server", "service", "environment"}
    assert {check["level"] for check in found} <= {"ok", "note"}
