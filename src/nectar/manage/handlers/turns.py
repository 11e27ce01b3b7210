"""Commands that start, stop or remove one handler at the same time: one after the other, and the later word counts.

Who starts a handler (``launch``, ``start``, ``restart``) holds ``{name}.start`` from its beginning to its end, which takes as long as a
build and a load do; so the next one that starts it finds what it has made. Whoever ends a daemon, or puts one in another's place, holds
``{name}.turn`` for that moment. ``stop`` and ``remove`` need the turn alone, so they wait for no build and no load: they take
``{name}.start`` away. Who starts looks for it when it has its turn, and gives up where it is gone: a later word was said.

What nectar 0.1.0 says takes no file away, so the handler's record is compared as well.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from nectar import ownership, proc
from nectar.errors import ConflictError, UnresponsiveError
from nectar.home import NAME_PATTERN
from nectar.locks import Busy, hold, is_at, is_free
from nectar.manage.daemon import hosts
from nectar.manage.handlers import registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from nectar.home import Home
    from nectar.manage.handlers.registry import Record

PATIENCE = 90.0
"""Longer than all else that is done in one turn."""
_STARTING = ".start"


class OverruledError(ConflictError):
    """A later command for the same handler wants something else (exit code 4)."""


class Attempt:
    """A command that starts a handler.

    :ivar begun: the handler's record when that began, None where there was none.
    """

    def __init__(self, home: Home, name: str, file: int, report: Callable[[str], None]) -> None:
        self.begun = registry.read(home).get(name)
        self._home = home
        self._name = name
        self._file = file
        self._report = report

    def require_wanted(self) -> None:
        """:raises OverruledError: a later command has stopped or removed the handler."""
        if not is_at(self._file, self._home.start(self._name)):
            now = registry.read(self._home).get(self._name)
            raise self._overruled("removed" if self.begun is not None and now is None else "stopped")

    def require_unchanged(self, now: Record | None) -> None:
        """The same, by the handler's record as it is now."""
        if now is None or self.begun is None:
            if now is not self.begun:
                raise self._overruled("removed" if now is None else "launched")
        elif now.created != self.begun.created:
            raise self._overruled("launched anew")
        elif (self.begun.desired, now.desired) == ("running", "stopped"):
            raise self._overruled("stopped")

    @contextmanager
    def take_turn(self) -> Iterator[None]:
        """Hold the turn, to put the new daemon in its place.

        :raises ConflictError: a later command wants something else.
        """
        with take(self._home, self._name, report=self._report):
            self.require_wanted()
            self.require_unchanged(registry.read(self._home).get(self._name))
            yield

    def _overruled(self, what: str) -> OverruledError:
        return OverruledError(
            f"The handler {self._name!r} was {what} meanwhile, by another command; so this one has changed nothing.",
            hint="nectar view shows how it is now.",
        )


@contextmanager
def begin(home: Home, name: str, *, report: Callable[[str], None]) -> Iterator[Attempt]:
    """Be the one command that starts a handler.

    :param report: is told when another one has to be waited for.
    :raises ConflictError: a later command has stopped or removed it meanwhile.
    """
    home.create()
    hosts.enter(home, report=report)
    path = home.start(name)
    file = ownership.opener(path, os.O_RDWR | os.O_CREAT)  # the one that a later word takes away
    try:

        def tell() -> None:
            report(f"Another command{name_holder(path)} is starting {name!r}. This one goes on when that has ended.")

        with hold(path, waiting=tell) as descriptor:
            sign(descriptor)
            attempt = Attempt(home, name, file, report)
            attempt.require_wanted()
            yield attempt
    finally:
        os.close(file)


@contextmanager
def take(home: Home, name: str, *, report: Callable[[str], None], patience: float = PATIENCE) -> Iterator[None]:
    """Be the one command that ends a handler's daemon, or puts one in its place.

    :param report: is told when another one has to be waited for.
    :param patience: seconds for which it is, beyond what computations get to finish.
    :raises UnresponsiveError: another one takes too long.
    """
    home.create()
    path = home.turn(name)
    record = registry.read(home).get(name)
    seconds = patience + 2 * (0 if record is None else record.stop_timeout)

    def tell() -> None:
        report(f"Another command{name_holder(path)} is stopping or starting {name!r} at this moment. Waiting for it.")

    with ExitStack() as stack:
        try:
            sign(stack.enter_context(hold(path, seconds=seconds, waiting=tell)))
        except Busy:
            raise UnresponsiveError(
                f"Another command{name_holder(path)} has been stopping or starting {name!r} for more than {seconds:g} seconds.",
                where=str(path),
                hint="End it, or wait until it has ended, and do this again.",
            ) from None
        yield


def is_being_started(home: Home, name: str) -> bool:
    """Whether a command is starting a handler now."""
    return not is_free(home.start(name))


def list_being_started(home: Home) -> list[str]:
    """The names of handlers that commands are starting now."""
    names = sorted(path.name.removesuffix(_STARTING) for path in home.handlers.glob(f"*{_STARTING}"))
    return [name for name in names if NAME_PATTERN.fullmatch(name) and is_being_started(home, name)]


def is_taken(home: Home, name: str) -> bool:
    """Whether a command is ending a handler's daemon now, or putting one in its place."""
    return not is_free(home.turn(name))


def overrule(home: Home, name: str) -> bool:
    """Have a command that is starting a handler give up. To be called in the turn.

    :returns: whether there was one.
    """
    found = is_being_started(home, name)
    if found:
        home.start(name).unlink(missing_ok=True)
    return found


def sign(descriptor: int) -> None:
    """Say in a lock's file who holds it."""
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
    except OSError:  # A full disk: nobody can be told then.
        pass


def name_holder(path: Path) -> str:
    """Who holds such a lock, as it stands in a sentence; nothing where that is not known."""
    try:
        pid = int(path.read_text())
    except (OSError, ValueError):
        return ""
    return f" (PID {pid})" if proc.has_open(pid, path) else ""
