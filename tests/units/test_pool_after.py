"""A worker that looks after its answers. Seconds are those since the pool was made; the first job has the number one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from nectar.runtime.daemon.job import Outcome
from nectar.runtime.daemon.workers.worker_process import State
from tests.units.machines import FREES, READY, Stage, near

if TYPE_CHECKING:
    from tests.soak.machine import Process


def frees(ready: str = FREES, **settings: Any) -> Stage:
    """A pool whose workers say when they are free again."""
    stage = Stage(**settings)
    stage.load = lambda process: stage.machine.send(process, ready)
    return stage.begin()


def answered(*names: str, **settings: Any) -> Stage:
    """Its worker has answered these at once, and looks after them."""
    stage = frees(**settings)
    for name in names:
        stage.run(name)
    for name in names:
        stage.answer_at_once(name)
        assert stage.succeeded(name)
    return stage


def warnings(stage: Stage) -> list[str]:
    return [text for _, text in stage.told.warnings]


def test_an_answer_is_not_held_up_and_the_next_one_begins_when_the_worker_is_free() -> None:
    stage = answered("a")
    assert not stage.pool.free
    assert stage.pool.workers[0].state is State.BUSY
    stage.run("b", deadline=1)
    stage.go(3)
    assert stage.processes[0].jobs == {}
    assert [*stage.outcomes] == ["a"]
    stage.free(1)
    stage.go(0.9)
    assert [*stage.processes[0].jobs] == ["b"]
    stage.go(0.1)
    assert stage.outcome("b") == Outcome("timeout", error="The handler did not answer within 1 s.", seconds=near(1))
    assert stage.outcomes["b"][0] == near(4)


def test_the_deadline_is_that_of_the_answer() -> None:
    stage = frees()
    stage.run("a", deadline=1)
    stage.answer_at_once("a")
    stage.go(3)
    stage.free(1)
    assert (stage.machine.kills, warnings(stage)) == ([], [])


def test_it_has_its_outcome_and_still_its_place() -> None:
    stage = answered("a")
    assert stage.pool.keys == set()
    assert stage.pool.running("alias") == 1
    stage.free(1)
    assert stage.pool.running("alias") == 0
    assert stage.pool.free
    assert stage.pool.workers[0].state is State.IDLE
    assert warnings(stage) == []


def test_one_is_claimed_beforehand_only_where_it_was_free_at_once_the_last_time() -> None:
    stage = answered("a")
    stage.free(1)
    stage.run("b")
    assert stage.pool.free
    stage.answer_at_once("b")
    assert stage.pool.free
    stage.go(0.02)
    assert not stage.pool.free
    stage.free(2)
    stage.run("c")
    stage.go(0)
    assert not stage.pool.free


def test_what_it_raises_is_told_with_its_traceback() -> None:
    stage = answered("a")
    stage.free(1, '"OSError: no"', '"Traceback"')
    assert warnings(stage) == ["alias a: nectar_answered failed: OSError: no\nTraceback"]
    assert stage.pool.free
    assert stage.machine.kills == []


def test_after_five_seconds_a_new_worker_takes_its_place() -> None:
    stage = answered("a")
    (pid,) = [process.pid for process in stage.processes]
    stage.run("b")
    stage.go(4.9)
    assert stage.machine.kills == []
    stage.go(0.2)
    assert stage.machine.kills == [(pid, near(5))]
    assert warnings(stage) == ["alias a: nectar_answered took longer than 5 s, and its worker was ended"]
    stage.answer_at_once("b")
    assert stage.succeeded("b")
    stage.free(2)
    stage.go(60)
    assert len(warnings(stage)) == 1


def test_its_neighbours_are_run_again() -> None:
    stage = frees(concurrency=2)
    stage.run("a")
    stage.run("b")
    stage.answer_at_once("a")
    stage.go(5.1)
    assert [*stage.processes[0].jobs] == ["b"]
    stage.run("c")
    stage.go(0)
    assert [*stage.processes[0].jobs] == ["b", "c"]


def test_of_a_worker_that_dies_nothing_is_lost_and_the_next_takes_its_place() -> None:
    stage = answered("a")
    for name in "bcde":
        stage.machine.end(stage.processes[0], 3)
        stage.go(0)
        assert (
            warnings(stage)[-1]
            == "alias " + chr(ord(name) - 1) + ": nectar_answered was cut off: the worker ended with exit code 3"
        )
        stage.run(name)
        stage.answer_at_once(name)
    assert all(stage.succeeded(name) for name in "abcde")
    assert stage.machine.tries == [0, 0, 0, 0, 0]
    assert stage.told.failures == []


def test_what_ran_beside_it_is_blamed_for_nothing() -> None:
    stage = frees(concurrency=2)
    stage.run("a")
    stage.run("b")
    stage.answer_at_once("a")
    stage.machine.end(stage.processes[0], -11)
    stage.go(0)
    assert [*stage.processes[0].jobs] == ["b"]
    assert not stage.pool.free  # it is alone
    assert warnings(stage) == [
        "alias b: A worker was ended by SIGSEGV; this computation, which it had beside others, is run again, by itself.",
        "alias a: nectar_answered was cut off: the worker was ended by SIGSEGV",
    ]
    stage.machine.end(stage.processes[0], -11)
    stage.go(0)
    assert stage.outcome("b").error == "The worker was ended by SIGSEGV before it had an answer."


def test_who_detaches_does_not_wait_for_it() -> None:
    stage = answered("a")
    assert not stage.pool.interrupt("alias")
    stage.go(0)
    assert stage.machine.kills == []
    stage.free(1)
    assert stage.pool.free


def test_at_a_stop_it_may_finish() -> None:
    stage = answered("a")
    stage.stop(3)
    stage.go(2)
    assert stage.ended == []
    stage.free(1)
    stage.go(0)
    assert stage.ended == [near(2)]
    assert stage.machine.kills == []


def test_a_stop_waits_for_it_no_longer_than_it_may() -> None:
    stage = answered("a")
    stage.stop(3)
    stage.go(3)
    assert stage.ended == [near(3)]
    assert warnings(stage) == ["alias a: nectar_answered was cut off: the worker was ended: it was stopped"]


def test_a_worker_is_replaced_when_it_is_free_of_its_last() -> None:
    stage = answered("a", recycle_after=2)
    stage.free(1)
    stage.run("b")
    stage.answer_at_once("b")
    left: list[float] = []

    def leave(process: Process) -> None:
        left.append(stage.machine.seconds)
        stage.machine.end(process, 0)

    stage.leave = leave
    stage.go(1)
    assert left == []
    stage.free(2)
    assert left == [near(1)]


def test_one_that_it_looks_after_counts_once() -> None:
    stage = frees(concurrency=2, recycle_after=2)
    stage.run("a")
    stage.answer_at_once("a")
    assert stage.pool.free
    stage.run("b")
    assert not stage.pool.free


def test_too_much_memory_there_is_too_much() -> None:
    stage = answered("a", memory_limit="1000B")
    stage.processes[0].memory = 2000
    stage.go(1)
    assert len(stage.machine.kills) == 1
    assert warnings(stage) == ["alias a: nectar_answered was cut off: the worker was ended: it took too much memory"]


@pytest.mark.parametrize(
    ("ready", "job", "error"),
    [(READY, 1, "null"), (FREES, 2, "null"), (FREES, "null", "null"), (FREES, 1, "[]"), (FREES, 1, "null, 1")],
)
def test_nonsense_ends_the_worker(ready: str, job: int, error: str) -> None:
    stage = frees(ready)
    stage.run("a")
    stage.answer_at_once("a")
    stage.free(job, error)
    stage.go(0)
    assert len(stage.machine.kills) == 1
    assert stage.succeeded("a")


def test_a_second_answer_is_nonsense() -> None:
    stage = answered("a")
    stage.processes[0].jobs["a"] = 1
    stage.answer("a")
    stage.go(0)
    assert len(stage.machine.kills) == 1
