"""The daemon's loop, with a clock and a selector in the test's hand."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, cast

import pytest

from nectar.runtime.daemon.loop import Loop
from tests.soak.machine import Machine

if TYPE_CHECKING:
    import selectors


@pytest.fixture
def machine() -> Machine:
    return Machine(random.Random(1))


@pytest.fixture
def loop(machine: Machine) -> Loop:
    return Loop(machine.clock, cast("selectors.BaseSelector", machine))


def fail() -> None:
    raise MemoryError("there is none")


def test_calls_are_made_when_they_are_due_in_order(loop: Loop, machine: Machine) -> None:
    made: list[str] = []
    loop.later(2, lambda: made.append("later"))
    loop.later(1, lambda: made.append("soon"))
    loop.later(1, lambda: made.append("as soon"))
    loop.later(1, lambda: made.append("never")).cancel()
    loop.turn()
    assert made == []
    machine.now += 1
    loop.turn()
    assert made == ["soon", "as soon"]
    machine.now += 5
    loop.turn()
    assert made == ["soon", "as soon", "later"]


def test_an_exception_out_of_a_call_is_told_and_the_others_are_made(loop: Loop) -> None:
    told: list[Exception] = []
    made: list[str] = []
    loop.faulted = told.append
    loop.later(0, fail)
    loop.later(0, lambda: made.append("the other"))
    loop.turn()
    assert [type(error) for error in told] == [MemoryError]
    assert made == ["the other"]


def test_whose_call_it_was_mends_it(loop: Loop, machine: Machine) -> None:
    told: list[Exception] = []
    mended: list[str] = []
    loop.faulted = told.append
    first, second = loop.within(lambda: mended.append("first")), loop.within(lambda: mended.append("second"))
    first.later(0, fail)
    second.later(1, fail)
    loop.turn()
    assert mended == ["first"]
    machine.now += 1
    loop.turn()
    assert mended == ["first", "second"]
    second.guarded(fail)()
    assert mended == ["first", "second", "second"]
    assert len(told) == 3


def test_mending_that_fails_is_told_too(loop: Loop) -> None:
    told: list[Exception] = []
    loop.faulted = told.append
    loop.within(fail).later(0, fail)
    loop.turn()
    assert len(told) == 2


def test_where_nobody_is_told_it_comes_out(loop: Loop) -> None:
    loop.later(0, fail)
    with pytest.raises(MemoryError):
        loop.turn()


def test_a_selector_that_fails_is_a_fault_like_any_other(machine: Machine) -> None:
    loop = Loop(machine.clock, cast("selectors.BaseSelector", machine))
    told: list[Exception] = []

    def faulted(error: Exception) -> None:
        told.append(error)
        loop.stop()

    def select(_timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        raise OSError(12, "there is no memory")

    loop.faulted = faulted
    machine.select = select  # type: ignore[method-assign, assignment]
    loop.run()
    assert len(told) == 1
