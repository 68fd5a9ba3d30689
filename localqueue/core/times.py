"""Convert instants and durations between integer milliseconds and text."""

from localqueue.core.text import (
    DAY_MS,
    LATEST_MS,
    distance,
    duration,
    iso,
    moment,
    offset,
    parse_duration,
    parse_time,
)

__all__ = [
    "DAY_MS",
    "LATEST_MS",
    "distance",
    "duration",
    "iso",
    "moment",
    "offset",
    "parse_duration",
    "parse_time",
]
