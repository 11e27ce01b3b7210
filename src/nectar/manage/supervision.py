"""``up --keep``: who stays, and has handlers run again whenever they should and do not, until it is told to end; then it ends them all.

Each round reads anew what should run, so that a ``stop`` by hand counts. Whoever ends it has the handlers end in order, as when the
machine is shut down: they should still run, and do after the next ``up``.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from nectar import namelock
from nectar.errors import ConflictError, NectarError, UnresponsiveError, from_system
from nectar.home import NAME_PATTERN
from nectar.locks import Busy, hold, is_at
from nectar.manage import up
from nectar.manage.children import Children
from nectar.manage.daemon import stopping
from nectar.manage.handlers import handlers, registry, turns
from nectar.manage.handlers.registry import Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import FrameType

    from nectar.home import Home
    from nectar.manage.children import Ended
    from nectar.manage.up import Call, Outcome

ROUND = 0.25
"""Seconds between two looks at what runs."""
PAUSE = 0.5
"""Seconds before a handler that has ended is started again."""
EARLY = 10.0
"""Seconds for which one runs at least that is not about to end again and again."""
LONGEST_PAUSE = 60.0
MARGIN = 5.0
"""Seconds in which all have ended, beyond the longest that computations get to finish."""


class Teller(Protocol):
    """Who is told what happens."""

    def died(self, name: str, pause: float) -> None:
        """A handler has ended without a stop; it is started again after so many seconds."""

    def came(self, outcome: Outcome, pause: float | None) -> None:
        """What became of one that was started; after a pause it is tried again, where that failed."""

    def ending(self, count: int) -> None:
        """So many are ended."""

    def troubled(self, problem: NectarError) -> None:
        """What goes wrong beside them; it is told once."""

    def report(self, text: str) -> None:
        """What is being done."""


class Pace:
    """When a handler is started again: at once, and less and less often where it ends early, or cannot be started.

    :ivar next: monotonic seconds, before which it is not tried.
    :ivar seen: whether it has run since.
    """

    def __init__(self) -> None:
        self.next = 0.0
        self.seen = False
        self._row = 0

    def ended(self, now: float, lived: float) -> float:
        """:param lived: for how many seconds it was ready.
        :returns: the pause.
        """
        if lived >= EARLY:
            self._row = 0
            return self._wait(now, PAUSE)
        return self.failed(now)

    def failed(self, now: float) -> float:
        """The same where it could not be started."""
        self._row += 1
        return self._wait(now, min(LONGEST_PAUSE, 2.0 ** min(self._row - 1, 10)))

    def _wait(self, now: float, pause: float) -> float:
        self.seen = False
        self.next = now + pause
        return pause


class Supervision:
    """:param wanted: what else is to be done, by the handler's name, until it was done once.
    :param private: descriptors that no process of ours is to have.
    """

    def __init__(self, home: Home, wanted: Mapping[str, Call], teller: Teller, private: tuple[int, ...]) -> None:
        self._home = home
        self._wanted = dict(wanted)
        self._teller = teller
        self._children = Children(private)
        self._paces: dict[str, Pace] = {}
        self._trouble: str | None = None

    def look(self) -> None:
        """See what runs, and begin to start what should and does not."""
        try:
            records = registry.read(self._home)
            for name in self._wanted.keys() - records.keys():
                self._begin(name, None)
            for name, record in records.items():
                if record.desired == "running" or name in self._wanted:
                    self._see(name, record)
                else:
                    self._paces.pop(name, None)
            self._trouble = None
        except (NectarError, OSError) as error:
            problem = error if isinstance(error, NectarError) else from_system(error)
            if problem.message != self._trouble:
                self._trouble = problem.message
                self._teller.troubled(problem)

    def wait(self, seconds: float, woken: int) -> list[Ended]:
        """Wait until there may be something to do.

        :returns: for :meth:`take`.
        """
        return self._children.collect(seconds, woken=woken)

    def take(self, ended: list[Ended]) -> None:
        """Go by what has become of those that were started."""
        for each in ended:
            self._take(each)

    def end(self) -> None:
        """End all handlers, and what is just starting some.

        :raises UnresponsiveError: some have not ended in time.
        """
        records = self._read()
        longest = max([record.stop_timeout for record in records.values()], default=Record().stop_timeout)
        end = time.monotonic() + longest + MARGIN
        self._children.interrupt()
        told = False
        while (running := self._find_running()) or self._children.names:
            if not told and running:
                told = True
                self._teller.ending(len(running))
            for name in running:
                if (key := f"stop:{name}") not in self._children.names:  # beside the process that may be starting it
                    self._children.begin(key, partial(_stop, self._home, name, records.get(name, Record()).stop_timeout))
            if time.monotonic() >= end:
                self._children.end(seconds=0)
                raise UnresponsiveError(f"These did not end within {longest + MARGIN:g} s: {', '.join(running)}.")
            self._children.collect(ROUND)
            records |= self._read()  # one may have been launched meanwhile
        with suppress(NectarError):
            handlers.refresh(self._home)

    def close(self) -> None:
        """Leave the handlers as they are, and end what is at them."""
        self._children.end()

    def _read(self) -> dict[str, Record]:
        """The records; none where they cannot be read, which is told elsewhere."""
        with suppress(NectarError, OSError):
            return registry.read(self._home)
        return {}

    def _find_running(self) -> list[str]:
        """The handlers that run, by their locks alone."""
        names = [path.stem for path in sorted(self._home.handlers.glob("*.lock"))]
        return [name for name in names if NAME_PATTERN.fullmatch(name) and namelock.is_running(self._home, name)]

    def _see(self, name: str, record: Record) -> None:
        pace = self._paces.setdefault(name, Pace())
        if name in self._children.names:
            return
        if name not in self._wanted and namelock.is_running(self._home, name):
            pace.seen = True
        elif not turns.is_being_started(self._home, name):  # else another command is at it
            if pace.seen:
                lived = time.time() - record.started if record.started is not None else EARLY
                self._teller.died(name, pace.ended(time.monotonic(), lived))
            self._begin(name, record)

    def _begin(self, name: str, record: Record | None) -> None:
        pace = self._paces.setdefault(name, Pace())
        free = len(self._children.names) < up.AT_ONCE and name not in self._children.names
        if free and time.monotonic() >= pace.next:
            calls = self._wanted if name in self._wanted else up.make_calls(self._home, [name], report=self._teller.report)
            self._children.begin(name, calls[name])

    def _take(self, ended: Ended) -> None:
        outcome = up.read(self._home, ended)
        pace = self._paces.setdefault(ended.name, Pace())
        if outcome.problem is not None and not outcome.overruled:
            self._teller.came(outcome, pace.failed(time.monotonic()))
            return
        self._wanted.pop(ended.name, None)
        pace.seen = outcome.launched is not None
        self._teller.came(outcome, None)


def keep(home: Home, wanted: Mapping[str, Call], teller: Teller) -> int:
    """Have handlers run for as long as this process is not told to end, and then end them all.

    :param wanted: what is to be done besides, by the handler's name: it is tried until it was done once.
    :returns: the signal that told it to.
    :raises ConflictError: another one keeps them already, or could by now.
    :raises UnresponsiveError: some handlers did not end in time.
    """
    with _be_the_only_one(home) as lock, _woken_by_signals() as (woken, received):
        supervision = Supervision(home, wanted, teller, (lock, woken))
        try:
            while not received:
                if not is_at(lock, home.keeper):
                    raise ConflictError("The lock of this nectar up --keep was removed, so it ends.", where=str(home.keeper))
                supervision.look()
                ended = supervision.wait(ROUND, woken)
                if not received:  # an interrupt ended them, too
                    supervision.take(ended)
            supervision.end()
        finally:
            supervision.close()
        return received[0]


@contextmanager
def _be_the_only_one(home: Home) -> Iterator[int]:
    home.create()
    try:
        with hold(home.keeper, wait=False) as lock:
            turns.sign(lock)
            yield lock
    except Busy:
        raise ConflictError(
            f"Another nectar up --keep{turns.name_holder(home.keeper)} keeps the handlers of this data dir.",
            where=str(home.data_dir),
            hint="One is enough: nectar up, without --keep, starts what should run.",
        ) from None


@contextmanager
def _woken_by_signals() -> Iterator[tuple[int, list[int]]]:
    """Note SIGINT and SIGTERM instead of being ended by them.

    :returns: a descriptor that can be read from when there is one, and where they are noted.
    """
    received: list[int] = []
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    os.set_blocking(reading, False)

    def note(number: int, _frame: FrameType | None) -> None:
        received.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        yield reading, received
    finally:
        signal.set_wakeup_fd(-1)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(reading)
        os.close(writing)


def _stop(home: Home, name: str, timeout: float) -> dict[str, Any] | None:
    stopping.stop(home, name, timeout=timeout)
    return None
