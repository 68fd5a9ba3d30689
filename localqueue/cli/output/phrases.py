"""Describe the state of a job and the end of an attempt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localqueue.cli.options import suggestion
from localqueue.cli.output.terminal import Painter
from localqueue.core.explanations import Explanation
from localqueue.core.models import Attempt, Firing, Job, JobState, Outcome, OutcomeKind, Rejection
from localqueue.core.text import counted, cut, safe
from localqueue.core.times import distance, duration, parse_time

LONGEST_WHY = 80
WIDE = 120
"""The number of columns from which a line has room for wide columns."""
NOT_STORED = "No job was stored. Does your service check the response status? fetch doesn't throw on HTTP errors."
NOT_FIRED = "the clock doesn't fire schedules; for that, start the server with: localqueue up --schedules"
HELD = {
    "paused": "the queue is paused",
    "queue_missing": "the queue is no longer in any catalog",
    "service_down": "its service isn't running yet",
    "no_timeout": "it isn't cut off after timeoutMs",
}


def held(reason: str) -> str:
    """Return why a job or a queue is held."""
    return HELD.get(reason, reason)


def remedy(job: Mapping[str, Any]) -> str:
    """Return what to do about a held job."""
    if job["held"] == "paused":
        return f"To resume it: {suggestion('resume', '/'.join((job['namespace'], job['queue'])))}"
    if job["held"] == "service_down":
        return f"Start {safe(job['namespace'])}. To see where it should listen: {suggestion('doctor')}"
    if job["held"] == "no_timeout":
        return f"To end the hold: {suggestion('release', job['shortId'])}"
    return f"Declare it under spec.queues in the catalog of {safe(job['namespace'])}."


def when(job: Mapping[str, Any], now_ms: int) -> str:
    """Return when a job continues, or when it finished."""
    if job["held"]:
        return f"held: {held(job['held'])}"
    if job["finishedAt"]:
        return distance(parse_time(job["finishedAt"]) - now_ms)
    if job["state"] == JobState.RUNNING:
        return running(job, now_ms)
    wait_ms = parse_time(job["dueAt"]) - now_ms
    return f"next try {distance(wait_ms)}" if wait_ms > 0 else "due now"


def running(job: Mapping[str, Any], now_ms: int) -> str:
    """Return how long an attempt has been running."""
    return f"for {duration(max(now_ms - parse_time(job['startedAt']), 0))}"


def service(namespace: str, target: str, is_listening: bool, paint: Painter) -> str:
    """Return that jobs wait for a service, or that they start."""
    if is_listening:
        return f"{paint('good', 'ready')}: {safe(namespace)} is listening on {safe(target)}; its jobs start"
    return (
        f"{paint('warn', 'waiting')}: nothing is listening on {safe(target)}; the jobs of {safe(namespace)} wait for it"
    )


def clock_moved(offset_ms: int) -> str:
    """Return why the times of the log have jumped: the wall clock was advanced."""
    return f"clock advanced: times are now {duration(offset_ms)} ahead of real time"


def hold(job: Job, is_held: bool, timeout_ms: int) -> str:
    """Return that a running attempt may take any time, or no longer."""
    where = safe(f"{job.namespace}/{job.queue} {job.short_id}")
    limit = duration(timeout_ms)
    if is_held:
        return f"hold: {where} isn't cut off after {limit}, as production would; localqueue release {job.short_id}"
    return f"release: {where} has {limit} again"


def duration_argument(ms: int) -> str:
    """Return a duration in the form that commands accept."""
    return f"{ms // 1000}s" if ms % 1000 == 0 else f"{ms}ms"


def delivery(
    at: str, job: Job, attempt: Attempt, paint: Painter, columns: int | None, *, with_namespace: bool = False
) -> str:
    """Return the line of a delivery: time, queue, job, attempt, status or error, duration, what comes next."""
    is_wide = columns is None or columns >= WIDE
    name, word, took = (20, 12, 8) if is_wide else (13, 3, 6)
    queue = f"{job.namespace}/{job.queue}" if with_namespace else job.queue
    number = f"attempt {attempt.number}/{attempt.max_attempts}"
    tone = "good" if attempt.outcome.kind is OutcomeKind.COMPLETED else "bad"
    following = safe(_next(job, attempt, is_wide))
    if is_wide:
        following = f"{_round(attempt)}{following}{_why(attempt, paint)}"
    outcome = paint(tone, f"{safe(outcome_word(attempt)) + injected_mark(attempt):<{word}}")
    return (
        f"{paint('dim', at)}  {safe(queue):<{name}} {safe(job.short_id)}  {number:<12} "
        f"{outcome} {duration(attempt.duration_ms):>{took}}  {following}"
    ).rstrip()


def _round(attempt: Attempt) -> str:
    """Return the round of a job that was retried by hand: its attempts count from 1 again."""
    return f"round {attempt.round}, " if attempt.round > 1 else ""


def _why(attempt: Attempt, paint: Painter) -> str:
    """Return what the service said about a failure, if it said something."""
    if attempt.summary is None or attempt.outcome.response is None or not attempt.outcome.response.body.strip():
        return ""
    return f"  {paint('dim', safe(cut(attempt.summary, LONGEST_WHY)))}"


def firing(at: str, fired: Firing, paint: Painter) -> str:
    """Return the line of a firing: time, schedule, status or error, duration."""
    tone = "good" if fired.outcome.kind is OutcomeKind.COMPLETED else "bad"
    word = paint(tone, f"{safe(ending_word(fired.outcome)):<12}")
    note = "" if fired.outcome.kind is OutcomeKind.COMPLETED else "  not retried: a schedule fires once"
    name = safe("/".join(fired.schedule.key))
    return f"{paint('dim', at)}  schedule {name}  {word} {duration(fired.duration_ms):>8}{note}".rstrip()


def outcome_word(attempt: Attempt) -> str:
    """Return the status, or the code of the error."""
    return ending_word(attempt.outcome)


def ending_word(outcome: Outcome) -> str:
    """Return the status, or the code of the error."""
    if outcome.status is not None:
        return str(outcome.status)
    return outcome.error.code if outcome.error is not None else outcome.kind.value


def explanation(where: str, meaning: Explanation, paint: Painter, *, with_command: bool) -> str:
    """Return what the end of an attempt means, and on a line of its own the command that helps."""
    text = f"{paint('warn', 'note')}: {safe(where)}: {safe(meaning.text, 500)}"
    return f"{text}\n  {paint('bold', safe(meaning.command, 500))}" if with_command else text


def many_failed(count: int, url: str | None, paint: Painter) -> str:
    """Return how to list the causes of many failures; `url` is that of a server that isn't at the default one."""
    command = suggestion("jobs", "--failed", "--by-error", *(["--url", url] if url else []))
    return f"{paint('warn', 'note')}: {counted(count, 'job')} failed. To list the causes: {paint('bold', command)}"


def injected_mark(attempt: Attempt) -> str:
    """Return ` (injected)` if the outcome was scripted."""
    return "" if attempt.outcome.injected is None else " (injected)"


def _next(job: Job, attempt: Attempt, is_wide: bool) -> str:
    if attempt.outcome.kind is OutcomeKind.INTERRUPTED:
        return "interrupted; runs again at the next start"
    if attempt.next_due_ms is not None:
        return f"next try in {duration(attempt.next_due_ms - attempt.ended_ms)}"
    return f"{job.finished}: {attempt.reason}" if job.finished != "completed" and is_wide else str(job.finished)


def rejection(refused: Rejection, paint: Painter) -> str:
    """Return the line about refused requests, with the hint at the first one."""
    source = "security check" if refused.is_security else "POST /jobs"
    count = f" ({refused.count} so far)" if refused.count > 1 else ""
    line = f"refused: {source}: {refused.code}: {safe(refused.message, 300)}{count}"
    hints = [refused.hint, "" if refused.is_security else NOT_STORED] if refused.count == 1 else []
    return "\n".join([paint("bad", line), *(f"  {safe(hint, 300)}" for hint in hints if hint)])
