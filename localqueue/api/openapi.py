"""Build the OpenAPI 3.1 document from the tables of operations."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import localqueue
from localqueue.api import schemas
from localqueue.api.routing import JSON, Operation
from localqueue.api.schemas import Schema

Table = tuple[str, Sequence[Operation]]
"""The prefix of some paths, and their operations."""

ERRORS: dict[str, tuple[int, str]] = {
    "invalid_json": (400, "the body isn't valid JSON"),
    "invalid_request": (400, "a field, a parameter or a header is invalid; the message says what must change"),
    "host_not_allowed": (403, "the Host header doesn't name this machine"),
    "origin_not_allowed": (403, "the request comes from a page of another origin"),
    "loopback_only": (403, "the client isn't on this machine"),
    "unknown_namespace": (404, "no catalog declares this namespace; the message lists the declared ones"),
    "unknown_queue": (404, "the catalog doesn't declare this queue; the message lists the declared ones"),
    "unknown_job": (404, "the job doesn't exist; it may have been pruned"),
    "not_found": (404, "the route doesn't exist"),
    "method_not_allowed": (405, "the route doesn't support this method"),
    "request_timeout": (408, "the body did not arrive within 10 s"),
    "wrong_state": (409, "the job is in the wrong state for this action"),
    "unknown_schedule": (404, "no catalog declares the schedule; the message lists the known ones"),
    "ambiguous_id": (409, "several jobs have this short ID; the message lists them"),
    "payload_too_large": (
        413,
        "the body is larger than 1 MiB (`--max-body`), or than 64 KiB for routes without `data`",
    ),
    "uri_too_long": (414, "the request target is larger than 8 KiB"),
    "unsupported_media_type": (415, "the Content-Type isn't application/json"),
    "headers_too_large": (431, "the headers are larger than 16 KiB"),
    "internal": (500, "a bug in localqueue; the log has details"),
    "shutting_down": (503, "the server is stopping; nothing was stored"),
    "storage_unavailable": (503, "the database can't be read or written; nothing was stored"),
    "out_of_resources": (503, "the server has no file descriptors left; the request was not sent"),
    "too_many_streams": (503, "16 clients already follow the events"),
}
"""The status and the meaning of every error code."""

EVERYWHERE = ("invalid_request", "host_not_allowed", "origin_not_allowed", "uri_too_long", "headers_too_large")
WITH_A_BODY = ("invalid_json", "request_timeout", "payload_too_large", "unsupported_media_type")
CONTROL_API = "loopback_only"
PATH_PARAMETERS = {
    "id": "an ID, or a short ID: its last 8 hex digits",
    "namespace": "a namespace that a catalog declares",
    "queue": "a queue in the namespace",
    "name": "a schedule in the namespace",
}


def document(tables: Iterable[Table]) -> dict[str, Any]:
    """Return the whole document."""
    paths: dict[str, dict[str, Any]] = {}
    for prefix, operations in tables:
        for operation in operations:
            paths.setdefault(prefix + operation.path, {})[operation.method.lower()] = _operation(operation, prefix)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "localqueue",
            "version": localqueue.__version__,
            "description": "`POST /jobs` and `GET /health` are production's API; `/_localqueue` is only localqueue's.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "http://localhost:4327"}],
        "paths": paths,
        "components": {"schemas": schemas.COMPONENTS},
    }


def errors(operation: Operation, prefix: str) -> list[str]:
    """Return every error code of an operation, in order of status."""
    codes = {*EVERYWHERE, *operation.errors}
    if operation.body is not None:
        codes |= {*WITH_A_BODY}
    if prefix:
        codes.add(CONTROL_API)
    return [code for code in ERRORS if code in codes]


def _operation(operation: Operation, prefix: str) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": _camel(operation.handler.__name__),
        "summary": operation.summary,
        "tags": ["localqueue" if prefix else "production"],
        "parameters": [*_path_parameters(operation.path), *_query_parameters(operation)],
        "responses": {
            **{str(status): _success(operation) for status in (operation.status, operation.also) if status},
            **_error_responses(errors(operation, prefix)),
        },
    }
    if operation.description:
        described["description"] = operation.description
    if operation.body is not None:
        content = {JSON: {"schema": operation.body}}
        described["requestBody"] = {"required": "required" in operation.body, "content": content}
    return described


def _success(operation: Operation) -> dict[str, Any]:
    content = {media_type: {"schema": operation.response} for media_type in operation.media_types}
    return {"description": operation.summary, "content": content}


def _path_parameters(path: str) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"{(\w+)}", path):
        yield _parameter("path", name, PATH_PARAMETERS[name], schemas.TEXT) | {"required": True}


def _query_parameters(operation: Operation) -> Iterator[dict[str, Any]]:
    for parameter in operation.parameters:
        described = _parameter("query", parameter.name, parameter.description, parameter.schema)
        yield described | {"required": True} if parameter.is_required else described


def _parameter(where: str, name: str, description: str, schema: Schema) -> dict[str, Any]:
    return {"name": name, "in": where, "description": description, "schema": schema}


def _error_responses(all_codes: Iterable[str]) -> dict[str, Any]:
    by_status: dict[int, list[str]] = {}
    for code in all_codes:
        by_status.setdefault(ERRORS[code][0], []).append(code)
    return {
        str(status): {
            "description": "; ".join(f"`{code}`: {ERRORS[code][1]}" for code in codes),
            "content": {JSON: {"schema": schemas.ref("Error")}},
        }
        for status, codes in by_status.items()
    }


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)
