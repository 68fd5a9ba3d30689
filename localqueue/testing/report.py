"""What the report of a failed test shows of its jobs."""

from __future__ import annotations

from collections.abc import Sequence

from localqueue.core.text import counted, cut
from localqueue.testing.assertions import describe
from localqueue.testing.results import Attempt, Job

EXCEPTIONS = 5
"""How many exceptions of handlers a report shows."""
JOBS = 5
LEDGER_LINES = 40
BODY_LINES, BODY_CHARACTERS = 6, 600


def failed_attempts(jobs: Sequence[Job]) -> str:
    """Return the latest attempt of the jobs that have failed attempts: its URL, its outcome, and the response."""
    failed = [job for job in jobs if job.attempts and job.attempts[-1].error is not None]
    texts = [f"{describe(job)}\n{_attempt(job.attempts[-1])}" for job in failed[:JOBS]]
    rest = len(failed) - len(texts)
    return "\n".join([*texts, *([f"and {rest} more jobs"] if rest > 0 else [])])


def undelivered(jobs: Sequence[Job]) -> str:
    """Return how many jobs nothing but the clock holds back, and what delivers them: a test may have forgotten it."""
    waiting = sum(job.state == "queued" and job.held is None for job in jobs)
    return f"{counted(waiting, 'job')} not delivered yet: drain() and advance(...) deliver jobs" if waiting else ""


def shortened(ledger: str) -> str:
    """Return the beginning and the end of a long ledger."""
    lines = ledger.rstrip().splitlines()
    if len(lines) <= LEDGER_LINES:
        return "\n".join(lines)
    half = LEDGER_LINES // 2
    return "\n".join([*lines[:half], f"... {len(lines) - 2 * half} more attempts ...", *lines[-half:]])


def _attempt(attempt: Attempt) -> str:
    error = attempt.error.message if attempt.error is not None else attempt.outcome
    line = f"  attempt {attempt.number}/{attempt.max_attempts}  POST {attempt.url}  {error}"
    body = attempt.response.body if attempt.response is not None else ""
    shown = cut(body, BODY_CHARACTERS).splitlines()[:BODY_LINES]
    return "\n".join([line, *(f"    | {text}" for text in shown)])
