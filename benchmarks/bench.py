"""What every case needs: the folder, sizes, repetitions and peers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.figures import Result
from benchmarks.peers import install, systems
from benchmarks.subjects import Subject

PEERS: dict[str, Callable[[Path], Subject]] = {
    "bullmq": lambda scratch: systems.bullmq(scratch, "everysec"),
    "bullmq-always": lambda scratch: systems.bullmq(scratch, "always"),
    "firebase": systems.firebase,
    "miniflare": systems.miniflare,
}
DEFAULT_PEERS = ("bullmq", "bullmq-always", "firebase")
"""The peers that goals name."""


@dataclass
class Bench:
    """How to measure; `scale` reduces every size for a quick check."""

    scratch: Path
    repetitions: int = 3
    scale: float = 1.0
    wanted: Collection[str] = DEFAULT_PEERS
    reasons: dict[str, str] = field(default_factory=dict)

    def jobs(self, count: int) -> int:
        """Return how many jobs to take where a full run takes `count`."""
        return max(int(count * self.scale), 100)

    def peer(self, name: str) -> Subject | None:
        """Return a peer, installed on demand; None where that can't be, the reason being printed once and kept."""
        if name in self.reasons:
            return None
        try:
            if name not in self.wanted:
                raise install.Unavailable("not asked for with --peers")
            return PEERS[name](self.scratch)
        except install.Unavailable as error:
            self.reasons[name] = str(error)
            self.tell(f"{name} is skipped: {error}")
            return None

    def tell(self, what: str) -> None:
        """Say on standard error what is going on."""
        print(f"  {what}", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Case:
    """Goals that are measured together, and the function that measures them."""

    name: str
    goals: tuple[str, ...]
    run: Callable[[Bench], Iterator[Result]]
    is_default: bool = True
    """Whether a run without `--only` includes it."""
