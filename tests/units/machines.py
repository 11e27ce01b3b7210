"""A machine without chance: it does what the test says, at the second it says, and time leaps to what is due next."""

from __future__ import annotations

import errno
import os
import random
import selectors
from typing import TYPE_CHECKING, Any, cast

import pytest

from nectar.protocol import EntryPoint, Loading
from nectar.runtime.daemon.job import Job, Outcome
from nectar.runtime.daemon.loop import WRITE, Loop
from nectar.runtime.daemon.workers.pool import Pool
from nectar.runtime.daemon.workers.worker_process import State
from nectar.settings import Settings
from tests.soak import machine

if TYPE_CHECKING:
    from collections.abc import Callable

    from nectar.runtime.daemon.job import Failure
    from nectar.runtime.daemon.workers.kernel import Spawned
    from tests.soak.machine import Process

LOADING = Loading(python="/", entry=EntryPoint("b", "a:b"), directory="/")
READY = '{"do": "ready", "warnings": []}'
FREES = '{"do": "ready", "warnings": [], "frees": true}'
FAILED = '{"do": "failed", "message": "no", "where": null, "hint": null, "detail": null}'


class Machine(machine.Machine):
    """:ivar end_of_turn: seconds until which time may leap.
    :ivar tries: seconds of each try to start a process; ``refusal`` is the error number that each of them gets.
    :ivar kills: PID and seconds of each kill; it takes ``dying`` seconds to have its effect.
    :ivar most: bytes that one read gives at most, ``room`` those that can be written; ``unreadable`` is the error of each read.
    :ivar left: what there is of what workers left.
    :ivar looks: seconds of each look at that.
    """

    def __init__(self) -> None:
        super().__init__(random.Random(1))
        self.calm = True
        self.now = self.begun = 1024.0
        self.end_of_turn = self.now
        self.tries: list[float] = []
        self.refusal: int | None = None
        self.kills: list[tuple[int, float]] = []
        self.dying = 0.0
        self.most = 1 << 16
        self.room: int | None = None
        self.unreadable: int | None = None
        self.left = 0
        self.looks: list[float] = []
        self.found = 0

    @property
    def seconds(self) -> float:
        """Since the beginning, as a test writes them."""
        return round(self.now - self.begun, 6)

    def spawn(self, loading: Loading, script: str, owner: str) -> Spawned:
        self.tries.append(self.seconds)
        if self.refusal is not None:
            raise OSError(self.refusal, os.strerror(self.refusal))
        return super().spawn(loading, script, owner)

    def signal(self, pid: int) -> None:
        process = self.processes[pid]
        if process.alive and process.killed is None:
            self.kills.append((pid, self.seconds))
            process.killed = self.now + self.dying

    def read(self, descriptor: int, size: int) -> bytes:
        if self.unreadable is not None:
            raise OSError(self.unreadable, os.strerror(self.unreadable))
        return super().read(descriptor, min(size, self.most))

    def write(self, descriptor: int, data: memoryview) -> int:
        if self.room is None:
            return super().write(descriptor, data)
        if self.room == 0:
            raise BlockingIOError(errno.EAGAIN, "no room")
        written = super().write(descriptor, data[: self.room])
        self.room -= written
        return written

    def kill_left(self, token: str | None) -> int:
        if token is None:
            self.looks.append(self.seconds)
        return self.left

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready; where nothing is, time leaps."""
        self.ready = self.watched()
        found = super().select()
        self.found = len(found)
        if not found:
            due = [self.end_of_turn, *(process.killed for process in self.processes.values() if process.alive and process.killed)]
            if timeout is not None:
                due.append(self.now + timeout)
            self.now = max(self.now, min(due))
        return found

    def _events(self, descriptor: int) -> int:
        events = super()._events(descriptor)
        return events & ~WRITE if self.room == 0 else events


def started(machine: Machine) -> tuple[Spawned, Process]:
    spawned = machine.spawn(LOADING, "/r/api/nectar/runtime/start.py", "owner")
    return spawned, machine.processes[spawned.pid]


def near(seconds: float, within: float | None = None) -> Any:
    return pytest.approx(seconds, abs=within)


def nothing(_process: Process) -> None:
    pass


def loop_of(made: Machine) -> Loop:
    return Loop(made.clock, cast("selectors.BaseSelector", made))


def go(made: Machine, loop: Loop, seconds: float, act: Callable[[], bool] = lambda: False) -> None:
    """Let so many seconds pass, and all happen that is due in them.

    :param act: what others do between two turns; whether they did something.
    """
    made.end_of_turn = made.now + seconds
    idle = 0
    while idle < 3:
        while act():  # time does not leap over it
            pass
        loop.turn()
        idle = 0 if made.now < made.end_of_turn or made.found else idle + 1
    while act():
        pass


class Told:
    """What a pool tells, with the second.

    :ivar raises: what each telling raises, once it is set.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.ready_with: list[list[str]] = []
        self.failures: list[tuple[float, str]] = []
        self.lines: list[tuple[float, str]] = []
        self.warnings: list[tuple[float, str]] = []
        self.raises: Exception | None = None

    def ready(self, warnings: list[str]) -> None:
        self._tell(self.ready_with, warnings)

    def failed(self, failure: Failure) -> None:
        self._tell(self.failures, (self._machine.seconds, failure.message))

    def printed(self, lines: list[str], whose: str = "") -> None:
        self._tell(self.lines, *[(self._machine.seconds, f"{whose}: {line}" if whose else line) for line in lines])

    def hook_failed(self, what: str, detail: str | None = None, job: Job | None = None) -> None:
        self.warn(f"{what}\n{detail}" if detail else what, job)

    def warn(self, text: str, job: Job | None = None) -> None:
        self._tell(self.warnings, (self._machine.seconds, text if job is None else f"{job.name}: {text}"))

    def _tell(self, to: list[Any], *what: object) -> None:
        if self.raises is not None:
            raise self.raises
        to += what


class Stage:
    """A pool on such a machine.

    :ivar load: what a worker does when it is told to load, ``work`` when it is given a job, ``leave`` when it is asked to end.
    :ivar signalled: whether the pool is told of the end of a child.
    :ivar cancelled: of which job a worker was told that it is to be cancelled.
    :ivar outcomes: what became of each job, by its id, with the second; ``watch_done`` is called with the id before.
    """

    def __init__(self, **settings: Any) -> None:
        self.machine = Machine()
        self.loop = loop_of(self.machine)
        self.load: Callable[[Process], None] = lambda process: self.machine.send(process, READY)
        self.work: Callable[[Process], None] = lambda _process: None
        self.leave: Callable[[Process], None] = lambda process: self.machine.end(process, 0)
        self.signalled = True
        self.cancelled: list[str] = []
        self.outcomes: dict[str, tuple[float, Outcome | None]] = {}
        self.told = Told(self.machine)
        self.ended: list[float] = []
        self.watch_done: Callable[[str], None] = lambda _name: None
        script = "/r/api/nectar/runtime/start.py"
        self.pool = Pool(self.loop, LOADING, Settings(**settings), script, "owner", self.told, self.machine)

    def begin(self) -> Stage:
        self.pool.start()
        self.go(0)
        return self

    def go(self, seconds: float) -> None:
        go(self.machine, self.loop, seconds, self._act)

    def run(self, name: str, *, deadline: float = 3600, alias: str = "alias", again: Callable[[], None] | None = None) -> None:
        def done(outcome: Outcome | None) -> None:
            assert name not in self.outcomes, "it has two outcomes"
            self.watch_done(name)
            self.outcomes[name] = self.machine.seconds, outcome

        self.pool.run(Job(alias, name, b"{}", 0.0, deadline, done, name, again=again))

    def stop(self, timeout: float) -> None:
        self.pool.stop(timeout, lambda: self.ended.append(self.machine.seconds))

    def answer(self, name: str, value: int = 7, *, error: str | None = None, job: int | None = None) -> None:
        """Have the worker answer that has this job."""
        process = self.who_has(name)
        number = process.jobs.pop(name)
        said = f'"success", "value": {value}' if error is None else f'"error", "error": "{error}", "traceback": null'
        self.machine.send(process, f'{{"do": "answer", "job": {job or number}, "status": {said}, "seconds": 0.5}}')

    def free(self, job: int, error: str = "null", traceback: str = "null") -> None:
        """Have the only worker say that it has looked after its answer to a job."""
        (process,) = self.processes
        said = f'{{"do": "free", "job": {job}, "error": {error}, "traceback": {traceback}}}'
        self.machine.send(process, said)
        self.go(0)

    def load_one(self) -> None:
        """Have the oldest worker that still loads be ready."""
        pid = next(worker.pid for worker in self.pool.workers if worker.state is State.LOADING)
        self.machine.send(self.machine.processes[pid], READY)
        self.go(0)

    def answer_at_once(self, name: str) -> None:
        self.go(0)
        self.answer(name)
        self.go(0)

    def outcome(self, name: str) -> Outcome:
        """What became of a job; it must have become something."""
        found = self.outcomes[name][1]
        assert found is not None
        return found

    def succeeded(self, name: str) -> bool:
        return self.outcome(name).status == "success"

    def who_has(self, name: str) -> Process:
        return next(process for process in self.processes if name in process.jobs)

    @property
    def processes(self) -> list[Process]:
        """Those that live, the oldest first."""
        return [process for process in self.machine.processes.values() if process.alive]

    def _act(self) -> bool:
        acted = False
        for process in self.processes:
            while process.alive and not process.closed and (header := self.machine.receive(process)) is not None:
                acted = True
                self._do(process, header)
        self.machine.take_effect()
        if self.signalled and any(True for _ in self.machine.ended()):
            self.loop.guarded(self.pool.reap)()
            acted = True
        return acted

    def _do(self, process: Process, header: dict[str, Any]) -> None:
        match header["do"]:
            case "load":
                self.load(process)
            case "run":
                self.work(process)
            case "cancel":
                self.cancelled += [name for name, job in process.jobs.items() if job == header["job"]]
            case "stop":
                self.leave(process)


class Looking(selectors.SelectSelector):
    """Tells what is ready of real descriptors, and waits for none."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(0)


class Clock:
    """:ivar now: seconds, which the test sets."""

    def __init__(self) -> None:
        self.now = 1024.0

    def __call__(self) -> float:
        return self.now
