"""The live events: what is told and when, replay after a reconnect, limits and the end."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from localqueue.api.event_buffer import CAPACITY, CHUNK, EventBuffer, EventFilter
from localqueue.core import events
from localqueue.core.clock import VirtualClock
from localqueue.core.models import Attempt, Job, Outcome, OutcomeKind, Response
from localqueue.engine.engine import Engine
from tests.support import (
    Server,
    Stream,
    Told,
    Worker,
    client,
    http,
    run_async,
    running_engine,
    serving,
    until,
    working,
    write_catalog,
)


@contextlib.contextmanager
def following(server: Server, query: str = "", last_id: str | None = None) -> Iterator[Stream]:
    headers = {} if last_id is None else {"Last-Event-ID": last_id}
    url = f"{server.url}/_localqueue/events{query}"
    with http.stream("GET", url, headers=headers) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield Stream(answer)


def change(server: Server, method: str, path: str, body: Any = None) -> Any:
    answer = http.request(method, f"{server.url}/_localqueue{path}", json=body or {})
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with working(lambda job: 200 if job["data"] == "good" or job["attempt"] == 2 else 500) as found:
        yield found


@pytest.fixture(scope="module")
def server(worker: Worker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("events")
    write_catalog(folder, delay=0)
    with serving(folder, "--target", worker.url) as found:
        yield found


def test_each_change_of_a_job_and_each_stored_attempt_is_an_event(server: Server) -> None:
    """Rule events.jobs."""
    with following(server) as stream:
        id_ = server.enqueue("bad")
        told = [(kind, data) for _, kind, data in take_until(stream, "completed") if kind in ("job", "attempt")]
    states = [data["job"]["state"] for kind, data in told if kind == "job"]
    assert [state for state in states if state != "retrying"] in (
        ["queued", "running", "queued", "running", "completed"],
        ["queued", "running", "running", "completed"],
    )
    attempts = [data for kind, data in told if kind == "attempt"]
    assert [each["attempt"]["status"] for each in attempts] == [500, 200]
    shown = server.job(id_)
    for told_, stored in zip(attempts, shown["attempts"], strict=True):
        assert told_["attempt"] == {
            name: stored[name] for name in stored if name not in ("request", "response", "explanation")
        }
    assert told[-1][1]["job"] == {
        name: shown[name] for name in shown if name not in ("data", "attempts", "ignoredKeys")
    }


def take_until(stream: Stream, state: str) -> Iterator[Told]:
    for each in stream:
        yield each
        if each[1] == "job" and each[2]["job"]["state"] == state:
            return


def test_the_stream_starts_with_hello_and_ids_increase(server: Server) -> None:
    """Rule events.ids."""
    with following(server) as stream:
        first = next(stream)
        server.enqueue("good")
        told = [first, *take_until(stream, "completed")]
    assert first[1] == "hello" and set(first[2]) == {"version", "now", "mode"} and first[2]["mode"] == "wall"
    numbers = [int(id_.partition("-")[2]) for id_, _, _ in told]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert len({id_.partition("-")[0] for id_, _, _ in told}) == 1


def test_a_reconnecting_client_gets_what_it_missed(server: Server) -> None:
    """Rule events.replay."""
    with following(server) as stream:
        seen = next(stream)[0]
    id_ = server.enqueue("good")
    server.wait_state(id_, "completed")
    with following(server, last_id=seen) as stream:
        assert next(stream)[:2] == (seen, "hello")
        told = list(take_until(stream, "completed"))
    assert [data["job"]["state"] for _, kind, data in told if kind == "job"] == ["queued", "running", "completed"]


@pytest.mark.parametrize("last_id", ["0-1", "x", "-", "9" * 40])
def test_an_id_of_another_process_gives_a_gap(server: Server, last_id: str) -> None:
    """Rule events.gap."""
    with following(server, last_id=last_id) as stream:
        assert [next(stream)[1] for _ in range(2)] == ["hello", "gap"]


def test_an_id_from_the_future_gives_a_gap(server: Server) -> None:
    """Rule events.gap."""
    with following(server) as stream:
        epoch = next(stream)[0].partition("-")[0]
    with following(server, last_id=f"{epoch}-999999") as stream:
        assert [next(stream)[1] for _ in range(2)] == ["hello", "gap"]


def test_a_filter_leaves_out_other_jobs(server: Server) -> None:
    """Rule events.filter."""
    with following(server, "?queue=work&namespace=shop") as stream:
        server.enqueue("good", queue="other")
        id_ = server.enqueue("good")
        told = list(take_until(stream, "completed"))
    assert {data["job"]["id"] for _, kind, data in told if kind in ("job", "attempt")} == {id_}
    with following(server, f"?job={id_[-8:].upper()}", told[0][0]) as stream:
        assert {data["job"]["id"] for _, kind, data in take_until(stream, "completed") if kind == "job"} == {id_}


def test_an_unknown_parameter_is_refused(server: Server) -> None:
    answer = http.get(f"{server.url}/_localqueue/events?que=work")
    assert answer.status_code == 400
    assert "unknown parameter 'que'; known: queue" in answer.json()["error"]["message"]


def test_a_head_request_does_not_follow(server: Server) -> None:
    with client(f"{server.url}/_localqueue") as connection:
        answer = connection.head("/events")
        assert answer.status_code == 200 and answer.content == b""
        assert connection.get("/status").status_code == 200  # on the same connection, which is free again


def test_changed_counts_of_queues_are_events(server: Server) -> None:
    """Rule events.queues."""
    before = server.get("/queues")["queues"][1]["counts"]["completed"]
    with following(server) as stream:
        server.wait_state(server.enqueue("good"), "completed")
        told = stream.take("queues", lambda data: data["queues"][1]["counts"]["completed"] > before)
        assert told["queues"] == server.get("/queues")["queues"]


def test_each_refused_request_changes_the_number_in_the_event_of_the_queues(server: Server) -> None:
    """Rule events.queues: also repetitions, which have no event of their own."""
    before = server.get("/status")["rejected"]
    with following(server) as stream:
        for count in (1, 2):
            http.post(f"{server.url}/jobs", json={"namespace": "shop", "queue": "nobody"})
            stream.take("queues", lambda data, count=count: data["rejected"] == before + count)


def test_manual_changes_are_events(server: Server) -> None:
    """Rule events.changes."""
    with following(server) as stream:
        change(server, "POST", "/queues/shop/work/pause")
        assert stream.take("catalog") == {}
        id_ = server.enqueue("good")
        change(server, "POST", f"/jobs/{id_}/cancel")
        told = stream.take("job", lambda data: data["job"]["state"] == "cancelled")
        assert told["job"]["id"] == id_
        change(server, "POST", f"/jobs/{id_}/retry")
        told = stream.take("job", lambda data: data["job"]["round"] == 2)
        assert (told["job"]["state"], told["job"]["held"]) == ("queued", "paused")
        change(server, "PATCH", "/queues/shop/work", {"retries": 2})
        stream.take("catalog")
        change(server, "POST", "/clock/advance", {"ms": 1000})
        assert 0 < stream.take("clock")["offsetMs"] <= 1000  # less where the real clock went on meanwhile
        change(server, "POST", "/reset")
        assert stream.take("reset") == {}


def test_at_most_sixteen_clients_follow_and_the_next_is_refused(server: Server) -> None:
    """Rule events.limit."""
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(following(server)) for _ in range(16)]
        assert all(next(stream)[1] == "hello" for stream in streams)
        answer = http.get(f"{server.url}/_localqueue/events")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "too_many_streams")

    def opens() -> bool:
        with http.stream("GET", f"{server.url}/_localqueue/events") as answer:
            return answer.status_code == 200

    assert until(opens, "one of the sixteen places is free again")


def test_a_stop_ends_the_streams_also_of_clients_that_do_not_read(tmp_path: Path, worker: Worker) -> None:
    """Rule events.stop."""
    write_catalog(tmp_path)
    with (
        serving(tmp_path, "--target", worker.url) as server,
        following(server) as stream,
        socket.create_connection(("127.0.0.1", server.ready["port"])) as stuck,
    ):
        stuck.sendall(b"GET /_localqueue/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        server.process.send_signal(15)
        assert ("stopping", {}) in [event[1:] for event in stream]
        assert server.finish() == (0, "")


# what no real client could bring about in reasonable time


@contextlib.asynccontextmanager
async def feeding(folder: Path) -> AsyncIterator[tuple[Engine, EventBuffer]]:
    async with running_engine(write_catalog(folder), VirtualClock(0)) as engine:
        yield engine, EventBuffer(engine)


def test_without_clients_no_events_are_kept_and_a_late_reconnect_gets_a_gap(tmp_path: Path) -> None:
    """Rule events.cost, events.gap."""

    async def check() -> None:
        async with feeding(tmp_path) as (engine, feed):
            engine.hub(events.Warned("unheard"))
            assert feed._count == 0
            with feed.following():
                last_id = f"{feed._epoch}-{feed._count}"
            engine.hub(events.Warned("kept for who comes back"))
            assert feed._count == 1
            with feed.following() as wake:
                chunks = feed.chunks(wake, last_id, EventFilter())
                await anext(chunks)
                assert b"kept for who comes back" in await anext(chunks)
                await chunks.aclose()
            feed._stop_listening()  # as a minute later
            engine.hub(events.Warned("unheard"))
            with feed.following() as wake:
                chunks = feed.chunks(wake, last_id, EventFilter())
                await anext(chunks)
                assert b"event: gap" in await anext(chunks)
                await chunks.aclose()

    run_async(check())


def test_a_slow_client_misses_events_and_gets_a_gap(tmp_path: Path) -> None:
    """Rule events.gap."""

    async def check() -> None:
        async with feeding(tmp_path) as (engine, feed):
            with feed.following() as wake:
                chunks = feed.chunks(wake, None, EventFilter())
                assert b"event: hello" in await anext(chunks)
                for number in range(CAPACITY + 1):
                    engine.hub(events.Warned(str(number)))
                assert b"event: gap" in await anext(chunks)
                engine.hub(events.Warned("next"))
                assert b'{"message":"next"}' in await anext(chunks)
                await chunks.aclose()

    run_async(check())


def test_pending_events_are_sent_as_one_chunk_and_encoded_once(tmp_path: Path) -> None:
    """Rule events.cost."""

    async def check() -> None:
        async with feeding(tmp_path) as (engine, feed):
            with feed.following() as wake, feed.following() as other:
                for number in range(CHUNK):
                    engine.hub(events.Warned(str(number)))
                assert all(entry.text is None for entry in feed._ring)
                first, second = (feed.chunks(each, f"{feed._epoch}-0", EventFilter()) for each in (wake, other))
                await anext(first), await anext(second)
                chunk = await anext(first)
                assert chunk.count(b"event: warning") == CHUNK
                texts = [entry.text for entry in feed._ring[:CHUNK]]
                assert await anext(second) == chunk
                assert all(entry.text is text for entry, text in zip(feed._ring, texts, strict=False))
                await first.aclose()
                await second.aclose()

    run_async(check())


def test_a_large_response_does_not_stay_in_memory(tmp_path: Path) -> None:
    """Rule events.cost."""

    async def check() -> None:
        async with feeding(tmp_path) as (engine, feed):
            feed._listen()
            job = Job(1, "id", "shop", "work", 0, 0, attempt=1)
            for size in (10, 60_000):
                outcome = Outcome(OutcomeKind.HTTP_ERROR, 500, None, Response((), b"x" * size))
                attempt = Attempt(1, 1, 4, 0, 0, 0, 0, "http://localhost/", outcome, None, "")
                engine.hub(events.AttemptEnded(job, attempt))
            kept = [entry.attempt.outcome for entry in feed._ring if entry.attempt is not None]
            assert [outcome.response is None for outcome in kept] == [False, True]

    run_async(check())
