"""Describe every route as an OpenAPI 3.1 document, from the tables of operations."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import localqueue
from localqueue.api import schemas
from localqueue.api.routing import JSON, Operation
from localqueue.api.schemas import Schema

Table = tuple[str, Sequence[Operation]]
"""What the paths of some operations begin with, and the operations."""

ERRORS: dict[str, tuple[int, str]] = {
    "invalid_json": (400, "the body is no JSON text"),
    "invalid_request": (400, "a field, a parameter or a header is wrong; the message says what was expected"),
    "host_not_allowed": (403, "the Host header names another machine"),
    "origin_not_allowed": (403, "a page of another origin asked"),
    "loopback_only": (403, "the client is not on this machine"),
    "unknown_namespace": (404, "no catalog has this namespace; the message lists the known ones"),
    "unknown_queue": (404, "the catalog does not declare this queue; the message lists the known ones"),
    "unknown_job": (404, "there is no such job; it may have been pruned"),
    "not_found": (404, "there is no such route"),
    "method_not_allowed": (405, "the route does not have this method"),
    "request_timeout": (408, "the body did not arrive within 10 s"),
    "wrong_state": (409, "the state of the job does not allow it"),
    "ambiguous_id": (409, "several jobs have this short id; the message lists them"),
    "payload_too_large": (413, "the body is over 1 MiB (`--max-body`), or over 64 KiB where there is no `data`"),
    "uri_too_long": (414, "the target is over 8 KiB"),
    "unsupported_media_type": (415, "the Content-Type is not application/json"),
    "headers_too_large": (431, "the headers are over 16 KiB"),
    "internal": (500, "a bug of ours; the log says more"),
    "shutting_down": (503, "the server stops; nothing was stored"),
    "storage_unavailable": (503, "the database can't be read or written; nothing was stored"),
    "too_many_streams": (503, "16 clients follow the events already"),
}
"""The status of every code, and what it means."""

EVERYWHERE = ("invalid_request", "host_not_allowed", "origin_not_allowed", "uri_too_long", "headers_too_large")
WITH_A_BODY = ("invalid_json", "request_timeout", "payload_too_large", "unsupported_media_type")
OURS = "loopback_only"
PATH_PARAMETERS = {
    "id": "an id, or a short id: its last 8 hex digits",
    "namespace": "a namespace of the catalog",
    "queue": "a queue of the namespace",
}


def document(tables: Iterable[Table]) -> dict[str, Any]:
    """Return the whole document."""
    paths: dict[str, dict[str, Any]] = {}
    for prefix, operations in tables:
        for each in operations:
            paths.setdefault(prefix + each.path, {})[each.method.lower()] = _operation(each, prefix)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "localqueue",
            "version": localqueue.__version__,
            "description": "`POST /jobs` and `GET /health` are production's; what is under `/_localqueue` is ours.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "http://localhost:4327"}],
        "paths": paths,
        "components": {"schemas": schemas.COMPONENTS},
    }


def errors(operation: Operation, prefix: str) -> list[str]:
    """Return every code that an operation may answer with, in order of status."""
    found = {*EVERYWHERE, *operation.errors}
    if operation.body is not None:
        found |= {*WITH_A_BODY}
    if prefix:
        found.add(OURS)
    return [code for code in ERRORS if code in found]


def _operation(operation: Operation, prefix: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": _camel(operation.handler.__name__),
        "summary": operation.summary,
        "tags": ["localqueue" if prefix else "production"],
        "parameters": [*_path_parameters(operation.path), *_query_parameters(operation)],
        "responses": {
            **{str(status): _answer(operation) for status in (operation.status, operation.also) if status},
            **_error_responses(errors(operation, prefix)),
        },
    }
    if operation.description:
        found["description"] = operation.description
    if operation.body is not None:
        content = {JSON: {"schema": operation.body}}
        found["requestBody"] = {"required": "required" in operation.body, "content": content}
    return found


def _answer(operation: Operation) -> dict[str, Any]:
    content = {operation.media_type: {"schema": operation.answer}}
    return {"description": operation.summary, "content": content}


def _path_parameters(path: str) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"{(\w+)}", path):
        yield _parameter("path", name, PATH_PARAMETERS[name], schemas.TEXT) | {"required": True}


def _query_parameters(operation: Operation) -> Iterator[dict[str, Any]]:
    for each in operation.parameters:
        yield _parameter("query", each.name, each.description, each.schema)


def _parameter(where: str, name: str, description: str, schema: Schema) -> dict[str, Any]:
    return {"name": name, "in": where, "description": description, "schema": schema}


def _error_responses(codes: Iterable[str]) -> dict[str, Any]:
    by_status: dict[int, list[str]] = {}
    for code in codes:
        by_status.setdefault(ERRORS[code][0], []).append(code)
    return {
        str(status): {
            "description": "; ".join(f"`{code}`: {ERRORS[code][1]}" for code in found),
            "content": {JSON: {"schema": schemas.ref("Error")}},
        }
        for status, found in by_status.items()
    }


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(each.capitalize() for each in others)
