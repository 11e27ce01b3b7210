"""The pool and a worker's channel on a machine in the test's hand: what one of them does holds up nothing for good."""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from nectar.protocol import Loading
from nectar.runtime.daemon.loop import Loop
from nectar.runtime.daemon.workers.channel import Channel
from nectar.runtime.daemon.workers.kernel import MOST_LEFT
from nectar.runtime.daemon.workers.leftovers import CLEARED
from nectar.runtime.daemon.workers.pool import Pool
from nectar.runtime.daemon.workers.worker_process import End, State
from nectar.settings import Settings
from tests.soak.machine import LIMIT, Machine
from tests.soak.workers_model import Workers

if TYPE_CHECKING:
    import selectors


class Stage:
    """A pool whose workers do what comes next, half a second at a time."""

    def __init__(self) -> None:
        generator = random.Random(1)
        self.machine = Machine(generator)
        self.machine.calm = True
        self.workers = Workers(generator, self.machine)
        self.loop = Loop(self.machine.clock, cast("selectors.BaseSelector", self.machine))
        self.told: list[Exception] = []
        self.loop.faulted = self.told.append
        loading = Loading(python="python", entry="a:b", handler="b", directory="/")
        script = Path("/r/api/nectar/runtime/start.py")
        self.pool = Pool(self.loop, loading, Settings(memory_limit=f"{LIMIT}B"), script, "owner", self.machine)
        self.pool.start()
        self.settle(4)

    def settle(self, rounds: int) -> None:
        for _ in range(rounds):
            self.workers.settle(self.loop)


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_no_memory_to_end_what_a_worker_left_stops_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    (worker,) = stage.pool.workers
    failing = itertools.chain([3, None, 2, None], itertools.repeat(0))

    def kill_left(_token: str | None) -> int:
        left = next(failing)
        if left is None:
            raise MemoryError
        return left

    monkeypatch.setattr(stage.machine, "kill_left", kill_left)
    worker.kill(End.STOPPED)
    stage.settle(int(2 * CLEARED) + 6)
    (following,) = stage.pool.workers
    assert following is not worker
    assert following.state is State.IDLE
    stopped: list[bool] = []
    stage.pool.stop(1, lambda: stopped.append(True))
    stage.settle(10)
    assert stopped == [True]
    assert len(stage.told) == 2


def test_memory_is_watched_though_it_could_not_be_told_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    (worker,) = stage.pool.workers
    with monkeypatch.context() as failing:
        failing.setattr(stage.machine, "resident", lambda _pid: 1 // 0)
        stage.settle(1)
    assert stage.told
    stage.machine.processes[worker.pid].memory = 2 * LIMIT
    stage.settle(6)
    assert stage.pool.workers != [worker]


def test_what_goes_on_writing_after_a_worker_ended_is_not_read_for_ever(stage: Stage) -> None:
    """Its children may have its end of the channel, and flood it."""
    (worker,) = stage.pool.workers
    process = stage.machine.processes[worker.pid]
    read: list[int] = []

    class Flooded(Machine):
        def read(self, descriptor: int, size: int) -> bytes:
            read.append(descriptor)
            return b"x" * 100

    machine = Flooded(random.Random(1))
    channel = Channel(stage.loop, machine, process.channel + 1, lambda _header: None, lambda: None, lambda: None)
    assert channel.drain()
    assert len(read) == MOST_LEFT
