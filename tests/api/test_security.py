"""The security gate and the errors of the API, by raw requests against a real server."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from localqueue.api import security
from localqueue.core import events
from localqueue.core.clock import VirtualClock
from localqueue.engine.rejections import Rejections
from tests.api.foreign_requests import (
    BODY,
    CHANGING_METHODS,
    FOREIGN_HOSTS,
    FOREIGN_ORIGINS,
    LARGE_HEADER,
    LARGE_TARGET,
    OTHER_TYPES,
    READING,
    WRONG_FRAMINGS,
    RawRequest,
    exchange,
)
from tests.support import JSON, Server, http, serving, write_catalog


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("gate")
    write_catalog(folder)
    options = ("--target", "http://127.0.0.1:9", "--allow-host", "host.docker.internal", "--max-body", "2048")
    with serving(folder, *options) as found:
        yield found
        assert found.get("/jobs?queue=other")["jobs"] == []


def raw(server: Server, head: str, body: bytes = b"") -> tuple[int, dict[str, str], bytes]:
    """Send bytes, return status, headers and body of the answer."""
    sent = head.replace("\n", "\r\n").encode("latin-1") + b"\r\n" + body
    answer = exchange(server.ready["port"], sent)
    top, _, rest = answer.partition(b"\r\n\r\n")
    lines = top.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    return int(lines[0].split()[1]), headers, rest


def post(server: Server, *headers: str, host: str | None = "localhost") -> tuple[int, dict[str, str], bytes]:
    lines = ["POST /jobs HTTP/1.1", "Connection: close", f"Content-Length: {len(BODY)}", *headers]
    if host is not None:
        lines.append(f"Host: {host}")
    return raw(server, "\n".join(lines) + "\n", BODY)


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
def test_a_foreign_host_is_refused(server: Server, host: str) -> None:
    """Rule security.host."""
    status, _, body = post(server, "Content-Type: application/json", host=host)
    assert status in (400, 403)
    assert b"id" not in json.loads(body)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:4327", "[::1]:99", "host.docker.internal"])
def test_the_names_of_this_machine_pass(server: Server, host: str) -> None:
    """Rule security.host."""
    head = f"GET /health HTTP/1.1\nConnection: close\nHost: {host}\n"
    assert raw(server, head)[0] == 200


def test_a_request_that_the_security_checks_refuse_is_listed_and_marked(server: Server) -> None:
    """Rule enqueue.rejected."""
    post(server, "Content-Type: application/json", host="evil.example")
    http.post(f"{server.url}/jobs", json={"namespace": "shop", "queue": "wrok"})
    found = {(each["code"], each["security"], each["queue"]) for each in server.get("/rejections")["rejections"]}
    assert {("host_not_allowed", True, None), ("unknown_queue", False, "wrok")} <= found


def test_a_missing_and_a_doubled_host_are_refused(server: Server) -> None:
    """Rule security.host."""
    assert post(server, "Content-Type: application/json", host=None)[0] == 400
    assert post(server, "Content-Type: application/json", "Host: localhost")[0] == 400


@pytest.mark.parametrize("header", FOREIGN_ORIGINS)
def test_a_page_of_another_origin_is_refused_reads_too(server: Server, header: str) -> None:
    """Rule security.origin."""
    status, headers, body = post(server, "Content-Type: application/json", header)
    assert status == 403
    assert "access-control-allow-origin" not in headers and b"evil" not in body
    head = f"GET /_localqueue/jobs HTTP/1.1\nConnection: close\nHost: localhost\n{header}\n"
    assert raw(server, head)[0] == 403


def test_the_same_origin_passes(server: Server) -> None:
    """Rule security.origin."""
    head = "GET /_localqueue/jobs HTTP/1.1\nConnection: close\nHost: localhost:80\nOrigin: http://localhost:80\n"
    assert raw(server, head + "Sec-Fetch-Site: same-origin\n")[0] == 200


@pytest.mark.parametrize("header", [*(f"Content-Type: {each}" for each in OTHER_TYPES), "X-None: 1"])
def test_a_body_that_is_not_declared_as_json_is_refused(server: Server, header: str) -> None:
    """Rule security.content-type, enqueue.media-type."""
    status, _, body = post(server, header)
    assert (status, json.loads(body)["error"]["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "Application/JSON", "application/problem+json"])
def test_json_by_another_name_passes(kind: str) -> None:
    assert security._JSON_TYPE.fullmatch(kind.lower())


def test_every_changing_method_needs_the_content_type_and_options_gives_nothing_away(server: Server) -> None:
    """Rule security.content-type, security.cors."""
    for method in CHANGING_METHODS:
        head = f"{method} /_localqueue/jobs/x/retry HTTP/1.1\nConnection: close\nHost: localhost\nContent-Length: 0\n"
        assert raw(server, head)[0] == 415
    status, headers, _ = raw(server, "OPTIONS /jobs HTTP/1.1\nConnection: close\nHost: localhost\n")
    assert status == 405 and not any(name.startswith("access-control") for name in headers)


def test_every_response_has_the_security_headers(server: Server) -> None:
    """Rule security.headers."""
    for path in ("/health", "/_localqueue/status", "/nothing"):
        _, headers, _ = raw(server, f"GET {path} HTTP/1.1\nConnection: close\nHost: localhost\n")
        for name, value in security.SECURITY_HEADERS:
            assert headers[name.decode()] == value.decode()
        assert "server" not in headers


def test_large_headers_and_targets_are_refused(server: Server) -> None:
    """Rule security.limits."""
    assert raw(server, f"GET /health HTTP/1.1\nConnection: close\nHost: localhost\n{LARGE_HEADER}\n")[0] in (
        400,
        431,
    )
    assert raw(server, f"GET {LARGE_TARGET} HTTP/1.1\nConnection: close\nHost: localhost\n")[0] in (400, 414)


def test_a_body_over_the_limit_is_refused_and_the_client_gets_the_response(server: Server) -> None:
    """Rule enqueue.too-large: by its declared length, and in chunks."""
    big = b'{"namespace":"shop","queue":"other","data":"' + b"x" * 3_000_000 + b'"}'
    for content in (big, iter([big])):
        answer = http.post(f"{server.url}/jobs", content=content, headers=JSON)
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "payload_too_large")


@pytest.mark.parametrize(("framing", "body"), WRONG_FRAMINGS)
def test_nothing_behind_a_request_without_a_clear_end_is_read(
    server: Server, framing: tuple[str, ...], body: bytes
) -> None:
    """Rule security.framing; the fixture checks that no job was created."""
    sent = bytes(RawRequest(headers=(), framing=framing, body=body)) + bytes(READING)
    assert re.findall(rb"HTTP/1.1 (\d+)", exchange(server.ready["port"], sent)) == [b"400"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ("", 400, "invalid_json"),
        ("[" * 2000, 400, "invalid_json"),
        ("{}", 400, "invalid_request"),
        ('{"namespace":"sho","queue":"work"}', 404, "unknown_namespace"),
        ('{"namespace":"shop","queue":"wrk"}', 404, "unknown_queue"),
    ],
)
def test_every_error_has_its_status_and_its_code(server: Server, body: str, status: int, code: str) -> None:
    """Rule enqueue.errors."""
    answer = http.post(f"{server.url}/jobs", content=body, headers=JSON)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], list(error)) == (status, code, ["code", "message", "hint"])


def test_an_unknown_name_lists_the_known_ones_the_nearest_first(server: Server) -> None:
    """Rule enqueue.unknown."""
    answer = http.post(f"{server.url}/jobs", json={"namespace": "shop", "queue": "othr"})
    assert answer.json()["error"]["message"] == "unknown queue 'othr'; declared: other, work"
    answer = http.post(f"{server.url}/jobs", json={"namespace": "my-service", "queue": "x"})
    assert "SERVICE_NAMESPACE" in answer.json()["error"]["hint"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/jobs", 405), ("PUT", "/jobs", 405), ("POST", "/jobs/", 404), ("GET", "/nothing", 404),
        ("GET", "/_localqueue/jobs/nobody", 404), ("GET", "/_localqueue/jobs?limit=0", 400),
        ("GET", "/_localqueue/jobs?limit=201", 400), ("GET", "/_localqueue/jobs?state=x", 400),
        ("GET", "/_localqueue/jobs?limt=1", 400), ("GET", "/_localqueue/../../etc/passwd", 404),
    ],
)  # fmt: skip
def test_wrong_routes_and_parameters_have_the_same_error_shape(
    server: Server, method: str, path: str, status: int
) -> None:
    answer = http.request(method, server.url + path, headers=JSON)
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"code", "message", "hint"}


@pytest.mark.parametrize(
    ("peer", "path", "is_open"),
    [("10.0.0.9", "/jobs", True), ("10.0.0.9", "/_localqueue/jobs", False), ("::1", "/_localqueue/jobs", True)],
)
def test_peers_from_elsewhere_get_the_production_api_alone(peer: str, path: str, is_open: bool) -> None:
    """Rule security.peers."""
    scope = {
        "type": "http", "method": "GET", "path": path, "query_string": b"", "client": (peer, 1),
        "headers": [(b"host", b"localhost")],
    }  # fmt: skip
    rejections = Rejections(VirtualClock(0), events.Hub(lambda _: None))
    checked = security.SecurityMiddleware(lambda *_: None, rejections)  # type: ignore[arg-type, return-value]
    if is_open:
        checked.check(scope)
    else:
        with pytest.raises(security.Refused):
            checked.check(scope)
        security.SecurityMiddleware(lambda *_: None, rejections, allow_remote=True).check(scope)  # type: ignore[arg-type, return-value]
