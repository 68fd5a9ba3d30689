"""Judge what was seen: each check returns whether a rule holds, and what was seen, in a few words."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

from localqueue.conformance import probes
from localqueue.conformance.catalog import LIMIT, RETRY_DELAY_MS, RETRYING, TIMEOUT_MS
from localqueue.conformance.probes import Probe
from localqueue.conformance.worker import Arrival
from localqueue.core.text import counted

TOLERANCE_MS = 50
"""By how much a retry may seem early: the worker's clock sees a response later than the queue does."""
NOTICE_MS = 300
"""How late a busy machine may note the first request: its timeout seems shorter by as much."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The response to a request."""

    status: int
    content_type: str
    body: bytes


@dataclass(slots=True)
class Evidence:
    """The replies to requests and the deliveries that were seen, by probe."""

    probes: dict[str, Probe] = field(default_factory=dict)
    replies: dict[str, Reply] = field(default_factory=dict)
    arrivals: dict[str, list[Arrival]] = field(default_factory=dict)

    def of(self, tag: str) -> list[Arrival]:
        """Return the deliveries of a probe."""
        return self.arrivals.get(tag, [])

    def first(self, tag: str) -> Arrival | None:
        """Return the first delivery of a probe, or None."""
        return next(iter(self.of(tag)), None)

    def id(self, tag: str) -> str:
        """Return the ID that a probe got."""
        try:
            return str(json.loads(self.replies[tag].body)["id"])
        except (KeyError, ValueError, TypeError):
            return ""


Check = Callable[[Evidence], tuple[bool, str]]


def deliveries(tag: str, count: int) -> Check:
    """Return the check that a probe was delivered this often."""

    def check(seen: Evidence) -> tuple[bool, str]:
        delivered = len(seen.of(tag))
        return delivered == count, counted(delivered, "delivery", "deliveries")

    return check


def refused(name: str, *statuses: int) -> Check:
    """Return the check that a request was refused with one of these statuses."""

    def check(seen: Evidence) -> tuple[bool, str]:
        reply = seen.replies.get(name)
        return (False, "no response") if reply is None else (reply.status in statuses, str(reply.status))

    return check


def first(tag: str, value: Callable[[Arrival, Evidence], object], wanted: Callable[[Evidence], object]) -> Check:
    """Return the check that a value of the first delivery is as wanted."""

    def check(seen: Evidence) -> tuple[bool, str]:
        arrival = seen.first(tag)
        if arrival is None:
            return False, "no delivery"
        actual = value(arrival, seen)
        return actual == wanted(seen), str(actual)

    return check


def value_of(name: str) -> Callable[[Arrival, Evidence], object]:
    """Return what reads a field of the body of a delivery."""

    def value(arrival: Arrival, _: Evidence) -> object:
        try:
            return json.loads(arrival.body)[name]
        except (ValueError, KeyError, TypeError):
            return None

    return value


def created(seen: Evidence) -> tuple[bool, str]:
    """Check that every job was accepted with 201."""
    statuses = {seen.replies[tag].status for tag in seen.probes if tag in seen.replies}
    return statuses == {201}, ", ".join(map(str, sorted(statuses))) or "no response"


def only_id(seen: Evidence) -> tuple[bool, str]:
    """Check that the response has an ID and nothing else."""
    reply = seen.replies["plain"]
    try:
        content = json.loads(reply.body)
    except ValueError:
        return False, "a body that isn't JSON"
    is_right = isinstance(content, dict) and list(content) == ["id"] and isinstance(content["id"], str)
    return is_right, reply.body.decode("utf-8", "replace")[:80]


def unique_ids(seen: Evidence) -> tuple[bool, str]:
    """Check that no two jobs have the same ID."""
    ids = [seen.id(tag) for tag in seen.probes]
    return len(set(ids)) == len(ids) and "" not in ids, f"{len(set(ids))} IDs for {counted(len(ids), 'job')}"


def raw_data(seen: Evidence) -> tuple[bool, str]:
    """Check that the bytes of data arrive as they were sent."""
    arrival = seen.first("bytes")
    raw = b"" if arrival is None else arrival.body.partition(b'"data":')[2].strip()
    return raw == probes.BYTES.encode() + b"}", "the same bytes" if raw[:-1] == probes.BYTES.encode() else repr(
        raw[:120]
    )


def keys(arrival: Arrival, _: Evidence) -> object:
    """Return the keys of the body of a delivery."""
    try:
        return list(json.loads(arrival.body))
    except ValueError:
        return []


def attempts(tag: str) -> Check:
    """Return the check that attempts are counted from 1."""

    def check(seen: Evidence) -> tuple[bool, str]:
        numbers = [arrival.attempt for arrival in seen.of(tag)]
        return numbers == list(range(1, RETRYING.retries + 2)), ", ".join(map(str, numbers))

    return check


def same_in_each(name: str) -> Check:
    """Return the check that a field is the same in each attempt."""

    def check(seen: Evidence) -> tuple[bool, str]:
        values = [json.dumps(value_of(name)(arrival, seen)) for arrival in seen.of("always-fails")]
        return len(set(values)) == 1 and len(
            values
        ) > 1, f"{len(set(values))} in {counted(len(values), 'delivery', 'deliveries')}"

    return check


def pauses_ms(seen: Evidence, tag: str) -> list[int]:
    """Return the pause between each response and the next delivery, in ms."""
    arrivals = seen.of(tag)
    return [round((after.came_s - before.left_s) * 1000) for before, after in pairwise(arrivals)]


def waits(tag: str) -> Check:
    """Return the check that no retry comes before its delay is over."""

    def check(seen: Evidence) -> tuple[bool, str]:
        pauses = pauses_ms(seen, tag)
        is_right = bool(pauses) and all(pause >= RETRY_DELAY_MS - TOLERANCE_MS for pause in pauses)
        return is_right, ", ".join(f"{pause} ms" for pause in pauses) or "no retry"

    return check


def is_fixed(seen: Evidence) -> tuple[bool, str]:
    """Check that the second delay is like the first."""
    pauses = pauses_ms(seen, "always-fails")
    is_right = len(pauses) > 1 and max(pauses) < 1.8 * RETRY_DELAY_MS
    return is_right, ", ".join(f"{pause} ms" for pause in pauses) or "no retry"


def peak(seen: Evidence) -> int:
    """Return how many deliveries of the limited queue ran at once."""
    return max(
        (arrival.running for tag in seen.probes if tag.startswith("limited-") for arrival in seen.of(tag)), default=0
    )


def never_over(seen: Evidence) -> tuple[bool, str]:
    """Check that there were never more than the limit."""
    return 0 < peak(seen) <= LIMIT, f"{peak(seen)} at once"


def reached(seen: Evidence) -> tuple[bool, str]:
    """Check that the limit was reached."""
    return peak(seen) == LIMIT, f"{peak(seen)} at once"


def order(seen: Evidence) -> tuple[bool, str]:
    """Check that jobs start in the order in which they were enqueued."""
    tags = [f"ordered-{number}" for number in range(5)]
    came = sorted((arrival.came_s, tag) for tag in tags if (arrival := seen.first(tag)) is not None)
    return [tag for _, tag in came] == tags, ", ".join(tag.removeprefix("ordered-") for _, tag in came)


def frees_slot(seen: Evidence) -> tuple[bool, str]:
    """Check that the next job runs while another one waits for its retry."""
    retried, other = seen.of("ordered-0"), seen.first("ordered-1")
    if len(retried) < 2 or other is None:
        return False, "no retry"
    is_right = other.came_s < retried[1].came_s
    return is_right, "the next job ran meanwhile" if is_right else "the next job waited"


def independent(seen: Evidence) -> tuple[bool, str]:
    """Check that a queue runs while another one is blocked."""
    blocked, plain = seen.first("blocked"), seen.first("plain")
    if blocked is None or plain is None:
        return False, "no delivery"
    is_right = plain.came_s < blocked.came_s + TIMEOUT_MS / 1000
    return is_right, "delivered meanwhile" if is_right else "delivered afterwards"


def cut_off(seen: Evidence) -> tuple[bool, str]:
    """Check that the retry comes after timeoutMs and the delay."""
    arrivals = seen.of("late")
    if len(arrivals) < 2:
        return False, "not retried"
    after_ms = round((arrivals[1].came_s - arrivals[0].came_s) * 1000)
    return after_ms >= TIMEOUT_MS + RETRY_DELAY_MS - NOTICE_MS, f"retried {after_ms} ms after its start"


def not_followed(seen: Evidence) -> tuple[bool, str]:
    """Check that nothing was sent to the target of a redirect."""
    followed = [
        arrival for arrivals in seen.arrivals.values() for arrival in arrivals if arrival.path == probes.ELSEWHERE
    ]
    return not followed, counted(len(followed), "request") + " to the Location"


def null(seen: Evidence) -> tuple[bool, str]:
    """Check that absent data is delivered as null."""
    wanted = seen.id("absent")
    for arrival in seen.of(""):
        if value_of("jobId")(arrival, seen) == wanted:
            return b'"data":null' in arrival.body.replace(b": ", b":"), arrival.body.decode()[-40:]
    return False, "no delivery"


def length(arrival: Arrival, _: Evidence) -> object:
    """Return whether Content-Length is that of the body."""
    return arrival.headers.get("content-length") == str(len(arrival.body))


def method(arrival: Arrival, _: Evidence) -> object:
    """Return the method of a delivery."""
    return arrival.method


def path(arrival: Arrival, _: Evidence) -> object:
    """Return the path of a delivery."""
    return arrival.path


def content_type(arrival: Arrival, _: Evidence) -> object:
    """Return the Content-Type of a delivery, without its parameters."""
    return arrival.headers.get("content-type", "").split(";")[0]
