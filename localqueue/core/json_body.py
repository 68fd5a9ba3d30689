"""Look for a flag of the platform in the JSON body of a response: `success` or `skipped`."""

from __future__ import annotations

import json


def says(body: bytes, field: str, value: bool) -> bool:
    """Return whether a body is a JSON object whose field has that value."""
    if f'"{field}"'.encode() not in body:
        return False
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.get(field) is value
