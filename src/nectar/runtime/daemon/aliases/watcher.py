"""Hints from the operating system that something came into a directory: an event says "look again", and nothing more."""

from __future__ import annotations

import itertools

from nectar import features

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from collections.abc import Callable

    from nectar.runtime.daemon.aliases.hints import Backend, Hint
    from nectar.runtime.daemon.loop import Loop

INOTIFY = features.has_inotify()
_ask: Callable[[Loop, Callable[[Hint], None]], Backend]
if INOTIFY:
    from nectar.runtime.daemon.aliases.inotify import Inotify

    _ask = Inotify
else:
    from nectar.runtime.daemon.aliases.observed import Observed

    _ask = Observed


class Watcher:
    """Where there are no events, because the system gives no more of them, rescans find everything meanwhile.

    :param begin: begins to give hints, in the loop, to what it is given; None asks the operating system.
    """

    def __init__(self, loop: Loop, begin: Callable[[Loop, Callable[[Hint], None]], Backend] | None = None) -> None:
        self._loop = loop
        self._begin = begin or _ask
        self._numbers = itertools.count(1)
        self._watches: dict[int, tuple[object, Callable[[bytes], None]]] = {}
        self._backend: Backend | None = None

    def add(self, directory: int, hinted: Callable[[bytes], None]) -> int | None:
        """Watch a directory.

        :param directory: its descriptor.
        :param hinted: called in the loop with the name of a file, or ``b""``.
        :returns: the watch's number, or None where it cannot be watched now.
        """
        if self._backend is not None and not self._backend.alive():
            self._backend.close()
            self._backend = None
            self._watches.clear()
        number = next(self._numbers)
        try:
            if self._backend is None:
                self._backend = self._begin(self._loop, self._tell)
            self._watches[number] = self._backend.add(number, features.path_of(directory)), hinted
        except OSError:
            return None
        return number

    def watching(self, number: int | None) -> bool:
        """Whether this watch still gives hints."""
        return number in self._watches and self._backend is not None and self._backend.alive()

    def remove(self, number: int | None) -> None:
        watch = self._watches.pop(number, None) if number is not None else None
        if watch is not None and self._backend is not None:
            self._backend.remove(watch[0])

    def close(self) -> None:
        if self._backend is not None:
            self._backend.close()

    def _tell(self, hint: Hint) -> None:
        number, name = hint
        if number in self._watches:
            self._watches[number][1](name)
