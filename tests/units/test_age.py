"""How old things are, by a clock that is set at will."""

from __future__ import annotations

import itertools
import random

import pytest

from nectar.runtime.daemon.aliases.rescan import MOST, Age, Arrivals
from nectar.spool.listing import Listed

HOUR = 3600.0


class Clock:
    """:ivar now: monotonic seconds.
    :ivar ahead: seconds that the other clock is ahead of these.
    """

    BEGUN = 1e9

    def __init__(self) -> None:
        self.now = 0.0
        self.ahead = self.BEGUN

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def age(clock: Clock) -> Age:
    return Age(clock.monotonic, clock.wall)


@pytest.fixture
def arrivals(clock: Clock, age: Age) -> Arrivals:
    return Arrivals(age, clock.monotonic)


def found(*changed: float, more: bool = False) -> Listed:
    """Questions named ``q0``, ``q1``, … by when their inodes were changed last."""
    times = {f"q{number}": round(each * 1e9) for number, each in enumerate(changed)}
    return Listed(times, [], more, max(times.values(), default=0))


def test_a_clock_that_is_right_tells_the_age(clock: Clock, age: Age) -> None:
    written = clock.wall()
    clock.now += 50
    assert age.now(100) - written == pytest.approx(50, abs=1)


@pytest.mark.parametrize("seconds", [1.0, 30.0, 24 * HOUR])
def test_a_jump_makes_nothing_older_while_it_matters(clock: Clock, age: Age, seconds: float) -> None:
    written = clock.wall()
    clock.ahead += 30 * HOUR
    clock.now += seconds / 2
    assert age.now(seconds) - written <= seconds / 2
    clock.now += 2 * seconds + 20
    assert age.now(seconds) - written > seconds, "it really is older by now"


def test_a_clock_that_is_set_back_makes_things_younger_and_none_older(clock: Clock, age: Age) -> None:
    written = clock.wall()
    clock.now += 10
    clock.ahead -= HOUR
    assert age.now(5) - written < 0
    assert age.now(5) - clock.wall() <= 0


def test_what_is_forgotten_of_a_clock_that_jumps_for_ever_makes_nothing_older(clock: Clock, age: Age) -> None:
    chance = random.Random(7)
    looks = [(clock.now, clock.wall())]
    for _ in range(3 * MOST):
        clock.now += 1
        clock.ahead += chance.choice((1, 1, 1, 2, -0.5))
        age.look()
        looks.append((clock.now, clock.wall()))
    for when, stamp in looks[::100]:
        for seconds in (1.0, 500.0, 1e6):
            if clock.now - when < seconds:
                assert age.now(seconds) - stamp <= clock.now - when


def test_what_came_while_it_was_served_is_as_old_as_its_arrival(clock: Clock, arrivals: Arrivals) -> None:
    for written in (0.0, clock.wall() - HOUR, clock.wall() + HOUR):
        assert not arrivals.waited(clock.now - 29, written, 30)
        assert arrivals.waited(clock.now - 31, written, 30)


def test_what_was_there_before_is_as_old_as_its_file(clock: Clock, arrivals: Arrivals) -> None:
    assert arrivals.waited(None, clock.wall() - HOUR, 30)
    assert not arrivals.waited(None, clock.wall() - 5, 30)
    assert not arrivals.waited(None, clock.wall() + HOUR, 30)
    assert not arrivals.waited(None, 0.0, 30), "a file without a time"


def test_what_was_there_before_is_not_aged_by_a_jump(clock: Clock, arrivals: Arrivals) -> None:
    written = clock.wall() - 5
    clock.ahead += HOUR
    assert not arrivals.waited(None, written, 30)
    clock.now += 60
    assert arrivals.waited(None, written, 30)


def test_the_first_listing_finds_what_was_there_and_the_next_what_came(clock: Clock, arrivals: Arrivals) -> None:
    assert arrivals.listed(found(1, 2)) == {"q0": None, "q1": None}
    clock.now = 7
    assert arrivals.listed(found(1, 2)) == {"q0": 7.0, "q1": 7.0}, "all was known, so that these are others"


def test_of_a_backlog_what_was_there_is_told_from_what_came(clock: Clock, arrivals: Arrivals) -> None:
    assert arrivals.listed(found(10, 20, 30, more=True)) == {"q0": None, "q1": None, "q2": None}
    clock.now = 7
    assert arrivals.listed(found(15, 29, 31, more=True)) == {"q0": None, "q1": None, "q2": 7.0}
    assert arrivals.listed(found(16, 32)) == {"q0": None, "q1": 7.0}
    assert arrivals.listed(found(17)) == {"q0": 7.0}, "all of it was known"


def test_of_a_backlog_nothing_is_told_when_the_clock_was_set_back(clock: Clock, arrivals: Arrivals) -> None:
    arrivals.listed(found(10, 20, more=True))
    clock.ahead -= HOUR
    assert arrivals.listed(found(15, more=True)) == {"q0": 0.0}
    clock.ahead += HOUR
    assert arrivals.listed(found(16, more=True)) == {"q0": 0.0}


def test_the_age_is_the_least_that_the_looks_allow(clock: Clock, age: Age) -> None:
    """Against the same, told from all looks."""
    chance = random.Random(8)
    looks = [(clock.now, int(clock.ahead))]
    for _ in itertools.repeat(None, 500):
        clock.now += chance.choice((1.0, 5.0, 9.0))
        clock.ahead += chance.choice((0, 0, 0, 3600, -3600, 7, -7))
        age.look()
        looks.append((clock.now, int(clock.wall() - clock.now)))
        for seconds in (1.0, 60.0, 1000.0):
            least = min(ahead for when, ahead in looks if when >= clock.now - seconds - 10)
            assert age.now(seconds) == min(clock.wall(), clock.now + least)


def test_what_is_found_again_may_have_come_while_it_was_served(clock: Clock, age: Age) -> None:
    """An alias that was opened anew, after a failure or at another directory, is no first attach."""
    again = Arrivals(age, clock.monotonic, served=True)
    came = again.listed(Listed({"a": 0}, odd=[], more=False, changed=0))
    assert not again.waited(came["a"], clock.wall() - HOUR, 30)
    clock.now += 31
    assert again.waited(came["a"], clock.wall(), 30)
