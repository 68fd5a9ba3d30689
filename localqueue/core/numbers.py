"""Read numbers from JSON."""

from __future__ import annotations


def as_int(value: object) -> int | None:
    """Return a whole number, which JSON may write as `5.0`; None for anything else."""
    if type(value) is float and value.is_integer():
        return int(value)
    return value if type(value) is int else None
