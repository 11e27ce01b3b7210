"""One worker: what a kill and a rest make of it, and that one which could not be connected leaves nothing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nectar.protocol import Loading
from nectar.runtime.daemon.workers.worker_process import End, State, Worded, Worker, how, spawn
from tests.units.machines import Machine, go, loop_of

if TYPE_CHECKING:
    import selectors

LOADING = Loading(python="/", entry="a:b", handler="b", directory="/")


class Raising:
    """Words that come to nobody: each call fails, once it is told to."""

    def __init__(self) -> None:
        self.fails = False

    def received(self, _worker: Worker, _header: dict[str, Any]) -> None:
        if self.fails:
            raise MemoryError

    def lines(self, _lines: list[str]) -> None:
        if self.fails:
            raise MemoryError


def made(machine: Machine, words: Raising) -> tuple[Worker, list[Exception]]:
    loop = loop_of(machine)
    told: list[Exception] = []
    loop.faulted = told.append
    worker = spawn(loop, machine, LOADING, Path("/start.py"), "owner", Worded(words.received, words.lines, lambda _count: None))
    go(machine, loop, 0)
    words.fails = True
    machine.send(machine.processes[worker.pid], "{}")
    go(machine, loop, 0)
    return worker, told


def plain() -> Worker:
    machine = Machine()
    words = Worded(lambda _worker, _header: None, lambda _lines: None, lambda _count: None)
    return spawn(loop_of(machine), machine, LOADING, Path("/start.py"), "owner", words)


def test_a_new_one_loads_and_has_a_mark_of_its_own() -> None:
    one, two = plain(), plain()
    assert one.state is State.LOADING
    assert re.fullmatch(r"owner/[0-9a-f]{16}", one.token)
    assert one.token != two.token


def test_the_first_reason_of_an_end_counts() -> None:
    worker = plain()
    worker.kill(End.OVERDUE)
    worker.kill(End.STOPPED)
    assert worker.ended_by_us is End.OVERDUE
    assert worker.state is State.ENDING
    worker.rest()
    assert worker.state is State.ENDING


def test_one_that_has_ended_is_not_killed() -> None:
    worker = plain()
    worker.gone = True
    worker.kill(End.OVERDUE)
    assert worker.ended_by_us is None
    assert isinstance(worker.kernel, Machine)
    assert worker.kernel.kills == []


def test_a_fault_of_ours_in_its_calls_ends_it() -> None:
    worker, told = made(Machine(), Raising())
    assert [type(error) for error in told] == [MemoryError]
    assert worker.ended_by_us is End.FAULT


@pytest.mark.parametrize("which", [1, 2])
def test_one_that_cannot_be_connected_is_ended_and_leaves_no_descriptor(which: int) -> None:
    class Failing(Machine):
        """The first or the second descriptor cannot be watched."""

        asked = 0
        shut: list[int]

        def register(self, descriptor: int, events: int, data: Any = None) -> None:
            self.asked += 1
            if self.asked == which:
                raise MemoryError
            super().register(descriptor, events, data)

        def unregister(self, descriptor: int) -> None:
            keys: dict[int, selectors.SelectorKey] = dict(self.get_map())
            if descriptor not in keys:
                raise KeyError(descriptor)
            super().unregister(descriptor)

        def close(self, descriptor: int) -> None:
            super().close(descriptor)
            self.shut.append(descriptor)

    machine = Failing()
    machine.shut = []
    words = Worded(lambda _worker, _header: None, lambda _lines: None, lambda _count: None)
    with pytest.raises(MemoryError):
        spawn(loop_of(machine), machine, LOADING, Path("/start.py"), "owner", words)
    (process,) = machine.processes.values()
    assert machine.kills == [(process.pid, 0)]
    assert machine.shut == [process.channel, process.channel + 1]
    assert machine.watched() == []


def test_a_buried_one_watches_nothing_and_its_time_is_over() -> None:
    worker = plain()
    assert isinstance(worker.kernel, Machine)
    worker.bury()
    assert worker.state is State.DEAD
    assert worker.kernel.watched() == []


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (0, "ended with exit code 0"),
        (255, "ended with exit code 255"),
        (111, "lost its channel to nectar, which its code closed or used,"),
        (-15, "was ended by SIGTERM"),
        (-9, "was ended by SIGKILL"),
        (-99, "was ended by signal 99"),
    ],
)
def test_how_it_ended_is_said_in_words(status: int, said: str) -> None:
    assert how(status) == said
