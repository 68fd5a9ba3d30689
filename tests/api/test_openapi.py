"""The OpenAPI document: valid, complete, and true to what a real server answers."""

from __future__ import annotations

import concurrent.futures
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
from starlette.routing import Route

from localqueue.api import openapi, schemas
from localqueue.api.context import ServerInfo
from localqueue.api.routes import control, production
from localqueue.core import errors
from localqueue.core.clock import VirtualClock
from localqueue.dashboard import routes
from tests.support import (
    JSON,
    Server,
    Stream,
    client,
    http,
    run_async,
    running_engine,
    serving,
    until,
    working,
    write_catalog,
)

DOCUMENT = control.document()
PATHS = {
    (method.upper(), path): operation
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}


def strict(schema: Any) -> Any:
    """Return a schema whose objects have no other keys than those that it names."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: strict(each) for name, each in schema.items()}
    is_object = isinstance(schema.get("properties"), dict) and "type" in schema
    return {**found, "additionalProperties": False} if is_object else found


VALIDATOR = jsonschema.Draft202012Validator(strict({"components": DOCUMENT["components"]}))


def check(value: Any, schema: Any) -> None:
    VALIDATOR.evolve(schema=strict(schema)).validate(value)


def test_the_document_is_valid() -> None:
    """Rule api.openapi."""
    from openapi_spec_validator import validate  # here: it takes 0.1 s in every process of a test run

    validate(DOCUMENT)
    assert len({operation["operationId"] for operation in PATHS.values()}) == len(PATHS)


def test_the_document_has_every_route_of_the_server_and_no_other(tmp_path: Path) -> None:
    """Rule api.openapi."""

    async def check() -> None:
        async with running_engine(write_catalog(tmp_path), VirtualClock(0)) as engine:
            place = ServerInfo("http://x", tmp_path / "queue.db", True, lambda _: False, 1024)
            ours = control.routes(engine, place)
            pages = {route.path for route in routes.routes()}
            found = [("", each) for each in production.routes(engine, lambda _: None)]  # type: ignore[arg-type, return-value]
            found += [(ours.path, each) for each in ours.routes if isinstance(each, Route) and each.path not in pages]
            assert {
                (method, prefix + route.path)
                for prefix, route in found
                for method in (route.methods or set()) - {"HEAD"}
            } == set(PATHS)

    run_async(check())


def test_every_code_is_in_the_table_with_its_status() -> None:
    """Rule api.errors."""
    general = (errors.RequestError, errors.Unavailable, errors.Refused)
    for found in vars(errors).values():
        if isinstance(found, type) and issubclass(found, errors.RequestError | errors.Unavailable):
            assert found in general or openapi.ERRORS[found.code][0] == found.status, found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("openapi")
    catalog = write_catalog(folder, retries=1, delay=1000)
    catalog.write_text(
        f"{catalog.read_text()}  schedules:\n    - {{name: nightly, cron: 0 2 * * *, endpoint: /nightly}}\n"
    )
    with (
        working(lambda job: 500 if job["data"] == "bad" else 200) as worker,
        serving(folder, "--target", worker.url, "--ephemeral", "--clock", "virtual") as found,
    ):
        yield found


class Caller:
    """Call routes, and check each answer against the document."""

    def __init__(self, server: Server) -> None:
        self._url = server.url
        self.called: set[tuple[str, str]] = set()

    def __call__(self, method: str, path: str, body: Any = None, **names: str) -> Any:
        operation, status, answer = self._send(method, path, body, names)
        contents = operation["responses"][str(status)]["content"]
        media_type = answer.headers["content-type"].partition(";")[0]
        content = contents.get(media_type) or contents[answer.headers["content-type"]]
        self.called.add((method, path.partition("?")[0]))
        if media_type != "application/json":
            return answer.text
        check(answer.json(), content["schema"])
        return answer.json()

    def refused(self, method: str, path: str, body: Any = None, **names: str) -> str:
        """Call a route that refuses, in a way that it is documented to; return the code."""
        operation, status, answer = self._send(method, path, body, names)
        check(answer.json(), schemas.ref("Error"))
        code = str(answer.json()["error"]["code"])
        assert f"`{code}`" in operation["responses"][str(status)]["description"]
        return code

    def try_hold(self, id_: str) -> bool:
        """Hold a running attempt, if its request is being sent already."""
        _, status, _ = self._send("POST", f"{OURS}/jobs/{{id}}/hold", None, {"id": id_})
        return status == 200 and bool(self("POST", f"{OURS}/jobs/{{id}}/hold", id=id_))

    def _send(self, method: str, path: str, body: Any, names: dict[str, str]) -> tuple[Any, int, httpx.Response]:
        path_ = path.partition("?")[0]
        content = b"" if body is None else json.dumps(body)
        url = self._url + path.format(**names)
        answer = http.request(method, url, content=content, headers=JSON)
        return PATHS[method, path_], answer.status_code, answer


OURS = "/_localqueue"


def hold_a_running_job(call: Caller, queue: dict[str, str]) -> None:
    """Call the routes that need a running attempt: that of a service that doesn't respond."""
    silent = socket.create_server(("127.0.0.1", 0))
    target = call("GET", f"{OURS}/status")["services"][0]["target"]
    with silent, concurrent.futures.ThreadPoolExecutor(1) as thread:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        call("PUT", f"{OURS}/targets/{{namespace}}", {"url": url}, **queue)
        id_ = call("POST", "/jobs", {**queue, "data": "held"})["id"]
        moving = thread.submit(call, "POST", f"{OURS}/clock/advance", {"ms": 0})
        until(lambda: call("GET", f"{OURS}/jobs/{{id}}", id=id_)["state"] == "running", "the attempt runs")
        until(lambda: call.try_hold(id_), "the request is sent")
        call("POST", f"{OURS}/jobs/{{id}}/release", id=id_)
        call("POST", f"{OURS}/jobs/{{id}}/cancel", id=id_)
        moving.result()
        call("PUT", f"{OURS}/targets/{{namespace}}", {"url": target}, **queue)


def walk(call: Caller) -> None:
    """Call every route, with jobs in every state that it can be in."""
    queue = {"namespace": "shop", "queue": "work"}
    for data in ("good", "bad", "bad"):
        id_ = call("POST", "/jobs", {**queue, "data": data})["id"]
    call("GET", "/health")
    call("GET", f"{OURS}/jobs")
    call("POST", f"{OURS}/clock/advance", {"ms": 10})
    call("GET", f"{OURS}/jobs?state=retrying&limit=1")
    call("GET", f"{OURS}/jobs/{{id}}", id=id_)
    call("POST", f"{OURS}/jobs/{{id}}/cancel", id=id_)
    hold_a_running_job(call, queue)
    call("POST", f"{OURS}/jobs/{{id}}/retry", id=id_)
    call("POST", f"{OURS}/queues/{{namespace}}/{{queue}}/pause", **queue)
    call("GET", f"{OURS}/jobs/{{id}}", id=id_)
    call("POST", f"{OURS}/queues/{{namespace}}/{{queue}}/resume", **queue)
    call("POST", f"{OURS}/jobs/{{id}}/replay", {"data": [1]}, id=id_)
    call("PATCH", f"{OURS}/queues/{{namespace}}/{{queue}}", {"retries": 0, "timeoutMs": None}, **queue)
    call("PUT", f"{OURS}/targets/{{namespace}}", {"url": None}, **queue)
    call("PUT", f"{OURS}/targets/{{namespace}}", {"url": "http://127.0.0.1:9"}, **queue)
    call("GET", f"{OURS}/queues")
    call("GET", f"{OURS}/queues/{{namespace}}/{{queue}}/recent", **queue)
    call("POST", f"{OURS}/clock/step")
    call("POST", f"{OURS}/faults", {**queue, "outcomes": [503, "lost-ack"]})
    call("GET", f"{OURS}/faults")
    call("DELETE", f"{OURS}/faults", {})
    call("POST", f"{OURS}/clock/advance", {"to": "next"})
    call("POST", f"{OURS}/drain")
    call("POST", f"{OURS}/jobs/{{id}}/deliver-again", id=id_)
    for path in ("jobs", "jobs/{id}", "jobs/{id}/data", "queues", "status", "clock", "ledger", "metrics"):
        call("GET", f"{OURS}/{path}", id=id_)
    assert call("GET", f"{OURS}/openapi.json") == json.loads(json.dumps(DOCUMENT))
    call("GET", f"{OURS}/rejections")
    call("GET", f"{OURS}/schedules")
    call("POST", f"{OURS}/schedules/{{namespace}}/{{name}}/trigger", namespace="shop", name="nightly")
    call("GET", f"{OURS}/failures")
    call("GET", f"{OURS}/jobs?q=bad&status=500&since=2026-01-01T00:00:00Z&until=2099-01-01T00:00:00Z")
    call("POST", f"{OURS}/jobs/retry", {**queue, "status": 500, "summary": "x"})
    call("POST", f"{OURS}/jobs/retry", queue)
    call("POST", f"{OURS}/jobs/{{id}}/cancel", id=call("POST", "/jobs", {**queue, "data": "last"})["id"])
    call("DELETE", f"{OURS}/jobs/{{id}}", id=call("GET", f"{OURS}/jobs?state=cancelled")["jobs"][0]["id"])
    call("GET", f"{OURS}/jobs/counts?state=failed&q=bad")
    call("POST", f"{OURS}/jobs/cancel", {"state": "queued", "q": "nothing"})
    call("DELETE", f"{OURS}/jobs?state=finished&queue=work")
    call("POST", f"{OURS}/reset")


def test_every_route_responds_as_documented(server: Server) -> None:
    """Rule api.openapi."""
    call = Caller(server)
    walk(call)
    assert set(PATHS) - call.called == {("GET", f"{OURS}/events")}


def test_every_event_is_as_the_document_says(server: Server) -> None:
    """Rule api.openapi."""
    with http.stream("GET", f"{server.url}{OURS}/events") as answer:
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        stream = Stream(answer)
        next(stream)
        walk(Caller(server))
        seen = set()
        for _, kind, data in stream:
            check(data, schemas.EVENTS[kind][0])
            seen.add(kind)
            if kind == "reset":
                break
    assert seen >= {"job", "attempt", "queues", "clock", "catalog", "reset"}


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("POST", "/jobs", {"namespace": "shop", "queue": "nobody"}, "unknown_queue"),
        ("POST", "/jobs", {"namespace": "nobody", "queue": "work"}, "unknown_namespace"),
        ("POST", "/jobs", [], "invalid_request"),
        ("POST", "/jobs", {"data": "x" * 2_000_000}, "payload_too_large"),
        ("GET", f"{OURS}/jobs?limit=x", None, "invalid_request"),
        ("GET", f"{OURS}/jobs/{{id}}", None, "unknown_job"),
        ("GET", f"{OURS}/jobs/{{id}}/data", None, "unknown_job"),
        ("POST", f"{OURS}/jobs/{{id}}/retry", None, "unknown_job"),
        ("POST", f"{OURS}/jobs/{{id}}/cancel", {"x": 1}, "invalid_request"),
        ("POST", f"{OURS}/jobs/{{id}}/replay", None, "unknown_job"),
        ("POST", f"{OURS}/jobs/{{id}}/deliver-again", None, "unknown_job"),
        ("POST", f"{OURS}/jobs/{{id}}/hold", None, "unknown_job"),
        ("DELETE", f"{OURS}/jobs/{{id}}", None, "unknown_job"),
        ("DELETE", f"{OURS}/jobs", None, "invalid_request"),
        ("GET", f"{OURS}/jobs?since=yesterday", None, "invalid_request"),
        ("GET", f"{OURS}/failures?queue=x", None, "unknown_queue"),
        ("POST", f"{OURS}/jobs/retry", {"status": 99}, "invalid_request"),
        ("POST", f"{OURS}/jobs/{{id}}/release", None, "unknown_job"),
        ("POST", f"{OURS}/jobs/retry", {"queue": "x"}, "unknown_queue"),
        ("POST", f"{OURS}/jobs/cancel", {"state": "failed"}, "invalid_request"),
        ("GET", f"{OURS}/jobs/counts?queue=x", None, "unknown_queue"),
        ("POST", f"{OURS}/schedules/{{namespace}}/{{name}}/trigger", None, "unknown_schedule"),
        ("PATCH", f"{OURS}/queues/{{namespace}}/{{queue}}", {"retires": 1}, "invalid_request"),
        ("PATCH", f"{OURS}/queues/{{namespace}}/{{queue}}", {}, "unknown_namespace"),
        ("POST", f"{OURS}/queues/{{namespace}}/{{queue}}/pause", {}, "unknown_namespace"),
        ("GET", f"{OURS}/queues/{{namespace}}/{{queue}}/recent", None, "unknown_namespace"),
        ("PUT", f"{OURS}/targets/{{namespace}}", {"url": "ftp://x"}, "invalid_request"),
        ("PUT", f"{OURS}/targets/{{namespace}}", {"url": "http://x"}, "unknown_namespace"),
        ("POST", f"{OURS}/clock/advance", {"ms": -1}, "invalid_request"),
        ("POST", f"{OURS}/faults", {"queue": "work"}, "invalid_request"),
        ("POST", f"{OURS}/faults", {"queue": "work", "outcomes": ["lostack"]}, "invalid_request"),
        ("POST", f"{OURS}/faults", {"queue": "wrk", "outcomes": ["ok"]}, "unknown_queue"),
        ("DELETE", f"{OURS}/faults?queue=wrk", {}, "unknown_queue"),
        ("POST", f"{OURS}/drain", {"timeoutMs": "x"}, "invalid_request"),
        ("GET", f"{OURS}/ledger?format=xml", None, "invalid_request"),
        ("GET", f"{OURS}/events?x=1", None, "invalid_request"),
    ],
)
def test_every_error_is_one_that_the_document_names(
    server: Server, method: str, path: str, body: Any, code: str
) -> None:
    """Rule api.errors."""
    assert Caller(server).refused(method, path, body, id="0" * 36, namespace="n", queue="q", name="s") == code


def test_a_missing_content_type_is_documented(server: Server) -> None:
    """Rule api.errors: of every route that takes a body, and of no other."""
    for (method, path), operation in PATHS.items():
        assert ("requestBody" in operation) == (method != "GET") == ("415" in operation["responses"]), path
    answer = http.post(f"{server.url}{OURS}/reset")
    assert answer.json()["error"]["code"] == "unsupported_media_type"


def test_the_response_to_a_refused_method_names_all_that_the_path_supports(server: Server) -> None:
    """Rule api.errors."""
    for path in {path for _, path in PATHS}:
        concrete = path.format(id="0" * 36, namespace="n", queue="q", name="s")
        answer = http.request("PROPFIND", server.url + concrete, headers=JSON)
        documented = {method for method, other in PATHS if other == path}
        assert answer.status_code == 405, path
        assert set(answer.headers["allow"].split(", ")) - {"HEAD"} == documented, path


@pytest.mark.parametrize("number, status", [(5.0, 200), (5.5, 400), (float("1e300"), 400), (True, 400)])
def test_a_whole_number_may_be_written_with_a_fraction_of_zero(server: Server, number: object, status: int) -> None:
    """Rule api.errors: what JSON Schema calls an integer; a client in Python may send `5.0`."""
    for method, path, body in (
        ("PATCH", "/queues/shop/work", {"concurrency": number}),
        ("POST", "/clock/advance", {"ms": number}),
    ):
        answer = http.request(method, f"{server.url}{OURS}{path}", json=body)
        assert answer.status_code == status, answer.text


NASTY = [
    b"", b"{}", b"[]", b"null", b"1", b'"x"', b"{", b"\xff", b"NaN", b"[" * 5000, b"1" * 5000, b'{"ms":NaN}',
    b'{"ms":1e999}', b'{"ms":99999999999999999999}', b'{"ms":-1}', b'{"ms":true}', b'{"to":"next","ms":1}',
    b'{"to":"9999-99-99"}', b'{"to":[]}', b'{"to":"0001-01-01T00:00:00+23:59"}', b'{"timeoutMs":1.5}',
    b'{"settleMs":null}', b'{"url":5}', b'{"url":"http://[::1"}', b'{"url":"http://x:99999"}', b'{"url":"\\ud800"}',
    b'{"namespace":"\\ud800"}', b'{"queue":["x"]}', b'{"data":' + b"[" * 5000, b'{"data":' + b"9" * 5000 + b"}",
    b'{"retries":' + b"9" * 5000 + b"}", b'{"retries":"\\u0000"}',
]  # fmt: skip
NAMES = ["x", "%00", "%ff", "%ed%a0%80", "..%2f..", "é", "0" * 4000, "' OR 1=1 --", "{id}"]


def test_no_request_causes_an_internal_error(server: Server) -> None:
    """Rule api.errors."""
    with client(server.url, headers=JSON) as connection:
        for (method, path), operation in PATHS.items():
            bodies = NASTY if "requestBody" in operation else NASTY[:1]
            names = NAMES if "{" in path else NAMES[:1]
            for body, name in [*((body, names[0]) for body in bodies), *((b"{}", name) for name in names)]:
                target = path.format(id=name, namespace=name, queue=name, name=name)
                query = "" if method != "GET" else "?limit=%ff&after=" + "9" * 50
                answer = connection.request(method, target + query, content=body)
                assert answer.status_code < 500, (method, target, body, answer.text)
                if answer.status_code >= 400:
                    check(answer.json(), schemas.ref("Error"))
                    assert answer.json()["error"]["code"] in openapi.ERRORS
