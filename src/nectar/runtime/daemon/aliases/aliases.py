"""The aliases of one handler: which they are, whose turn it is, and how one is let go of.

The registry is the truth about which there are. A request over the control socket only says "look again", and once a second it
is looked at anyway.
"""

from __future__ import annotations

import json
import os
from collections import deque

from nectar.errors import NectarError
from nectar.events import as_word
from nectar.runtime.daemon.aliases.alias import Alias
from nectar.runtime.daemon.aliases.scans import Scans

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Container, Iterator
    from pathlib import Path
    from typing import Any

    from nectar.home import Home
    from nectar.runtime.daemon.aliases.rescan import Age
    from nectar.runtime.daemon.aliases.watcher import Watcher
    from nectar.runtime.daemon.log import Say, Seldom
    from nectar.runtime.daemon.loop import Loop, Timer
    from nectar.settings import Settings
    from nectar.spool.claims import Claim, Question

SOON = 0.05
"""Seconds between two looks at whether an alias that was detached has been answered."""
ENDING = 2.0
"""Seconds for a run that was interrupted to end: until then nobody else is to begin it."""
REMEMBERED = 120.0
"""Seconds of service for which it counts that an alias had to be opened anew: each further time it waits twice as long, up to ``LONGEST``."""
LONGEST = 60.0
COUNTED = 8
"""How many such times are counted: with these the wait is the longest."""


class Aliases:
    """What goes wrong with one of them, of whatever kind, costs no other: it is closed, and opened again after a while.

    :param interrupt: ends what runs for an alias, given its name, and says whether it has not ended yet.
    :param counts: of answers that were published, by status, and of what is ``lost``.

    :ivar watcher: whom they ask for hints.
    """

    def __init__(
        self,
        name: str,
        home: Home,
        settings: Settings,
        loop: Loop,
        watcher: Watcher,
        say: Say,
        seldom: Seldom,
        interrupt: Callable[[str], bool],
        counts: Counter[str],
        age: Age,
    ) -> None:
        self.watcher = watcher
        self._name = name
        self._home = home
        self._registry = os.fspath(home.registry)  # it is looked at each second
        self._settings = settings
        self._loop = loop
        self._say = say
        self._seldom = seldom
        self._interrupt = interrupt
        self._counts = counts
        self._scans = Scans(loop)
        self._age = age
        self._attached: dict[str, Alias] = {}
        self._leaving: dict[str, tuple[Alias, float]] = {}
        self._turns: deque[str] = deque()
        self._seen: tuple[int, int] | None = None
        self._when_done: list[Callable[[dict[str, Any]], None]] = []
        self._soon: Timer | None = None
        self._mended: dict[str, list[float]] = {}
        self._paused = False

    @property
    def waiting(self) -> int:
        """Questions that are known to wait."""
        return sum(alias.waiting for alias in self._attached.values())

    def next(self, running: Callable[[str], int]) -> tuple[Alias, Question] | None:
        """Claim the next question, the aliases taking turns.

        Of what can be run at once, one is kept for other aliases, where there are others: slow questions of one stop nobody else.

        :param running: tells how many questions run for an alias.
        """
        capacity = self._settings.workers * self._settings.concurrency
        keeps = capacity > 1 and len(self._turns) > 1
        for _ in range(len(self._turns)):
            alias = self._attached[self._turns[0]]
            self._turns.rotate(-1)
            if keeps and running(alias.name) >= capacity - 1:
                continue
            try:
                if (found := alias.next()) is not None:
                    return alias, found
            except Exception as error:
                self.mend(alias, error)
        return None

    def strays(self, running: Container[object]) -> Iterator[tuple[Alias, Claim]]:
        """Claims of which nothing will become: there should be none.

        :param running: the claims whose run's outcome is still to come.
        """
        for alias in self._attached.values():
            yield from ((alias, claim) for claim in alias.strays(running))

    def mend(self, alias: Alias, error: Exception) -> None:
        """Tell of an exception that came out of what was done for an alias, and close and open that alias."""
        self._loop.fault(error)
        self._reopen(alias)

    def tick(self) -> None:
        """Once a second: notice what no request and no event told."""
        self._age.look()
        if self._stamp() != self._seen:
            self.sync()
        for alias in [*self._attached.values()]:
            try:
                alias.tick()
            except Exception as error:
                self.mend(alias, error)
        self._let_go()

    def sync(self, done: Callable[[dict[str, Any]], None] | None = None) -> None:
        """Attach and detach until it is as the registry says.

        :param done: called with :meth:`attachments` when aliases that were detached have been let go of.
        """
        if done is not None:
            self._when_done.append(done)
        self._follow()
        self._let_go()

    def _follow(self) -> None:
        if self._paused:
            return
        stamp = self._stamp()
        wanted = self._wanted()
        # What could not be read is read again at the next tick.
        self._seen = None if wanted is None else stamp
        if wanted is None:
            return
        for name in [name for name in self._attached if name not in wanted]:
            self._detach(name)
        for name in wanted:
            if name not in self._attached and name not in self._leaving:
                self._attach(name)

    def attachments(self) -> dict[str, Any]:
        """Which are served, and which are not and why."""
        return {
            "attached": [name for name, alias in self._attached.items() if alias.problem is None],
            "problems": {name: alias.problem for name, alias in self._attached.items() if alias.problem is not None},
        }

    @property
    def hear(self) -> bool:
        """Whether events tell of new questions at each alias that is served."""
        return all(alias.hears for alias in self._attached.values())

    @property
    def troubled(self) -> bool:
        """Whether there is one that cannot be served, or at which something fails again and again."""
        return any(alias.problem is not None for alias in self._attached.values())

    def status(self) -> dict[str, Any]:
        """Of each ``problem``, how many are ``waiting``, and ``oldest``, for how many seconds the one that is next has; null where none is."""
        return {
            name: {"problem": alias.problem, "waiting": alias.waiting, "oldest": alias.oldest}
            for name, alias in self._attached.items()
        }

    def pause(self) -> None:
        """Claim nothing more."""
        self._paused = True
        for alias in self._attached.values():
            self._loop.guarded(alias.pause)()

    def close(self) -> None:
        """Let go of all; what is claimed and not answered is left to the next daemon."""
        for alias in (*self._attached.values(), *(alias for alias, _ in self._leaving.values())):
            self._close(alias)
        self.watcher.close()

    def _attach(self, name: str) -> None:
        loop = self._loop.within(lambda: self._reopen(alias))
        alias = Alias(
            name,
            self._home.computations(name),
            self._settings,
            loop,
            self.watcher,
            self._seldom,
            self._counts,
            self._twin,
            self._scans,
            self._age,
            served=name in self._mended,
        )
        self._attached[name] = alias
        self._turns.append(name)
        wait = self._wait(name)
        try:
            if wait:
                alias.hold_off(wait)
            else:
                alias.open()
        except Exception as error:
            self.mend(alias, error)
        problem = f"; it cannot be served yet: {alias.problem}" if alias.problem else ""
        self._say(f"attached{problem}", alias=as_word(name))

    def _twin(self, path: Path) -> str | None:
        held = (*self._attached.values(), *(alias for alias, _ in self._leaving.values()))
        return next((alias.name for alias in held if alias.holds(path)), None)

    def _detach(self, name: str) -> None:
        self._leave(self._attached[name], self._settings.stop_timeout)
        self._mended.pop(name, None)
        self._say("detached", alias=as_word(name))

    def _leave(self, alias: Alias, seconds: float) -> None:
        """:param seconds: for what runs to be answered."""
        del self._attached[alias.name]
        self._turns.remove(alias.name)
        self._leaving[alias.name] = (alias, self._loop.now() + seconds)
        self._loop.guarded(alias.pause)()

    def _reopen(self, alias: Alias) -> None:
        """Close an alias, and open it again once nothing runs for it: what is claimed is recovered then, and counts no try."""
        if self._attached.get(alias.name) is alias:
            self._mended.setdefault(alias.name, []).append(self._loop.now())
            self._leave(alias, 0)
            self._loop.later(0, self._let_go)

    def _wait(self, name: str) -> float:
        """Seconds until an alias is to be opened that has failed; they are no service, in which it would be forgotten how often."""
        if name not in self._mended:
            return 0.0
        now = self._loop.now()
        times = [when for when in self._mended[name] if now - when <= REMEMBERED][-COUNTED:]
        wait = min(LONGEST, 2.0 ** (len(times) - 2)) if len(times) > 1 else 0.0
        self._mended[name] = [when + wait for when in times]
        return wait

    def _close(self, alias: Alias) -> None:
        self._loop.guarded(alias.close)()

    def _let_go(self) -> None:
        """Close aliases that were detached, when what runs for them has been answered or has had its time."""
        before = len(self._leaving)
        for name, (alias, end) in list(self._leaving.items()):
            now = self._loop.now()
            if alias.busy and now < end:
                continue
            if self._interrupt(name) and now < end + ENDING:
                continue
            self._close(alias)
            del self._leaving[name]
        if len(self._leaving) < before:  # one that came back while it was being let go of was left out until now
            self._follow()
        if self._soon is not None:
            self._soon.cancel()
        self._soon = self._loop.later(SOON, self._let_go) if self._leaving else None
        if self._leaving:
            return
        heard, self._when_done = self._when_done, []
        for done in heard:  # one that cannot be told, because who asked is gone, keeps no other from it
            self._loop.guarded(done)(self.attachments())

    def _wanted(self) -> list[str] | None:
        """The aliases that the registry gives this handler; None where it cannot be read, or has no record of it."""
        try:
            record = json.loads(self._home.registry.read_bytes().decode())[self._name]
            return [name for name in record["attached_aliases"] if isinstance(name, str) and self._home.computations(name)]
        except (OSError, ValueError, KeyError, TypeError, RecursionError, NectarError):
            return None

    def _stamp(self) -> tuple[int, int] | None:
        try:
            status = os.stat(self._registry)
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns
