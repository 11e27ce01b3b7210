"""How the questions of one alias are found: by an event, by a look each second, and in the end regardless; and how half of one waits."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from nectar.runtime.daemon.aliases.waiting import BATCH
from nectar.testing.sample import sample
from tests.units.machines import near

if TYPE_CHECKING:
    from tests.units.conftest import MakeNodes
    from tests.units.nodes import Nodes

WHOLE = sample("how many?", comp_id="q", deadline=30).to_json()


@pytest.fixture
def nodes(make_nodes: MakeNodes) -> Nodes:
    """One node, whose directory nothing has changed for some seconds."""
    made = make_nodes("one").begin()
    made.go(5)
    made.serves = True
    return made


# --- when one is found


def test_an_event_has_it_taken_at_once(nodes: Nodes) -> None:
    nodes.go(0.4)
    nodes.put("one", "q", hidden=True)
    nodes.hint("one", "q")
    nodes.go(0)
    assert nodes.seconds_taken == {"one/q": 5.4}


@pytest.mark.parametrize(("at", "found"), [(5.01, 6), (5.9, 6), (6.5, 7), (30.5, 31), (3600.5, 3601)])
def test_without_an_event_it_is_found_at_the_next_second_by_the_directorys_time(nodes: Nodes, at: float, found: int) -> None:
    nodes.go(at - 5)
    nodes.put("one", "q")
    nodes.go(2)
    assert nodes.seconds_taken == {"one/q": found}


@pytest.mark.parametrize(("at", "found"), [(5.5, 33), (31.5, 33), (33.5, 64), (63.5, 64), (64.5, 95)])
def test_what_nothing_tells_of_is_found_when_the_directory_is_listed_after_thirty_seconds(
    nodes: Nodes, at: float, found: int
) -> None:
    """It was listed at 2 s for the last time."""
    nodes.go(at - 5)
    nodes.put("one", "q", hidden=True)
    nodes.go(31)
    assert nodes.seconds_taken == {"one/q": found}


@pytest.mark.parametrize(("at", "found"), [(10.5, 11), (11.5, 12), (12.5, 43)])
def test_for_two_seconds_after_a_change_its_time_cannot_tell_of_another(nodes: Nodes, at: float, found: int) -> None:
    nodes.go(5.2)
    nodes.write("one", ".aside", WHOLE)  # the change is seen at 11 s
    nodes.go(at - 10.2)
    nodes.put("one", "q", hidden=True)
    nodes.go(40)
    assert nodes.seconds_taken["one/q"] == found


def test_an_event_that_names_nothing_has_the_directory_listed(nodes: Nodes) -> None:
    nodes.put("one", "q", hidden=True)
    nodes.hints.tell((nodes.hints.watches["one"], b""))
    nodes.go(0)
    assert nodes.seconds_taken == {"one/q": 5}


def test_what_its_writer_is_to_rename_is_left_alone_until_then(nodes: Nodes) -> None:
    path = nodes.write("one", ".q", WHOLE)
    nodes.hint("one", ".q")
    nodes.go(0.5)
    assert nodes.said.lines == ["one: attached"]
    nodes.go(99.5)
    assert nodes.taken == []
    path.rename(path.with_name("q.pending"))
    nodes.hint("one", "q")
    nodes.go(0)
    assert nodes.seconds_taken == {"one/q": 105}


def test_an_event_for_what_is_not_there_any_more_is_no_question(nodes: Nodes) -> None:
    for number in range(10):
        nodes.hint("one", f"gone {number}")
    nodes.go(3)
    assert nodes.taken == []
    assert nodes.aliases.waiting == 0
    assert nodes.aliases.status()["one"]["problem"] is None


def test_a_watch_that_ended_is_made_anew_and_the_directory_listed(nodes: Nodes) -> None:
    nodes.go(0.5)
    nodes.hints.lives = False
    nodes.put("one", "q", hidden=True)
    nodes.go(1)
    assert nodes.watched == [("one", 0), ("one", 6)]
    assert nodes.seconds_taken == {"one/q": 6}


def test_questions_are_taken_the_oldest_first_and_those_that_events_tell_of_in_their_order(make_nodes: MakeNodes) -> None:
    nodes = make_nodes("one")
    nodes.put("one", "c", "a", "b")
    nodes.begin()
    nodes.put("one", "y", "x")
    nodes.hint("one", "x")
    nodes.hint("one", "y")
    nodes.go(0)
    assert nodes.take_all() == ["one/c", "one/a", "one/b", "one/x", "one/y"]


# --- how many at once


@pytest.mark.once
def test_4096_are_kept_in_mind_and_the_others_are_found_when_these_are_done(make_nodes: MakeNodes) -> None:
    assert BATCH == 4096
    nodes = make_nodes("one")
    directory = nodes.home.computations("one")
    names = [f"q{number}" for number in range(BATCH + 10)]
    for number, name in enumerate(names):
        (directory / f"{name}.pending").write_bytes(WHOLE)
        os.utime(directory / f"{name}.pending", (number, number))
    nodes.begin()
    assert nodes.aliases.waiting == BATCH + 10
    nodes.put("one", "new")
    nodes.hint("one", "new")  # comes after all that is older
    with nodes.odd_files() as files:
        nodes.go(40)
        assert files.calls["scandir"] == 0, "what is in mind comes first"
    assert nodes.aliases.waiting == BATCH + 10
    assert nodes.take_all(1) == ["one/q0"]
    nodes.hint("one", "new")  # is not even now before those that are older
    nodes.go(0)
    assert nodes.aliases.waiting == BATCH + 9
    for name in names[1:BATCH]:
        (directory / f"{name}.pending").unlink()
    assert nodes.take_all() == []
    assert nodes.aliases.waiting == 10
    nodes.go(0)
    assert nodes.aliases.waiting == 11, "the new one was counted, too"
    assert nodes.take_all() == [*(f"one/{name}" for name in names[BATCH:]), "one/new"]
    nodes.hint("one", "next")  # is not put off any more
    assert nodes.aliases.waiting == 1


def test_of_events_for_more_than_that_the_rest_is_found_by_a_listing(nodes: Nodes) -> None:
    nodes.serves = False
    nodes.put("one", "last", hidden=True)
    for number in range(BATCH):
        nodes.hint("one", f"gone {number}")
    nodes.hint("one", "last")
    nodes.go(0)
    assert nodes.aliases.waiting == BATCH
    nodes.serves = True
    nodes.go(0)
    assert nodes.seconds_taken == {"one/last": 5}


def test_who_finds_nothing_for_a_hundredth_of_a_second_lets_others_have_their_turn(nodes: Nodes) -> None:
    for number in range(1000):
        nodes.hint("one", f"gone {number}")
    nodes.serves = False
    nodes.go(0)
    nodes.machine.pace = 0.001
    waited = [nodes.aliases.waiting]
    while nodes.aliases.waiting:
        begun = nodes.machine.now
        assert nodes.take() is None
        assert nodes.machine.now - begun == near(0.01, within=0.0041)
        due = [at for at, _, _ in nodes.loop._timers if at <= nodes.machine.now]
        assert due, "it goes on after the others' turn"
        waited.append(nodes.aliases.waiting)
    assert len(waited) > 100


# --- half of one


@pytest.mark.parametrize(
    "content", [b"", b"{", WHOLE[:-3], b"\xff", b"[1]", b'"text"'], ids=["empty", "begun", "cut", "bytes", "list", "text"]
)
def test_what_is_no_object_is_answered_after_two_seconds_of_stillness(nodes: Nodes, content: bytes) -> None:
    nodes.write("one", "q", content)
    nodes.hint("one", "q")
    nodes.go(1.99)
    assert nodes.taken == []
    assert nodes.claimed("one") == set()
    nodes.go(1)
    assert nodes.seconds_taken == {"one/q": near(5 + 2)}
    question = nodes.taken[0][1].question
    assert question.computation is None
    assert question.problem is not None


@pytest.mark.parametrize(("at", "taken"), [(0.01, 0.02), (0.03, 0.04), (0.05, 0.08), (0.3, 0.32), (0.7, 1.28), (1.9, 2)])
def test_one_that_becomes_whole_is_taken_at_the_next_look_each_of_which_comes_twice_as_late(
    nodes: Nodes, at: float, taken: float
) -> None:
    path = nodes.write("one", "q", WHOLE[:-5])
    nodes.hint("one", "q")
    nodes.go(at)
    path.write_bytes(WHOLE)
    os.utime(path, (1, 1))
    for _ in range(3):
        nodes.hint("one", "q")  # which changes nothing
    nodes.go(3)
    assert nodes.seconds_taken == {"one/q": near(5 + taken)}
    assert nodes.taken[0][1].question.problem is None
    assert not nodes.taken[0][1].question.late, "it came when its first half did"


def test_each_piece_that_is_written_begins_its_two_seconds_anew(nodes: Nodes) -> None:
    path = nodes.write("one", "q", b"")
    nodes.hint("one", "q")
    for piece in (b"{", b'{"', b'{"c', b'{"co'):
        nodes.go(1.5)
        path.write_bytes(piece)
    nodes.go(10)
    (second,) = nodes.seconds_taken.values()
    assert 5 + 6 + 2 <= second <= 5 + 6 + 2 + 1
    assert nodes.taken[0][1].question.problem is not None


def test_a_question_that_lacks_something_is_answered_at_once(nodes: Nodes) -> None:
    nodes.write("one", "q", b"{}")
    nodes.hint("one", "q")
    nodes.go(0)
    assert nodes.seconds_taken == {"one/q": 5}
    assert nodes.taken[0][1].question.problem == "it has no field 'query'"


@pytest.mark.parametrize("batch", [BATCH, 3])
def test_halves_hold_up_no_whole_one(nodes: Nodes, monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    monkeypatch.setattr("nectar.runtime.daemon.aliases.waiting.BATCH", batch)
    for number in range(20):
        nodes.write("one", f"half {number}", b"{")
    nodes.put("one", "q")
    nodes.hints.tell((nodes.hints.watches["one"], b""))
    nodes.go(1.9)
    assert nodes.seconds_taken == {"one/q": 5}


# --- what is none


def test_a_question_with_two_names_is_looked_at_each_second_for_a_minute_and_then_when_all_is_listed(nodes: Nodes) -> None:
    directory = nodes.home.computations("one")
    path = nodes.write("one", "q", WHOLE)
    os.link(path, directory / "other name")
    nodes.hint("one", "q")
    nodes.go(30.5)
    assert [line for line in nodes.said.lines if "no question" in line] == [
        "one: q.pending is no question and is left alone: it has more than one link"
    ]
    before = directory.stat().st_mtime_ns
    (directory / "other name").unlink()
    os.utime(directory, ns=(before, before))
    nodes.go(1)
    assert nodes.seconds_taken == {"one/q": 36}


def test_one_whose_other_name_stays_is_told_once_and_costs_nothing_more(nodes: Nodes) -> None:
    directory = nodes.home.computations("one")
    path = nodes.write("one", "q", WHOLE)
    os.link(path, directory / "other name")
    nodes.hint("one", "q")
    nodes.go(300)
    assert nodes.taken == []
    assert len([line for line in nodes.said.lines if "no question" in line]) == 1
    (directory / "other name").unlink()
    nodes.go(2)
    assert len(nodes.seconds_taken) == 1


def test_a_directory_with_a_questions_name_is_told_when_it_was_seen_twice_and_once(nodes: Nodes) -> None:
    (nodes.home.computations("one") / "d.pending").mkdir()
    nodes.go(0.9)
    assert nodes.said.lines == ["one: attached"]
    nodes.go(300)
    assert nodes.said.lines[1:] == ["one: d.pending is no question and is left alone: it is not a regular file"]
    assert nodes.taken == []


# --- how old it is


@pytest.mark.parametrize(("waits", "late"), [(29.9, False), (30.0, False), (30.1, True), (3000, True)])
def test_one_that_came_while_it_was_served_is_late_by_when_it_came(nodes: Nodes, waits: float, late: bool) -> None:
    nodes.serves = False
    nodes.write("one", "q", WHOLE)
    nodes.hint("one", "q")
    nodes.go(0)
    os.utime(nodes.home.computations("one") / "q.pending", (1, 1))
    nodes.go(waits)
    assert nodes.aliases.status()["one"]["oldest"] == near(waits)
    taken = nodes.take()
    assert taken is not None
    assert taken.question.late is late
    assert nodes.aliases.status()["one"]["oldest"] is None
