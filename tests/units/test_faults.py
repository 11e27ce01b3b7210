"""How many faults of its own a daemon bears: more than twenty within a minute are too many."""

from __future__ import annotations

import pytest

from nectar.runtime.daemon.daemon import Faults


def count(faults: Faults, begin: float, apart: float, most: int = 100) -> int | None:
    """How many faults, so many seconds apart, are too many."""
    return next((number + 1 for number in range(most) if faults.are_too_many(begin + number * apart)), None)


@pytest.mark.parametrize(("apart", "too_many"), [(0, 21), (1, 21), (2.99, 21), (3, None), (3.01, None), (60, None)])
def test_more_than_twenty_within_a_minute_are_too_many(apart: float, too_many: int | None) -> None:
    assert count(Faults(), 1000, apart) == too_many


def test_after_too_many_they_are_counted_anew() -> None:
    faults = Faults()
    assert [count(faults, begin, 0) for begin in (0, 1, 2)] == [21, 21, 21]


def test_a_minute_is_any_minute() -> None:
    faults = Faults()
    assert count(faults, 0, 1, 20) is None
    assert count(faults, 60, 0) == 2  # with those of the seconds 1 to 19
    assert count(faults, 200, 0, 20) is None
