"""Pauses between two tries to have a worker, to the second."""

from __future__ import annotations

import pytest

from nectar.runtime.daemon.job import Failure
from nectar.runtime.daemon.loop import Loop
from nectar.runtime.daemon.workers.pauses import WITH_ENGINE, Pauses
from tests.units.machines import Machine, Told, go, loop_of

NO = Failure("no")


class Tried:
    """:ivar over: seconds of the end of each pause."""

    def __init__(self) -> None:
        self.machine = Machine()
        self.loop: Loop = loop_of(self.machine)
        self.told = Told(self.machine)
        self.over: list[float] = []
        self.pauses = Pauses(self.loop, self.told, lambda: self.over.append(self.machine.seconds))

    def go(self, seconds: float) -> None:
        go(self.machine, self.loop, seconds)


@pytest.fixture
def tried() -> Tried:
    return Tried()


def test_there_is_none_before_something_failed(tried: Tried) -> None:
    assert not tried.pauses
    assert tried.pauses.last_failure is None
    tried.go(100)
    assert tried.over == []


def test_each_is_twice_as_long_up_to_a_minute(tried: Tried) -> None:
    lengths = []
    for _ in range(2000):  # of which 2 to the 2000th is no number of seconds
        begun = tried.machine.seconds
        tried.pauses.failed(NO)
        assert tried.pauses
        tried.go(60)
        assert not tried.pauses
        lengths.append(tried.over[-1] - begun)
    assert lengths == [1, 2, 4, 8, 16, 32, *[60] * 1994]
    assert len(tried.over) == len(tried.told.failures) == 2000


def test_with_an_engine_they_are_shorter(tried: Tried) -> None:
    pauses = Pauses(tried.loop, tried.told, lambda: tried.over.append(tried.machine.seconds), WITH_ENGINE)
    for _ in range(5):
        pauses.failed(NO)
        tried.go(5)
    assert tried.over == [1, 7, 14, 20, 25]


def test_a_shortage_makes_none_longer(tried: Tried) -> None:
    tried.pauses.failed(NO)
    tried.go(1)
    for _ in range(5):
        tried.pauses.fell_short(NO)
        tried.go(1)
    tried.pauses.failed(NO)
    tried.go(10)
    assert tried.over == [1, 2, 3, 4, 5, 6, 8]


def test_a_further_failure_in_one_makes_one_of_the_two(tried: Tried) -> None:
    tried.pauses.failed(NO)
    tried.go(0.5)
    tried.pauses.failed(NO)
    tried.go(10)
    assert tried.over == [2.5]


def test_the_last_failure_is_known_until_a_worker_has_loaded_the_handler(tried: Tried) -> None:
    for message in ("first", "second"):
        tried.pauses.failed(Failure(message))
        tried.go(10)
    assert tried.pauses.last_failure == Failure("second")
    assert tried.told.failures == [(0, "first"), (10, "second")]
    tried.pauses.loaded(lambda: True)
    assert tried.pauses.last_failure is None
    tried.pauses.failed(NO)
    tried.go(10)
    assert tried.over == [1, 12, 21]


@pytest.mark.parametrize("early", [True, False])
def test_the_third_early_death_in_a_row_is_a_failure_and_those_that_had_answered_never_are(tried: Tried, early: bool) -> None:
    for _ in range(5):
        tried.pauses.loaded(lambda: False)
        tried.pauses.died_idle(-11, early=early)
        tried.go(10)
    assert tried.over == ([21, 32, 44] if early else [])
    text = "A worker was ended by SIGSEGV after it had loaded the handler, again and again."
    assert tried.told.failures == [(second, text) for second in ([20, 30, 40] if early else [])]


def test_an_early_death_after_one_that_is_none_is_the_first_again(tried: Tried) -> None:
    for early in (True, True, False, True, True):
        tried.pauses.died_idle(0, early=early)
    assert not tried.pauses
    tried.pauses.died_idle(0, early=True)
    assert tried.pauses


@pytest.mark.parametrize("lives", [True, False])
def test_one_that_came_after_three_is_of_use_when_it_lives_for_two_seconds(tried: Tried, lives: bool) -> None:
    for _ in range(3):
        tried.pauses.died_idle(0, early=True)
    tried.pauses.loaded(lambda: lives)
    tried.go(1.99)
    assert tried.pauses.last_failure is not None
    tried.go(0.01)
    assert (tried.pauses.last_failure is None) is lives
    tried.pauses.died_idle(0, early=True)
    assert bool(tried.pauses) is not lives


def test_an_answer_ends_the_row_at_once(tried: Tried) -> None:
    for _ in range(3):
        tried.pauses.died_idle(0, early=True)
    tried.pauses.reset()
    assert tried.pauses.last_failure is None
    tried.go(1)
    for _ in range(2):
        tried.pauses.died_idle(0, early=True)
    assert not tried.pauses
