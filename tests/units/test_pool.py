"""The rules of time of the pool while it works, to the second: deadlines, worn workers, memory.

Seconds are those since the pool was made.
"""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING

import pytest

from nectar.runtime.daemon.job import Job, Outcome
from nectar.runtime.daemon.workers.worker_process import State
from tests.units.machines import READY, Stage, near, nothing

if TYPE_CHECKING:
    from tests.soak.machine import Process


# --- deadlines


@pytest.mark.parametrize("deadline", [0.01, 0.5, 90])
@pytest.mark.parametrize("dying", [0, 0.4])
def test_who_overstays_is_killed_then_and_its_outcome_comes_with_its_end(deadline: float, dying: float) -> None:
    stage = Stage().begin()
    stage.machine.dying = dying
    stage.run("a", deadline=deadline)
    stage.go(100)
    assert [second for _, second in stage.machine.kills] == [deadline]
    second, outcome = stage.outcomes["a"]
    assert second == near(deadline + dying)
    assert outcome == Outcome("timeout", error=f"The handler did not answer within {deadline:g} s.", seconds=near(deadline + dying))
    assert stage.machine.tries == [0, near(deadline + dying)]


def test_an_answer_between_the_kill_and_its_effect_counts_and_that_worker_gets_nothing_more() -> None:
    stage = Stage().begin()
    stage.machine.dying = 0.4
    stage.run("a", deadline=1)
    stage.go(1.2)
    stage.answer("a")
    stage.go(0)
    assert stage.outcomes["a"] == (1.2, Outcome("success", value=7, seconds=0.5))
    assert not stage.pool.free
    stage.go(0.2)
    assert stage.pool.free
    assert stage.machine.tries == [0, 1.4]


def test_what_was_answered_is_gone_at_once_and_no_garbage_to_look_for() -> None:
    class Question: ...

    stage = Stage().begin()
    asked = Question()
    gone = weakref.ref(asked)
    told: list[Outcome | None] = []
    gc.collect()
    gc.disable()
    try:
        stage.pool.run(Job("alias", "a", b"{}", 0.0, 3600, lambda outcome, asked=asked: told.append(outcome), "a"))  # type: ignore[misc]
        del asked
        stage.go(0)
        assert gone() is not None
        stage.answer("a")
        stage.go(0)
        assert told == [Outcome("success", value=7, seconds=0.5)]
        assert gone() is None
    finally:
        gc.enable()


def test_an_answer_before_the_deadline_takes_it_away() -> None:
    stage = Stage().begin()
    stage.run("a", deadline=1)
    stage.go(0.9)
    stage.answer("a")
    stage.go(0)
    stage.run("b", deadline=1)
    stage.go(0.9)
    assert stage.machine.kills == []
    stage.go(0.1)
    assert [second for _, second in stage.machine.kills] == [1.9]


# --- worn


@pytest.mark.parametrize("after", [1, 2, 5])
def test_one_that_answered_so_many_is_replaced_by_another(after: int) -> None:
    stage = Stage(recycle_after=after).begin()
    for number in range(2 * after):
        first = stage.processes[0].pid
        stage.run(str(number))
        stage.go(1)
        stage.answer(str(number))
        stage.go(0)
        assert (stage.processes[0].pid != first) is ((number + 1) % after == 0)
    assert stage.machine.tries == [0, after, 2 * after]
    assert stage.machine.kills == []
    assert stage.told.warnings == []


def test_a_farewell_may_take_a_second() -> None:
    stage = Stage(recycle_after=1).begin()
    stage.leave = nothing
    stage.run("a")
    stage.go(3)
    stage.answer("a")
    stage.go(0.99)
    assert stage.pool.workers[0].state is State.STOPPING
    assert stage.machine.kills == []
    stage.go(1)
    assert [second for _, second in stage.machine.kills] == [4]
    assert stage.machine.tries == [0, 4]


# --- memory


@pytest.mark.parametrize(("memory", "replaced"), [(1000, False), (1001, True)])
def test_an_idle_one_that_is_too_big_is_dismissed_at_the_next_look(memory: int, replaced: bool) -> None:
    stage = Stage(memory_limit=1000).begin()
    stage.go(0.25)
    stage.processes[0].memory = memory
    stage.go(0.5)
    assert stage.machine.tries == ([0, near(0.3)] if replaced else [0])
    assert stage.machine.kills == []


def test_one_that_is_too_big_has_its_second_for_a_farewell() -> None:
    stage = Stage(memory_limit=1000).begin()
    stage.leave = nothing
    stage.processes[0].memory = 1001
    stage.go(5)
    assert [second for _, second in stage.machine.kills] == [near(1.1)]
    assert stage.told.warnings == []


def test_a_run_that_takes_too_much_is_ended_after_a_fifth_of_a_second() -> None:
    stage = Stage(memory_limit=1000).begin()
    stage.go(0.05)
    stage.run("a")
    stage.processes[0].memory = 1001
    stage.go(0.22)
    assert stage.machine.kills == []
    stage.go(0.1)
    second, outcome = stage.outcomes["a"]
    assert second == near(0.3)
    assert outcome == Outcome(
        "error", error="The worker was ended: it took too much memory (memory_limit is 1000).", seconds=near(0.25)
    )


def test_one_that_takes_too_much_while_it_loads_is_a_failure() -> None:
    stage = Stage(memory_limit=1000)

    def grow(process: Process) -> None:
        process.memory = 1001

    stage.load = grow
    stage.begin().go(0.5)
    assert stage.told.failures == [
        (near(0.1), "The handler took too much memory while it was loaded (memory_limit is 1000)."),
    ]

    def grow_at_last(process: Process) -> None:
        process.memory = 1001
        stage.machine.send(process, READY)

    stage.load = grow_at_last
    stage.go(1)
    assert stage.machine.tries == [0, near(1.1)]
    assert [second for second, _ in stage.told.failures] == [near(0.1), near(1.1)]
