"""Questions that a worker ended without reading: they are run by another, and nobody is told that they were.

Seconds are those since the pool was made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nectar.runtime.daemon.job import Outcome
from tests.units.machines import READY, Stage, near, nothing

if TYPE_CHECKING:
    from tests.soak.machine import Process


def orphaned(stage: Stage, *names: str) -> None:
    """Give out these questions, each to one worker that ends before it reads; those after them do not load."""
    for name in names:
        process = next(each for each in stage.processes if not each.inbox)
        stage.run(name, alias=name)
        stage.machine.end(process, 3)
    stage.load = nothing
    stage.go(0)


def test_what_was_not_read_is_run_by_another() -> None:
    stage = Stage().begin()
    process = stage.processes[0]
    stage.run("a")
    stage.machine.end(process, 3)
    stage.go(0.5)
    assert stage.outcomes == {}
    assert stage.who_has("a").pid != process.pid
    stage.answer("a")
    stage.go(0)
    assert stage.outcomes["a"] == (0.5, Outcome("success", value=7, seconds=0.5))


def test_its_deadline_begins_with_the_run_that_is_one() -> None:
    stage = Stage().begin()
    process = stage.processes[0]
    stage.go(1)
    stage.run("a", deadline=2)
    stage.machine.end(process, 3)
    loading: list[Process] = []
    stage.load = loading.append
    stage.go(30)
    assert stage.outcomes == {}
    stage.machine.send(loading[0], READY)
    stage.go(1.5)
    assert stage.outcomes == {}
    stage.go(1)
    second, outcome = stage.outcomes["a"]
    assert second == 33
    assert outcome is not None
    assert outcome.status == "timeout"


def test_who_waits_is_still_to_have_an_outcome_and_runs_for_nobody() -> None:
    stage = Stage(workers=2).begin()
    orphaned(stage, "a", "b")
    assert stage.pool.keys == {"a", "b"}
    assert not stage.pool.running("alias")
    assert not stage.pool.free


def test_they_come_before_what_is_new_in_their_order() -> None:
    stage = Stage(workers=2, start_timeout=5).begin()
    orphaned(stage, "a", "b")
    stage.load = lambda process: stage.machine.send(process, READY)
    order: list[str] = []
    stage.work = lambda process: order.extend(process.jobs)
    stage.go(20)  # those that do not load are ended, and replaced
    assert order == ["a", "b"]
    assert not stage.pool.free


def test_an_interrupt_gives_back_those_of_its_alias_and_waits_for_nobody() -> None:
    stage = Stage(workers=2).begin()
    orphaned(stage, "a", "b")
    assert not stage.pool.interrupt("a")
    assert stage.outcomes == {"a": (0, None)}
    assert stage.pool.keys == {"b"}


def test_a_stop_gives_them_back() -> None:
    stage = Stage(workers=2).begin()
    orphaned(stage, "a", "b")
    stage.go(1)
    stage.stop(30)
    stage.go(0)
    assert stage.outcomes == {"a": (1, None), "b": (1, None)}
    assert stage.ended == [1]


@pytest.mark.parametrize("deadline", [5, 3600])
def test_what_was_not_read_when_a_stop_came_is_given_back(deadline: float) -> None:
    stage = Stage().begin()
    process = stage.processes[0]
    stage.run("a", deadline=deadline)
    stage.stop(30)
    stage.machine.end(process, 3)
    stage.go(100)
    assert stage.outcomes == {"a": (0, None)}
    assert stage.ended == [0]
    assert stage.machine.tries == [0]


def test_one_that_had_become_too_big_before_it_read_costs_nobody_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(memory_limit=1000).begin()
    with monkeypatch.context() as deaf:
        deaf.setattr(stage.machine, "receive", lambda _process: None)
        stage.run("a")
        stage.processes[0].memory = 1001
        stage.go(0.31)
    stage.go(0)
    assert stage.machine.tries == [0, near(0.2, within=0.101)]
    assert stage.told.warnings == []
    stage.answer("a")
    stage.go(0)
    assert stage.outcomes["a"][1] == Outcome("success", value=7, seconds=0.5)


def test_early_deaths_while_all_ends_are_no_failure() -> None:
    stage = Stage(workers=4).begin()
    processes = stage.processes
    for name in ("a", "b", "c", "d"):
        stage.run(name)
    stage.stop(30)
    for process in processes:
        stage.machine.end(process, 3)
    stage.go(100)
    assert stage.outcomes == dict.fromkeys("abcd", (0, None))
    assert len(stage.told.warnings) == 4
    assert stage.told.failures == []


@pytest.mark.parametrize("deadline", [0.5, 5])
def test_who_overstays_without_reading_is_overdue_all_the_same(deadline: float, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage().begin()
    monkeypatch.setattr(stage.machine, "receive", lambda _process: None)
    stage.run("a", deadline=deadline)
    stage.go(deadline)
    assert stage.outcomes["a"][1] == Outcome(
        "timeout", error=f"The handler did not answer within {deadline:g} s.", seconds=deadline
    )


def test_workers_that_end_again_and_again_before_they_read_are_started_after_longer_and_longer_pauses() -> None:
    stage = Stage().begin()

    def die(process: Process) -> None:
        stage.machine.send(process, READY)
        stage.machine.end(process, 3)

    stage.load = die
    stage.run("a")
    stage.machine.end(stage.processes[0], 3)
    stage.go(16)
    assert stage.machine.tries == [0, 0, 0, 1, 3, 7, 15]
    assert stage.pool.keys == {"a"}
    stage.load = lambda process: stage.machine.send(process, READY)
    stage.go(16)
    stage.answer("a")
    stage.go(0)
    assert stage.outcomes["a"] == (32, Outcome("success", value=7, seconds=0.5))
