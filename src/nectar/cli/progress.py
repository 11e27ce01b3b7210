"""A line at the bottom of a terminal that says what is waited for, where that takes more than half a second."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nectar.cli.streams import count_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

DELAY = 0.5
"""Seconds after which it is shown."""
_EACH = 1.0
_CLEAR = "\r\x1b[K"


class Progress:
    """It is drawn by a timer's signal in the main thread: no thread of its own, and nothing at all for what is quick.

    :param shape: shapes a line, as standard error has it.
    """

    def __init__(self, shape: Callable[[str], str]) -> None:
        self.wanted = True
        self._shape = shape
        self._owner = os.getpid()
        self._waits: list[tuple[str, float | None, float]] = []
        self._shown = False
        self._held = False

    @contextmanager
    def wait(self, what: str, seconds: float | None) -> Iterator[None]:
        """Show it while the block is carried out. The innermost counts.

        :param seconds: at most, where that is known.
        """
        if not (self.wanted and os.getpid() == self._owner and sys.stderr.isatty()):
            yield
            return
        self._waits.append((what, seconds, time.monotonic()))
        before = signal.signal(signal.SIGALRM, self._draw)
        signal.setitimer(signal.ITIMER_REAL, DELAY, _EACH)
        try:
            yield
        finally:
            self._waits.pop()
            if not self._waits:
                signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
            self.clear()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Nothing is drawn while the block prints something else, which has the line for itself."""
        self.clear()
        self._held = True
        try:
            yield
        finally:
            self._held = False

    def clear(self) -> None:
        if self._shown and os.getpid() == self._owner:
            self._shown = False
            os.write(2, _CLEAR.encode())

    def _draw(self, _number: int, _frame: FrameType | None) -> None:
        if self._held or not self._waits or not self.wanted:
            return
        what, seconds, begun = self._waits[-1]
        passed = time.monotonic() - begun
        if passed < DELAY:
            return
        limit = "" if seconds is None else f" of {seconds:.0f} s at most"
        line = self._shape(f"⏳ {what}: {passed:.0f} s{limit}")
        if os.environ.get("TERM") == "dumb":  # no way back: it is said once
            self._waits[-1] = (what, seconds, float("inf"))
            os.write(2, f"{line}\n".encode(errors="replace"))
            return
        self._shown = True
        os.write(2, f"{_CLEAR}{line[: (count_columns(2) or 80) - 2]}".encode(errors="replace"))
