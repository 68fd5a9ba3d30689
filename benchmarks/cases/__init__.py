"""The goals, one file per group."""

from __future__ import annotations

from benchmarks.bench import Case
from benchmarks.cases import (
    burst,
    drain,
    fixture,
    flat,
    growth,
    handlers,
    latency,
    million,
    payloads,
    queues,
    retry,
    services,
)

CASES = (
    Case("drain", (*(f"1.{n}" for n in range(1, 8)), *(f"2.{n}" for n in range(1, 6))), drain.run),
    Case("latency", ("3.1", "3.2"), latency.run),
    Case("queues", ("4.1", "4.2"), queues.run),
    Case("retry", ("5.1", "5.2", "5.3", "5.4", "5.5", "5.6"), retry.run),
    Case("flat", ("6.1", "6.2", "6.3"), flat.run),
    Case("million", ("6.4", "6.5", "6.6", "6.7", "6.8"), million.run),
    Case("burst", ("7.1",), burst.run),
    Case("handlers", ("8.1",), handlers.run),
    Case("fixture", tuple(f"9.{n}" for n in range(1, 9)), fixture.run),
    Case("payloads", ("10.1", "10.2"), payloads.run),
    Case("growth", tuple(f"11.{n}" for n in range(1, 10)), growth.run, is_default=False),
    Case("services", tuple(f"12.{n}" for n in range(1, 7)), services.run),
)
