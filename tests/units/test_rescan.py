"""When a directory is listed again: rules of time, with the clock in the test's hand."""

from __future__ import annotations

import pytest

from nectar.runtime.daemon.aliases.rescan import REGARDLESS, TELLING, Changes

TICK = 1_000_000
"""A later time of a directory, in nanoseconds."""


@pytest.fixture
def listed() -> Changes:
    """Seen to have changed at 100 s, and listed at 102 s, when its time could tell of a change again."""
    changes = Changes()
    assert changes.due(TICK, 100.0)
    changes.listed(TICK, 102.0)
    return changes


def test_a_directory_is_listed_at_first() -> None:
    assert Changes().due(TICK, 0.0)


@pytest.mark.parametrize(("now", "due"), [(102.0, False), (103.0, False), (132.0, False), (132.1, True)])
def test_without_a_change_it_is_listed_every_thirty_seconds(listed: Changes, now: float, due: bool) -> None:
    assert REGARDLESS == 30.0
    assert listed.due(TICK, now) is due


@pytest.mark.parametrize("changed", [2 * TICK, TICK - 1, 0])
def test_another_time_is_a_change_also_when_the_clock_was_set_back(listed: Changes, changed: int) -> None:
    assert listed.due(changed, 103.0)


@pytest.mark.parametrize(("after", "due"), [(0.0, True), (1.0, True), (1.9, True), (2.0, False), (29.0, False)])
def test_after_a_change_it_is_listed_until_its_time_can_tell_of_another(listed: Changes, after: float, due: bool) -> None:
    assert TELLING == 2.0
    assert listed.due(2 * TICK, 110.0)
    listed.listed(2 * TICK, 110.0)
    assert listed.due(2 * TICK, 110.0 + after) is due


def test_a_change_during_the_listing_is_seen_by_the_next(listed: Changes) -> None:
    assert listed.due(2 * TICK, 110.0)
    listed.listed(2 * TICK, 110.0)  # its time before; somebody writes now, and it changes
    assert listed.due(3 * TICK, 115.0)
