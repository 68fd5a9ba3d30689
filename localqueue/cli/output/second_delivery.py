"""What `replay --same-id` prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from localqueue.core import json_body
from localqueue.core.text import counted, cut, safe

BODY, LINE = 300, 500
"""How many characters are shown of a response, and of a line."""
ADVICE = "if the handler enqueued them, it did its work twice: make it check first whether this jobId is already done"


def describe(delivery: Mapping[str, Any]) -> str:
    """Return both deliveries, how they differ, and what was enqueued meanwhile."""
    return "\n".join(safe(line, LINE) for line in _lines(delivery))


def _lines(delivery: Mapping[str, Any]) -> Iterator[str]:
    job = delivery["job"]
    yield f"{job['namespace']}/{job['queue']} {job['shortId']}, attempt {delivery['attempt']}, delivered again"
    for title in ("first", "second"):
        yield f"  {title:<6}  {_ending(delivery[title])}".rstrip()
    if any(delivery[title]["response"] is not None for title in ("first", "second")):
        yield f"  {_comparison(delivery)}"
    yield f"  {counted(delivery['enqueuedCount'], 'job')} enqueued during the second delivery{_ids(delivery)}"
    if delivery["enqueuedCount"]:
        yield f"  {ADVICE}"


def _comparison(delivery: Mapping[str, Any]) -> str:
    response = delivery["second"]["response"]
    if response is not None and json_body.says(response["body"].encode(), "skipped", True):
        return "the handler skipped the second delivery (skipped: true)"
    is_different = any("bodies" in text for text in delivery["differences"])
    return f"the bodies of the responses {'differ' if is_different else 'are equal'}"


def _ids(delivery: Mapping[str, Any]) -> str:
    named = [f"{job['queue']} {job['shortId']}" for job in delivery["enqueued"][:5]]
    return f": {', '.join(named)}" if named else ""


def _ending(ending: Mapping[str, Any]) -> str:
    if ending["response"] is None:
        return str(ending["error"]["message"]) if ending["error"] is not None else str(ending["status"])
    return f"{ending['status']}  {cut(ending['response']['body'].strip(), BODY)}"
