"""Nodes with directories of their own on a machine without chance, and the aliases of one handler, which answers when the test says so."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nectar.events import INFO
from nectar.home import Home
from nectar.runtime.daemon.aliases.aliases import SOON, Aliases
from nectar.runtime.daemon.aliases.rescan import Age
from nectar.runtime.daemon.aliases.watcher import Watcher
from nectar.runtime.daemon.job import Outcome
from nectar.runtime.daemon.log import Seldom
from nectar.settings import Settings
from nectar.testing.sample import sample
from tests.soak.service_model import CALLS, Events, by_way_of
from tests.units.machines import Machine, go, loop_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from nectar.runtime.daemon.aliases.alias import Alias
    from nectar.runtime.daemon.aliases.hints import Hint
    from nectar.runtime.daemon.loop import Loop
    from nectar.spool.claims import Question
    from nectar.spool.spool import Spool

TICK = 1.0


LATE = SOON + 1e-6
"""Seconds that it may take to notice."""


class Hints(Events):
    """:ivar broken: aliases whose directories cannot be watched, by a fault that nobody was made for.
    :ivar tries: the alias of each try to watch a directory, with the second.
    """

    def __init__(self, tell: Callable[[Hint], None], nodes: Directories) -> None:
        super().__init__(tell)
        self.nodes = nodes
        self.lives = True

    def add(self, number: int, path: str) -> str:
        alias = super().add(number, path)
        self.nodes.watched.append((alias, self.nodes.machine.seconds))
        if alias in self.nodes.broken:
            raise MemoryError
        return alias

    def alive(self) -> bool:
        return self.lives


class Ticking(Machine):
    """:ivar pace: seconds that pass each time that somebody looks at the clock."""

    pace = 0.0

    def clock(self) -> float:
        self.now += self.pace
        return self.now


class Files:
    """``os`` as the spool knows it, where calls fail as the test says.

    :ivar refused: the error number of each call that fails, by its name; ``after`` are those that do what they are to do before.
    :ivar calls: how often each was made.
    """

    def __init__(self) -> None:
        self.refused: dict[str, int] = {}
        self.after: dict[str, int] = {}
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        call = getattr(os, name)
        return self.failing(name, call) if name in CALLS else call

    def failing(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def failing(*arguments: Any, **more: Any) -> Any:
            self.calls[name] += 1
            if name in self.refused:
                raise OSError(self.refused[name], os.strerror(self.refused[name]))
            done = call(*arguments, **more)
            if name in self.after:
                raise OSError(self.after[name], os.strerror(self.after[name]))
            return done

        return failing


class Said:
    """What is written to a log."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def log(self, text: str, kind: str = INFO, alias: str = "", computation: str = "") -> None:
        whose = " ".join(filter(None, (alias, computation)))
        self.lines.append(f"{whose}: {text}" if whose else text)


@dataclass
class Taken:
    """A question that was claimed."""

    alias: Alias
    question: Question
    spool: Spool | None

    @property
    def name(self) -> str:
        return f"{self.alias.name}/{self.comp_id}"

    @property
    def comp_id(self) -> str:
        return self.question.claim.comp_id

    @property
    def closed(self) -> bool:
        """Whether the spool that it was taken from is let go of."""
        return self.spool is not None and self.spool.closed

    def answer(self, value: int = 7) -> bool:
        return self.alias.answer(self.question, Outcome("success", value=value, seconds=0.5))


class Directories:
    """What the nodes have on disk, and what tells of it.

    :ivar ahead: seconds that the wall's clock is ahead of the machine's.
    :ivar broken: names of aliases that fail each time they are opened.
    :ivar watched: the alias of each try to watch its directory, with the second.
    """

    def __init__(self, directory: Path, names: tuple[str, ...], machine: Machine, loop: Loop) -> None:
        self.machine = machine
        self.loop = loop
        self.home = Home(directory)
        self.home.create()
        for name in names:
            self.home.computations(name).mkdir(parents=True, exist_ok=True)
        self.attach(*names)
        self.broken: set[str] = set()
        self.watched: list[tuple[str, float]] = []
        self._written = 0
        # Files have the machine's own time; half a second more or less is of no account, and a whole number would be on the edge.
        self.ahead = int(time.time()) - self.machine.now + 0.5
        self.watcher = Watcher(loop, self._watch)

    def wall(self) -> float:
        """Unix seconds."""
        return self.machine.now + self.ahead

    def attach(self, *names: str) -> None:
        """Write the registry; nobody is told."""
        self.register(json.dumps({"h": {"attached_aliases": names}}))

    def register(self, text: str) -> None:
        aside = self.home.registry.with_suffix(".aside")
        aside.write_text(text)
        aside.rename(self.home.registry)

    def put(self, alias: str, *comp_ids: str, hidden: bool = False, **fields: Any) -> None:
        """Ask questions, the first of which is the oldest, without an event."""
        for comp_id in comp_ids:
            self.write(alias, comp_id, sample(comp_id=comp_id, **fields).to_json(), hidden=hidden)

    def write(self, alias: str, comp_id: str, content: bytes, *, hidden: bool = False) -> Path:
        """:param hidden: whether the directory's time does not tell of it."""
        directory = self.home.computations(alias)
        before = directory.stat().st_mtime_ns
        path = directory / f"{comp_id}.pending"
        path.write_bytes(content)
        # How fine the file system's clock is must not matter.
        written = self._written = max(before, self._written, path.stat().st_mtime_ns) + 1
        os.utime(path, ns=(written, written))
        told = before if hidden else written
        os.utime(directory, ns=(told, told))
        return path

    def hint(self, alias: str, comp_id: str) -> None:
        """Tell of a question, as an event does."""
        self.hints.tell((self.hints.watches[alias], f"{comp_id}.pending".encode()))

    def answered(self, alias: str) -> set[str]:
        return {path.stem for path in self.home.computations(alias).glob("*.complete")}

    def claimed(self, alias: str) -> set[str]:
        return {name.split(".")[0] for name in os.listdir(self.home.computations(alias) / ".nectar")}

    def _watch(self, _loop: Loop, tell: Callable[[Hint], None]) -> Hints:
        self.hints = Hints(tell, self)
        return self.hints


class Nodes(Directories):
    """The aliases of one handler, and their nodes.

    :ivar runs: names of aliases for which something runs that no interrupt has ended yet.
    :ivar interrupts: the alias of each interrupt, with the second.
    :ivar serves: whether questions are taken as soon as there are any, and ``answers`` whether they are answered at once.
    :ivar taken: what was taken by that, with the second.
    """

    machine: Ticking

    def __init__(self, directory: Path, *names: str, **settings: Any) -> None:
        machine = Ticking()
        super().__init__(directory, names, machine, loop_of(machine))
        self.faults: list[Exception] = []
        self.loop.faulted = self.faults.append
        self.runs: set[str] = set()
        self.interrupts: list[tuple[str, float]] = []
        self.serves = False
        self.answers = True
        self.taken: list[tuple[float, Taken]] = []
        self.files = Files()
        self.counts: Counter[str] = Counter()
        self.said = Said()
        self.replies: list[tuple[float, dict[str, Any]]] = []
        self.aliases = Aliases(
            "h",
            self.home,
            Settings(**settings),
            self.loop,
            self.watcher,
            self.said.log,
            Seldom(self.said.log, self.machine.clock),
            self._interrupt,
            self.counts,
            Age(self.machine.clock, self.wall),
        )

    def begin(self) -> Nodes:
        self.aliases.sync()
        self.loop.later(TICK, self._tick)
        self.go(0)
        return self

    def go(self, seconds: float) -> None:
        go(self.machine, self.loop, seconds, self._pump)

    def close(self) -> None:
        self.aliases.close()

    def sync(self) -> None:
        """Have the registry looked at, as a request does; the reply is kept with its second."""
        self.aliases.sync(lambda reply: self.replies.append((self.machine.seconds, reply)))

    def take(self, running: Mapping[str, int] | None = None) -> Taken | None:
        """Claim the next question, where there is one."""
        found = self.aliases.next(Counter(running or {}).__getitem__)
        return None if found is None else Taken(*found, found[0].spool)

    def take_all(self, most: int = 1000) -> list[str]:
        """Claim what there is, which is answered at once."""
        names: list[str] = []
        while len(names) < most and (taken := self.take()) is not None:
            names.append(taken.name)
            taken.answer()
        return names

    @property
    def seconds_taken(self) -> dict[str, float]:
        """When each question was taken, by its name."""
        return {taken.name: second for second, taken in self.taken}

    @contextmanager
    def odd_files(self) -> Iterator[Files]:
        """Have calls on the spools' files be made by way of ``files``."""
        with by_way_of(self.files):
            yield self.files

    @property
    def attached(self) -> list[str]:
        """Names of those that are served."""
        names: list[str] = self.aliases.attachments()["attached"]
        return names

    def _interrupt(self, alias: str) -> bool:
        self.interrupts.append((alias, self.machine.seconds))
        return alias in self.runs

    def _pump(self) -> bool:
        taken = self.take() if self.serves else None
        if taken is None:
            return False
        self.taken.append((self.machine.seconds, taken))
        if self.answers:
            taken.answer()
        return True

    def _tick(self) -> None:
        try:
            self.aliases.tick()
        finally:
            self.loop.later(TICK, self._tick)


def opened(nodes: Nodes, alias: str) -> list[float]:
    """Seconds at which it was tried to open an alias."""
    return [second for each, second in nodes.watched if each == alias]


def problem(nodes: Nodes, alias: str = "one") -> str | None:
    told: str | None = nodes.aliases.status()[alias]["problem"]
    return told


def directory_of(nodes: Nodes) -> Path:
    return nodes.home.computations("one")
