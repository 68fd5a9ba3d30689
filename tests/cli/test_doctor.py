"""`doctor`: it finds what is wrong with a setup, with a server or without."""

from __future__ import annotations

import json
import re
import socket
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localqueue.cli import diagnostics
from tests.cli.terminal import localqueue_on_terminal
from tests.server.test_up import has_ipv6
from tests.support import Server, Worker, answering, free_port, localqueue, serving, write_catalog


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


NOWHERE = f"http://localhost:{free_port()}"


def edit(folder: Path, old: str, new: str) -> None:
    catalog = folder / "catalog-info.yaml"
    catalog.write_text(catalog.read_text().replace(old, new))


def doctor(code: int, *words: str, **env: str) -> str:
    found = localqueue("doctor", *words, env={"IEC_QUEUE_URL": NOWHERE, **env})
    assert (found.exit_code, found.stderr) == (code, ""), found.output
    return found.stdout


def test_a_good_setup_has_no_problems(folder: Path, server: Server, worker: Worker) -> None:
    """Rule cli.doctor."""
    text = doctor(0, IEC_QUEUE_URL=server.url, SERVICE_NAMESPACE="shop")
    notes = [line for line in text.splitlines() if " note " in line]
    assert all("not installed" in line for line in notes)  # the fallbacks work
    assert text.endswith("\nNo problems found.\n")
    assert "catalog-info.yaml: 2 queues in shop" in text
    assert f"running at {server.url} (from IEC_QUEUE_URL), pid {server.process.pid}" in text
    assert f"shop is listening on 127.0.0.1 ({worker.url})" in text


def test_without_server_and_service_it_says_what_to_start(folder: Path) -> None:
    """Rule cli.doctor."""
    edit(folder, "name: shop", 'name: shop\n  annotations: {insureco.io/port: "9"}')
    text = doctor(0)
    assert f"not running at {NOWHERE} (from IEC_QUEUE_URL)" in text and "→ Start it: localqueue up" in text
    assert "shop at http://localhost:9: nothing is listening there" in text and "→ Start the service" in text
    assert "→ Before you start your service: export SERVICE_NAMESPACE=shop" in text


def test_a_command_of_a_narrow_terminal_can_be_copied_in_one_piece(folder: Path) -> None:
    """Rule cli.doctor."""
    with localqueue_on_terminal("doctor", "--url", NOWHERE, columns=40) as terminal:
        terminal.wait_end()
    commands = [line.partition(": ")[2] for line in terminal.lines if "→ Before you start" in line]
    assert commands == ["export IEC_QUEUE_URL=http://localhost:4327", "export SERVICE_NAMESPACE=shop"]


def test_problems_of_the_catalog_are_listed(folder: Path) -> None:
    """Rule cli.doctor."""
    edit(folder, "/work", "work")
    assert re.search(r"✗ problem  catalog      catalog-info.yaml:7:\d+: wrong_endpoint", doctor(1))
    (folder / "catalog-info.yaml").unlink()
    assert "✗ problem  catalog      no catalog-info.yaml here or up to three levels below" in doctor(1)


def test_another_program_at_the_url_is_reported(folder: Path) -> None:
    """Rule cli.doctor."""
    with answering({"*": "{}"}) as url:
        text = doctor(1, IEC_QUEUE_URL=url)
        assert (
            f"the server at {url} isn't localqueue" in text
            and "→ IEC_QUEUE_URL may point to a shared environment" in text
        )
        assert "→ Another program uses this port. Start localqueue on a free one: localqueue up --port 0" in doctor(
            1, "--url", url
        )
    assert "isn't the URL of a server" in doctor(1, "--url", "ftp://x")


@pytest.mark.parametrize("more", [{}, {"pid": 1, "version": "9", "storage": 5}, {"services": [{}]}, {"services": 5}])
def test_a_status_that_can_t_be_read_is_reported(folder: Path, more: dict[str, Any]) -> None:
    """Rule cli.hostile-server, cli.doctor."""
    status = json.dumps({"name": "localqueue", **more})
    with answering({"*": status}) as url:
        assert "✗ problem  server       unexpected status of the server (" in doctor(1, "--url", url)


def test_a_port_in_use_is_reported(folder: Path) -> None:
    """Rule cli.doctor."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))  # and does not listen
        port = other.getsockname()[1]
        text = doctor(1, "--url", f"http://localhost:{port}")
    assert f"port {port} is in use on 127.0.0.1" in text and "→ Use another one: --port PORT" in text


def test_a_server_of_another_folder_is_reported(folder: Path, server: Server) -> None:
    """Rule cli.doctor."""
    edit(folder, "name: shop", "name: depot")
    text = doctor(1, "--url", server.url, SERVICE_NAMESPACE="")
    assert (
        "serves shop, but not depot of this folder" in text
        and "→ Start a server for this folder: localqueue up" in text
    )


def test_an_environment_that_points_elsewhere_is_reported(folder: Path, server: Server) -> None:
    """Rule cli.doctor."""
    text = doctor(1, "--url", server.url, IEC_QUEUE_URL="http://localhost:9", SERVICE_NAMESPACE="shp")
    assert "IEC_QUEUE_URL=http://localhost:9 points to another server" in text
    assert "SERVICE_NAMESPACE=shp, but no catalog declares it" in text and "export SERVICE_NAMESPACE=shop" in text


def test_a_service_on_the_other_address_alone_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule cli.doctor."""
    if not has_ipv6():
        pytest.skip("this machine has no IPv6: ::1 was not tested")
    monkeypatch.chdir(tmp_path)
    write_catalog(tmp_path)
    port = free_port()  # nobody else takes it on 127.0.0.1
    with (
        socket.create_server(("::1", port), family=socket.AF_INET6),
        serving(tmp_path, "--target", f"http://127.0.0.1:{port}", "--ephemeral") as server,
    ):
        text = doctor(1, "--url", server.url)
    assert f"shop at http://127.0.0.1:{port}: nothing is listening there, but something is" in text
    assert f"listening on http://[::1]:{port}" in " ".join(text.split())


def test_old_or_missing_parts_are_reported(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule cli.doctor."""
    monkeypatch.setattr(diagnostics.connections, "sqlite_version", lambda: ("3.31.1", False))
    monkeypatch.setattr(diagnostics, "_version_of", lambda name: "" if name == "uvloop" else "1.0")
    monkeypatch.setattr(diagnostics.resource, "getrlimit", lambda _: (256, 512))
    text = doctor(1)
    assert "SQLite 3.31.1, which is too old" in text
    assert "uvloop not installed: everything works, but slower" in text and "→ Install: pip install uvloop" in text
    assert "open-file limit: 512, which is too low" in text and "→ Raise it: ulimit -Hn 4096" in text


def test_parts_without_metadata_as_in_the_executable_are_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule cli.doctor."""
    for name in ("uvloop", "httptools"):
        monkeypatch.setitem(sys.modules, name, types.SimpleNamespace(__version__=f"of {name}"))
    assert "✓ ok       speed        uvloop of uvloop and httptools of httptools\n" in doctor(0)
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert "uvloop not installed: everything works, but slower" in doctor(0)


def test_programs_can_read_it_too(folder: Path) -> None:
    """Rule cli.doctor, cli.json."""
    found = json.loads(doctor(0, "--json"))
    assert {check["topic"] for check in found} >= {"versions", "catalog", "server", "service", "environment"}
    assert {check["level"] for check in found} <= {"ok", "note"}
