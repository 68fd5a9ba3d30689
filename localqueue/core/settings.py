"""The settings of a server, and the one table of options that CLI, validation and docs are made from."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from localqueue.core import crashpoint
from localqueue.core.text import safe
from localqueue.core.times import parse_time

_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]+\]")
DEFAULT_PORT = 4327
DEFAULT_DB = Path(".localqueue/queue.db")
DEFAULT_START = "2026-01-01T00:00:00.000Z"


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of a server."""

    catalog: tuple[Path, ...] = ()
    target: tuple[str, ...] = ()
    namespace: str | None = None
    host: str | None = None
    port: int = DEFAULT_PORT
    db: Path = DEFAULT_DB
    ephemeral: bool = False
    clock: str = "wall"
    start: str | None = None
    seed: int | None = None
    schedules: bool = False
    keep: int = 10_000
    max_body: int = 1024 * 1024
    grace: float = 5.0
    allow_host: tuple[str, ...] = ()
    allow_remote: bool = False
    wait_for_service: bool = False
    hold_while_down: bool = False
    no_timeouts: bool = False
    chaos: float = 0.0
    deliver_twice: bool = False
    crash_at: str | None = None
    log: str = "text"
    quiet: bool = False
    no_color: bool = False
    utc: bool = False

    @property
    def start_ms(self) -> int:
        """Return the start of the virtual clock, in ms since the epoch. Raises ValueError."""
        return parse_time(self.start or DEFAULT_START)

    @property
    def id_seed(self) -> int | None:
        """Return the number from which job IDs are derived; None: they are unique."""
        return self.seed if self.clock == "virtual" else None

    def problem(self) -> str | None:
        """Return which options are invalid or don't go together, or None."""
        if self.clock != "virtual" and self.seed is not None and not self.chaos:
            return "--seed works only with --clock virtual or --chaos, because job IDs must be unique in real time"
        if self.clock == "virtual" and (self.wait_for_service or self.hold_while_down):
            option = "--wait-for-service" if self.wait_for_service else "--hold-while-down"
            return f"{option} works only with the wall clock: virtual time doesn't wait"
        if self.clock != "virtual" and self.start is not None:
            return "--start works only with --clock virtual"
        if self.crash_at is not None and (problem := self._crash_problem(self.crash_at)):
            return f"--crash-at: {problem}"
        for host in self.allow_host:
            if not _HOST.fullmatch(host):
                return f"--allow-host: {safe(host)!r} must be a host name without a port"
        try:
            self.start_ms  # noqa: B018
        except ValueError as error:
            return f"--start: {error}"
        return None

    def _crash_problem(self, text: str) -> str | None:
        if self.ephemeral:
            return "there is nothing to restart from in an ephemeral database; use --db PATH"
        try:
            crashpoint.parse(text)
        except ValueError as error:
            return str(error)
        return None


@dataclass(frozen=True, slots=True)
class Option:
    """An option of `up`: its field in Settings, its values, its help. A flag that `can_be_off` has a `--no-` form."""

    name: str
    help: str
    metavar: str = ""
    many: bool = False
    flag: bool = False
    can_be_off: bool = False
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    kind: type = field(default=str)

    @property
    def flag_name(self) -> str:
        """Return the option as it is written on the command line."""
        return "--" + self.name.replace("_", "-")

    def problem(self, value: object) -> str | None:
        """Return what a single value must be instead, such as `must be a number from 0 to 65535`, or None."""
        if self.flag:
            return None if isinstance(value, bool) else "must be True or False"
        if self.choices:
            return None if value in self.choices else f"must be one of {', '.join(self.choices)}"
        if self.kind in (int, float):
            return self._number_problem(value)
        return None if isinstance(value, self.kind) else f"must be a {self.kind.__name__}"

    def _number_problem(self, value: object) -> str | None:
        kinds = (int, float) if self.kind is float else (int,)
        lowest, largest = self.minimum or 0, self.maximum or 0
        if isinstance(value, kinds) and not isinstance(value, bool) and lowest <= value <= largest:
            return None
        noun = "number" if self.kind is float else "whole number"
        return f"must be a {noun} from {lowest:.0f} to {largest:.0f}"

    @property
    def env(self) -> str:
        """Return the environment variable that sets the option."""
        return "LOCALQUEUE_" + self.name.upper()


OPTIONS = (
    Option("catalog", "Catalog file, folder or glob; can be repeated. Default: ./catalog-info.yaml if it declares "
           "queues, else the catalogs up to three levels below that do.", "FILE", many=True, kind=Path),
    Option("target", "Base URL of the service. Default: http://localhost and the port from insureco.io/port, or 3000.",
           "URL | NAMESPACE=URL", many=True),
    Option("namespace", "Namespace of the service, if there is one catalog. Default: metadata.name.", "NS"),
    Option("host", "Listen on this address instead of 127.0.0.1 and ::1.", "ADDR"),
    Option("port", "Port to listen on; 0 picks a free one.", "PORT", kind=int, minimum=0, maximum=65535),
    Option("db", "Database file.", "PATH", kind=Path),
    Option("ephemeral", "Store jobs in a private temporary file that is removed at exit.", flag=True),
    Option("clock", "Clock to use: real time (wall), or virtual time that moves only when advanced.",
           choices=("wall", "virtual")),
    Option("start", "Start of the virtual clock, ISO 8601, UTC by default. Default: 2026-01-01T00:00:00.000Z.", "TIME"),
    Option("seed", "Make runs reproducible: job IDs (virtual clock only) and --chaos follow from this number.", "N",
           kind=int, minimum=0, maximum=2**63 - 1),
    Option("schedules", "Fire the schedules of the catalog by the clock.", flag=True),
    Option("keep", "Number of finished jobs to keep; failed ones are deleted last.", "N", kind=int,
           minimum=1, maximum=100_000_000),
    Option("max_body", "Largest request body, in bytes.", "BYTES", kind=int,
           minimum=1024, maximum=512 * 1024 * 1024),
    Option("grace", "How long running attempts may take after the first Ctrl-C.", "SECONDS", kind=float,
           minimum=0, maximum=3600),
    Option("allow_host", "Also accept this name in the Host header, such as host.docker.internal; can be repeated.",
           "NAME", many=True),
    Option("allow_remote", "Let other machines use /_localqueue too.", flag=True),
    Option("wait_for_service", "Hold the jobs of a service until something listens on its target, instead of failing "
           "their first attempts. Default for exec on the wall clock; works only there.", flag=True, can_be_off=True),
    Option("hold_while_down", "Like --wait-for-service, and again each time a connection is refused.", flag=True),
    Option("no_timeouts", "Don't cut attempts off after timeoutMs, for a debugger.", flag=True),
    Option("chaos", "Fraction of attempts that fail at random, such as 0.1: 503, timeout, reset or lost-ack; "
           "the same ones for the same --seed.", "P", kind=float, minimum=0, maximum=1),
    Option("deliver_twice", "Deliver each attempt that completes a second time, with the same jobId, and warn if the "
           "responses differ.", flag=True),
    Option("crash_at", "Rehearse a crash: end as by kill -9 when this point is reached for the Nth time. "
           f"Points: {', '.join(crashpoint.POINTS)}.", "POINT[:N]"),
    Option("log", "Format of the log; `failures` is text without completed deliveries.",
           choices=("text", "json", "failures")),
    Option("quiet", "Log only the last delivery of each failed job; under exec, none.", flag=True),
    Option("no_color", "Don't color the output.", flag=True),
    Option("utc", "Log times in UTC, not local time. Virtual time is always in UTC.", flag=True),
)  # fmt: skip
"""Every option of `up`; a test compares it with Settings and with the documentation."""
