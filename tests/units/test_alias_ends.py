"""What becomes of an alias whose directory goes away, and of one that is paused, closed and served by the next daemon."""

from __future__ import annotations

import errno
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from nectar.runtime.daemon.aliases.alias import EXPIRY
from tests.units.nodes import directory_of, problem

if TYPE_CHECKING:
    from tests.units.conftest import MakeNodes
    from tests.units.nodes import Nodes


# --- directories that go away


def test_claims_that_were_removed_with_their_directory_are_answered_all_the_same(nodes: Nodes) -> None:
    taken = nodes.take()
    assert taken is not None
    shutil.rmtree(directory_of(nodes) / ".nectar")
    nodes.go(1)
    assert nodes.said.lines[-1] == "one: .nectar was removed, and has been made anew"
    taken.answer()
    assert nodes.answered("one") == {"a"}
    assert nodes.take_all() == ["one/b"]
    assert nodes.counts == {"success": 2}


def test_a_directory_that_is_removed_and_made_anew_is_served_and_what_ran_is_lost(nodes: Nodes) -> None:
    taken = nodes.take()
    assert taken is not None
    shutil.rmtree(directory_of(nodes))
    nodes.go(1)
    assert problem(nodes) == f"{directory_of(nodes)}: No such file or directory"
    assert nodes.aliases.waiting == 0
    directory_of(nodes).mkdir()
    nodes.put("one", "new")
    os.utime(directory_of(nodes) / "new.pending", (1, 1))
    nodes.serves = True
    nodes.go(1)
    assert nodes.seconds_taken == {"one/new": 2}
    assert not nodes.taken[0][1].question.late, "it may have come since the directory is there"
    assert problem(nodes) is None
    assert nodes.counts == {"success": 1, "lost": 1}
    assert "one a: lost, nobody will see its answer: .nectar was removed" in nodes.said.lines


def test_a_directory_that_was_moved_away_gets_the_answers_to_what_was_claimed_in_it(nodes: Nodes) -> None:
    taken = nodes.take()
    assert taken is not None
    away = directory_of(nodes).rename(directory_of(nodes).with_name("away"))
    directory_of(nodes).mkdir()
    nodes.put("one", "new")
    nodes.go(1)
    nodes.serves = True
    nodes.go(0)
    assert nodes.seconds_taken == {"one/new": 1}
    assert not taken.closed
    taken.answer()
    assert {path.name for path in away.glob("*.*")} == {"a.complete", "b.pending", ".nectar"}
    nodes.go(1)
    assert taken.closed
    assert nodes.counts == {"success": 2}


def test_what_fails_in_a_directory_that_was_moved_away_holds_up_nothing_in_the_one_that_is_there(nodes: Nodes) -> None:
    taken = nodes.take()
    assert taken is not None
    directory_of(nodes).rename(directory_of(nodes).with_name("away"))
    directory_of(nodes).mkdir()
    nodes.put("one", "new")
    nodes.go(1)
    with nodes.odd_files() as files:
        files.refused["open"] = errno.ENOSPC
        taken.answer()
    assert nodes.take_all() == ["one/new"]
    nodes.go(1)
    assert nodes.counts == {"success": 2}


def test_one_that_comes_back_while_something_of_it_runs_is_served_by_the_same_spool(nodes: Nodes) -> None:
    taken = nodes.take()
    assert taken is not None
    away = directory_of(nodes).rename(directory_of(nodes).with_name("away"))
    nodes.go(2)
    assert nodes.attached == ["two"]
    away.rename(directory_of(nodes))
    nodes.go(1)
    assert nodes.attached == ["one", "two"]
    assert nodes.aliases._attached["one"].spool is taken.spool
    taken.answer()
    assert nodes.answered("one") == {"a"}
    assert nodes.take_all() == ["one/b"]
    nodes.go(2)
    assert not taken.closed
    nodes.put("one", "c")
    nodes.go(1)
    assert nodes.take_all() == ["one/c"]


# --- its end


def test_who_is_closed_leaves_claims_to_the_next_as_the_same_try(nodes: Nodes, make_nodes: MakeNodes) -> None:
    taken = nodes.take()
    assert taken is not None
    nodes.close()
    assert taken.closed
    assert nodes.claimed("one") == {"a", "released"}
    following = make_nodes("one", "two").begin()
    again = [following.take(), following.take(), following.take()]
    assert {each.name for each in again if each is not None} == {"one/a", "one/b"}
    assert {each.question.claim.attempt for each in again if each is not None} == {1}


def test_an_answer_that_a_daemon_before_wrote_is_published_at_once(nodes: Nodes, make_nodes: MakeNodes) -> None:
    taken = nodes.take()
    assert taken is not None
    in_the_way = directory_of(nodes) / "a.complete"
    in_the_way.mkdir()
    taken.answer()
    nodes.close()
    in_the_way.rmdir()
    following = make_nodes("one", "two").begin()
    following.serves = True
    following.go(0)
    assert following.seconds_taken == {"one/b": 0}
    assert following.answered("one") == {"a", "b"}
    assert following.counts == {"success": 2}


def test_nothing_is_claimed_before_what_a_dead_daemon_left_has_been_found(nodes: Nodes, make_nodes: MakeNodes) -> None:
    """Or there would be two questions of one id."""
    assert nodes.take() is not None
    nodes.close()
    (directory_of(nodes) / ".nectar" / "released").unlink()  # as if it had died
    nodes.put("one", "a")
    following = make_nodes("one", "two")
    following.aliases.sync()
    following.hint("one", "a")
    assert following.aliases.waiting == 1
    assert following.take() is None
    following.go(0)
    taken = [following.take(), following.take(), following.take()]
    assert {(each.comp_id, each.question.claim.attempt) for each in taken if each is not None} == {("a", 2), ("b", 1)}
    (again,) = [each for each in taken if each is not None and each.comp_id == "a"]
    again.answer()
    assert (directory_of(nodes) / "a.pending").exists()


def test_where_what_was_left_cannot_be_looked_for_that_is_tried_again_each_second(nodes: Nodes, make_nodes: MakeNodes) -> None:
    assert nodes.take() is not None
    nodes.close()
    following = make_nodes("one", "two")
    following.aliases.sync()
    following.loop.later(1, following._tick)
    following.serves = True
    with following.odd_files() as files:
        files.refused["scandir"] = errno.EIO
        following.go(2.5)
    assert following.taken == []
    following.go(1)
    assert following.seconds_taken == {"one/a": 3, "one/b": 3}


def test_a_look_for_old_answers_ends_with_whoever_pauses_and_so_do_events(nodes: Nodes) -> None:
    nodes.machine.now += 601
    nodes.aliases.tick()
    scans = nodes.aliases._scans
    assert scans.goes_on(("one", EXPIRY))
    nodes.aliases.pause()
    assert not scans.goes_on(("one", EXPIRY))
    assert nodes.hints.watches == {}


def test_that_a_claim_will_count_as_tried_is_told(nodes: Nodes) -> None:
    assert nodes.take() is not None
    with nodes.odd_files() as files:
        files.refused["open"] = errno.EROFS
        nodes.close()
    told = "one: what was let go of will count as tried, because it cannot be noted: Read-only file system"
    assert nodes.said.lines[-1] == told


@pytest.mark.parametrize("close", [False, True])
def test_a_listing_that_goes_on_ends_with_whoever_pauses(nodes: Nodes, close: bool) -> None:
    """Its descriptor may be another file's by then."""
    nodes.hints.tell((nodes.hints.watches["one"], b""))
    scans = nodes.aliases._scans
    assert scans.goes_on(("one", "listed"))
    if close:
        nodes.close()
    else:
        nodes.aliases.pause()
    assert not scans.goes_on(("one", "listed"))
    nodes.go(1)
    assert problem(nodes) is None


def test_what_is_owed_is_published_at_the_end(nodes: Nodes) -> None:
    taken = nodes.take()
    assert taken is not None
    with nodes.odd_files() as files:
        files.refused["rename"] = errno.EIO
        taken.answer()
        files.refused.clear()
        nodes.close()
    assert nodes.answered("one") == {"a"}
    assert nodes.counts == {"success": 1}


def test_claims_that_wait_are_left_when_it_is_paused(make_nodes: MakeNodes, nodes: Nodes) -> None:
    assert nodes.take() is not None
    assert nodes.take() is not None
    nodes.close()
    following = make_nodes("one", "two").begin()
    assert following.aliases.waiting == 2
    alias = following.aliases._attached["one"]
    alias.pause()
    assert alias.waiting == 0
    assert not alias.busy
    alias.pause()
    alias.close()
    alias.close()
    assert nodes.claimed("one") == {"a", "b", "released"}


# --- runs that are lost


def test_a_run_that_is_lost_is_the_next_try_and_the_fourth_is_none(nodes: Nodes) -> None:
    assert nodes.take_all(1) == ["one/a"]
    taken = nodes.take()
    for attempt in (2, 3):
        assert taken is not None
        assert taken.alias.run_again(taken.question)
        assert nodes.claimed("one") == {"b"}
        before, taken = taken, nodes.take()
        assert taken is not None
        assert (taken.comp_id, taken.question.claim.attempt) == ("b", attempt)
        assert taken.question.claim.token != before.question.claim.token
        assert not before.alias.run_again(before.question), "it is another's by now"
    assert taken is not None
    taken.alias.run_again(taken.question)
    last = nodes.take()
    assert last is not None
    assert "tried 3 times" in str(last.question.problem)
    last.answer()
    assert nodes.take_all() == []
