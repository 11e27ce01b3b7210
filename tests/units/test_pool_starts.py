"""The rules of time of the pool's starts, to the second: pauses, and early deaths.

Seconds are those since the pool was made.
"""

from __future__ import annotations

import errno
from json import dumps
from typing import TYPE_CHECKING

import pytest

from tests.units.machines import FAILED, READY, Stage, near, nothing

if TYPE_CHECKING:
    from tests.soak.machine import Process

PAUSES = [0, 1, 3, 7, 15, 31, 63, 123, 183]
"""Seconds of the tries: pauses of 1, 2, 4, 8, 16, 32, 60 and 60 seconds."""


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
    assert stage.told.failures == [(second, "no") for second in PAUSES]


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
    assert stage.told.failures == [(second, f"The worker {said} while it loaded the handler.") for second in (0, 1, 3, 7)]


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (errno.ENOENT, PAUSES[:5]),
        (errno.EACCES, PAUSES[:5]),
        (errno.ENOMEM, [*range(21)]),
        (errno.EMFILE, [*range(21)]),
    ],
)
def test_no_process_is_a_failure_and_a_shortage_is_tried_each_second(error: int, tries: list[float]) -> None:
    stage = Stage()
    stage.machine.refusal = error
    stage.begin().go(20.5)
    assert stage.machine.tries == tries
    stage.machine.refusal = None
    stage.go(60)
    assert stage.pool.last_failure is None


def test_after_a_success_the_first_pause_is_a_second_again() -> None:
    stage = Stage()
    stage.load = lambda process: stage.machine.end(process, 1)
    stage.begin().go(6.5)
    assert stage.machine.tries == [0, 1, 3]
    stage.load = lambda process: stage.machine.send(process, READY)
    stage.go(1)
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
    assert stage.told.failures[0] == (timeout, f"The handler was not loaded within {timeout:g} s.")


def test_of_several_that_fail_at_once_each_counts_and_the_last_pause_is_the_one_that_there_is() -> None:
    stage = Stage(workers=2)
    stage.load = lambda process: stage.machine.end(process, 1)
    stage.begin().go(50)
    assert stage.machine.tries == [0, 0, 2, 2, 10, 10, 42, 42]


@pytest.mark.parametrize("unread", [False, True], ids=["read before its end", "read after it"])
def test_one_that_has_loaded_too_late_is_ended_all_the_same_and_is_a_failure(unread: bool) -> None:
    stage = Stage(start_timeout=1)
    loading: list[Process] = []
    stage.load = loading.append
    stage.machine.dying = 0.5
    stage.begin().go(1.2)
    stage.machine.unreadable = errno.ENOMEM if unread else None
    stage.machine.send(loading[0], READY)
    stage.go(0.3)
    stage.machine.unreadable = None
    stage.go(0.3)
    assert stage.told.failures == [(near(1.5, within=0.051), "The handler was not loaded within 1 s.")]
    assert stage.pool.workers == []
    stage.go(1)
    assert stage.machine.tries == [0, near(2.5, within=0.051)]


def test_what_is_said_while_it_loads_is_bounded() -> None:
    stage = Stage()
    stage.load = lambda process: stage.machine.send(process, dumps({"do": "ready", "warnings": [*["x" * 3000] * 25]}))
    stage.begin()
    assert stage.told.ready_with == [["x" * 2000] * 20]


# --- early deaths


def test_the_third_early_death_in_a_row_makes_the_next_one_wait() -> None:
    stage = Stage()

    def die(process: Process) -> None:
        stage.machine.send(process, READY)
        stage.machine.end(process, 4)

    stage.load = die
    stage.begin().go(190)
    assert stage.machine.tries == [0, 0, *PAUSES]
    assert stage.told.warnings == [(second, "An idle worker ended with exit code 4.") for second in [0, 0, *PAUSES]]
    assert {text for _, text in stage.told.failures} == {
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


def test_those_that_answered_once_may_all_die_at_once() -> None:
    stage = Stage(workers=4).begin()
    for name in ("a", "b", "c", "d"):
        stage.run(name)
    stage.go(0)
    for name in ("a", "b", "c", "d"):
        stage.answer(name)
    stage.go(0)
    for process in stage.processes:
        stage.machine.end(process, 4)
    stage.go(0)
    assert stage.machine.tries == [0] * 8
    assert stage.told.failures == []


def test_an_answer_of_another_worker_breaks_the_row() -> None:
    stage = Stage(workers=2).begin()
    stage.run("a")
    stage.go(0)

    def die() -> None:
        stage.machine.end(next(process for process in stage.processes if not process.jobs), 4)
        stage.go(0)

    die()
    die()
    stage.answer("a")
    stage.go(0)
    stage.run("b")
    stage.go(0)
    die()
    die()
    assert stage.told.failures == []
    die()
    assert [text for _, text in stage.told.failures] == [
        "A worker ended with exit code 4 after it had loaded the handler, again and again."
    ]


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
    assert stage.told.failures == []
