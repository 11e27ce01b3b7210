"""That this machine works in a data dir which others have mounted, too: told while a daemon serves."""

from __future__ import annotations

from nectar import ownership

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from collections.abc import Callable

    from nectar.home import Home

EVERY = ownership.SILENCE / 3
"""Seconds. Of several daemons one tells it, and when that ends another one does within twice as many."""


class Presence:
    """:param now: monotonic seconds."""

    def __init__(self, home: Home, now: Callable[[], float]) -> None:
        self._home = home
        self._now = now
        self._next = now()
        self._seen: object = None
        self._is_shared = ownership.find_network(home) is not None

    def tell(self) -> ownership.Host | None:
        """Tell it when it is time to.

        :returns: another machine that works there, too.
        :raises OSError: it cannot be told.
        """
        if not self._is_shared or self._now() < self._next:
            return None
        self._next = self._now() + EVERY
        found = ownership.find_host(self._home)
        told = found is not None and found[0].is_this and found != self._seen
        before = None if told else ownership.sign(self._home)
        self._seen = found if told else ownership.find_host(self._home)
        return before if before is not None and before.is_another else None
