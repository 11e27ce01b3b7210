"""A job that is claimed while a worker is about to answer. Seconds are those since the pool was made."""

from __future__ import annotations

from typing import Any

import pytest

from nectar.runtime.daemon.job import Outcome
from nectar.runtime.daemon.workers.worker_process import State
from tests.units.machines import Stage, near


def quick(**settings: Any) -> Stage:
    """A pool whose workers have just answered at once."""
    stage = Stage(**settings).begin()
    for number in range(len(stage.pool.workers)):
        stage.run(f"first{number}")
    for number in range(len(stage.pool.workers)):
        stage.answer_at_once(f"first{number}")
    return stage


def soon(**settings: Any) -> Stage:
    """A pool whose worker has ``a`` to do, while ``b`` waits for it."""
    stage = quick(**settings)
    stage.run("a", deadline=10)
    assert stage.pool.free
    stage.run("b", deadline=10, alias="another")
    stage.go(0)
    return stage


def test_a_worker_that_answers_at_once_has_its_next_job_when_its_answer_comes() -> None:
    stage = soon()
    assert not stage.pool.free  # no more than one waits
    assert [stage.pool.running(alias) for alias in ("alias", "another", "nobody")] == [1, 1, 0]
    assert stage.pool.keys == {"a", "b"}
    (process,) = stage.processes
    assert [*process.jobs] == ["a"]
    stage.answer("a")
    stage.go(0)
    assert [*process.jobs] == ["b"]
    stage.answer("b")
    stage.go(0)
    assert all(stage.succeeded(name) for name in "ab")
    assert stage.pool.workers[0].state is State.IDLE


def test_it_has_the_next_one_before_the_answer_is_published() -> None:
    stage = soon()
    given: list[tuple[str, list[str]]] = []
    stage.watch_done = lambda name: given.append((name, [run.job.comp_id for run in stage.pool.workers[0].runs]))
    stage.answer("a")
    stage.go(0)
    assert given == [("a", ["b"])]


def test_its_time_begins_when_a_worker_has_it() -> None:
    stage = soon()
    stage.go(9)
    stage.answer("a")
    stage.go(50)
    assert [second for _, second in stage.machine.kills] == [19]
    assert stage.outcome("b") == Outcome("timeout", error="The handler did not answer within 10 s.", seconds=near(10))


def test_none_waits_that_would_have_been_too_old_by_then() -> None:
    stage = quick(expired="skip")
    stage.run("a")
    stage.go(0)
    assert not stage.pool.free


@pytest.mark.parametrize(("before", "since", "free"), [(0.009, 0.009, True), (0.011, 0, False), (0, 0.011, False)])
def test_only_while_answers_come_at_once(before: float, since: float, free: bool) -> None:
    stage = Stage().begin()
    stage.run("first")
    stage.go(before)
    stage.answer("first")
    stage.go(0)
    stage.run("a")
    stage.go(since)
    assert stage.pool.free is free


def test_before_a_worker_has_answered_none_waits_for_it() -> None:
    stage = Stage().begin()
    stage.run("first")
    assert not stage.pool.free


def test_of_several_workers_the_first_that_answers_has_it() -> None:
    stage = quick(workers=2)
    stage.run("a")
    stage.run("b")
    assert stage.pool.free
    stage.run("c")
    assert not stage.pool.free
    stage.go(0)
    has = stage.who_has("b")
    stage.answer("b")
    stage.go(0)
    assert stage.who_has("c") is has


@pytest.mark.parametrize(("after", "free"), [(2, False), (3, True)])
def test_none_waits_for_a_worker_that_is_worn_then(after: int, free: bool) -> None:
    stage = quick(recycle_after=after)
    stage.run("a")
    assert stage.pool.free is free


def test_what_waits_for_a_worker_that_has_grown_is_run_by_the_next() -> None:
    stage = quick(memory_limit=1 << 30)
    stage.run("a")
    stage.run("b")
    stage.go(0)
    old = stage.who_has("a")
    old.memory = 2 << 30
    stage.answer("a")
    stage.go(0)
    assert stage.succeeded("a")
    assert stage.who_has("b") is not old


def test_what_waits_when_a_run_overstays_is_run_by_the_next_worker() -> None:
    stage = soon()
    stage.go(10)
    assert stage.outcome("a").status == "timeout"
    stage.answer("b")
    stage.go(0)
    assert stage.succeeded("b")
    assert stage.told.warnings == []


def test_one_that_dies_is_answered_for_and_what_waits_is_run_by_another() -> None:
    stage = soon()
    stage.machine.end(stage.processes[0], 3)
    stage.go(0)
    assert stage.outcome("a").error == "The worker ended with exit code 3 before it had an answer."
    stage.answer("b")
    stage.go(0)
    assert stage.succeeded("b")
    assert stage.told.warnings == []


def test_an_interrupt_of_what_waits_costs_what_runs_nothing() -> None:
    stage = soon()
    assert not stage.pool.interrupt("another")  # nothing runs for it
    assert stage.outcomes["b"] == (0, None)
    stage.answer("a")
    stage.go(0)
    assert stage.succeeded("a")


def test_an_interrupt_of_what_runs_costs_what_waits_nothing() -> None:
    stage = soon()
    assert stage.pool.interrupt("alias")
    stage.go(0)
    assert stage.outcomes["a"] == (0, None)
    stage.answer("b")
    stage.go(0)
    assert stage.succeeded("b")


def test_a_stop_lets_what_runs_finish_and_gives_back_what_waits() -> None:
    stage = soon()
    stage.stop(5)
    assert stage.outcomes["b"] == (0, None)
    stage.go(4)
    stage.answer("a")
    stage.go(2)
    assert stage.succeeded("a")
    assert stage.ended == [4]
