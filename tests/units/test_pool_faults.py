"""The pool where something fails for a moment: it is told, costs one worker at most, and holds up nothing for good.

Seconds are those since the pool was made.
"""

from __future__ import annotations

import itertools

import pytest

from nectar.runtime.daemon.job import Outcome
from tests.units.machines import READY, Stage, near, nothing


@pytest.fixture
def told() -> list[Exception]:
    return []


@pytest.fixture
def stage(told: list[Exception]) -> Stage:
    made = Stage(memory_limit=1000)
    made.loop.faulted = told.append
    return made.begin()


def test_no_memory_to_end_what_a_worker_left_stops_nothing(
    stage: Stage, told: list[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = itertools.chain([3, None, 2, None], itertools.repeat(0))

    def kill_left(_token: str | None) -> int:
        left = next(failing)
        if left is None:
            raise MemoryError
        return left

    monkeypatch.setattr(stage.machine, "kill_left", kill_left)
    stage.machine.end(stage.processes[0], 3)
    stage.go(0.1)
    assert [type(error) for error in told] == [MemoryError, MemoryError]
    assert stage.machine.tries == [0, near(0.04)]
    assert stage.pool.free
    stage.stop(1)
    stage.go(0)
    assert stage.ended == [0.1]


def test_memory_is_watched_though_it_could_not_be_told_once(
    stage: Stage, told: list[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as failing:
        failing.setattr(stage.machine, "resident", lambda _pid: 1 // 0)
        stage.go(0.15)
    assert len(told) == 1
    stage.processes[0].memory = 1001
    stage.go(0.1)
    assert stage.machine.tries == [0, near(0.2)]


@pytest.mark.parametrize("read", [False, True], ids=["which it had not read", "which it had read"])
def test_a_fault_of_ours_with_a_worker_costs_that_worker_and_its_question_is_run_by_another(
    stage: Stage, told: list[Exception], monkeypatch: pytest.MonkeyPatch, read: bool
) -> None:
    (process,) = stage.processes
    stage.run("a")
    if read:
        stage.go(1)
    with monkeypatch.context() as failing:
        failing.setattr(stage.machine, "most", "so many")  # the next read raises a TypeError
        stage.machine.send(process, READY)
        stage.loop.turn()
    stage.go(0)
    assert len(told) == 1
    assert stage.outcomes == {}
    assert [pid for pid, _ in stage.machine.kills] == [process.pid]
    assert stage.who_has("a").pid != process.pid
    stage.answer("a")
    stage.go(0)
    assert stage.outcomes["a"][1] == Outcome("success", value=7, seconds=0.5)


def test_who_is_told_may_fail_and_the_next_worker_is_tried_after_its_pause(stage: Stage, told: list[Exception]) -> None:
    stage.told.raises = OSError(28, "no space left")
    stage.load = lambda process: stage.machine.end(process, 1)
    stage.machine.end(stage.processes[0], 3)
    stage.go(8)
    assert {type(error) for error in told} == {OSError}
    assert stage.machine.tries == [0, 1, 2, 4, 8]


def test_who_is_told_may_fail_and_the_question_has_its_outcome(stage: Stage, told: list[Exception]) -> None:
    stage.run("a")
    stage.go(0)
    stage.told.raises = MemoryError()
    stage.load = nothing
    stage.who_has("a").printed += b"last words"
    stage.machine.end(stage.who_has("a"), 3)
    stage.go(0)
    assert stage.outcomes["a"][1] == Outcome("error", error="The worker ended with exit code 3 before it had an answer.", seconds=0)
    assert told
    assert len(stage.machine.watched()) == 2  # the next worker's descriptors
