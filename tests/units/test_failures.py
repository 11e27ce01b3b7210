"""What goes wrong at an alias: when it is told, and for how long nothing more is tried."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from nectar.runtime.daemon.aliases.failures import BLOCKED, OFTEN, Failures
from nectar.runtime.daemon.log import Seldom
from nectar.runtime.daemon.loop import Loop
from tests.units.machines import Clock
from tests.units.nodes import Said

if TYPE_CHECKING:
    from collections.abc import Generator

FULL = OSError(errno.ENOSPC, "no space")
SLOW = OSError(errno.EIO, "no answer")


class Trial:
    def __init__(self) -> None:
        self.clock = Clock()
        self.said = Said()
        self.loop = Loop(self.clock)
        self.faults: list[Exception] = []
        self.loop.faulted = self.faults.append
        self.failures = Failures("one", self.loop, Seldom(self.said.log, self.clock))

    def look(self, error: Exception | None = None) -> None:
        def scan() -> Generator[None, None, None]:
            yield
            if error is not None:
                raise error

        assert len([*self.failures.guarded("listed", scan())]) == 1


@pytest.fixture
def trial() -> Trial:
    return Trial()


@pytest.mark.parametrize("times", range(OFTEN + 2))
def test_what_fails_three_times_in_a_row_is_told_of_the_alias_and_logged_once_a_minute(trial: Trial, times: int) -> None:
    for _ in range(times):
        trial.failures.failed("listed", FULL)
    told = "the directory cannot be listed now: no space"
    assert trial.failures.often == (told if times >= 3 else None)
    assert trial.said.lines == ([f"one: {told}"] if times else [])


def test_what_works_once_is_no_trouble_any_more(trial: Trial) -> None:
    for _ in range(9):
        trial.failures.failed("listed", FULL)
    trial.failures.worked("listed")
    trial.failures.failed("listed", FULL)
    assert trial.failures.often is None


def test_two_things_that_fail_in_turns_are_counted_apart(trial: Trial) -> None:
    for _ in range(2):
        trial.failures.failed("listed", FULL)
        trial.failures.failed("published", FULL, "an answer waits")
    assert trial.failures.often is None
    trial.failures.failed("published", SLOW, "an answer waits")
    assert trial.failures.often == "an answer waits: no answer"
    assert trial.said.lines == [
        "one: the directory cannot be listed now: no space",
        "one: an answer waits: no space",
        "one: an answer waits: no answer",
    ]


def test_who_is_blocked_is_so_for_a_second_from_the_last_time(trial: Trial) -> None:
    assert BLOCKED == 1.0
    assert not trial.failures.blocked
    begun = trial.clock.now
    trial.failures.block()
    trial.clock.now += 0.75
    trial.failures.block()
    blocked = []
    for eighths in range(6, 16):
        trial.clock.now = begun + eighths / 8
        blocked.append(trial.failures.blocked)
    assert blocked == [True] * 8 + [False] * 2


def test_a_look_that_fails_blocks_and_one_that_works_makes_it_good(trial: Trial) -> None:
    for _ in range(3):
        trial.look(SLOW)
    assert trial.failures.blocked
    assert trial.failures.often is not None
    trial.look()
    assert trial.failures.often is None
    assert trial.faults == []


def test_what_nobody_was_made_for_is_told_as_a_fault_and_of_no_alias(trial: Trial) -> None:
    bug = MemoryError()
    for _ in range(3):
        trial.look(bug)
    assert trial.faults == [bug] * 3
    assert trial.failures.often is None
    assert not trial.failures.blocked
