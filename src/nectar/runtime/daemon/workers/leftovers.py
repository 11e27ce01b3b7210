"""What workers leave running: ended, and looked for again until it is gone."""

from __future__ import annotations

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from collections.abc import Callable

    from nectar.runtime.daemon.loop import Loop, Timer
    from nectar.runtime.daemon.workers.kernel import Kernel
    from nectar.runtime.daemon.workers.listener import Listener

CLEARING = 0.02
"""Seconds between two tries to end what a worker left, and ``CLEARED`` those after which there is no further one."""
CLEARED = 2.0


class Leftovers:
    """What is still there; each worker's is told apart by its token, and what has none by None.

    :param gone: called when, some time after :meth:`clear`, nothing is left any more.
    """

    def __init__(self, loop: Loop, kernel: Kernel, listener: Listener, gone: Callable[[], None]) -> None:
        self._loop = loop
        self._kernel = kernel
        self._listener = listener
        self._gone = gone
        self._ends: dict[str | None, float] = {}
        self._next: Timer | None = None

    def __contains__(self, token: str | None) -> bool:
        return token in self._ends

    def __bool__(self) -> bool:
        return bool(self._ends)

    def clear(self, token: str | None) -> None:
        """End what carries a token, or with None all that has become our child, without waiting for it."""
        self._ends[token] = self._loop.now() + CLEARED
        self._loop.guarded(self._clear)()

    def _clear(self) -> None:
        if self._next is not None:
            self._next.cancel()
        try:
            for token, end in [*self._ends.items()]:
                if self._loop.now() >= end:
                    del self._ends[token]  # this is the last try
                left = self._kernel.kill_left(token)
                if left and token not in self._ends:
                    self._listener.warn(f"{left} processes that a worker left do not end.")
                elif not left:
                    self._ends.pop(token, None)
        finally:
            self._next = self._loop.later(CLEARING, self._clear_further) if self._ends else None

    def _clear_further(self) -> None:
        self._clear()
        if not self._ends:
            self._gone()
