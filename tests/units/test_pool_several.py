"""More than one job at a worker, ahead or at once, and more than one worker at a place. Seconds are those since the pool was made."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

import pytest

from nectar.runtime.daemon.job import Outcome
from nectar.runtime.daemon.workers.worker_process import State
from tests.units.machines import FAILED, READY, Stage, near, nothing

if TYPE_CHECKING:
    from tests.soak.machine import Process

CANCELS = '{"do": "ready", "warnings": [], "cancels": true}'


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


def succeeded(stage: Stage, name: str) -> bool:
    found = stage.outcomes[name][1]
    return found is not None and found.status == "success"


def outcome(stage: Stage, name: str) -> Outcome:
    found = stage.outcomes[name][1]
    assert found is not None
    return found


# --- one that is sent ahead


def test_a_worker_that_answers_at_once_has_its_next_job_when_it_answers() -> None:
    stage = ahead()
    assert not stage.pool.free
    assert stage.pool.running == {"alias": 1, "another": 1}
    stage.go(0.5)
    (process,) = stage.processes
    assert [*process.jobs] == ["a"]
    stage.answer("a")
    stage.go(0)
    assert [*process.jobs] == ["b"]
    stage.answer("b")
    stage.go(0)
    assert all(succeeded(stage, name) for name in "ab")
    assert stage.pool.workers[0].state is State.IDLE


def test_its_time_begins_with_the_answer_before_it() -> None:
    stage = ahead()
    stage.go(9)
    stage.answer("a")
    stage.go(50)
    assert [second for _, second in stage.machine.kills] == [19]
    assert outcome(stage, "b") == Outcome("timeout", error="The handler did not answer within 10 s.", seconds=near(10))


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
    assert outcome(stage, "a").status == "timeout"
    stage.answer("b")
    stage.go(0)
    assert succeeded(stage, "b")
    assert stage.told.warnings == []


def test_one_that_dies_is_answered_for_and_what_comes_after_it_is_run_by_another() -> None:
    stage = ahead()
    stage.machine.end(stage.processes[0], 3)
    stage.go(0)
    assert outcome(stage, "a").error == "The worker ended with exit code 3 before it had an answer."
    stage.answer("b")
    stage.go(0)
    assert succeeded(stage, "b")
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
    assert succeeded(stage, "a")
    assert stage.outcomes["b"] == (1, None)
    assert not stage.pool.interrupt("another")


def test_an_interrupt_of_what_runs_costs_what_comes_after_it_nothing() -> None:
    stage = ahead()
    assert stage.pool.interrupt("alias")
    stage.go(0)
    assert stage.outcomes["a"] == (0, None)
    stage.answer("b")
    stage.go(0)
    assert succeeded(stage, "b")


def test_a_stop_lets_both_finish_and_gives_both_back_when_its_time_is_over() -> None:
    stage = ahead()
    stage.stop(5)
    stage.go(4)
    stage.answer("a")
    stage.go(2)
    assert succeeded(stage, "a")
    assert stage.outcomes["b"] == (5, None)
    assert stage.ended == [5]


# --- several at once


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
        assert succeeded(stage, name)
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
    assert outcome(stage, "b") == Outcome("timeout", error="The handler did not answer within 2 s.", seconds=near(2))
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
    assert outcome(stage, "b") == Outcome("timeout", error="The handler did not answer within 2 s.", seconds=near(2))
    assert stage.machine.kills == []
    assert [*stage.processes[0].jobs] == ["a"]


def test_an_answer_that_comes_meanwhile_counts() -> None:
    stage = cancelling()
    stage.go(0.9)
    stage.answer("b")
    stage.go(60)
    assert succeeded(stage, "b")
    assert stage.machine.kills == []


def test_a_task_that_cannot_be_cancelled_is_ended_with_its_worker_after_a_second() -> None:
    stage = cancelling()
    stage.go(1)
    assert [second for _, second in stage.machine.kills] == [3]
    assert outcome(stage, "b").status == "timeout"
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
    assert [text for _, text in stage.told.warnings] == [
        "A worker was ended: it took too much memory; each of its 2 computations is run again, by itself."
    ]
    process.memory = 1001
    stage.go(0.3)
    assert outcome(stage, "a").error == "The worker was ended: it took too much memory (memory_limit is 1000)."


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
    assert outcome(stage, "a").error == "The worker was ended: it wrote something else on its channel to nectar."


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


# --- a successor, which loads beside the one that is about to overstay


def loading_for(seconds: float, **settings: Any) -> Stage:
    """A pool whose worker took so long to load; no further one is loaded before the test says so."""
    stage = Stage(**settings)
    stage.load = nothing
    stage.begin()
    stage.go(seconds)
    stage.load_one()
    return stage


@pytest.mark.parametrize(("took", "deadline", "begins"), [(3, 10, 7), (3, 4, 2), (0.5, 100, 99.5)])
def test_a_successor_begins_to_load_as_early_as_it_must(took: float, deadline: float, begins: float) -> None:
    stage = loading_for(took)
    stage.run("a", deadline=deadline)
    stage.go(deadline - 0.001)
    assert stage.machine.tries == [0, near(took + begins)]
    assert not stage.pool.free
    stage.load_one()
    assert not stage.pool.free, "it waits for the end of the other one"
    stage.go(0.001)
    assert outcome(stage, "a").status == "timeout"
    assert stage.pool.free
    stage.run("b")
    stage.go(0)
    stage.answer("b")
    stage.go(60)
    assert succeeded(stage, "b")
    assert len(stage.machine.tries) == 2
    assert stage.pool.workers[0].beside is None, "who has ended is forgotten"


@pytest.mark.parametrize("loaded", [False, True])
def test_a_successor_of_one_that_does_not_overstay_ends(loaded: bool) -> None:
    stage = loading_for(3)
    stage.run("a", deadline=10)
    stage.go(8)
    if loaded:
        stage.load_one()
    stage.answer("a")
    stage.go(0)
    assert succeeded(stage, "a")
    assert len(stage.processes) == 1
    assert stage.told.failures == []
    stage.run("b", deadline=10)
    stage.go(8)
    assert len(stage.machine.tries) == 3


@pytest.mark.parametrize("how", ["exit", "says why", "refused"])
def test_a_successor_that_cannot_load_beside_the_other_is_no_failure_and_tried_again_when_that_has_ended(how: str) -> None:
    stage = loading_for(3)
    stage.run("a", deadline=10)
    stage.machine.refusal = errno.ENOMEM if how == "refused" else None
    stage.go(8)
    if how != "refused":
        successor = stage.processes[1]
        if how == "says why":
            stage.machine.send(successor, FAILED)
        stage.machine.end(successor, 1)
    stage.machine.refusal = None
    stage.go(2)
    assert outcome(stage, "a").status == "timeout"
    assert stage.machine.tries == [0, near(10), near(13)]
    assert stage.told.failures == []


def test_where_it_is_switched_off_none_is_loaded() -> None:
    stage = loading_for(3, overlap=False)
    stage.run("a", deadline=10)
    stage.go(9.9)
    assert stage.machine.tries == [0]


def test_a_worker_whose_tasks_are_cancelled_needs_none() -> None:
    stage = cancelling()
    assert stage.machine.tries == [0]


def test_a_stop_ends_a_successor_too() -> None:
    stage = loading_for(3)
    stage.run("a", deadline=10)
    stage.go(8)
    stage.stop(1)
    stage.go(1)
    assert stage.processes == []
    assert stage.ended == [near(12)]


def test_another_worker_that_dies_meanwhile_is_replaced_all_the_same() -> None:
    stage = Stage(workers=2)
    stage.load = nothing
    stage.begin()
    stage.go(3)
    stage.load_one()
    stage.load_one()
    stage.run("a", deadline=10)
    stage.go(8)
    assert len(stage.processes) == 3
    stage.machine.end(stage.processes[1], 3)
    stage.go(0)
    assert len(stage.processes) == 3
    stage.go(2)
    assert len(stage.processes) == 2


@pytest.mark.parametrize(("found", "tries"), [([False, False], 2), ([True], 3), ([False, True], 3)])
def test_a_successor_ends_with_what_was_left_without_a_token_by_the_other(
    monkeypatch: pytest.MonkeyPatch, found: list[bool], tries: int
) -> None:
    stage = loading_for(3)
    told = iter(found)
    monkeypatch.setattr(stage.machine, "has_unmarked", lambda workers: next(told, False))
    stage.run("a", deadline=10)
    stage.go(9)
    stage.load_one()
    stage.go(2)
    assert outcome(stage, "a").status == "timeout"
    assert len(stage.machine.tries) == tries
    assert len(stage.processes) == 1
    assert stage.told.failures == []
    assert bool(stage.machine.looks) is (tries == 3)
