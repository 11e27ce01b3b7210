"""All of a daemon's inside against its model: each question of each alias has one answer, and it is its own.

The real service, aliases, spools and pool run on a machine in the test's hand, with real files. Questions come whole, in halves or by a
rename, with their event or without; file calls fail, or say so though they were done; daemons end in order or die, and others follow.
"""

from __future__ import annotations

import errno
import json
import os
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, cast

import pytest

import nectar.regular
import nectar.spool.approach
import nectar.spool.entries
import nectar.spool.listing
import nectar.spool.owed
import nectar.spool.place
import nectar.spool.released
import nectar.spool.spool
from nectar import features
from nectar.home import Home
from nectar.protocol import EntryPoint, Loading
from nectar.runtime.daemon.aliases.watcher import Watcher
from nectar.runtime.daemon.loop import Loop
from nectar.runtime.daemon.service import Service
from nectar.runtime.daemon.workers.pool import Pool
from nectar.settings import Settings
from tests.soak.machine import Machine, Process
from tests.soak.workers_model import Workers, blame

if TYPE_CHECKING:
    import selectors
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from nectar.runtime.daemon.aliases.hints import Hint
    from nectar.runtime.daemon.job import Failure, Job

ALIASES = ("one", "two", "three")
SHARED = "three"
"""Where others may write in a question, so that a copy of it is kept."""
EPISODE = 1500
"""Steps of an episode."""
TRIES = 3
FILE_MODULES: tuple[ModuleType, ...] = (
    nectar.spool.approach,
    nectar.spool.owed,
    nectar.spool.place,
    nectar.spool.entries,
    nectar.spool.listing,
    nectar.regular,
    nectar.spool.released,
    nectar.spool.spool,
)
CALLS = ("open", "stat", "rename", "read", "write", "scandir", "unlink")
"""Calls on files that may fail."""


@dataclass(eq=False)
class Asked:
    """:ivar crashes: daemons that had died when it was asked.
    :ivar written: whether all of it is there.
    """

    number: int
    alias: str
    deadline: float
    at: float
    crashes: int
    written: bool = False
    answers: list[dict[str, Any]] = field(default_factory=list)


class Files:
    """``os`` as the spool knows it, where a call fails now and then."""

    def __init__(self, model: ServiceModel) -> None:
        self._model = model

    def __getattr__(self, name: str) -> Any:
        call = getattr(os, name)
        made = self.failing(name, call) if name in CALLS else call
        setattr(self, name, made)  # found as it is from here on
        return made

    def failing(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def failing(*arguments: Any, **more: Any) -> Any:
            model = self._model
            chance = 1.0 if model.machine.calm else model.random.random()
            if chance < 0.004:
                model.failed[name] += 1
                number = model.random.choice([errno.ENOMEM, errno.EIO, errno.EMFILE, errno.ENOSPC])
                raise OSError(number, os.strerror(number))
            if chance < 0.005:
                model.failed["memory"] += 1
                raise MemoryError
            done = call(*arguments, **more)
            if name == "rename" and chance < 0.01:
                model.failed["rename that was done"] += 1
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return done

        return failing


class Events:
    """What gives hints: when the model says so."""

    def __init__(self, tell: Callable[[Hint], None]) -> None:
        self.tell = tell
        self.watches: dict[str, int] = {}

    def add(self, number: int, path: str) -> str:
        alias = Path(os.readlink(path)).parts[-3]
        self.watches[alias] = number
        return alias

    def remove(self, watch: str) -> None:
        self.watches.pop(watch, None)

    def alive(self) -> bool:
        return True

    def close(self) -> None:
        pass


class Journal:
    """What the pool tells, told to the service."""

    def __init__(self, model: ServiceModel) -> None:
        self._model = model

    def ready(self, warnings: list[str]) -> None:
        pass

    def failed(self, failure: Failure) -> None:
        self._model.service.failed(failure)

    def printed(self, lines: list[str], whose: str = "") -> None:
        self._model.service.printed(lines, whose)

    def hook_failed(self, what: str, detail: str | None = None, job: Job | None = None) -> None:
        self._model.seen["failed after" if "failed" in what else "cut off"] += 1

    def warn(self, text: str, job: Job | None = None) -> None:
        self._model.service.warn(text, whose="" if job is None else job.name)


class ServiceModel:
    """One episode.

    :param directory: an empty one for the data dir.
    """

    def __init__(self, seed: int, directory: Path) -> None:
        self.random = Random(seed)
        self.home = Home(directory)
        self.home.create()
        self._directories = {alias: self.home.computations(alias) for alias in ALIASES}
        for computations in self._directories.values():
            computations.mkdir(parents=True)
        self.home.computations(SHARED).chmod(0o2770)
        self.attached = [*ALIASES]
        self.register()
        self.asked: dict[str, Asked] = {}
        self.halves: list[tuple[Path, bytes, Asked]] = []
        self.events: list[tuple[str, str]] = []
        self.past: list[Process] = []
        self.seen: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.crashes = 0
        self.now = 1000.0
        self._replaces_slowly = self.random.random() < 0.5
        self._steps = [
            *[self._ask] * 4,
            *[self._act] * 10,
            *[self._deliver] * 8,
            *[self._pass] * 4,
            *[self._tell] * 3,
            *[self._read] * 2,
            self._finish_a_half,
            self._attach_or_detach,
            self._reap,
            self._misbehave,
        ]
        self._begin()

    def run(self, steps: int = EPISODE) -> None:
        with self._files():
            for _ in range(steps):
                if self.random.random() < 0.004:
                    self._end()
                    self._begin()
                self.random.choice(self._steps)()
            self._calm_down()
            self.stop()
        self._read()
        waiting = [asked for asked in self.asked.values() if not asked.answers]
        assert not waiting, f"never answered: {waiting}\n{self.log()[-5000:]}"
        for alias in ALIASES:
            directory = self.home.computations(alias)
            assert {each.name for each in directory.iterdir()} <= {".nectar"}, f"left at {alias}: {os.listdir(directory)}"
            # What could not be removed at the time is no claim, and goes when somebody takes the directory next.
            claims = [
                name for name in os.listdir(directory / ".nectar") if not name.endswith((".trial", ".moved", ".answer", "released"))
            ]
            assert not claims, f"left claims at {alias}: {claims}"

    def settle(self, rounds: int) -> None:
        """Half seconds in which all that can happen does, and answers are read."""
        for _ in range(rounds):
            self.workers.settle(self.loop)
            self.loop.guarded(self.service.pump)()
            self._read()

    def take_up(self) -> None:
        """Have the daemon look, and give out what it finds."""
        self.machine.now += 1.5
        self.loop.turn()
        self.service.pump()

    def log(self) -> str:
        return self.home.log("h").read_text()

    # --- the daemon's life

    def _begin(self) -> None:
        self._before = _descriptors()
        self.machine = Machine(self.random)
        self.machine.now = self.now
        self.workers = Workers(self.random, self.machine)
        self.loop = Loop(self.machine.clock, cast("selectors.BaseSelector", self.machine))
        self.loop.faulted = self._faulted
        settings = Settings(
            workers=self.random.randint(1, 3),
            concurrency=self.random.choice([1, 1, 3]),
            overlap=self.random.random() < 0.7,
            start_timeout=5,
            stop_timeout=self.random.choice([0.5, 5]),
        )
        loading = Loading(python="python", entry=EntryPoint("b", "a:b"), directory="/")
        self.pool = Pool(self.loop, loading, settings, "/r/api/nectar/runtime/start.py", "owner", Journal(self), self.machine)
        self.machine.calm = True  # one that cannot start is not tried here
        watcher = Watcher(self.loop, self._watch)
        self.service = Service(
            "h", self.home, settings, self.loop, self.pool, stop=lambda _seconds: None, state=lambda: "serving", watcher=watcher
        )
        self.machine.calm = False
        self.pool.start()
        self.service.serve("b", [])
        self.stopped = False

    def _watch(self, _loop: Loop, tell: Callable[[Hint], None]) -> Events:
        self.backend = Events(tell)
        return self.backend

    def _end(self) -> None:
        if self.random.random() < 0.5:
            self.stop()
            return
        self.crashes += 1
        self.seen["crashes"] += 1
        self._bury()

    def stop(self) -> None:
        self.service.pause()
        self.pool.stop(self.random.choice([0, 1]), self._stopped)
        for _ in range(100):
            if self.stopped:
                break
            self.workers.settle(self.loop)
        assert self.stopped, "it did not stop"
        self._bury()

    def _stopped(self) -> None:
        self.stopped = True
        self.service.close()

    def _bury(self) -> None:
        """What is left of a process that has ended: nothing, its descriptors least of all."""
        self.now = self.machine.now
        self.past += self.machine.processes.values()
        for process in self.machine.processes.values():
            if process.alive:
                self.machine.end(process, -9)
        _let_go(self.service)
        for descriptor in _descriptors() - self._before:
            os.close(descriptor)

    def _faulted(self, error: Exception) -> None:
        assert isinstance(error, (OSError, MemoryError)), repr(error)  # the machine's own
        self.seen["faults"] += 1

    # --- the node

    def ask(self, alias: str) -> Asked:
        """Ask a question in one go, without an event."""
        asked, path, content = self._make(alias, 30)
        path.write_bytes(content)
        asked.written = True
        return asked

    def _make(self, alias: str, deadline: float) -> tuple[Asked, Path, bytes]:
        number = len(self.asked)
        asked = self.asked[str(number)] = Asked(number, alias, deadline, self.machine.now, self.crashes)
        fields = {"comp_id": str(number), "query": "q", "proposer": "p", "aggregators": [], "targets": [], "deadline": deadline}
        return asked, self.home.computations(alias) / f"{number}.pending", json.dumps(fields).encode()

    def _ask(self) -> None:
        alias = self.random.choice(ALIASES)
        asked, path, content = self._make(alias, self.random.choice([0.05, 5, 30]))
        match self.random.randrange(3):
            case 0:
                half = self.random.randrange(len(content))
                path.write_bytes(content[:half])
                self.halves.append((path, content[half:], asked))
            case 1:
                path.write_bytes(content)
                asked.written = True
            case 2:
                aside = path.with_suffix(".aside")
                aside.write_bytes(content)
                aside.rename(path)
                asked.written = True
        if alias == SHARED:
            path.chmod(0o660)
        self.events.append((alias, path.name))

    def _finish_a_half(self) -> None:
        for path, rest, asked in self.halves:
            # A writer that takes longer than it may is not tried here.
            with path.open("ab") as file:
                file.write(rest)
            asked.written = True
        self.halves.clear()

    def _tell(self) -> None:
        if self.events:
            alias, name = self.events.pop(self.random.randrange(len(self.events)))
            if self.random.random() < 0.7 and alias in self.backend.watches:
                self.backend.tell((self.backend.watches[alias], name.encode()))

    def _read(self) -> None:
        for alias in ALIASES:
            directory = self._directories[alias]
            for name in os.listdir(directory):
                if name.endswith(".complete"):
                    path = directory / name
                    fields = json.loads(path.read_bytes())
                    path.unlink()
                    self._look_at(self.asked[path.stem], fields)

    def _look_at(self, asked: Asked, fields: dict[str, Any]) -> None:
        asked.answers.append(fields)
        assert asked.written, f"{asked} was not even whole"
        assert len(asked.answers) == 1, f"{asked} has two answers"
        had = [each for each in (*self.past, *self.machine.processes.values()) if str(asked.number) in each.begun]
        error = str(fields["error"])
        if fields["status"] == "success":
            assert fields["result"] == {"value": asked.number * 7}, f"{asked} has another's answer"
            self.seen["success"] += 1
        elif fields["status"] == "timeout":
            assert self.machine.now - asked.at >= asked.deadline, f"{asked} was not overdue"
            self.seen["timeout"] += 1
        elif f"tried {TRIES} times" in error:
            assert self.crashes - asked.crashes >= TRIES, f"{asked} was tried so often by nobody"
            self.seen["tries"] += 1
        else:
            self.seen[blame(error, had)] += 1

    def _attach_or_detach(self) -> None:
        if self.random.random() < 0.2:
            alias = self.random.choice(ALIASES)
            self.attached = [*({*self.attached} ^ {alias})]
            self.register()

    def register(self) -> None:
        aside = self.home.registry.with_suffix(".aside")
        aside.write_text(json.dumps({"h": {"attached_aliases": self.attached}}))
        aside.rename(self.home.registry)

    # --- the machine

    def _act(self) -> None:
        self.workers.act()

    def _misbehave(self) -> None:
        self.workers.misbehave()

    def _reap(self) -> None:
        self.loop.guarded(self.pool.reap)()

    def _deliver(self) -> None:
        self.workers.deliver(self.loop)
        self.loop.guarded(self.service.pump)()

    def _pass(self) -> None:
        # No writer takes as long as would make a question a bad one.
        if self.halves and (self.random.random() < 0.5 or self.machine.now - self.halves[0][2].at > 0.5):
            self._finish_a_half()
        self.workers.let_pass(self.loop)
        self.loop.guarded(self.service.pump)()

    def _calm_down(self) -> None:
        self.machine.calm = True
        self._finish_a_half()
        self.attached = [*ALIASES]
        self.register()
        for _ in range(600):
            self.settle(1)
            if all(asked.answers for asked in self.asked.values()):
                break

    @contextmanager
    def _files(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(features, "replaces_slowly", lambda _: self._replaces_slowly)
            with by_way_of(Files(self)):
                yield


@contextmanager
def by_way_of(files: Any) -> Iterator[None]:
    """Have a spool's calls on files be made by way of what stands for ``os``; that two change places is a rename, too."""
    with pytest.MonkeyPatch.context() as patch:
        for module in FILE_MODULES:
            patch.setattr(module, "os", files)
        patch.setattr(features, "exchange", files.failing("rename", features.exchange))
        yield


def _descriptors() -> set[int]:
    listed = [int(name) for name in os.listdir("/proc/self/fd")]
    return {descriptor for descriptor in listed if Path(f"/proc/self/fd/{descriptor}").is_symlink()}  # not that of the listing


def _let_go(service: Service) -> None:
    """Close what would close its descriptor by itself at a moment when that is another's."""
    if service._control._listening.fileno() >= 0:
        service._control._listening.close()
    service._log.close()
    for scan in service._aliases._scans._going.values():
        scan.close()
