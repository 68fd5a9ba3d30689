"""The fields of a queue: their names in the catalog, and the values that they accept."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from localqueue.core.times import DAY_MS

RANGES = {
    "concurrency": (1, 1000),
    "retries": (0, 1000),
    "retryDelayMs": (0, 7 * DAY_MS),
    "timeoutMs": (1, DAY_MS),
}
"""The smallest and the largest value of each number."""
QUEUE_KEYS = ("name", "endpoint", *RANGES)
ATTRIBUTES = {
    "concurrency": "concurrency",
    "retries": "retries",
    "retryDelayMs": "retry_delay_ms",
    "timeoutMs": "timeout_ms",
}
"""The attribute of `Queue` for each number."""
NAME_RULE = "1 to 128 of the characters A-Z a-z 0-9 . _ -"
ENDPOINT_RULE = "a path on the service, such as /internal/jobs/x"
_NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")
_ENDPOINT = re.compile(r"/(?!/)[!-~]*")


def is_name(text: str) -> bool:
    """Return whether a text can be the name of a queue or a namespace."""
    return _NAME.fullmatch(text) is not None


def is_endpoint(text: str) -> bool:
    """Return whether a text is a path that is sent exactly as it is written."""
    is_path = _ENDPOINT.fullmatch(text) is not None and not set(text) & {"\\", "#"}
    return is_path and not {".", ".."} & set(text.partition("?")[0].split("/"))


def range_rule(key: str) -> str:
    """Return what a number must be, for messages."""
    smallest, largest = RANGES[key]
    return f"{key} must be a whole number from {smallest} to {largest}"


def nearest_typo(word: str, known: Sequence[str]) -> str | None:
    """Return the known word that `word` probably means, or None."""
    close = difflib.get_close_matches(word.lower(), [name.lower() for name in known], 1, 0.7)
    return next((name for name in known if close and name.lower() == close[0] and name != word), None)
