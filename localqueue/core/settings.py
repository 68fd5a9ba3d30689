"""Hold the settings of a server, and the one table of options that CLI, validation and docs are made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from localqueue.core.times import parse_time

DEFAULT_PORT = 4327
DEFAULT_DB = Path(".localqueue/queue.db")
DEFAULT_START = "2026-01-01T00:00:00.000Z"


@dataclass(frozen=True, slots=True)
class Settings:
    """Hold everything that `up` was told."""

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
    keep: int = 10_000
    max_body: int = 1024 * 1024
    grace: float = 5.0
    allow_host: tuple[str, ...] = ()
    allow_remote: bool = False
    log: str = "text"
    quiet: bool = False
    no_color: bool = False

    @property
    def start_ms(self) -> int:
        """Return where the virtual clock starts, in ms since the epoch. Raises ValueError."""
        return parse_time(self.start or DEFAULT_START)

    def problem(self) -> str | None:
        """Return which options are wrong or do not go together, or None."""
        if self.clock != "virtual" and self.seed is not None:
            return "--seed needs --clock virtual: on the wall clock a job id is never used again"
        if self.clock != "virtual" and self.start is not None:
            return "--start needs --clock virtual"
        try:
            self.start_ms  # noqa: B018
        except ValueError as error:
            return f"--start: {error}"
        return None


@dataclass(frozen=True, slots=True)
class Option:
    """Describe one option of `up`: its field in Settings, what it takes, and what it does."""

    name: str
    help: str
    metavar: str = ""
    many: bool = False
    flag: bool = False
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    kind: type = field(default=str)

    @property
    def flag_name(self) -> str:
        """Return the option as it is written on the command line."""
        return "--" + self.name.replace("_", "-")

    @property
    def env(self) -> str:
        """Return the environment variable that sets the option."""
        return "LOCALQUEUE_" + self.name.upper()


OPTIONS = (
    Option("catalog", "Catalog file; may be repeated. Default: ./catalog-info.yaml (or .yml), else every "
           "*/catalog-info.yaml.", "FILE", many=True, kind=Path),
    Option("target", "Where the service listens. Default: http://localhost:<insureco.io/port, or 3000>.",
           "URL | NAMESPACE=URL", many=True),
    Option("namespace", "Namespace of the one catalog. Default: SERVICE_NAMESPACE, else metadata.name.", "NS"),
    Option("host", "Listen on this address instead of 127.0.0.1 and ::1.", "ADDR"),
    Option("port", "Port to listen on; 0 takes a free one.", "PORT", kind=int, minimum=0, maximum=65535),
    Option("db", "Database file.", "PATH", kind=Path),
    Option("ephemeral", "Keep jobs in a private temporary file that is removed at exit.", flag=True),
    Option("clock", "What time is: the machine's, or one that stands still until it is advanced.",
           choices=("wall", "virtual")),
    Option("start", "Where the virtual clock starts: ISO 8601, in UTC unless it says otherwise. Default: "
           "2026-01-01T00:00:00.000Z.", "TIME"),
    Option("seed", "Derive job ids from this number (virtual clock only): a run can be repeated exactly.", "N",
           kind=int, minimum=0, maximum=2**63 - 1),
    Option("keep", "How many finished jobs to keep.", "N", kind=int, minimum=1, maximum=100_000_000),
    Option("max_body", "Largest body of a request, in bytes.", "BYTES", kind=int,
           minimum=1024, maximum=512 * 1024 * 1024),
    Option("grace", "How long running attempts may go on after the first ^C.", "SECONDS", kind=float,
           minimum=0, maximum=3600),
    Option("allow_host", "Accept this name in the Host header too (host.docker.internal); may be repeated.",
           "NAME", many=True),
    Option("allow_remote", "Answer /_localqueue to peers that are not on this machine too.", flag=True),
    Option("log", "How to write events.", choices=("text", "json")),
    Option("quiet", "Leave out the line per delivery.", flag=True),
    Option("no_color", "Never colour the output.", flag=True),
)  # fmt: skip
"""Every option of `up`; a test compares it with Settings and with the documentation."""
