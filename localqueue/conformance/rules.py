"""The rules: each with its source, what is expected, and its check."""

from __future__ import annotations

from dataclasses import dataclass

from localqueue.conformance import checks
from localqueue.conformance.catalog import LIMIT, RETRY_DELAY_MS, RETRYING, TIMEOUT_MS
from localqueue.conformance.checks import Check

PLATFORM, OURS = "platform", "decision"
STATUSES_THAT_COMPLETE = (201, 202, 204)
STATUSES_THAT_FAIL = (400, 404, 409, 429, 500, 503)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: its name, its source (the platform's reference, or our decision), what is expected, and its check."""

    name: str
    source: str
    expected: str
    check: Check


RULES = (
    Rule("enqueue.created", PLATFORM, "201 for a job", checks.created),
    Rule("enqueue.response", PLATFORM, 'the body is {"id": "..."} and nothing else', checks.only_id),
    Rule("enqueue.unique", PLATFORM, "each job has an ID of its own", checks.unique_ids),
    Rule("enqueue.invalid-json", PLATFORM, "400 for a body that isn't JSON", checks.refused("invalid-json", 400)),
    Rule("enqueue.no-queue", PLATFORM, "400 without a queue", checks.refused("no-queue", 400)),
    Rule("enqueue.no-namespace", PLATFORM, "400 without a namespace", checks.refused("no-namespace", 400)),
    Rule("enqueue.wrong-type", OURS, "400 for a queue that isn't a string", checks.refused("queue-of-wrong-type", 400)),
    Rule("enqueue.unknown-queue", PLATFORM, "404 for an unknown queue", checks.refused("unknown-queue", 404)),
    Rule(
        "enqueue.unknown-namespace", PLATFORM, "404 for an unknown namespace", checks.refused("unknown-namespace", 404)
    ),
    Rule("enqueue.content-type", OURS, "415 for another Content-Type", checks.refused("text", 415)),
    Rule("enqueue.large", OURS, "413 for a body over 1 MiB", checks.refused("large", 413)),
    Rule("deliver.method", PLATFORM, "POST", checks.first("plain", checks.method, lambda _: "POST")),
    Rule(
        "deliver.path",
        PLATFORM,
        "the endpoint of the queue",
        checks.first("plain", checks.path, lambda _: RETRYING.endpoint),
    ),
    Rule(
        "deliver.content-type",
        PLATFORM,
        "Content-Type: application/json",
        checks.first("plain", checks.content_type, lambda _: "application/json"),
    ),
    Rule(
        "deliver.length",
        OURS,
        "Content-Length is that of the body",
        checks.first("plain", checks.length, lambda _: True),
    ),
    Rule(
        "deliver.keys",
        PLATFORM,
        "the keys are jobId, queue, attempt, data",
        checks.first("plain", checks.keys, lambda _: ["jobId", "queue", "attempt", "data"]),
    ),
    Rule(
        "deliver.job-id",
        PLATFORM,
        "jobId is the ID of the response",
        checks.first("plain", checks.value_of("jobId"), lambda seen: seen.id("plain")),
    ),
    Rule(
        "deliver.queue",
        PLATFORM,
        "queue is the name of the queue",
        checks.first("plain", checks.value_of("queue"), lambda _: RETRYING.name),
    ),
    Rule(
        "deliver.first-attempt",
        PLATFORM,
        "attempt is 1",
        checks.first("plain", checks.value_of("attempt"), lambda _: 1),
    ),
    Rule(
        "deliver.data",
        PLATFORM,
        "data is what was sent",
        checks.first("plain", checks.value_of("data"), lambda _: {"tag": "plain", "text": "é ☃"}),
    ),
    Rule("deliver.bytes", OURS, "data is the same, byte for byte", checks.raw_data),
    Rule("deliver.absent-data", OURS, "data that was absent is null", checks.null),
    Rule("complete.200", PLATFORM, "200 completes the job", checks.deliveries("plain", 1)),
    *(
        Rule(f"complete.{status}", PLATFORM, f"{status} completes the job", checks.deliveries(f"status-{status}", 1))
        for status in STATUSES_THAT_COMPLETE
    ),
    Rule(
        "complete.success-false",
        PLATFORM,
        "success: false on 200 completes the job",
        checks.deliveries("success-false", 1),
    ),
    Rule("complete.slow", PLATFORM, "a response within timeoutMs completes the job", checks.deliveries("slow", 1)),
    *(
        Rule(f"retry.{status}", PLATFORM, f"{status} is retried", checks.deliveries(f"status-{status}", 2))
        for status in STATUSES_THAT_FAIL
    ),
    Rule("retry.redirect", OURS, "a redirect is retried", checks.deliveries("redirect", 2)),
    Rule("retry.not-followed", OURS, "a redirect isn't followed", checks.not_followed),
    Rule("retry.closed", PLATFORM, "a closed connection is retried", checks.deliveries("closed", 2)),
    Rule("retry.timeout", PLATFORM, "no response within timeoutMs is retried", checks.deliveries("late", 2)),
    Rule("retry.timeout-length", PLATFORM, f"the timeout is {TIMEOUT_MS} ms (timeoutMs)", checks.cut_off),
    Rule(
        "retry.number",
        PLATFORM,
        f"{RETRYING.retries} retries follow the first attempt",
        checks.deliveries("always-fails", RETRYING.retries + 1),
    ),
    Rule("retry.none", PLATFORM, "retries: 0 means one attempt", checks.deliveries("fails-once", 1)),
    Rule("retry.attempts", PLATFORM, "attempt counts 1, 2, 3", checks.attempts("always-fails")),
    Rule("retry.same-id", PLATFORM, "jobId is the same in each attempt", checks.same_in_each("jobId")),
    Rule("retry.same-data", PLATFORM, "data is the same in each attempt", checks.same_in_each("data")),
    Rule(
        "retry.delay",
        PLATFORM,
        f"a retry follows {RETRY_DELAY_MS} ms (retryDelayMs) after the end",
        checks.waits("always-fails"),
    ),
    Rule("retry.fixed", PLATFORM, "the delay doesn't grow", checks.is_fixed),
    Rule("retry.retry-after", PLATFORM, "Retry-After is ignored", checks.deliveries("retry-after", 2)),
    Rule("limit.never-over", PLATFORM, f"never more than {LIMIT} at once (concurrency)", checks.never_over),
    Rule("limit.reached", PLATFORM, f"{LIMIT} at once if there are enough jobs", checks.reached),
    Rule("limit.independent", PLATFORM, "a blocked queue doesn't hold another one up", checks.independent),
    Rule("limit.slot", OURS, "a job that waits for its retry holds no slot", checks.frees_slot),
    Rule("limit.order", OURS, "jobs start in the order in which they were enqueued", checks.order),
)
"""Every rule, in the order of the report."""
