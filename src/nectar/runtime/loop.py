"""The daemon's one thread: it waits for descriptors and for times, and calls who asked for them."""

from __future__ import annotations

import heapq
import itertools
import selectors
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

READ = selectors.EVENT_READ
WRITE = selectors.EVENT_WRITE
LONGEST_WAIT = 3600.0
"""Seconds; the system takes no time of more than some weeks."""


@dataclass(eq=False)
class Timer:
    """A call that is to come."""

    at: float
    call: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


class Loop:
    """:param clock: monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.now = clock
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._full = 64
        self._running = False

    def watch(self, descriptor: int, events: int, call: Callable[[int], None]) -> None:
        """Call with the events that a descriptor is ready for, until :meth:`forget`; a second call changes what is asked for."""
        try:
            self._selector.modify(descriptor, events, call)
        except KeyError:
            self._selector.register(descriptor, events, call)

    def forget(self, descriptor: int) -> None:
        """To be called before the descriptor is closed; one that is not watched is no error."""
        try:
            self._selector.unregister(descriptor)
        except (KeyError, ValueError):
            pass

    def later(self, seconds: float, call: Callable[[], None]) -> Timer:
        if len(self._timers) > self._full:
            # Most are deadlines that were cancelled long before their time.
            self._timers = [entry for entry in self._timers if not entry[2].cancelled]
            heapq.heapify(self._timers)
            self._full = max(64, 2 * len(self._timers))
        timer = Timer(self.now() + max(0.0, seconds), call)
        heapq.heappush(self._timers, (timer.at, next(self._order), timer))
        return timer

    def stop(self) -> None:
        self._running = False

    def run(self, each: Callable[[], None] = lambda: None) -> None:
        """Run until :meth:`stop`.

        :param each: called whenever something was done.
        """
        self._running = True
        each()
        while self._running:
            for key, events in self._selector.select(self._wait()):
                # One call may have made another descriptor of the same round forgotten.
                if self._selector.get_map().get(key.fd) is key:
                    key.data(events)
            now = self.now()  # what becomes due from here on waits until the descriptors were looked at
            while self._timers and self._timers[0][0] <= now:
                timer = heapq.heappop(self._timers)[2]
                if not timer.cancelled:
                    timer.call()
            if self._running:
                each()

    def _wait(self) -> float | None:
        while self._timers and self._timers[0][2].cancelled:
            heapq.heappop(self._timers)
        return min(LONGEST_WAIT, max(0.0, self._timers[0][0] - self.now())) if self._timers else None
