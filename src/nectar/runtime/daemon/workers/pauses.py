"""When a further worker may be started: after failures in a row, later and later."""

from __future__ import annotations

from nectar.runtime.daemon.job import Failure
from nectar.runtime.frames import describe_status

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from collections.abc import Callable

    from nectar.runtime.daemon.loop import Loop, Timer
    from nectar.runtime.daemon.workers.listener import Listener

LONGEST_PAUSE = 60.0
"""Seconds between two tries to start a worker, at most; the first pause is one second, each further one twice as long."""
WITH_ENGINE = 5.0
"""The same where it is most likely an engine that is missing, which may come back at any time."""
EARLY_DEATHS = 3
"""Workers that died in a row with nothing to do and nothing done, after which the next one has to wait."""
LIVES = 2.0
"""Seconds after which a worker that has loaded the handler is no early death any more."""


class Pauses:
    """Tells of each failure to have a worker, and makes the next try wait.

    :param over: called after each pause.
    :param longest: seconds of one.

    :ivar last_failure: why there was no worker the last time, until there is one.
    """

    def __init__(self, loop: Loop, listener: Listener, over: Callable[[], None], longest: float = LONGEST_PAUSE) -> None:
        self.last_failure: Failure | None = None
        self._loop = loop
        self._listener = listener
        self._over = over
        self._longest = longest
        self._failures = 0
        self._early_deaths = 0
        self._pause: Timer | None = None

    def __bool__(self) -> bool:
        """Whether there is one now."""
        return self._pause is not None

    def failed(self, why: Failure) -> None:
        """A worker could not be made ready."""
        self._failures += 1
        self._wait(self._failures, why)

    def fell_short(self, why: Failure) -> None:
        """A worker could not be started for want of something that may be there a second later."""
        self._wait(1, why)

    def died_idle(self, status: int, *, early: bool) -> None:
        """A worker ended with nothing to do.

        :param early: whether it had answered nothing.
        """
        self._early_deaths = self._early_deaths + 1 if early else 0
        if self._early_deaths >= EARLY_DEATHS:
            why = Failure(f"A worker {describe_status(status)} after it had loaded the handler, again and again.")
            self._wait(self._early_deaths - EARLY_DEATHS + 1, why)

    def loaded(self, lives: Callable[[], bool]) -> None:
        """A worker has loaded the handler.

        :param lives: whether it still lives.
        """
        self._failures = 0
        if self._early_deaths < EARLY_DEATHS:
            self.last_failure = None
        else:  # it may be the next of them
            self._loop.later(LIVES, lambda: self.reset() if lives() else None)

    def reset(self) -> None:
        """A worker has shown that it is of use."""
        self._early_deaths = 0
        self.last_failure = None

    def _wait(self, count: int, why: Failure) -> None:
        """:param count: which failure in a row this is."""
        self.last_failure = why
        if self._pause is not None:
            self._pause.cancel()
        self._pause = self._loop.later(min(self._longest, 2.0 ** min(count - 1, 10)), self._end)
        self._listener.failed(why)

    def _end(self) -> None:
        self._pause = None
        self._over()
