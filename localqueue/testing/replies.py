"""The scripted replies of a stub: check them when they are scripted, and turn them into outcomes."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from localqueue.core.faults import (
    HIGHEST_STATUS,
    LOWEST_STATUS,
    TIMEOUT,
    Fault,
    FaultKind,
    outcome_without_service,
    parse_fault,
)
from localqueue.core.models import AttemptError, Outcome, OutcomeKind, Response
from localqueue.testing.arguments import Duration, to_ms

ScriptedReply = Any
"""A status, (status, body), a word of `faults`, a Reply, or a callable that gets the request and returns one."""


@dataclass(frozen=True)
class Reply:
    """A response in full: its status, body, headers, and the time until it comes.

    A `str` or `bytes` body is sent as it is, anything else as JSON. With the virtual clock, `delay` takes virtual
    time only; a delay of `timeoutMs` or more is a timeout. Raises ValueError, TypeError.
    """

    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: Duration = "0ms"

    def __post_init__(self) -> None:
        _check_status(self.status, self)
        _encoded(self.body)
        for name, value in self.headers.items():
            if not _is_header(name, value):
                raise ValueError(f"a reply can't have the header {name!r}: {value!r}; use printable ASCII strings")
        to_ms(self.delay)

    @property
    def delay_ms(self) -> int:
        """Return the delay in ms."""
        return to_ms(self.delay)


def checked(reply: ScriptedReply) -> Any:
    """Return a reply as a Reply, a Fault (timeout, reset, refuse) or a callable. Raises ValueError, TypeError."""
    if inspect.iscoroutinefunction(reply) or inspect.iscoroutine(reply):
        raise TypeError("a reply can't be an async function; use a plain function")
    if isinstance(reply, Reply) or callable(reply):
        return reply
    if isinstance(reply, str):
        return _word(reply)
    if isinstance(reply, tuple) and len(reply) == 2:
        _check_status(reply[0], reply)
        return Reply(*reply)
    _check_status(reply, reply)
    return Reply(reply)


def _word(word: str) -> Reply | Fault:
    fault = parse_fault(word)
    if fault.kind is FaultKind.LOST_ACK:
        raise ValueError(
            "a stub has no service whose response could be lost; use fault(queue, 'lost-ack') and serve(app)"
        )
    if fault.kind is FaultKind.SLOW:
        return Reply(delay=f"{fault.value}ms")
    return Reply(fault.value or 200) if fault.kind in (FaultKind.OK, FaultKind.STATUS) else fault


def _check_status(status: Any, reply: ScriptedReply) -> None:
    if type(status) is not int or not LOWEST_STATUS <= status <= HIGHEST_STATUS:
        raise ValueError(
            "a reply must be a status from 200 to 999, (status, body), a word such as 'timeout', Reply(...) or a "
            f"callable, not {reply!r}"
        )


def _is_header(name: object, value: object) -> bool:
    texts = (name, value)
    return all(isinstance(text, str) and text.isascii() and text.isprintable() for text in texts) and bool(name)


def outcome(reply: Any, timeout_ms: int) -> Outcome:
    """Return the outcome of an attempt that got a checked reply, which isn't a callable."""
    if isinstance(reply, Fault):
        return outcome_without_service(reply, timeout_ms)
    if reply.delay_ms >= timeout_ms:
        return outcome_without_service(TIMEOUT, timeout_ms)
    headers = {"content-type": _content_type(reply.body)}
    headers |= {name.lower(): value for name, value in reply.headers.items()}
    response = Response(tuple(headers.items()), _encoded(reply.body))
    status, delay_ms = reply.status, reply.delay_ms
    if status < 300:
        return Outcome(OutcomeKind.COMPLETED, status, None, response, delay_ms)
    error = AttemptError(f"http_{status}", f"the service responded {status}")
    return Outcome(OutcomeKind.HTTP_ERROR, status, error, response, delay_ms)


def _content_type(body: Any) -> str:
    return "text/plain; charset=utf-8" if isinstance(body, bytes | str) else "application/json"


def _encoded(body: Any) -> bytes:
    """Return a body as bytes. Raises ValueError if it can't be sent."""
    if isinstance(body, bytes):
        return body
    try:
        return (body if isinstance(body, str) else json.dumps(body)).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"the body {body!r} of a reply can't be sent as JSON: {error}") from None
