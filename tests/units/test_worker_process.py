"""One worker: what a kill and a rest make of it, and that one which could not be connected leaves nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from nectar.runtime.daemon.workers.ends import Cause
from nectar.runtime.daemon.workers.worker_process import State, Worker, spawn
from tests.units.machines import LOADING, Machine, Told, go, loop_of

if TYPE_CHECKING:
    import selectors


def ignore(_worker: Worker, _header: dict[str, Any]) -> None:
    pass


def fail(_worker: Worker, _header: dict[str, Any]) -> None:
    raise MemoryError


def made(machine: Machine) -> Worker:
    return spawn(loop_of(machine), machine, LOADING, "/r/api/nectar/runtime/start.py", "owner", Told(machine), ignore)


def plain() -> Worker:
    return made(Machine())


def test_a_new_one_loads_and_has_the_mark_of_its_process() -> None:
    machine = Machine()
    worker = made(machine)
    assert worker.state is State.LOADING
    assert worker.token == machine.processes[worker.pid].token


def test_the_first_reason_of_an_end_counts() -> None:
    worker = plain()
    worker.kill(Cause.OVERDUE)
    worker.kill(Cause.STOPPED)
    assert worker.cause is Cause.OVERDUE
    assert worker.state is State.ENDING
    worker.rest()
    assert worker.state is State.ENDING


def test_one_that_has_ended_is_not_killed() -> None:
    worker = plain()
    worker.gone = True
    worker.kill(Cause.OVERDUE)
    assert worker.cause is Cause.ITSELF
    assert isinstance(worker.kernel, Machine)
    assert worker.kernel.kills == []


@pytest.mark.parametrize("printing", [False, True])
def test_a_fault_of_ours_in_its_calls_ends_it(printing: bool) -> None:
    machine = Machine()
    loop, told, listener = loop_of(machine), list[Exception](), Told(machine)
    loop.faulted = told.append
    listener.raises = MemoryError()
    worker = spawn(loop, machine, LOADING, "/r/api/nectar/runtime/start.py", "owner", listener, fail)
    process = machine.processes[worker.pid]
    if printing:
        process.printed += b"x\n"
    else:
        machine.send(process, "{}")
    go(machine, loop, 0)
    assert [type(error) for error in told] == [MemoryError]
    assert worker.cause is Cause.FAULT
    assert machine.kills == [(worker.pid, 0)]


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
    with pytest.raises(MemoryError):
        made(machine)
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
