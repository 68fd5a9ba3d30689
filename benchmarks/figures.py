"""The result of each goal in one line: median, spread, both raw figures, and whether it was met."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Series:
    """The figures of one measurement, one per repetition."""

    name: str
    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """Return the middle figure."""
        return statistics.median(self.values)

    def shown(self) -> str:
        """Return it as text."""
        return f"{self.name} {amount(self.median)} {self.unit} ({spread(self.values)})"


@dataclass(frozen=True)
class Line:
    """Figures and their goal; without a `limit`, they are for information only.

    `figures` are the ratios of the repetitions, or the subject's own figures where there is nothing to
    compare with. `aim` is what we would like beyond the goal.
    """

    goal: str
    what: str
    figures: tuple[float, ...]
    unit: str
    subject: Series
    against: Series | None = None
    at_least: bool = True
    limit: float | None = None
    aim: float | None = None

    @property
    def median(self) -> float:
        """Return the middle figure, which the goal is about."""
        return statistics.median(self.figures)

    @property
    def is_met(self) -> bool | None:
        """Return whether the goal is met; None where there is none."""
        if self.limit is None:
            return None
        return self.median >= self.limit if self.at_least else self.median <= self.limit

    def shown(self) -> str:
        """Return the line for people."""
        result = {True: "met", False: "NOT met", None: "info"}[self.is_met]
        bound = "" if self.limit is None else f"{'>=' if self.at_least else '<='} {amount(self.limit)}"
        bound += "" if self.aim is None else f" (aim {amount(self.aim)})"
        raw = self.subject.shown() if self.against is None else f"{self.subject.shown()}; {self.against.shown()}"
        figure = f"{amount(self.median)}{self.unit} ({spread(self.figures)})"
        return f"{self.goal:<5} {result:<8} {figure:<24} {bound:<18} {self.what}: {raw}"

    def as_json(self) -> dict[str, Any]:
        """Return everything for programs."""
        return {
            "goal": self.goal,
            "what": self.what,
            "met": self.is_met,
            "median": self.median,
            "figures": self.figures,
            "unit": self.unit,
            "limit": self.limit,
            "atLeast": self.at_least,
            "aim": self.aim,
            "subject": vars(self.subject),
            "against": None if self.against is None else vars(self.against),
        }


@dataclass(frozen=True)
class Skipped:
    """A goal that was not measured, and the reason."""

    goal: str
    what: str
    reason: str

    def shown(self) -> str:
        """Return the line for people."""
        return f"{self.goal:<5} {'skipped':<8} {self.what}: {self.reason}"

    def as_json(self) -> dict[str, Any]:
        """Return everything for programs."""
        return {"goal": self.goal, "what": self.what, "met": None, "skipped": self.reason}


Result = Line | Skipped


def ratio(
    goal: str,
    what: str,
    subject: Series,
    against: Series,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    aim: float | None = None,
) -> Line:
    """Compare two series by repetition; each pair was measured in turn."""
    figures = tuple(mine / theirs for mine, theirs in zip(subject.values, against.values, strict=True))
    limit = at_least if at_most is None else at_most
    return Line(goal, what, figures, "x", subject, against, at_most is None, limit, aim)


def absolute(
    goal: str, what: str, subject: Series, *, at_least: float | None = None, at_most: float | None = None
) -> Line:
    """Compare a series with a fixed limit."""
    limit = at_least if at_most is None else at_most
    return Line(goal, what, subject.values, f" {subject.unit}", subject, None, at_most is None, limit)


def by_turns(
    variants: Mapping[str, Callable[[], T]], repetitions: int, tell: Callable[[str], None]
) -> dict[str, list[T]]:
    """Measure all variants in turn, several times, so that noise affects all of them."""
    found: dict[str, list[T]] = {name: [] for name in variants}
    for repetition in range(1, repetitions + 1):
        for name, measure in variants.items():
            tell(f"{repetition}/{repetitions} {name}")
            found[name].append(measure())
    return found


def series(name: str, unit: str, values: Iterable[float]) -> Series:
    """Return a series of figures."""
    return Series(name, unit, tuple(values))


def percentile(values: Sequence[float], percent: float) -> float:
    """Return a percentile by nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-len(ordered) * percent // 100) - 1).__int__())]


def amount(value: float) -> str:
    """Return a number with three significant digits."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 1 else f"{value:.2g}"


def spread(values: Sequence[float]) -> str:
    """Return the smallest and the largest figure."""
    return f"{amount(min(values))}-{amount(max(values))}"
