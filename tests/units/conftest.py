"""Time that a test moves, for what sleeps between two looks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


class Clock:
    """:ivar at: what happens at a second, once."""

    def __init__(self) -> None:
        self.now = 64.0
        self.at: tuple[float, Callable[[], object]] | None = None

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.at is not None and self.now >= 64 + self.at[0]:
            happens, self.at = self.at[1], None
            happens()

    @property
    def seconds(self) -> float:
        return round(self.now - 64, 6)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time, "monotonic", lambda: made.now)
    monkeypatch.setattr(time, "sleep", made.sleep)
    return made
