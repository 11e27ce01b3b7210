"""Several jobs at once at one worker. Seconds are those since the pool was made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nectar.runtime.daemon.job import Outcome
from tests.units.machines import READY, Stage, near, nothing

if TYPE_CHECKING:
    from tests.soak.machine import Process

CANCELS = '{"do": "ready", "warnings": [], "cancels": true}'


def test_a_worker_has_as_many_as_it_may_and_they_answer_in_any_order() -> None:
    stage = Stage(concurrency=3).begin()
    for name in "abc":
        assert stage.pool.free
        stage.run(name)
    stage.go(0)
    assert not stage.pool.free
    assert [*stage.processes[0].jobs] == ["a", "b", "c"]
    for name in "bca":
        stage.answer(name)
        stage.go(0)
        assert stage.succeeded(name)
        assert stage.pool.free


def test_the_worker_with_the_fewest_gets_the_next() -> None:
    stage = Stage(workers=2, concurrency=3).begin()
    for name in "abcd":
        stage.run(name)
    stage.go(0)
    assert [[*process.jobs] for process in stage.processes] == [["a", "c"], ["b", "d"]]


def test_one_that_overstays_costs_its_neighbours_nothing() -> None:
    stage = Stage(concurrency=3).begin()
    stage.run("a")
    stage.run("b", deadline=2)
    stage.run("c")
    stage.go(2)
    assert stage.outcome("b") == Outcome("timeout", error="The handler did not answer within 2 s.", seconds=near(2))
    (process,) = stage.processes
    assert [*process.jobs] == ["a", "c"]
    assert stage.told.warnings == []


def cancelling() -> Stage:
    """A pool whose worker has two computations, of which the second is to be cancelled after two seconds."""
    stage = Stage(concurrency=2)
    stage.load = lambda process: stage.machine.send(process, CANCELS)
    stage.begin()
    stage.run("a")
    stage.run("b", deadline=2)
    stage.go(2)
    return stage


def test_a_task_that_overstays_is_cancelled_and_its_worker_goes_on() -> None:
    stage = cancelling()
    assert stage.cancelled == ["b"]
    stage.answer("b", error="CancelledError")
    stage.go(60)
    assert stage.outcome("b") == Outcome("timeout", error="The handler did not answer within 2 s.", seconds=near(2))
    assert stage.machine.kills == []
    assert [*stage.processes[0].jobs] == ["a"]


def test_an_answer_that_comes_meanwhile_counts() -> None:
    stage = cancelling()
    stage.go(0.9)
    stage.answer("b")
    stage.go(60)
    assert stage.succeeded("b")
    assert stage.machine.kills == []


def test_a_task_that_cannot_be_cancelled_is_ended_with_its_worker_after_a_second() -> None:
    stage = cancelling()
    stage.go(1)
    assert [second for _, second in stage.machine.kills] == [3]
    assert stage.outcome("b").status == "timeout"
    assert [*stage.processes[0].jobs] == ["a"]


def test_of_several_with_a_worker_that_took_too_much_memory_each_is_run_alone() -> None:
    stage = Stage(concurrency=2, memory_limit=1000).begin()
    stage.run("a")
    stage.run("b")
    stage.processes[0].memory = 1001
    stage.go(0.3)
    (process,) = stage.processes
    assert [*process.jobs] == ["a"]
    assert not stage.pool.free
    told = "A worker was ended: it took too much memory; this computation, which it had beside others, is run again, by itself."
    assert [text for _, text in stage.told.warnings] == [f"alias a: {told}", f"alias b: {told}"]
    process.memory = 1001
    stage.go(0.3)
    assert stage.outcome("a").error == "The worker was ended: it took too much memory (memory_limit is 1000)."


def test_a_worn_worker_gets_nothing_more_and_goes_when_its_last_is_answered() -> None:
    stage = Stage(concurrency=2, recycle_after=3).begin()
    for name in "ab":
        stage.run(name)
    stage.go(0)
    stage.answer("a")
    stage.go(0)
    stage.run("c")
    stage.go(0)
    stage.answer("c")
    stage.go(0)
    assert not stage.pool.free
    first = stage.processes[0]
    stage.answer("b")
    stage.go(0)
    assert not first.alive
    assert stage.machine.kills == []
    assert stage.pool.free


def test_a_nonsense_answer_is_for_a_job_that_it_does_not_have() -> None:
    stage = Stage(concurrency=2).begin()
    stage.run("a")
    stage.go(0)
    stage.answer("a", job=7)
    stage.go(0)
    assert stage.outcome("a").error == "The worker was ended: it wrote something else on its channel to nectar."


def test_what_is_to_run_alone_waits_for_a_worker_without_others_and_nothing_new_is_taken_meanwhile() -> None:
    stage = Stage(workers=2, concurrency=2).begin()
    for name in "abcd":  # a and c at the first, b and d at the second
        stage.run(name)
    stage.go(0)
    stage.load = nothing
    stage.machine.end(stage.who_has("a"), 3)
    stage.go(0)
    assert stage.pool.keys == {"a", "b", "c", "d"}
    stage.answer("b")
    stage.go(0)
    assert not stage.pool.free
    stage.answer("d")
    stage.go(0)
    assert [[*process.jobs] for process in stage.processes] == [["a"], []]
    assert not stage.pool.free

    def load(process: Process) -> None:
        stage.machine.send(process, READY)

    load(stage.processes[1])
    stage.go(0)
    assert [[*process.jobs] for process in stage.processes] == [["a"], ["c"]]


def test_a_worker_whose_tasks_are_cancelled_needs_no_successor() -> None:
    stage = cancelling()
    assert stage.machine.tries == [0]
