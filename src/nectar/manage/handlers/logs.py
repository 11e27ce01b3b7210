"""Reading handlers' logs: what was written last, and what comes after it."""

from __future__ import annotations

import heapq
import time
from typing import TYPE_CHECKING, Protocol, TypeVar

from nectar import namelock
from nectar.errors import NectarError
from nectar.manage.handlers import registry, turns
from nectar.manage.handlers.logged import Events, Lines

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence

    from nectar.events import Event
    from nectar.home import Home
    from nectar.manage.handlers.logged import Asked

T = TypeVar("T")
_Piece_co = TypeVar("_Piece_co", covariant=True)
_POLL = 0.1
_LOOK = 0.5
"""Seconds between two looks whether anything can still come."""


class _Source(Protocol[_Piece_co]):
    """One handler's log, in pieces, each with its time."""

    def history(self, last: int | None, *, whole: bool) -> Iterable[tuple[float, _Piece_co]]:
        """What there is.

        :param last: at most so many pieces.
        :param whole: leave what has only begun for later.
        """

    def more(self) -> Iterable[tuple[float, _Piece_co]]:
        """What has come since."""

    def close(self) -> None: ...


def read_lines(
    home: Home,
    names: Sequence[str],
    *,
    last: int,
    follow: bool,
    wanted: Callable[[], bool] = lambda: True,
    report: Callable[[str], None] = lambda _text: None,
) -> Generator[tuple[str, str]]:
    """The last lines of logs, by time, and then each further one as it is written, each with its handler's name.

    :param last: how many of each; the rotated part counts too.
    :param follow: go on for as long as they are wanted, and anything can come.
    :param report: is told why nothing more does.
    :raises NotFoundError: there is no handler of a name, and no log of one either.
    """
    _require(home, names)
    return _read(home, {name: Lines(home, name) for name in names}, last, follow, wanted, report)


def read_events(
    home: Home,
    names: Sequence[str],
    asked: Asked,
    *,
    last: int | None,
    follow: bool,
    wanted: Callable[[], bool] = lambda: True,
    report: Callable[[str], None] = lambda _text: None,
) -> Generator[tuple[str, Event]]:
    """The same of the events that are asked for.

    :param last: None is all.
    """
    _require(home, names)

    def more_is() -> bool:
        return wanted() and (asked.until is None or time.time() <= asked.until)

    return _read(home, {name: Events(home, name, asked) for name in names}, last, follow, more_is, report)


def _require(home: Home, names: Sequence[str]) -> None:
    for name in names:
        if not home.log(name).exists() and name not in registry.read(home) and not turns.is_being_started(home, name):
            raise registry.missing(name)


def _read(
    home: Home,
    sources: Mapping[str, _Source[T]],
    last: int | None,
    follow: bool,
    wanted: Callable[[], bool],
    report: Callable[[str], None],
) -> Generator[tuple[str, T]]:
    lives = {name: _Life(home, name, report) for name in sources if follow}
    over = _find_over(lives)
    try:
        followed = lives.keys() - over
        yield from _by_time({name: source.history(last, whole=name in followed) for name, source in sources.items()})
        while lives and wanted():
            found = [*_by_time({name: sources[name].more() for name in lives})]
            yield from found
            for name in over:
                lives.pop(name).tell()
            if lives and not found:
                time.sleep(_POLL)
            over = _find_over(lives)  # what it has left is read after this
    finally:
        for source in sources.values():
            source.close()


def _find_over(lives: Mapping[str, _Life]) -> list[str]:
    return [name for name, life in lives.items() if life.is_over()]


def _by_time(sources: Mapping[str, Iterable[tuple[float, T]]]) -> Iterator[tuple[str, T]]:
    """Pieces of all, each with the name of its source; those of one stay in their order."""

    def named(name: str, pieces: Iterable[tuple[float, T]]) -> Iterator[tuple[float, str, T]]:
        return ((when, name, piece) for when, piece in pieces)

    whole = heapq.merge(*(named(name, pieces) for name, pieces in sources.items()), key=lambda each: each[0])
    return ((name, piece) for _, name, piece in whole)


class _Life:
    """Whether anything can still come of a handler.

    :param report: is told why not.
    """

    def __init__(self, home: Home, name: str, report: Callable[[str], None]) -> None:
        self._home = home
        self._name = name
        self._report = report
        self._next = 0.0
        self._dead = False
        self._why = ""

    def is_over(self) -> bool:
        """Whether it was stopped or removed. One that should run and does not is waited for: that is told, once."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + _LOOK
        if any(is_so(self._home, self._name) for is_so in (namelock.is_running, turns.is_being_started, turns.is_taken)):
            self._dead = False
            return False
        try:
            record = registry.read(self._home).get(self._name)
        except NectarError:  # somebody may be mending it
            return False
        dead = record is not None and record.desired == "running"
        if dead and not self._dead:
            self._report(f"The handler {self._name!r} should run, and does not: nectar start {self._name}")
        self._dead = dead
        self._why = "was removed" if record is None else "is stopped"
        return not dead

    def tell(self) -> None:
        self._report(f"The handler {self._name!r} {self._why}: nothing more comes.")
