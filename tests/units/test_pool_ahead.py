"""A job that is sent to a worker while it has another. Seconds are those since the pool was made."""

from __future__ import annotations

from typing import Any

import pytest

from nectar.runtime.daemon.job import Outcome
from nectar.runtime.daemon.workers.worker_process import State
from tests.units.machines import Stage, near


def quick(**settings: Any) -> Stage:
    """A pool whose worker has just answered at once."""
    stage = Stage(**settings).begin()
    stage.run("first")
    stage.answer_at_once("first")
    return stage


def ahead(**settings: Any) -> Stage:
    """A pool whose worker has ``a`` to do, and ``b`` after it."""
    stage = quick(**settings)
    stage.run("a", deadline=10)
    stage.go(0)
    stage.run("b", deadline=10, alias="another")
    stage.go(0)
    return stage


def test_a_worker_that_answers_at_once_has_its_next_job_when_it_answers() -> None:
    stage = ahead()
    assert not stage.pool.free
    assert [stage.pool.running(alias) for alias in ("alias", "another")] == [1, 1]
    stage.go(0.5)
    (process,) = stage.processes
    assert [*process.jobs] == ["a"]
    stage.answer("a")
    stage.go(0)
    assert [*process.jobs] == ["b"]
    stage.answer("b")
    stage.go(0)
    assert all(stage.succeeded(name) for name in "ab")
    assert stage.pool.workers[0].state is State.IDLE


def test_its_time_begins_with_the_answer_before_it() -> None:
    stage = ahead()
    stage.go(9)
    stage.answer("a")
    stage.go(50)
    assert [second for _, second in stage.machine.kills] == [19]
    assert stage.outcome("b") == Outcome("timeout", error="The handler did not answer within 10 s.", seconds=near(10))


@pytest.mark.parametrize(
    "settings",
    [{"workers": 2}, {"memory_limit": 1 << 30}, {"recycle_after": 2}, {"expired": "skip"}],
    ids=["several workers", "memory", "worn", "too old"],
)
def test_none_is_sent_ahead_where_it_could_not_stay(settings: dict[str, Any]) -> None:
    stage = quick(**settings)
    for name in "ab"[: len(stage.pool.workers)]:
        stage.run(name)
    stage.go(0)
    assert not stage.pool.free


@pytest.mark.parametrize(("before", "since", "sent"), [(0.009, 0.009, True), (0.011, 0, False), (0, 0.011, False)])
def test_only_while_answers_come_at_once(before: float, since: float, sent: bool) -> None:
    stage = Stage().begin()
    stage.run("first")
    stage.go(before)
    stage.answer("first")
    stage.go(0)
    stage.run("a")
    stage.go(since)
    assert stage.pool.free is sent


def test_what_was_not_begun_when_the_one_before_it_overstays_is_run_by_the_next_worker() -> None:
    stage = ahead()
    stage.go(10)
    assert stage.outcome("a").status == "timeout"
    stage.answer("b")
    stage.go(0)
    assert stage.succeeded("b")
    assert stage.told.warnings == []


def test_one_that_dies_is_answered_for_and_what_comes_after_it_is_run_by_another() -> None:
    stage = ahead()
    stage.machine.end(stage.processes[0], 3)
    stage.go(0)
    assert stage.outcome("a").error == "The worker ended with exit code 3 before it had an answer."
    stage.answer("b")
    stage.go(0)
    assert stage.succeeded("b")
    assert stage.told.warnings == []


def test_none_is_sent_ahead_of_what_was_not_read() -> None:
    stage = quick()
    stage.run("a")
    assert not stage.pool.free
    stage.go(0)
    assert stage.pool.free


def test_an_interrupt_of_what_was_not_begun_ends_it_when_it_begins() -> None:
    stage = ahead()
    assert stage.pool.interrupt("another")
    stage.go(1)
    assert stage.machine.kills == []
    stage.answer("a")
    stage.go(0)
    assert stage.succeeded("a")
    assert stage.outcomes["b"] == (1, None)
    assert not stage.pool.interrupt("another")


def test_an_interrupt_of_what_runs_costs_what_comes_after_it_nothing() -> None:
    stage = ahead()
    assert stage.pool.interrupt("alias")
    stage.go(0)
    assert stage.outcomes["a"] == (0, None)
    stage.answer("b")
    stage.go(0)
    assert stage.succeeded("b")


def test_a_stop_lets_both_finish_and_gives_both_back_when_its_time_is_over() -> None:
    stage = ahead()
    stage.stop(5)
    stage.go(4)
    stage.answer("a")
    stage.go(2)
    assert stage.succeeded("a")
    assert stage.outcomes["b"] == (5, None)
    assert stage.ended == [5]
