"""How an alias is let go of, and how all are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nectar.runtime.daemon.aliases.aliases import ENDING, SOON
from tests.units.machines import near
from tests.units.nodes import LATE, opened

if TYPE_CHECKING:
    from tests.units.conftest import MakeNodes


# --- letting go


@pytest.mark.parametrize("after", [0.0, 0.2, 1.0, 3.99])
def test_one_that_is_detached_is_let_go_of_when_it_has_been_answered(make_nodes: MakeNodes, after: float) -> None:
    nodes = make_nodes("one", "two", stop_timeout=4)
    nodes.put("one", "a")
    nodes.begin()
    taken = nodes.take()
    assert taken is not None
    nodes.attach("two")
    nodes.sync()

    def answer() -> None:
        assert taken.answer()

    nodes.loop.later(after, answer)
    nodes.go(10)
    assert SOON == 0.05
    ((second, reply),) = nodes.replies
    assert after <= second <= after + LATE
    assert reply == {"attached": ["two"], "problems": {}}
    assert nodes.interrupts == [("one", second)]
    assert nodes.answered("one") == {"a"}
    assert taken.closed
    assert not taken.answer(), "it is let go of"


@pytest.mark.parametrize("timeout", [0, 0.5, 4])
@pytest.mark.parametrize("ends", [0.0, 0.4, 1.9, 10.0])
def test_what_takes_longer_than_it_has_is_interrupted_and_has_two_seconds_to_end(
    make_nodes: MakeNodes, timeout: float, ends: float
) -> None:
    nodes = make_nodes("one", stop_timeout=timeout)
    nodes.put("one", "a")
    nodes.begin()
    taken = nodes.take()
    assert taken is not None
    nodes.runs.add("one")
    nodes.loop.later(timeout + ends, nodes.runs.clear)
    nodes.attach()
    nodes.sync()
    nodes.go(20)
    assert nodes.interrupts[0] == ("one", near(timeout, within=LATE))
    ((second, _),) = nodes.replies
    assert second == near(timeout + min(ends, ENDING), within=LATE)
    assert second >= min(timeout + ends, timeout + ENDING) - 1e-6
    assert nodes.claimed("one") == {"a", "released"}, "for the next daemon, as the same try"


def test_however_often_it_is_asked_it_looks_twenty_times_a_second_whether_one_has_been_answered(make_nodes: MakeNodes) -> None:
    nodes = make_nodes("one", stop_timeout=0)
    nodes.begin()
    nodes.runs.add("one")
    nodes.attach()
    for _ in range(5):
        nodes.sync()
    before = len(nodes.interrupts)
    nodes.go(0.99)
    assert len(nodes.interrupts) - before == 19
    nodes.runs.clear()
    nodes.go(0.05)
    assert len(nodes.replies) == 5


def test_of_what_is_being_let_go_of_nothing_is_claimed_any_more(make_nodes: MakeNodes) -> None:
    nodes = make_nodes("one", "two", stop_timeout=4)
    nodes.put("one", "a", "b")
    nodes.begin()
    assert nodes.take() is not None
    nodes.attach("two")
    nodes.sync()
    nodes.hint("two", "nothing")
    nodes.go(3)
    assert nodes.take_all() == []
    assert nodes.aliases.status() == {"two": {"problem": None, "waiting": 0, "oldest": None}}


def test_one_that_comes_back_is_served_again_when_it_was_let_go_of(make_nodes: MakeNodes) -> None:
    nodes = make_nodes("one", "two", stop_timeout=4)
    nodes.put("one", "a", "b")
    nodes.begin()
    taken = nodes.take()
    assert taken is not None
    nodes.attach("two")
    nodes.sync()
    nodes.go(0.5)
    nodes.attach("two", "one")
    nodes.sync()
    nodes.go(0.5)
    assert nodes.attached == ["two"]
    assert nodes.replies == []
    taken.answer()
    nodes.go(0.1)
    assert nodes.attached == ["two", "one"]
    assert [(second, reply["attached"]) for second, reply in nodes.replies] == [(near(1, within=0.1), ["two", "one"])] * 2
    assert nodes.take_all() == ["one/b"]


def test_to_be_detached_ends_the_waits_of_one_that_failed(make_nodes: MakeNodes) -> None:
    nodes = make_nodes("one")
    nodes.broken.add("one")
    nodes.begin().go(40)
    nodes.broken.clear()
    nodes.attach()
    nodes.sync()
    nodes.attach("one")
    nodes.sync()
    assert nodes.attached == ["one"]
    assert opened(nodes, "one")[-1] == 40


def test_who_pauses_claims_nothing_and_heeds_the_registry_no_more(make_nodes: MakeNodes) -> None:
    nodes = make_nodes("one", "two")
    nodes.put("one", "a")
    nodes.put("two", "a", "b")
    nodes.begin()
    assert nodes.take_all(1) == ["one/a"]
    nodes.aliases.pause()
    nodes.attach("one")
    nodes.go(3)
    assert nodes.take_all() == []
    assert nodes.attached == ["one", "two"]
    assert nodes.aliases.waiting == 0
    assert nodes.claimed("two") == set()


def test_all_are_closed_also_those_that_are_being_let_go_of_and_one_that_fails_at_it(make_nodes: MakeNodes) -> None:
    nodes = make_nodes("one", "two", "three", stop_timeout=60)
    for alias in ("one", "two", "three"):
        nodes.put(alias, "a")
    nodes.begin()
    taken = [nodes.take() for _ in range(3)]
    nodes.attach("two", "three")
    nodes.sync()
    nodes.go(1)
    nodes.aliases._attached["two"].pause = None  # type: ignore[assignment,method-assign]
    nodes.aliases.close()
    assert [each.closed for each in taken if each is not None] == [True] * 3
    assert [type(fault) for fault in nodes.faults] == [TypeError]
