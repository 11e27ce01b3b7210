"""What goes wrong with one alias costs no other: it is closed, and opened again after a while."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING

import pytest

from nectar.runtime.daemon.aliases.aliases import ENDING, LONGEST, REMEMBERED
from tests.units.machines import near
from tests.units.nodes import LATE, opened

if TYPE_CHECKING:
    from tests.units.conftest import MakeNodes
    from tests.units.nodes import Nodes


# --- what fails


def test_one_that_fails_each_time_waits_twice_as_long_each_time_and_then_a_minute_for_ever(make_nodes: MakeNodes) -> None:
    nodes = make_nodes("one", "two")
    nodes.broken.add("one")
    nodes.begin().go(1000)
    seconds = opened(nodes, "one")
    waits = [after - before for before, after in itertools.pairwise(seconds)]
    assert LONGEST == 60
    assert waits[:8] == [0, 1, 2, 4, 8, 16, 32, 60]
    assert set(waits[8:]) == {60.0}
    assert len(waits) == 7 + (1000 - 63) // 60
    assert len(nodes.faults) == len(seconds)
    assert opened(nodes, "two") == [0]
    assert nodes.attached == ["two"]
    problem = nodes.aliases.status()["one"]["problem"]
    assert problem == "nectar failed at it, which the log tells; it is tried again within 60 s"


@pytest.mark.once
def test_a_failure_for_many_hours_ends_in_no_failure_of_ours(make_nodes: MakeNodes) -> None:
    """Numbers that double each time get too large for a float."""
    nodes = make_nodes("one")
    nodes.broken.add("one")
    nodes.begin().go(63)
    for _ in range(1100):
        nodes.machine.now += 60
        nodes.aliases.tick()
    assert len(opened(nodes, "one")) == len(nodes.faults) == 8 + 1100
    assert {type(fault) for fault in nodes.faults} == {MemoryError}


@pytest.mark.parametrize(("served", "wait"), [(1, 60), (119, 60), (120, 60), (121, 0), (1000, 0)])
def test_how_often_it_failed_is_forgotten_once_it_was_served_well_for_two_minutes(
    make_nodes: MakeNodes, served: int, wait: int
) -> None:
    nodes = make_nodes("one")
    nodes.broken.add("one")
    nodes.begin().go(122.5)
    nodes.broken.clear()
    assert nodes.attached == []
    nodes.go(1)
    assert REMEMBERED == 120
    assert opened(nodes, "one")[-1] == 123
    assert nodes.attached == ["one"]
    nodes.go(served - 0.5)
    nodes.broken.add("one")
    fail(nodes, "one")
    nodes.broken.clear()
    nodes.go(70)
    assert opened(nodes, "one")[-1] == 123 + served + wait


def fail(nodes: Nodes, name: str) -> None:
    """Have something fail at an alias that is served, at once."""
    nodes.aliases.mend(nodes.aliases._attached[name], MemoryError())


@pytest.mark.parametrize(
    ("between", "waits"),
    [
        (10, [0, 1, 2, 4, 8, 16, 32, 60, 60, 60]),  # eight of them within 120 s of service
        (25, [0, 1, 2, 4, 8, 8, 8, 8, 8, 8]),  # five
        (119, [0, 1, 1, 1, 1, 1, 1, 1, 1, 1]),
        (121, [0] * 10),
    ],
)
def test_one_that_fails_now_and_then_waits_by_how_often_it_did_while_it_was_served(
    make_nodes: MakeNodes, between: float, waits: list[float]
) -> None:
    nodes = make_nodes("one")
    nodes.begin()
    waited = []
    for _ in range(10):
        nodes.go(between)
        fail(nodes, "one")
        failed = nodes.machine.seconds
        nodes.go(0)
        while not nodes.attached:
            nodes.go(1)
        waited.append(opened(nodes, "one")[-1] - failed)
    assert waited == waits


def test_what_fails_of_one_that_is_being_opened_anew_fails_once(make_nodes: MakeNodes) -> None:
    nodes = make_nodes("one")
    nodes.put("one", "a")
    nodes.begin()
    old = nodes.aliases._attached["one"]
    fail(nodes, "one")
    nodes.aliases.mend(old, MemoryError())
    nodes.go(0)
    assert nodes.attached == ["one"]
    nodes.aliases.mend(old, MemoryError())
    nodes.go(0)
    assert opened(nodes, "one") == [0, 0]
    assert nodes.take_all() == ["one/a"]


@pytest.mark.parametrize("what", ["next", "pause"])
def test_one_that_cannot_even_be_asked_or_paused_costs_no_other_anything(make_nodes: MakeNodes, what: str) -> None:
    nodes = make_nodes("one", "two", stop_timeout=0)
    nodes.put("two", "a")
    nodes.begin()
    setattr(nodes.aliases._attached["one"], what, None)
    nodes.attach("two")
    assert nodes.take_all() == ["two/a"]
    nodes.sync()
    nodes.go(1)
    assert nodes.attached == ["two"]
    assert {type(fault) for fault in nodes.faults} == {TypeError}


@pytest.mark.parametrize(("fails", "claimed"), [(False, False), (True, False), (True, True)])
def test_what_was_there_before_is_as_old_as_its_file_and_what_is_found_after_a_failure_may_have_come_since(
    make_nodes: MakeNodes, fails: bool, claimed: bool
) -> None:
    nodes = make_nodes("one")
    nodes.put("one", "a", deadline=30)
    age_by(nodes, "one", "a", 40)
    nodes.begin()
    if claimed:
        assert nodes.take() is not None
    if fails:
        fail(nodes, "one")
        nodes.go(0)
    taken = nodes.take()
    assert taken is not None
    assert taken.question.late is not fails


def age_by(nodes: Nodes, alias: str, comp_id: str, seconds: float) -> None:
    """Have a question be so many seconds old by the clock."""
    written = nodes.wall() - seconds
    os.utime(nodes.home.computations(alias) / f"{comp_id}.pending", (written, written))


@pytest.mark.parametrize(("jump", "seconds", "late"), [(0, 28, False), (0, 32, True), (3600, 28, False), (3600, 5, False)])
def test_a_clock_that_is_set_forward_makes_no_question_late(make_nodes: MakeNodes, jump: float, seconds: float, late: bool) -> None:
    nodes = make_nodes("one")
    nodes.attach()
    nodes.begin().go(200)
    nodes.put("one", "a", deadline=30)
    age_by(nodes, "one", "a", seconds)
    nodes.ahead += jump
    nodes.attach("one")
    nodes.go(1)
    taken = nodes.take()
    assert taken is not None
    assert taken.question.late is late


def test_what_goes_wrong_with_one_costs_no_other_anything(make_nodes: MakeNodes) -> None:
    nodes = make_nodes("one", "two", "three")
    nodes.begin()
    nodes.broken.add("two")
    fail(nodes, "two")
    for alias in ("one", "three"):
        nodes.put(alias, "a")
        nodes.hint(alias, "a")
    nodes.go(0)
    assert nodes.take_all() == ["one/a", "three/a"]
    assert opened(nodes, "one") == opened(nodes, "three") == [0]
    assert nodes.attached == ["one", "three"]
    assert nodes.replies == []


def test_what_was_claimed_when_it_failed_is_run_again_as_the_same_try(make_nodes: MakeNodes) -> None:
    nodes = make_nodes("one")
    nodes.put("one", "a")
    nodes.begin()
    taken = nodes.take()
    assert taken is not None
    fail(nodes, "one")
    nodes.go(0)
    again = nodes.take()
    assert again is not None
    assert (again.comp_id, again.question.claim.attempt) == ("a", 1)
    again.answer()
    assert nodes.answered("one") == {"a"}
    assert nodes.counts == {"success": 1}


@pytest.mark.parametrize("ends", [0.0, 0.3, 1.9, 10.0])
def test_one_that_failed_is_opened_again_when_what_ran_for_it_has_ended_or_after_two_seconds(
    make_nodes: MakeNodes, ends: float
) -> None:
    nodes = make_nodes("one")
    nodes.put("one", "a")
    nodes.begin()
    assert nodes.take() is not None
    nodes.runs.add("one")
    fail(nodes, "one")
    nodes.loop.later(ends, nodes.runs.clear)
    nodes.go(5)
    assert nodes.interrupts[0] == ("one", 0)
    assert ENDING == 2.0
    assert opened(nodes, "one") == [0, near(min(ends, 2.0), within=LATE)]
