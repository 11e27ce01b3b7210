"""Scans go on in turns with each other and with all else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nectar.runtime.daemon.aliases.scans import SLICE, Scans
from nectar.runtime.daemon.loop import Loop

if TYPE_CHECKING:
    from collections.abc import Generator

LONG = 1000
"""Steps; more than fit into a slice."""


class Ground:
    """A loop whose clock moves with each step of a scan, and what was done on it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.done: list[str] = []
        self.loop = Loop(lambda: self.now)
        self.scans = Scans(self.loop)

    def scan(self, name: str, steps: int) -> Generator[None, None, None]:
        try:
            for _ in range(steps):
                self.done.append(name)
                self.now += SLICE / 4
                yield
            self.done.append(f"{name} ended")
        except GeneratorExit:
            self.done.append(f"{name} cancelled")
            raise

    def note(self, what: str) -> None:
        self.loop.later(0, lambda: self.done.append(what))

    def turn(self, times: int = 1) -> None:
        for _ in range(times):
            self.loop.wake()
            self.loop.turn()


@pytest.fixture
def ground() -> Ground:
    return Ground()


def test_what_is_due_has_its_turn_between_two_slices(ground: Ground) -> None:
    ground.scans.begin("long", ground.scan("long", LONG))
    ground.turn()
    for number in range(20):
        before = len(ground.done)
        ground.note(f"due {number}")
        ground.turn()
        done = ground.done[before:]
        assert f"due {number}" in done
        assert done.count("long") <= 5, "a slice, and the step that it ends with"


def test_a_short_one_does_not_wait_for_a_long_one(ground: Ground) -> None:
    ground.scans.begin("long", ground.scan("long", LONG))
    ground.turn(3)
    ground.scans.begin("short", ground.scan("short", 3))
    ground.turn(4)
    assert "short ended" in ground.done
    assert ground.scans.goes_on("long")


def test_one_of_a_name_is_enough(ground: Ground) -> None:
    ground.scans.begin("a", ground.scan("first", 10))
    ground.scans.begin("a", ground.scan("second", 10))
    ground.turn(10)
    assert "first ended" in ground.done
    assert "second" not in ground.done
    ground.scans.begin("a", ground.scan("third", 1))
    ground.turn(2)
    assert "third ended" in ground.done


def test_what_is_cancelled_goes_no_further(ground: Ground) -> None:
    ground.scans.begin("a", ground.scan("a", LONG))
    ground.turn()
    ground.scans.cancel("a")
    ground.scans.cancel("a")
    before = [*ground.done]
    assert before[-1] == "a cancelled"
    ground.turn(3)
    assert ground.done == before


def test_one_that_cancels_itself_in_a_step_goes_no_further(ground: Ground) -> None:
    def itself() -> Generator[None, None, None]:
        ground.scans.cancel("itself")
        yield
        ground.done.append("went on")

    ground.scans.begin("itself", itself())
    ground.turn(3)
    assert ground.done == []
    assert not ground.scans.goes_on("itself")


def test_what_comes_out_of_one_stops_no_other(ground: Ground) -> None:
    def failing() -> Generator[None, None, None]:
        yield
        raise ValueError("it failed")

    told: list[Exception] = []
    ground.loop.faulted = told.append
    ground.scans.begin("failing", failing())
    ground.scans.begin("a", ground.scan("a", 10))
    ground.turn(10)
    assert [*map(str, told)] == ["it failed"]
    assert "a ended" in ground.done
