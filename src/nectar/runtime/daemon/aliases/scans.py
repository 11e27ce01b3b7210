"""Looks at large directories, a portion at a time and in turns, so that nobody waits for one."""

from __future__ import annotations

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from collections.abc import Generator, Hashable

    from nectar.runtime.daemon.loop import Loop, Timer

SLICE = 0.01
"""Seconds that are spent before others have their turn."""


class Scans:
    """All that go on, in turns. What comes out of one is for its own to catch."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._going: dict[Hashable, Generator[None, None, None]] = {}
        self._stepping: Hashable = None
        self._next: Timer | None = None

    def begin(self, what: Hashable, scan: Generator[None, None, None]) -> None:
        """Go through with it from the next turn on; where one of this name goes on, that one is enough."""
        self._going.setdefault(what, scan)
        if self._next is None:
            self._next = self._loop.later(0, self._turn)

    def goes_on(self, what: Hashable) -> bool:
        return what in self._going

    def cancel(self, what: Hashable) -> None:
        """Go no further with it; that none of this name goes on is no error."""
        if what == self._stepping:
            self._stepping = None
        if (scan := self._going.pop(what, None)) is not None:
            scan.close()

    def _turn(self) -> None:
        self._next = None
        end = self._loop.now() + SLICE
        try:
            while self._going and self._loop.now() < end:
                self._step()
        finally:
            if self._going and self._next is None:
                self._next = self._loop.later(0, self._turn)

    def _step(self) -> None:
        what = self._stepping = next(iter(self._going))
        scan = self._going.pop(what)
        try:
            next(scan)
        except StopIteration:
            return
        finally:
            cancelled, self._stepping = self._stepping is None, None
        if cancelled:
            scan.close()
        else:
            self._going[what] = scan
