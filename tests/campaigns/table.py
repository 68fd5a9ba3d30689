"""The campaigns: what each one is called, how long it is, and what it looks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.campaigns import (
    crashes,
    endurance,
    gate,
    inputs,
    machine,
    power_loss,
    responses,
    signals,
    simulation,
    store_failures,
    workers,
)


@dataclass(frozen=True, slots=True)
class Campaign:
    """A campaign; `short` and `long` are its counts, `run` takes a count and a seed and returns a summary."""

    name: str
    run: Callable[[int, int], str]
    short: int
    long: int
    promise: str


CAMPAIGNS = (
    Campaign("kills", crashes.kills, 5, 2000, "kill -9 at random moments loses no job and breaks no rule"),
    Campaign("points", crashes.points, 1, 20, "neither does a crash at a named point"),
    Campaign("double-starts", crashes.double_starts, 1, 200, "of 20 servers on one database, one runs"),
    Campaign("power-loss", power_loss.cuts, 50, 20_000, "a log that is cut behind an acknowledgement has its job"),
    Campaign("simulation", simulation.seeds, 20, 50_000, "random histories keep every rule of docs/semantics.md"),
    Campaign("soak", simulation.soak, 200, 100_000, "a month of jobs, crashes and edits keeps every rule"),
    Campaign("plants", simulation.plants, 2, 100, "the checker of the histories finds every planted bug"),
    Campaign("store-failures", store_failures.sweep, 40, 20_000, "one failing call of the database breaks no rule"),
    Campaign(
        "model", machine.examples, 12, 20_000, "every call leaves jobs, attempts and counts as a simple model has them"
    ),
    Campaign(
        "requests",
        inputs.requests,
        500,
        1_000_000,
        "no damaged or expensive request gets a 5xx or holds the event loop up",
    ),
    Campaign("responses", responses.bodies, 2000, 1_000_000, "damaged responses give a summary and no exception"),
    Campaign("catalogs", inputs.catalogs, 200, 50_000, "damaged catalogs give findings and no exception"),
    Campaign("workers", workers.sequences, 80, 10_000, "each attempt at a bad service is recorded as what it was"),
    Campaign("gate", gate.requests, 120, 20_000, "no foreign request creates a job or reads one"),
    Campaign("signals", signals.signals, 5, 1000, "a server ends well at any signal and moment, and loses no job"),
    Campaign("endurance", endurance.jobs, 1000, 100_000, "memory, descriptors and threads stay flat"),
    Campaign(
        "dead-port",
        endurance.dead_port,
        200,
        10_000,
        "jobs for a port where nobody listens cost no more as they add up",
    ),
)
