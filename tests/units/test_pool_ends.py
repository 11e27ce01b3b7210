"""The rules of time of ends in the pool, to the second: its own, and those of its workers.

Seconds are those since the pool was made.
"""

from __future__ import annotations

import errno
import functools
from typing import TYPE_CHECKING

import pytest

from nectar.runtime.daemon.job import Outcome
from nectar.runtime.frames import ENGINE_LOST
from tests.units.machines import READY, Stage, near, nothing

if TYPE_CHECKING:
    from tests.soak.machine import Process


# --- the end of all


@pytest.mark.parametrize("timeout", [0, 3, 10])
def test_what_runs_gets_the_time_of_the_stop_and_no_outcome_then(timeout: float) -> None:
    stage = Stage(workers=2).begin()
    stage.run("a")
    stage.go(1)
    stage.stop(timeout)
    stage.go(20)
    assert stage.ended == [1 + timeout]
    assert stage.outcomes == {"a": (1 + timeout, None)}
    assert [second for _, second in stage.machine.kills] == [1 + timeout]
    assert stage.machine.tries == [0, 0]


def test_what_is_answered_in_time_has_its_outcome_and_the_end_comes_then() -> None:
    stage = Stage().begin()
    stage.run("a")
    stage.go(0)
    stage.stop(10)
    stage.go(2)
    stage.answer("a")
    stage.go(20)
    assert stage.outcomes["a"] == (2, Outcome("success", value=7, seconds=0.5))
    assert stage.ended == [2]
    assert stage.machine.kills == []


def test_a_stop_ends_at_once_what_loads_and_after_a_second_who_takes_no_leave() -> None:
    stage = Stage(workers=2)
    loading: list[Process] = []
    stage.load = lambda process: loading.append(process) if not loading else stage.machine.send(process, READY)
    stage.leave = nothing
    stage.begin().go(5)
    idle = stage.processes[1]
    stage.stop(30)
    stage.go(40)
    assert stage.machine.kills == [(loading[0].pid, 5), (idle.pid, 6)]
    assert stage.ended == [6]
    assert stage.told.failures == []


@pytest.mark.parametrize(("second_time", "end"), [(2, 3), (0, 1), (100, 30)])
def test_a_second_stop_may_only_shorten_the_time(second_time: float, end: float) -> None:
    stage = Stage().begin()
    stage.run("a")
    stage.stop(30)
    stage.go(1)
    stage.stop(second_time)
    stage.go(200)
    assert stage.ended == [end]


def test_a_stop_in_a_pause_is_over_at_once_and_nothing_is_tried_any_more() -> None:
    stage = Stage()
    stage.load = lambda process: stage.machine.end(process, 1)
    stage.begin().go(1.5)
    stage.stop(30)
    stage.go(100)
    assert stage.ended == [1.5]
    assert stage.machine.tries == [0, 1]


def test_an_interrupt_ends_what_runs_for_its_alias_and_nothing_else() -> None:
    stage = Stage(workers=3).begin()
    stage.machine.dying = 0.2
    for name, alias in (("a", "one"), ("b", "two"), ("c", "one")):
        stage.run(name, alias=alias)
    stage.go(1)
    assert [stage.pool.running(alias) for alias in ("one", "two", "three")] == [2, 1, 0]
    assert stage.pool.interrupt("one")
    assert not stage.pool.interrupt("three")
    stage.go(0.1)
    stage.answer("a")
    stage.go(5)
    assert stage.outcomes == {"a": (1.1, Outcome("success", value=7, seconds=0.5)), "c": (1.2, None)}
    assert stage.pool.keys == {"b"}
    assert not stage.pool.interrupt("one")
    assert stage.machine.tries == [0, 0, 0, 1.2, 1.2]


# --- lost


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (3, "ended with exit code 3"),
        (-9, "was ended by SIGKILL"),
        (111, "lost its channel to nectar, which its code closed or used,"),
    ],
)
def test_one_that_dies_in_a_run_costs_that_run_alone(status: int, said: str) -> None:
    stage = Stage().begin()
    stage.run("a")
    stage.go(2)
    stage.machine.end(stage.who_has("a"), status)
    stage.go(0)
    assert stage.outcomes["a"] == (2, Outcome("error", error=f"The worker {said} before it had an answer.", seconds=2))
    assert stage.machine.tries == [0, 2]
    assert stage.told.failures == []


def test_an_end_that_no_signal_told_is_seen_within_a_second() -> None:
    stage = Stage().begin()
    stage.signalled = False
    stage.run("a")
    stage.go(2.2)
    stage.machine.end(stage.who_has("a"), 3)
    stage.go(0.7)
    assert stage.outcomes == {}
    stage.go(0.2)
    assert stage.outcomes["a"][0] == 3
    assert stage.machine.tries == [0, 3]


def test_one_that_closes_its_channel_has_three_tenths_of_a_second_to_end() -> None:
    stage = Stage().begin()
    stage.run("a")
    stage.go(1)
    process = stage.who_has("a")
    process.closed = stage.machine.hang_up(process)
    stage.go(5)
    assert stage.machine.kills == [(process.pid, 1.3)]
    assert stage.outcomes["a"] == (
        1.3,
        Outcome("error", error="The worker was ended: it closed its channel to nectar.", seconds=near(1.3)),
    )


@pytest.mark.parametrize("nonsense", ["x", "[]", "{}", '{"do": "ready", "warnings": []}', '{"do": "answer", "job": 99}'])
def test_one_that_says_nonsense_is_ended_at_once(nonsense: str) -> None:
    stage = Stage().begin()
    stage.run("a")
    stage.go(1)
    stage.machine.send(stage.who_has("a"), nonsense)
    stage.go(0)
    error = "The worker was ended: it wrote something else on its channel to nectar."
    assert stage.outcomes["a"] == (1, Outcome("error", error=error, seconds=1))


@pytest.mark.parametrize("nonsense", [False, True])
def test_an_idle_one_that_breaks_its_channel_is_told_of_and_replaced(nonsense: bool) -> None:
    stage = Stage().begin()
    process = stage.processes[0]
    if nonsense:
        stage.machine.send(process, "x")
    else:
        process.closed = stage.machine.hang_up(process)
    stage.go(1)
    second = 0 if nonsense else 0.3
    assert stage.told.warnings == [(second, "An idle worker was ended by SIGKILL.")]
    assert stage.machine.tries == [0, second]


@pytest.mark.parametrize(("unreadable", "answered"), [(0.4, True), (3, False)])
def test_last_words_are_waited_for_a_second(unreadable: float, answered: bool) -> None:
    stage = Stage().begin()
    stage.run("a")
    stage.go(1)
    process = stage.who_has("a")
    stage.machine.unreadable = errno.ENOMEM
    stage.answer("a")
    stage.machine.end(process, 0)
    stage.go(unreadable)
    stage.machine.unreadable = None
    stage.go(0.2)
    second, outcome = stage.outcomes["a"]
    assert outcome is not None
    assert outcome.status == ("success" if answered else "error")
    assert second == near(1.4 if answered else 2, within=0.051)


def test_what_a_worker_left_is_ended_for_two_seconds_fifty_times_a_second_before_another_is_started() -> None:
    stage = Stage().begin()
    stage.machine.left = 3
    stage.machine.end(stage.processes[0], 0)
    stage.go(1)
    assert stage.machine.looks[:4] == [0, 0.02, 0.04, 0.06]
    assert stage.machine.tries == [0]
    stage.go(4)
    assert stage.machine.looks[-1] == near(2, within=0.021)
    assert stage.machine.tries == [0, near(2, within=0.021)]
    assert [text for _, text in stage.told.warnings].count("3 processes that a worker left do not end.") == 2


def test_the_end_of_all_waits_for_what_a_worker_left() -> None:
    stage = Stage().begin()
    stage.machine.left = 3
    stage.stop(5)
    stage.go(1)
    assert stage.ended == []
    stage.machine.left = 0
    stage.go(0.02)
    assert stage.ended == [near(1.02, within=0.021)]


# --- the end of an engine


def test_what_a_lost_engine_ran_is_for_its_owner_to_run_again_and_all_of_it() -> None:
    stage = Stage(concurrency=3)
    stage.begin()
    again: list[str] = []
    for name in ("a", "b"):
        stage.run(name, again=functools.partial(again.append, name))
    stage.run("c")
    stage.go(1)
    stage.machine.end(stage.processes[0], ENGINE_LOST)
    stage.go(0.5)
    assert again == ["a", "b"]
    assert stage.outcomes == {}
    assert stage.told.failures == [(1, "The connection to the engine's scheduler was lost.")]
    assert stage.told.warnings == []
    assert stage.processes == []
    assert not stage.pool.free
    stage.go(1)
    stage.answer("c")  # whose owner has nothing to say of it: the next worker has it
    stage.go(0)
    assert stage.succeeded("c")


def test_a_worker_that_loses_its_engine_while_it_connects_could_not_be_loaded() -> None:
    stage = Stage()
    stage.load = lambda process: stage.machine.end(process, ENGINE_LOST)
    stage.begin().go(0.5)
    assert stage.told.failures == [(0, "The worker lost the engine while it loaded the handler.")]
