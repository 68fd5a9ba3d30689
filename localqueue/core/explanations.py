"""Explain how an attempt or a firing ended: tables of conditions, each with its meaning and a command."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from localqueue.core import json_body
from localqueue.core.models import Attempt, Firing, Job, Outcome, OutcomeKind, Queue
from localqueue.core.records import record
from localqueue.core.text import safe
from localqueue.core.times import duration

SERVICE_DOWN = "service_down"
"""The condition that ends when the service is listening."""
NO_TLS = "the service doesn't speak TLS: use http:// in the target"
"""The error of a delivery over https to a port that speaks plain HTTP."""
SLOW_PART = 0.8
"""The part of timeoutMs from which a completed attempt is called slow."""


@record
class Explanation:
    """The meaning of a condition for the user, and a command that works as printed."""

    condition: str
    text: str
    command: str


class Ended(Protocol):
    """A finished call: what attempts and firings have in common."""

    @property
    def url(self) -> str:
        """Return the URL that was called."""

    @property
    def duration_ms(self) -> int:
        """Return how long the call took."""

    @property
    def outcome(self) -> Outcome:
        """Return how the call ended."""


class Declared(Protocol):
    """A handler declared in a catalog: what queues and schedules have in common."""

    @property
    def namespace(self) -> str:
        """Return the namespace of the service."""

    @property
    def endpoint(self) -> str:
        """Return the path of the handler."""

    @property
    def timeout_ms(self) -> int:
        """Return after how many ms a call is cut off."""

    @property
    def place(self) -> str:
        """Return where the catalog declares it."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition: whether it holds, and its texts, in which {status}, {path} and others are filled in."""

    name: str
    holds: Callable[[Ended, Declared], bool]
    text: str
    command: str = "localqueue job {id}"


def explain(job: Job, queue: Queue, attempt: Attempt) -> Explanation | None:
    """Return what an attempt's end means, or None where the status says it all or the outcome was scripted.

    `queue` has the settings of the attempt. Source: the platform reference for what production does.
    """
    if attempt.outcome.injected is not None:
        return None
    for condition in CONDITIONS[attempt.outcome.kind]:
        if condition.holds(attempt, queue):
            return _filled(condition, queue, attempt, id=job.short_id, delay=duration(queue.retry_delay_ms))
    return None


def explain_firing(firing: Firing) -> Explanation | None:
    """Return what the end of a firing means, or None if the status needs no explanation.

    Source: the platform reference; its cron handlers respond first and do the work afterwards.
    """
    for condition in FIRING_CONDITIONS.get(firing.outcome.kind, ()):
        if condition.holds(firing, firing.schedule):
            return _filled(condition, firing.schedule, firing, name=safe("/".join(firing.schedule.key)))
    return None


def _filled(condition: Condition, declared: Declared, ended: Ended, **more: str) -> Explanation:
    values = {
        "namespace": safe(declared.namespace),
        "status": ended.outcome.status,
        "path": safe(declared.endpoint),
        "place": safe(declared.place or "the catalog"),
        "url": safe(ended.url),
        "origin": safe(ended.url.removesuffix(declared.endpoint)),
        "location": safe(_header(ended.outcome, "location") or ""),
        "error": safe(ended.outcome.error.message) if ended.outcome.error is not None else "",
        "took": duration(ended.duration_ms),
        "timeout": duration(declared.timeout_ms),
        **more,
    }
    return Explanation(condition.name, condition.text.format(**values), condition.command.format(**values))


def _status(*statuses: int) -> Callable[[Ended, Declared], bool]:
    return lambda ended, _: ended.outcome.status in statuses


def _error(*codes: str) -> Callable[[Ended, Declared], bool]:
    return lambda ended, _: ended.outcome.error is not None and ended.outcome.error.code in codes


def _has_no_tls(ended: Ended, _: Declared) -> bool:
    return ended.outcome.error is not None and ended.outcome.error.message == NO_TLS


def _is_redirect(ended: Ended, _: Declared) -> bool:
    return 300 <= (ended.outcome.status or 0) < 400 and _header(ended.outcome, "location") is not None


def _is_slow(ended: Ended, declared: Declared) -> bool:
    return ended.duration_ms > SLOW_PART * declared.timeout_ms


def _says_it_failed(ended: Ended, _: Declared) -> bool:
    return ended.outcome.response is not None and json_body.says(ended.outcome.response.body, "success", False)


def _always(_: Ended, __: Declared) -> bool:
    return True


def _is_page(ended: Ended, _: Declared) -> bool:
    return (_header(ended.outcome, "content-type") or "").startswith("text/html")


def _wants_delay(ended: Ended, _: Declared) -> bool:
    return _header(ended.outcome, "retry-after") is not None


def _header(outcome: Outcome, name: str) -> str | None:
    headers = outcome.response.headers if outcome.response is not None else ()
    return next((value for key, value in headers if key == name), None)


CONDITIONS: dict[OutcomeKind, tuple[Condition, ...]] = {
    OutcomeKind.COMPLETED: (
        Condition(
            "success_false",
            _says_it_failed,
            "the body says success: false, but {status} completes the job: production won't retry it. Respond with 4xx "
            "or 5xx to have it retried",
            "localqueue replay {id}",
        ),
        Condition(
            "page_completes",
            _is_page,
            "the response is an HTML page, and {status} completes the job. Is {path} the route of a handler? It is "
            "declared at {place}",
        ),
        Condition(
            "slow",
            _is_slow,
            "the attempt took {took} of {timeout} (timeoutMs). After a timeout, the job is delivered again while the "
            "handler may still be running. Respond early, or raise timeoutMs at {place}",
        ),
    ),
    OutcomeKind.HTTP_ERROR: (
        Condition(
            "wrong_path",
            _status(404, 405),
            "POST {path}, declared at {place}, has no handler, or its handler responded {status}",
            "curl -i -X POST -H 'Content-Type: application/json' -d '{{}}' {url}",
        ),
        Condition(
            "redirect",
            _is_redirect,
            "the service redirects to {location}, and redirects aren't followed. Change the endpoint at {place}",
            "localqueue check",
        ),
        Condition(
            "authentication",
            _status(401, 403),
            "the endpoint needs authentication, but deliveries have no credentials. Let {path} through without them; "
            "it must not be a public route",
            "localqueue check",
        ),
        Condition(
            "too_large",
            _status(413),
            "the body is larger than the service accepts. Raise the limit of its body parser, such as "
            "express.json({{ limit: '1mb' }})",
        ),
        Condition(
            "refused_body",
            _status(400, 415, 422),
            "the service doesn't accept the body. The payload is in `data`, beside jobId, queue and attempt",
        ),
        Condition(
            "retry_after",
            _wants_delay,
            "Retry-After is ignored: the next attempt follows after {delay} (retryDelayMs)",
        ),
        Condition(
            "page",
            _is_page,
            "the response is an HTML page, not JSON: an error page of the framework or of a proxy",
        ),
    ),
    OutcomeKind.CONNECTION_ERROR: (
        Condition(
            SERVICE_DOWN,
            _error("connect_refused"),
            "nothing is listening on {origin}: start {namespace}, or deliver to another address with --target",
            "localqueue doctor",
        ),
        Condition(
            "plain_port",
            _has_no_tls,
            "{origin} is https, but the port speaks plain HTTP. Use http:// in the target of {namespace}",
            "localqueue doctor",
        ),
        Condition(
            "closed",
            _error("closed_no_response"),
            "the service closed the connection without a response. Did the process crash? A port that speaks TLS does "
            "the same: it needs https:// in the target of {namespace}",
        ),
    ),
    OutcomeKind.TIMEOUT: (
        Condition(
            "timeout",
            _always,
            "{error}. The next attempt may overlap with it. Respond early, or raise timeoutMs at {place}",
        ),
    ),
    OutcomeKind.INTERRUPTED: (),
    OutcomeKind.CANCELLED: (),
}
"""For each kind of outcome, the conditions in order; the first one that holds is the explanation."""

FIRING_CONDITIONS: dict[OutcomeKind, tuple[Condition, ...]] = {
    OutcomeKind.COMPLETED: (
        Condition(
            "success_false",
            _says_it_failed,
            "the body says success: false, but firings aren't retried. Enqueue a job for work that can fail: jobs are "
            "retried",
            "localqueue trigger {name}",
        ),
        Condition(
            "slow",
            _is_slow,
            "the handler took {took} of {timeout} (timeoutMs) to respond. iec-cron doesn't wait for slow work: respond "
            "first and do the work afterwards",
            "localqueue trigger {name}",
        ),
    ),
    OutcomeKind.HTTP_ERROR: (
        Condition(
            "wrong_path",
            _status(404, 405),
            "POST {path}, declared at {place}, has no handler, or its handler responded {status}",
            "curl -i -X POST -H 'Content-Type: application/json' -d '{{}}' {url}",
        ),
    ),
    OutcomeKind.CONNECTION_ERROR: (
        Condition(
            SERVICE_DOWN,
            _error("connect_refused"),
            "nothing is listening on {origin}: start {namespace}, or deliver to another address with --target",
            "localqueue doctor",
        ),
    ),
    OutcomeKind.TIMEOUT: (
        Condition(
            "timeout",
            _always,
            "{error}. iec-cron doesn't wait for slow work: respond first and do the work afterwards, with one job for "
            "each record",
            "localqueue trigger {name}",
        ),
    ),
}
"""The conditions of firings. There are only a few, because most outcomes are clear from the status or the error."""
