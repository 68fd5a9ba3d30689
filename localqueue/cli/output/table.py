"""Lay out tables: columns shrink to the terminal's width, nothing wraps, foreign text is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from localqueue.cli.output.terminal import Painter
from localqueue.core.text import fit, safe, width

GAP = "  "


@dataclass(frozen=True, slots=True)
class Column:
    """A column; with `least` it can shrink to that width on a narrow terminal."""

    title: str
    is_right: bool = False
    least: int | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """A text, which may be foreign, and its tone."""

    text: str
    tone: str = ""


def lines(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], paint: Painter, room: int | None) -> list[str]:
    """Return the table's lines; if even shrunk columns don't fit, the last ones are left out."""
    head = [Cell(column.title, "dim") for column in columns]
    cleaned = [[Cell(safe(cell.text), cell.tone) for cell in row] for row in (head, *rows)]
    natural = [max(width(row[at].text) for row in cleaned) for at in range(len(columns))]
    widths = _widths(columns, natural, room)
    return [_line(row, columns, widths, paint) for row in cleaned]


def facts(named: Sequence[tuple[str, Cell]], paint: Painter, room: int | None) -> list[str]:
    """Return a line for each fact, with the names in a column."""
    widest = max((len(name) for name, _ in named), default=0)
    return [
        f"  {paint('dim', name)}{' ' * (widest - len(name))}{GAP}{paint(cell.tone, _fitted(cell, room, widest + 4))}"
        for name, cell in named
    ]


def _fitted(cell: Cell, room: int | None, taken: int) -> str:
    text = safe(cell.text, 1000)
    return text if room is None else fit(text, room - taken)


def _widths(columns: Sequence[Column], natural: list[int], room: int | None) -> list[int]:
    widths = list(natural)
    while room is not None and (over := sum(widths) + len(GAP) * (len(widths) - 1) - room) > 0:
        shrinkable = [at for at, width in enumerate(widths) if width > (columns[at].least or width)]
        if shrinkable:
            widest = max(shrinkable, key=lambda at: widths[at])
            widths[widest] -= 1
        elif len(widths) > 1:
            widths = natural[: len(widths) - 1]
        else:
            widths = [widths[0] - over]
    return widths


def _line(row: Sequence[Cell], columns: Sequence[Column], widths: Sequence[int], paint: Painter) -> str:
    return GAP.join(map(_cell, row, columns, widths, [paint] * len(widths))).rstrip()


def _cell(cell: Cell, column: Column, wide: int, paint: Painter) -> str:
    text = fit(cell.text, wide)
    padding = " " * (wide - width(text))
    return padding + paint(cell.tone, text) if column.is_right else paint(cell.tone, text) + padding
