"""What /_localqueue does with jobs, and what it reports of the server, over HTTP against a real one."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from localqueue.api.status_tracker import StatusTracker
from localqueue.core.clock import VirtualClock
from localqueue.core.models import Job
from localqueue.store.store import Store
from tests.support import JSON, Server, Worker, http, run_async, running_engine, serving, until, working, write_catalog


def send(server: Server, path: str, content: str | bytes = "") -> httpx.Response:
    return http.post(f"{server.url}/_localqueue{path}", content=content, headers=JSON)


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with working(lambda job: 500 if job["data"] == "bad" else 200) as found:
        yield found


@pytest.fixture(scope="module")
def server(worker: Worker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("control")
    write_catalog(folder, retries=0)
    with serving(folder, "--target", worker.url) as found:
        yield found


# short ids


def test_a_short_id_is_accepted_wherever_an_id_is(server: Server) -> None:
    """Rule api.short-ids."""
    id_ = server.enqueue("bad")
    server.wait_state(id_, "failed")
    short = id_[-8:].upper()
    assert server.job(short)["id"] == id_ == server.job(id_.upper())["id"]
    assert server.get(f"/jobs/{short}/data") == "bad"
    assert send(server, f"/jobs/{short}/retry").json()["id"] == id_
    server.wait_state(short, "failed")
    assert send(server, f"/jobs/{short}/replay").json()["replayOf"] == id_
    assert code(send(server, f"/jobs/{short}/cancel")) == (409, "wrong_state")


@pytest.mark.parametrize("id_", ["00000000", "0000000", "x", "000000000", "0" * 36, "%2e%2e", "é"])
def test_an_id_that_no_job_has_is_unknown(server: Server, id_: str) -> None:
    """Rule api.short-ids."""
    for path in (f"/jobs/{id_}/retry", f"/jobs/{id_}/cancel", f"/jobs/{id_}/replay"):
        assert code(send(server, path)) == (404, "unknown_job")
    answer = http.get(f"{server.url}/_localqueue/jobs/{id_}")
    assert code(answer) == (404, "unknown_job")


def test_a_short_id_of_several_jobs_is_refused_with_the_candidates(tmp_path: Path) -> None:
    """Rule api.short-ids."""
    ids = [f"0197a1b2-0000-7000-8000-{number:04x}deadbeef" for number in range(2)]

    async def fill() -> None:
        store = await Store.open(tmp_path / "queue.db", durable=False, keep=10)
        for seq, id_ in enumerate(ids, 1):
            await store.insert(Job(seq, id_, "gone", "work", 1, 1, data_size=4), b"null", lambda: None)
        await store.close()

    run_async(fill())
    write_catalog(tmp_path)
    with serving(tmp_path, "--db", "queue.db") as server:
        answer = send(server, "/jobs/DEADBEEF/cancel")
        assert code(answer) == (409, "ambiguous_id")
        assert all(id_ in answer.json()["error"]["message"] for id_ in ids)
        assert send(server, f"/jobs/{ids[0]}/cancel").json()["state"] == "cancelled"


# replay and retry


@pytest.mark.parametrize(
    "data", ['{"n": 12345678901234567890, "x":1.0, "é":"\\u00e9"}', "null", '"' + "x" * 20_000 + '"']
)
def test_a_replay_is_a_new_job_with_the_same_data_that_names_its_original(
    server: Server, worker: Worker, data: str
) -> None:
    """Rule api.replay."""
    body = f'{{"namespace":"shop","queue":"other","data":{data}}}'
    original = http.post(f"{server.url}/jobs", content=body, headers=JSON).json()["id"]
    before = server.wait_state(original, "completed")
    answer = send(server, f"/jobs/{original}/replay")
    new = answer.json()
    assert answer.status_code == 201 and new["id"] != original
    assert (new["replayOf"], new["queue"], new["round"]) == (original, "other", 1)
    server.wait_state(new["id"], "completed")
    assert any(
        f'"{new["id"]}"'.encode() in sent and sent.endswith(b'"data":' + data.encode() + b"}") for sent in worker.bodies
    )
    assert server.job(original) == before


def test_a_replay_takes_other_data_byte_for_byte(server: Server, worker: Worker) -> None:
    """Rule api.replay."""
    original = server.enqueue("bad")
    new = send(server, f"/jobs/{original}/replay", b'{ "data" :\t{"big":1E400,"a":1,"a":2} }').json()["id"]
    server.wait_state(new, "completed")
    assert any(new.encode() in sent and b'"data":{"big":1E400,"a":1,"a":2}}' in sent for sent in worker.bodies)
    assert server.get(f"/jobs/{original}/data") == "bad"


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("[]", "invalid_request"), ('{"dat":1}', "invalid_request"), ('{"data":1,"data":2}', "invalid_request"),
        ('{"data":NaN}', "invalid_json"), ("{", "invalid_json"), (b"\xff", "invalid_json"),
    ],
)  # fmt: skip
def test_a_replay_with_a_wrong_body_is_refused(server: Server, body: str | bytes, found: str) -> None:
    """Rule api.replay."""
    id_ = server.enqueue("bad")
    assert code(send(server, f"/jobs/{id_}/replay", body)) == (400, found)


# lists


def test_pages_stay_correct_while_jobs_arrive(server: Server) -> None:
    """Rule api.lists."""
    ids = [server.enqueue(number, "other") for number in range(5)]
    seen: list[str] = []
    after = ""
    while True:
        page = server.get(f"/jobs?queue=other&limit=2{after}")
        seen += [job["id"] for job in page["jobs"]]
        server.enqueue("late", "other")
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert len(seen) == len(set(seen)) and seen[:5] == ids[::-1]


def test_jobs_are_found_by_a_prefix_of_their_id_or_short_id(server: Server) -> None:
    """Rule api.search."""
    id_ = server.enqueue("good")
    for part in (id_, id_[:30], id_[-8:], id_[-8:-1].upper()):
        assert id_ in [job["id"] for job in server.get(f"/jobs?id={part}&limit=200")["jobs"]]
    assert server.get(f"/jobs?id={id_}&queue=other")["jobs"] == []
    assert server.get("/jobs?id=ffffffffffff")["jobs"] == []


@pytest.mark.parametrize(
    "query", ["id=xyz", "id=", "id=%", "limit=1&limit=2", "state=", "after=-1", "after=x", "quux=1"]
)
def test_a_wrong_parameter_is_refused_with_what_was_expected(server: Server, query: str) -> None:
    """Rule api.parameters."""
    answer = http.get(f"{server.url}/_localqueue/jobs?{query}")
    assert code(answer) == (400, "invalid_request")


@pytest.mark.parametrize("path", ["/status", "/queues", "/clock", "/jobs/00000000", "/ledger"])
def test_an_unknown_parameter_is_refused_everywhere(server: Server, path: str) -> None:
    """Rule api.parameters."""
    answer = http.get(f"{server.url}/_localqueue{path}?nothing=1")
    assert code(answer) == (400, "invalid_request")
    assert "unknown parameter 'nothing'" in answer.json()["error"]["message"]


# status


def test_the_status_describes_the_server(tmp_path: Path) -> None:
    """Rule api.status."""
    path = write_catalog(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as service:
        target = f"http://localhost:{service.getsockname()[1]}"
        with serving(tmp_path, "--target", target, "--ephemeral") as server:
            found = server.get("/status")
            assert found["name"] == "localqueue" and found["url"] == server.url and found["uptimeMs"] >= 0
            assert found["storage"]["path"] == server.ready["db"] and found["storage"]["sizeBytes"] > 0
            assert (found["storage"]["ephemeral"], found["storage"]["error"]) == (True, None)
            assert found["services"] == [
                {"namespace": "shop", "target": target, "listening": True, "catalog": path.name, "queues": 2}
            ]
            assert found["exports"] == {"IEC_QUEUE_URL": server.url, "SERVICE_NAMESPACE": "shop"}
            assert found["catalog"] == {"refused": [], "warnings": []} and found["counts"]["queued"] == 0
            good = path.read_text()
            path.write_text("kind: Component\nspec: {queues: [{name: 5}]}\n")
            refused = until(lambda: server.get("/status")["catalog"]["refused"], "the edit is refused")
            assert {finding["line"] for finding in refused} == {1, 2}
            path.write_text(good + "    - {name: third, endpoint: /third, retires: 1}\n")
            until(lambda: not server.get("/status")["catalog"]["refused"], "the edit is accepted")
            assert "retires" in server.get("/status")["catalog"]["warnings"][0]["message"]


def test_a_warning_is_kept_for_the_status(server: Server) -> None:
    """Rule api.status."""
    body = {"namespace": "shop", "queue": "other", "prioritat": 1}
    http.post(f"{server.url}/jobs", json=body)
    assert "prioritat" in server.get("/status")["warnings"][-1]["message"]


def test_whether_a_target_listens_is_asked_once_in_a_while_and_never_with_a_request(tmp_path: Path) -> None:
    """Rule api.status."""

    async def check() -> None:
        connections: asyncio.Queue[bytes] = asyncio.Queue()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connections.put_nowait(await reader.read())
            writer.close()

        async with running_engine(write_catalog(tmp_path), VirtualClock(0)) as engine:
            board = StatusTracker(engine)
            async with await asyncio.start_server(accept, "127.0.0.1", 0) as service:
                target = f"http://127.0.0.1:{service.sockets[0].getsockname()[1]}"
                found = await asyncio.gather(*(board.listening([target, "http://127.0.0.1:9"]) for _ in range(5)))
                assert found == [{target: True, "http://127.0.0.1:9": False}] * 5
                assert await connections.get() == b"" and connections.empty()

    run_async(check())
