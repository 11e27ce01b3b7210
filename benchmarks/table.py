"""A row of the table, and how it is shown."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field

REACHED = {True: "yes", False: "no", None: ""}


@dataclass(frozen=True)
class Figure:
    """What was measured, once in each round."""

    values: list[float]
    unit: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def __str__(self) -> str:
        shown = f"{_short(self.median)} {self.unit}".strip()
        low, high = _short(min(self.values)), _short(max(self.values))
        return shown if low == high else f"{shown} ({low} to {high})"

    def to_mapping(self) -> dict[str, object]:
        return {
            "median": self.median,
            "low": min(self.values),
            "high": max(self.values),
            "unit": self.unit,
            "values": self.values,
        }


@dataclass(frozen=True)
class Row:
    """
    :ivar ours: nectar's figure; None where there is none, and the note says why.
    :ivar beside: what was measured in turns with it, which is called ``than``.
    :ivar most: the goal, where less is better; of the ratio to ``beside``, or of our own figure where ``absolute`` is set or nothing stands beside.
    :ivar least: the same, where more is better.
    """

    what: str
    ours: Figure | None
    beside: Figure | None = None
    than: str = "floor"
    most: float | None = None
    least: float | None = None
    absolute: bool = False
    note: str = ""
    busy: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float | None:
        if self.ours is None or self.beside is None or self.beside.median == 0:
            return None
        return self.ours.median / self.beside.median

    @property
    def goal(self) -> str:
        number = self.most if self.most is not None else self.least
        if number is None:
            return ""
        unit = (self.ours.unit if self.ours else "") if self._of_ours else "x"
        return f"{'≤' if self.most is not None else '≥'} {number:g} {unit}".strip()

    @property
    def reached(self) -> bool | None:
        """Whether the goal is; None where there is no goal, or nothing was measured."""
        figure = (self.ours.median if self.ours else None) if self._of_ours else self.ratio
        if figure is None:
            return None
        if self.most is not None:
            return figure <= self.most
        return None if self.least is None else figure >= self.least

    @property
    def _of_ours(self) -> bool:
        return self.absolute or (self.ours is not None and self.beside is None)

    def to_cells(self) -> list[str]:
        beside = "" if self.beside is None else f"{self.beside} {self.than}".strip()
        ratio = "" if self.ratio is None else f"{self.ratio:.2f} x"
        ours = self.note if self.ours is None else str(self.ours)
        return [self.what, ours, beside, ratio, self.goal, f"{REACHED[self.reached]}{' (busy)' if self.busy else ''}".strip()]

    def to_mapping(self) -> dict[str, object]:
        return {
            "what": self.what,
            "ours": self.ours and self.ours.to_mapping(),
            "beside": self.beside and {"what": self.than, **self.beside.to_mapping()},
            "ratio": self.ratio,
            "goal": self.goal or None,
            "reached": self.reached,
            "busy": self.busy,
            "note": self.note or None,
        }


def draw(heads: list[str], lines: list[list[str]]) -> str:
    """A table in Markdown, in columns for whoever reads it in a terminal."""
    widths = [max(len(line[column]) for line in [heads, *lines]) for column in range(len(heads))]
    drawn = [heads, ["-" * width for width in widths], *lines]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in drawn
    )


def _short(number: float) -> str:
    """Three digits that count."""
    if number >= 100:
        return f"{number:,.0f}"
    return f"{number:.2f}" if number < 10 else f"{number:.1f}"
