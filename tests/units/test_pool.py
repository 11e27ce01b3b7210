"""The rules of time of the pool, to the second: starts and pauses, early deaths, deadlines, worn workers, memory, ends.

Seconds are those since the pool was made.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

import pytest

from nectar.runtime.daemon.job import Outcome
from nectar.runtime.daemon.workers.worker_process import State
from tests.units.machines import FAILED, READY, Stage

if TYPE_CHECKING:
    from tests.soak.machine import Process

PAUSES = [0, 1, 3, 7, 15, 31, 63, 123, 183]
"""Seconds of the tries: pauses of 1, 2, 4, 8, 16, 32, 60 and 60 seconds."""


def nothing(_process: Process) -> None:
    pass


def near(seconds: float, within: float | None = None) -> Any:
    return pytest.approx(seconds, abs=within)


# --- starts


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_as_many_are_started_as_are_missing_and_at_once(workers: int) -> None:
    stage = Stage(workers=workers).begin()
    assert stage.machine.tries == [0] * workers
    stage.machine.end(stage.processes[0], 0)
    stage.go(10)
    assert stage.machine.tries == [0] * (workers + 1)
    assert len(stage.processes) == workers


def test_a_handler_that_cannot_be_loaded_is_tried_after_longer_and_longer_pauses() -> None:
    stage = Stage()

    def fail(process: Process) -> None:
        stage.machine.send(process, FAILED)
        stage.machine.end(process, 1)

    stage.load = fail
    stage.begin().go(200)
    assert stage.machine.tries == PAUSES
    assert stage.failed == [(second, "no") for second in PAUSES]
    assert stage.pool.failures == len(PAUSES)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (3, "ended with exit code 3"),
        (0, "ended with exit code 0"),
        (-11, "was ended by SIGSEGV"),
        (-200, "was ended by signal 200"),
    ],
)
def test_one_that_dies_while_it_loads_is_such_a_failure_and_says_how(status: int, said: str) -> None:
    stage = Stage()
    stage.load = lambda process: stage.machine.end(process, status)
    stage.begin().go(10)
    assert stage.failed == [(second, f"The worker {said} while it loaded the handler.") for second in (0, 1, 3, 7)]


@pytest.mark.parametrize(
    ("error", "tries", "failures"),
    [
        (errno.ENOENT, PAUSES[:5], 5),
        (errno.EACCES, PAUSES[:5], 5),
        (errno.ENOMEM, [*range(21)], 0),
        (errno.EMFILE, [*range(21)], 0),
    ],
)
def test_no_process_is_a_failure_and_a_shortage_is_tried_each_second(error: int, tries: list[float], failures: int) -> None:
    stage = Stage()
    stage.machine.refusal = error
    stage.begin().go(20.5)
    assert stage.machine.tries == tries
    assert stage.pool.failures == failures
    stage.machine.refusal = None
    stage.go(60)
    assert stage.pool.failures == 0
    assert stage.pool.last_failure is None


def test_after_a_success_the_first_pause_is_a_second_again() -> None:
    stage = Stage()
    stage.load = lambda process: stage.machine.end(process, 1)
    stage.begin().go(6.5)
    assert stage.machine.tries == [0, 1, 3]
    stage.load = lambda process: stage.machine.send(process, READY)
    stage.go(1)
    assert stage.pool.failures == 0
    assert stage.pool.last_failure is None
    stage.load = lambda process: stage.machine.end(process, 1)
    stage.machine.end(stage.processes[0], 0)  # at 7.5: one idle death, then one that does not load
    stage.go(5)
    assert stage.machine.tries == [0, 1, 3, 7, 7.5, 8.5, 10.5]


@pytest.mark.parametrize(("timeout", "tries"), [(5, [0, 6, 13, 22]), (0.5, [0, 1.5, 4, 8.5, 17])])
def test_one_that_does_not_load_in_time_is_ended_and_the_pause_begins_then(timeout: float, tries: list[float]) -> None:
    stage = Stage(start_timeout=timeout)
    stage.load = nothing
    stage.begin().go(26)
    assert stage.machine.tries == tries
    assert [second for _, second in stage.machine.kills][: len(tries) - 1] == [second + timeout for second in tries[:-1]]
    assert stage.failed[0] == (timeout, f"The handler was not loaded within {timeout:g} s.")


# --- early deaths


def test_the_third_early_death_in_a_row_makes_the_next_one_wait() -> None:
    stage = Stage()

    def die(process: Process) -> None:
        stage.machine.send(process, READY)
        stage.machine.end(process, 4)

    stage.load = die
    stage.begin().go(190)
    assert stage.machine.tries == [0, 0, *PAUSES]
    assert stage.died == [(second, "An idle worker ended with exit code 4.") for second in [0, 0, *PAUSES]]
    assert {text for _, text in stage.failed} == {
        "A worker ended with exit code 4 after it had loaded the handler, again and again."
    }


@pytest.mark.parametrize(
    ("lives", "tries"),
    [
        pytest.param(1.9, [0, 0, 0, 1, 4.9], id="it is the fourth, after which the pause is two seconds"),
        pytest.param(2.1, [0, 0, 0, 1, 3.1, 3.1, 4.1], id="it is the first again, and so is the first pause"),
    ],
)
def test_one_that_lives_for_two_seconds_is_no_early_death(lives: float, tries: list[float]) -> None:
    stage = Stage()

    def die(process: Process) -> None:
        stage.machine.send(process, READY)
        stage.machine.end(process, 4)

    stage.load = die
    stage.begin()
    stage.load = lambda process: stage.machine.send(process, READY)
    stage.go(1 + lives)
    assert (stage.pool.last_failure is None) is (lives > 2)
    stage.load = die
    stage.machine.end(stage.processes[0], 4)
    stage.go(2.05)
    assert stage.machine.tries == tries


def test_one_that_answered_is_no_early_death_and_those_before_it_do_not_count() -> None:
    stage = Stage().begin()
    for name in ("a", "b", "c", "d"):
        stage.machine.end(stage.processes[0], 4)
        stage.go(0)
        stage.machine.end(stage.processes[0], 4)
        stage.go(0)
        stage.run(name)
        stage.go(0)
        stage.answer(name)
        stage.go(0)
    assert len(stage.machine.tries) == 9
    assert stage.failed == []


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
    assert stage.died == []


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
    assert stage.failed == [
        (near(0.1), "The handler took too much memory while it was loaded (memory_limit is 1000)."),
    ]

    def grow_at_last(process: Process) -> None:
        process.memory = 1001
        stage.machine.send(process, READY)

    stage.load = grow_at_last
    stage.go(1)
    assert stage.machine.tries == [0, near(1.1)]
    assert [second for second, _ in stage.failed] == [near(0.1), near(1.1)]


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
    assert stage.failed == []


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
    assert stage.pool.running == {"one": 2, "two": 1}
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
    assert stage.failed == []


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


def test_what_it_had_not_read_is_run_by_another() -> None:
    stage = Stage().begin()
    process = stage.processes[0]
    stage.run("a")
    stage.machine.end(process, 3)  # before it read
    stage.go(0.5)
    assert stage.outcomes == {}
    assert stage.who_has("a").pid != process.pid
    stage.answer("a")
    stage.go(0)
    assert stage.outcomes["a"] == (0.5, Outcome("success", value=7, seconds=0.5))


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
    assert [text for _, text in stage.died].count("3 processes that a worker left do not end.") == 2


def test_the_end_of_all_waits_for_what_a_worker_left() -> None:
    stage = Stage().begin()
    stage.machine.left = 3
    stage.stop(5)
    stage.go(1)
    assert stage.ended == []
    stage.machine.left = 0
    stage.go(0.02)
    assert stage.ended == [near(1.02, within=0.021)]
