"""The daemon's one thread: it waits for descriptors and for times, and calls who asked for them."""

from __future__ import annotations

import heapq
import itertools
import selectors
import time

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import ParamSpec

    P = ParamSpec("P")

READ = selectors.EVENT_READ
WRITE = selectors.EVENT_WRITE
LONGEST_WAIT = 3600.0
"""Seconds; the system takes no time of more than some weeks."""
BEAT = 1.0
"""Seconds between two of the moments at which all that no event tells is looked for."""


def _nothing() -> None:
    pass


class Timer:
    """A call that is to come."""

    def __init__(self, at: float, call: Callable[[], None]) -> None:
        self.at = at
        self.call = call
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True
        self.call = _nothing  # whom it was to call may hold it, and be gone at once without it: a question and its run, most of all


class Loop:
    """:param clock: monotonic seconds.

    :ivar faulted: told of each exception out of a call; what raises nothing itself goes on. None lets it out of :meth:`run`.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, selector: selectors.BaseSelector | None = None) -> None:
        self.now = clock
        self.faulted: Callable[[Exception], None] | None = None
        self._selector = selector or selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._full = 64
        self._round: list[tuple[selectors.SelectorKey, int]] = []
        self._begun = clock()
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

    def was_ready(self, descriptor: int) -> bool:
        """Whether a descriptor was ready for something when this turn began, looked at or not."""
        return any(key.fd == descriptor for key, _ in self._round)

    def later(self, seconds: float, call: Callable[[], None]) -> Timer:
        return self._at(self.now() + max(0.0, seconds), call)

    def at_beat(self, call: Callable[[], None]) -> Timer:
        """Call at the next beat, which is half of one away at least: who looks for something again and again wakes the process with
        all others who do, and not by himself.
        """
        return self._at(self._begun + BEAT * round((self.now() - self._begun) / BEAT + 1), call)

    def _at(self, at: float, call: Callable[[], None]) -> Timer:
        if len(self._timers) > self._full:
            # Most are deadlines that were cancelled long before their time.
            self._timers = [entry for entry in self._timers if not entry[2].cancelled]
            heapq.heapify(self._timers)
            self._full = max(64, 2 * len(self._timers))
        timer = Timer(at, call)
        heapq.heappush(self._timers, (timer.at, next(self._order), timer))
        return timer

    def wake(self) -> None:
        """Have one more round, after whoever else waits."""
        self.later(0, lambda: None)

    def within(self, mend: Callable[[], None]) -> Loop:
        """The same loop, for who can go on after an exception out of one of his calls.

        :param mend: called after such an exception.
        """
        return _Within(self, mend)

    def fault(self, error: Exception) -> None:
        """Tell of an exception that nobody was made for."""
        if self.faulted is None:
            raise error
        self.faulted(error)

    def stop(self) -> None:
        self._running = False

    def run(self, each: Callable[[], None] = lambda: None) -> None:
        """Run until :meth:`stop`.

        :param each: called whenever something was done.
        """
        self._running = True
        each, turn = self.guarded(each), self.guarded(self.turn)
        each()
        while self._running:
            turn()
            if self._running:
                each()

    def turn(self) -> None:
        """Wait for what comes first, and make the calls that are due."""
        watched = self._selector.get_map()
        self._round = self._selector.select(self._wait())
        for key, events in self._round:
            # One call may have made another descriptor of the same round forgotten.
            if watched.get(key.fd) is key:
                try:
                    key.data(events)
                except Exception as error:
                    self.fault(error)
        now = self.now()  # what becomes due from here on waits until the descriptors were looked at
        while self._timers and self._timers[0][0] <= now:
            timer = heapq.heappop(self._timers)[2]
            if not timer.cancelled:
                try:
                    timer.call()
                except Exception as error:
                    self.fault(error)

    def guarded(self, call: Callable[P, None]) -> Callable[P, None]:
        """A call from which no exception comes out: it is told instead."""

        def guarded(*arguments: P.args, **more: P.kwargs) -> None:
            try:
                call(*arguments, **more)
            except Exception as error:
                self.fault(error)

        return guarded

    def _wait(self) -> float | None:
        while self._timers and self._timers[0][2].cancelled:
            heapq.heappop(self._timers)
        return min(LONGEST_WAIT, max(0.0, self._timers[0][0] - self.now())) if self._timers else None


class _Within(Loop):
    """A loop's calls, each with the same way to go on."""

    def __init__(self, whole: Loop, mend: Callable[[], None]) -> None:
        self.now = whole.now
        self._whole = whole
        self._mend = mend

    def watch(self, descriptor: int, events: int, call: Callable[[int], None]) -> None:
        self._whole.watch(descriptor, events, self.guarded(call))

    def forget(self, descriptor: int) -> None:
        self._whole.forget(descriptor)

    def was_ready(self, descriptor: int) -> bool:
        return self._whole.was_ready(descriptor)

    def later(self, seconds: float, call: Callable[[], None]) -> Timer:
        return self._whole.later(seconds, self.guarded(call))

    def at_beat(self, call: Callable[[], None]) -> Timer:
        return self._whole.at_beat(self.guarded(call))

    def fault(self, error: Exception) -> None:
        self._whole.fault(error)
        self._mend()
