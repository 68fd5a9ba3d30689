"""`up` names what is wrong with its surroundings: other servers, other targets, a leftover of the shell."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from localqueue.cli import port_holder
from tests.support import JSON, WAIT_S, Server, answering, http, localqueue, serving, until, working, write_catalog

NOWHERE = "http://127.0.0.1:9"


def warnings(server: Server) -> list[str]:
    return [str(event["message"]) for event in server.events if event["event"] == "warning"]


def two_services(folder: Path) -> None:
    """Write two services that both have a queue `work`."""
    text = write_catalog(folder).read_text()
    for name in ("shop", "depot"):
        (folder / "apps" / name).mkdir(parents=True)
        (folder / "apps" / name / "catalog-info.yaml").write_text(text.replace("name: shop", f"name: {name}"))
    (folder / "catalog-info.yaml").unlink()


def test_a_namespace_left_over_in_the_shell_is_named_and_not_used(tmp_path: Path) -> None:
    """Rule catalog.namespace."""
    write_catalog(tmp_path)
    with serving(tmp_path, "--target", NOWHERE, env={"SERVICE_NAMESPACE": "letters"}) as server:
        found = until(lambda: [text for text in warnings(server) if "letters" in text], "the warning")
        assert server.get("/status")["services"][0]["namespace"] == "shop"
    assert "SERVICE_NAMESPACE=letters is set in this shell" in found[0]
    assert found[0].endswith("export SERVICE_NAMESPACE=shop")


def test_a_second_server_in_a_folder_leaves_the_first_one_to_the_commands(tmp_path: Path) -> None:
    """Rule cli.no-server: a live server.json is never taken over, not even at the end."""
    write_catalog(tmp_path)
    path = tmp_path / ".localqueue" / "server.json"
    with serving(tmp_path, "--target", NOWHERE) as first:
        before = path.read_text()
        with serving(tmp_path, "--target", NOWHERE, "--db", "second.db") as second:
            until(lambda: any(first.url in text for text in warnings(second)), "the warning")
            assert path.read_text() == before
        assert path.read_text() == before
        assert json.loads(before)["url"] == first.url
    assert not path.exists()


def test_with_two_services_every_line_names_the_namespace_that_it_is_about(tmp_path: Path) -> None:
    """Rule cli.up, cli.names."""
    two_services(tmp_path)
    with working() as worker:
        targets = (f"--target=shop={worker.url}", f"--target=depot={worker.url}")
        with serving(tmp_path, *targets) as server:
            assert server.ready["env"] == {"IEC_QUEUE_URL": server.url}
            server.wait_state(server.enqueue(), "completed")
            (line,) = until(lambda: [each for each in server.events if each["event"] == "attempt"], "the attempt")
            assert (line["namespace"], line["queue"]) == ("shop", "work")
            queues = localqueue("queues", "--url", server.url, env={"COLUMNS": "80"}).stdout
            assert "shop/work" in queues and "depot/work" in queues


def test_with_one_service_the_ready_line_has_its_namespace(tmp_path: Path) -> None:
    """Rule cli.up."""
    write_catalog(tmp_path)
    with serving(tmp_path, "--target", NOWHERE) as server:
        assert server.ready["env"] == {"IEC_QUEUE_URL": server.url, "SERVICE_NAMESPACE": "shop"}


def own_address() -> str | None:
    """Return an address of this machine that other machines could use."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return None
        found = str(probe.getsockname()[0])
    return None if found.startswith("127.") else found


def test_listening_for_other_machines_is_said_and_the_own_address_is_allowed(tmp_path: Path) -> None:
    """Rule security.host."""
    write_catalog(tmp_path)
    body = {"namespace": "shop", "queue": "work"}
    with serving(tmp_path, "--target", NOWHERE, "--host", "0.0.0.0") as server:
        until(lambda: any("other machines can use POST /jobs" in text for text in warnings(server)), "the warning")
        address = own_address()
        if address is None:
            pytest.skip("this machine has only loopback addresses: Host with its own address was not tested")
        url = f"http://{address}:{server.ready['port']}"
        assert http.post(f"{url}/jobs", json=body).status_code == 201
        refused = http.post(f"{url}/jobs", json=body, headers={"Host": f"192.0.2.1:{server.ready['port']}"})
        assert refused.status_code == 403


def test_a_slash_at_the_end_of_the_url_is_named(tmp_path: Path) -> None:
    """Rule enqueue.rejected."""
    write_catalog(tmp_path)
    with serving(tmp_path, "--target", NOWHERE) as server:
        answer = http.post(f"{server.url}//jobs", content=b"{}", headers=JSON)
    assert answer.status_code == 404
    assert "remove the slash at the end of IEC_QUEUE_URL" in answer.json()["error"]["hint"]


def test_a_server_file_of_a_killed_server_is_named_if_another_program_has_its_port(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rule cli.no-server: IEC_QUEUE_URL isn't set, so it isn't blamed."""
    monkeypatch.chdir(tmp_path)
    with answering({"*": "something else"}) as url:
        entry: dict[str, Any] = {"url": url, "pid": 2**22 + 1, "db": "queue.db", "version": "0.1.0"}
        (tmp_path / ".localqueue").mkdir()
        (tmp_path / ".localqueue" / "server.json").write_text(json.dumps(entry))
        found = localqueue("jobs")
    assert found.exit_code == 1
    assert f"the server at {url} isn't localqueue" in found.stderr
    assert "server.json is left over from a killed server" in found.stderr and "IEC_QUEUE_URL" not in found.stderr


def test_doctor_finds_a_folder_in_which_up_can_t_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule cli.doctor."""
    write_catalog(tmp_path)
    monkeypatch.chdir(tmp_path)
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path and access(path, mode))  # root may write
    found = localqueue("doctor", env={"IEC_QUEUE_URL": "http://localhost:9"})
    assert found.exit_code == 1
    assert f"{tmp_path} is read-only, so `up` can't create its database there" in found.stdout


def start_on(url: str, folder: Path) -> str:
    """Start a server on the port of a URL, which is in use; return what it says."""
    found = localqueue("up", "--ephemeral", "--port", url.rpartition(":")[2], "--catalog", str(write_catalog(folder)))
    assert found.exit_code == 1 and "Traceback" not in found.stderr
    return found.stderr


HINT = "Use another one: --port PORT (--port 0 takes a free one)\n"


def test_a_port_that_another_localqueue_holds_is_refused_with_its_pid_and_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rule cli.up."""
    monkeypatch.setattr(port_holder, "WAIT_S", WAIT_S)
    write_catalog(tmp_path)
    with serving(tmp_path, "--target", NOWHERE) as other:
        holder = f"pid {other.process.pid}, database {tmp_path}/.localqueue/queue.db"
        port = other.ready["port"]
        error = f"Error: port {port} is in use on 127.0.0.1 by another localqueue, {holder}\n{HINT}"
        assert start_on(other.url, tmp_path) == error


@pytest.mark.parametrize(
    "status",
    ["hello", '{"name": "other"}', '{"name": "localqueue"}', '{"name": "localqueue", "pid": "x", "storage": null}'],
)
def test_a_port_that_another_program_holds_is_refused_without_more(tmp_path: Path, status: str) -> None:
    """Rule cli.hostile-server."""
    with answering({"*": status}) as url:
        assert start_on(url, tmp_path) == f"Error: port {url.rpartition(':')[2]} is in use on 127.0.0.1\n{HINT}"


def test_a_port_whose_holder_never_responds_does_not_hold_up_the_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rule cli.hostile-server."""
    monkeypatch.setattr(port_holder, "WAIT_S", 0.01)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert start_on(f"http://127.0.0.1:{port}", tmp_path) == f"Error: port {port} is in use on 127.0.0.1\n{HINT}"
