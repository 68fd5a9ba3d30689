"""Requests that are expensive to read or to answer, as bytes for a socket: for the watchdog and for a campaign."""

from __future__ import annotations

import json
from collections.abc import Iterator

from localqueue.api.routes import control
from localqueue.api.routing import Operation

_JOB = b'{"namespace":"shop","queue":"work"'
_SIZE = 1_000_000
LARGE = {
    "long queue": b'{"namespace":"shop","queue":"%b"}' % (b"w" * _SIZE),
    "long namespace": b'{"namespace":"%b","queue":"work"}' % (b"s" * _SIZE),
    "long key": b'%b,"%b":1}' % (_JOB, b"k" * _SIZE),
    "many keys": _JOB + b"".join(b',"key%d":1' % number for number in range(_SIZE // 16)) + b"}",
    "similar keys": b'{"queue":"work"' + b"".join(b',"namespac%d":1' % number for number in range(900)) + b"}",
    "equal keys": _JOB + b',"a":1' * (_SIZE // 6) + b"}",
    "long number": b'%b,"data":%b}' % (_JOB, b"9" * _SIZE),
    "lone surrogates": b'%b,"data":"%b"}' % (_JOB, b"\\ud800" * (_SIZE // 6)),
    "many objects": b'%b,"data":[%b1]}' % (_JOB, b"{}," * (_SIZE // 3)),
    "many numbers": b'%b,"data":[%b1]}' % (_JOB, b"1e1," * (_SIZE // 4)),
    "deep data": b'%b,"data":%b' % (_JOB, b"[" * _SIZE),
    "unfinished escapes": b'%b,"data":"%b' % (_JOB, b"\\\\" * (_SIZE // 2)),
    "white space": b" " * _SIZE + b'{"namespace":"shop","queue":"work"}',
}
"""Bodies of `POST /jobs` of almost 1 MiB."""
_LONG = 64 * 1024 - 100
SMALLER = {
    "nothing but brackets": b"[" * _LONG,
    "deep values": b'{"queue":' * (_LONG // 9),
    "many keys": b"{%b}" % b",".join(b'"k%d":0' % number for number in range(_LONG // 11)),
    "equal keys": b"{%b}" % b",".join([b'"queue":0'] * (_LONG // 10)),
    "long key": b'{"%b":1}' % (b"k" * (_LONG - 8)),
    "long texts": json.dumps(
        dict.fromkeys(("namespace", "queue", "id", "q", "summary", "since", "state", "to", "url"), "x" * 7000)
    ).encode(),
    "long numbers": json.dumps(dict.fromkeys(("ms", "timeoutMs", "status", "retries"), 10**4299)).encode(),
    "long lists": json.dumps({"queue": "work", "outcomes": [503] * 10_000, "url": [[]] * 2000}).encode(),
    "unknown words": json.dumps({"queue": "work", "outcomes": ["ok"] * 8000 + ["x" * 10_000]}).encode(),
    "damaged text": b'{"queue":"' + b"\xff" * (_LONG - 20) + b'"}',
}
"""Bodies of other requests, of almost the 64 KiB that they may have."""
FILTERS = {
    "long search": "q=" + "x" * 8000,
    "escaped search": "q=" + "%25" * 2600,
    "many parameters": "&".join(f"p{number}" for number in range(1300)),
    "equal parameters": "&".join(["q=1"] * 2000),
    "empty parameters": "&" * 8000,
    "long name": "n" * 8000,
    "long values": "namespace=" + "s" * 2000 + "&queue=" + "w" * 2000 + "&id=" + "a" * 2000 + "&since=" + "1" * 1900,
    "long queue": "queue=" + "w" * 8000,
    "long time": "until=" + "2" * 8000,
}
HEADERS = {
    "long header": b"X-Long: " + b"h" * 200_000,
    "many headers": b"\r\n".join(b"X-%d: 1" % number for number in range(20_000)),
    "as many headers as are allowed": b"\r\n".join(b"X-%d: 1" % number for number in range(1200)),
    "many hosts": b"\r\n".join([b"Host: localhost"] * 900),
    "long content type": b"Content-Type: application/" + b"x+" * 7000 + b"json",
    "long origin": b"Origin: http://" + b"a." * 7000,
    "long host": b"Host: " + b"[" + b"f:" * 7000 + b"]",
}


def requests(job: str) -> Iterator[tuple[str, bytes]]:
    """Yield the requests with their names; `job` is the ID of a job that exists."""
    for name, body in LARGE.items():
        yield f"POST /jobs, {name}", request("POST", "/jobs", body)
    for operation in control.OPERATIONS:
        path = control.PREFIX + operation.path.format(namespace="shop", queue="work", name="nightly", id=job)
        yield from _of(operation, path)
    for name, text in HEADERS.items():
        yield f"POST /jobs, {name}", request("POST", "/jobs", _JOB + b"}", text)
    for length in (8000, 60_000):
        yield f"a path of {length} characters", request("GET", "/" + "p" * length)
        yield f"{length} slashes", request("GET", "/" * length)
        yield f"{length} escapes", request("GET", control.PREFIX + "/jobs/" + "%2F" * (length // 3))


def _of(operation: Operation, path: str) -> Iterator[tuple[str, bytes]]:
    route = f"{operation.method} {operation.path}"
    for name, body in SMALLER.items() if operation.body is not None else ():
        yield f"{route}, {name}", request(operation.method, path, body)
    for name, query in FILTERS.items():
        yield f"{route}, {name}", request(operation.method, f"{path}?{query}")


def request(method: str, target: str, body: bytes = b"", header: bytes = b"X-More: 1") -> bytes:
    """Return the bytes of a request; the server closes the connection after its response."""
    head = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Content-Type: application/json\r\n" + header + b"\r\n\r\n" + body
