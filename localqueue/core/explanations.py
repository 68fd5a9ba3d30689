"""Explain how an attempt ended: the one table of conditions, each with what it means and a command."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from localqueue.core.models import Attempt, Job, Outcome, OutcomeKind, Queue
from localqueue.core.records import record
from localqueue.core.text import safe
from localqueue.core.times import duration

SLOW_PART = 0.8
"""The part of timeoutMs from which a completed attempt is called slow."""


@record
class Explanation:
    """The meaning of a condition for the user, and a command that works as printed."""

    condition: str
    text: str
    command: str


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition: whether it holds, and its texts, in which {status}, {path} and others are filled in."""

    name: str
    holds: Callable[[Attempt, Queue], bool]
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
            return _filled(condition, job, queue, attempt)
    return None


def _filled(condition: Condition, job: Job, queue: Queue, attempt: Attempt) -> Explanation:
    values = {
        "id": job.short_id,
        "namespace": safe(job.namespace),
        "status": attempt.outcome.status,
        "path": safe(queue.endpoint),
        "place": safe(queue.place or "the catalog"),
        "url": safe(attempt.url),
        "origin": safe(attempt.url.removesuffix(queue.endpoint)),
        "location": safe(_header(attempt.outcome, "location") or "nowhere"),
        "error": safe(attempt.outcome.error.message) if attempt.outcome.error is not None else "",
        "took": duration(attempt.duration_ms),
        "timeout": duration(queue.timeout_ms),
        "delay": duration(queue.retry_delay_ms),
    }
    return Explanation(condition.name, condition.text.format(**values), condition.command.format(**values))


def _status(*statuses: int) -> Callable[[Attempt, Queue], bool]:
    return lambda attempt, _: attempt.outcome.status in statuses


def _error(*codes: str) -> Callable[[Attempt, Queue], bool]:
    return lambda attempt, _: attempt.outcome.error is not None and attempt.outcome.error.code in codes


def _message_has(part: str) -> Callable[[Attempt, Queue], bool]:
    return lambda attempt, _: attempt.outcome.error is not None and part in attempt.outcome.error.message


def _is_redirect(attempt: Attempt, _: Queue) -> bool:
    return 300 <= (attempt.outcome.status or 0) < 400


def _is_slow(attempt: Attempt, queue: Queue) -> bool:
    return attempt.duration_ms > SLOW_PART * queue.timeout_ms


def _says_it_failed(attempt: Attempt, _: Queue) -> bool:
    body = attempt.outcome.response.body if attempt.outcome.response is not None else b""
    if b'"success"' not in body:
        return False
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.get("success") is False


def _is_page(attempt: Attempt, _: Queue) -> bool:
    return (_header(attempt.outcome, "content-type") or "").startswith("text/html")


def _wants_delay(attempt: Attempt, _: Queue) -> bool:
    return _header(attempt.outcome, "retry-after") is not None


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
            "the service has no handler for POST {path}, the endpoint that is declared at {place}",
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
            "service_down",
            _error("connect_refused"),
            "nothing is listening on {origin}: start {namespace}, or deliver to another address with --target",
            "localqueue doctor",
        ),
        Condition(
            "plain_port",
            _message_has("WRONG_VERSION_NUMBER"),
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
            lambda attempt, queue: True,
            "{error}. The next attempt may overlap with it. Respond early, or raise timeoutMs at {place}",
        ),
    ),
    OutcomeKind.INTERRUPTED: (),
    OutcomeKind.CANCELLED: (),
}
"""For each kind of outcome, the conditions in order; the first one that holds is the explanation."""
