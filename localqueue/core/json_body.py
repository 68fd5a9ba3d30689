"""Look for a flag in the JSON body of a response, in the shape of the platform: `success`, `skipped`."""

from __future__ import annotations

import json


def says(body: bytes, field: str, value: bool) -> bool:
    """Return whether a body is a JSON object in which the field has that value."""
    if f'"{field}"'.encode() not in body:
        return False
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.get(field) is value
