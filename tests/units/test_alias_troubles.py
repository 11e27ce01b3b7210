"""What becomes of one alias when files fail, answers stay, or its directory goes away: with the file system in the test's hand."""

from __future__ import annotations

import errno
import json
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from nectar.runtime.daemon.aliases.alias import EXPIRY, EXPIRY_ROUND, SETTLED_AT_ONCE
from nectar.runtime.daemon.aliases.failures import BLOCKED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.units.conftest import MakeNodes
    from tests.units.nodes import Nodes

FOR_ALL = [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT, errno.EROFS]
"""What goes wrong for each question alike."""


@pytest.fixture
def nodes(make_nodes: MakeNodes) -> Nodes:
    """Two nodes, one of which has two questions that an event told of."""
    made = make_nodes("one", "two").begin()
    made.put("one", "a", "b")
    made.hint("one", "a")
    made.hint("one", "b")
    made.go(0)
    return made


def problem(nodes: Nodes, alias: str = "one") -> str | None:
    told: str | None = nodes.aliases.status()[alias]["problem"]
    return told


# --- calls that fail


@pytest.mark.parametrize("number", FOR_ALL)
def test_what_fails_for_each_question_is_tried_once_a_second_and_loses_nobody_his_turn(nodes: Nodes, number: int) -> None:
    assert BLOCKED == 1.0
    with nodes.odd_files() as files:
        files.refused["rename"] = number
        nodes.serves = True
        nodes.go(2.5)
        assert files.calls["rename"] == 3
        assert problem(nodes) == f"the directory cannot be asked for its next question now: {os.strerror(number)}"
        del files.refused["rename"]
        nodes.go(1)
    assert nodes.seconds_taken == {"one/a": 3, "one/b": 3}
    assert [name.split("/")[1] for name in nodes.seconds_taken] == ["a", "b"]
    assert problem(nodes) is None


def test_what_fails_for_one_question_is_tried_again_after_a_second_and_costs_no_other_anything(nodes: Nodes) -> None:
    with nodes.odd_files() as files:
        files.refused["rename"] = errno.EIO
        assert nodes.take() is None
        assert files.calls["rename"] == 2
        del files.refused["rename"]
        nodes.put("one", "c")
        nodes.hint("one", "c")
        nodes.serves = True
        nodes.go(0.5)
        assert nodes.seconds_taken == {"one/c": 0}
        nodes.go(1)
    assert nodes.seconds_taken == {"one/c": 0, "one/a": 1, "one/b": 1}
    assert problem(nodes) is None


def test_another_alias_is_served_meanwhile(nodes: Nodes) -> None:
    with nodes.odd_files() as files:
        files.refused["rename"] = errno.ENOSPC
        assert nodes.take() is None
        del files.refused["rename"]
        nodes.put("two", "x")
        nodes.hint("two", "x")
        nodes.serves = True
        nodes.go(0.9)
    assert nodes.seconds_taken == {"two/x": 0}


@pytest.mark.parametrize(("times", "told"), [(1, False), (2, False), (3, True)])
def test_what_fails_three_times_in_a_row_is_told_of_the_alias(nodes: Nodes, times: int, told: bool) -> None:
    with nodes.odd_files() as files:
        files.refused["rename"] = errno.ENOSPC
        nodes.serves = True
        nodes.go(times - 0.5)
        assert (problem(nodes) is not None) is told
        assert nodes.attached == (["two"] if told else ["one", "two"])
        assert len(nodes.said.lines) == 2 + 1, "it is logged once a minute"


@contextmanager
def unseen_claims(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have no claim be looked at."""
    stat = os.stat

    def stat_no_claim(path: str, **more: Any) -> os.stat_result:
        if ".1." in path:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return stat(path, **more)

    with monkeypatch.context() as patched:
        patched.setattr(os, "stat", stat_no_claim)
        yield


def test_a_claim_that_was_made_and_reported_as_failed_is_found_by_the_next_tick(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with nodes.odd_files() as files:
        files.after["rename"] = errno.EIO
        with unseen_claims(monkeypatch):
            assert nodes.take() is None
        assert nodes.claimed("one") == {"a", "b"}
        files.after.clear()
        nodes.serves = True
        nodes.go(0.9)
        assert nodes.taken == []
        nodes.go(0.1)
    assert nodes.seconds_taken == {"one/a": 1, "one/b": 1}
    assert {taken.question.claim.attempt for _, taken in nodes.taken} == {1}
    assert nodes.answered("one") == {"a", "b"}


def test_a_claim_that_cannot_be_looked_at_is_taken_further_after_a_second_and_is_no_stray(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with nodes.odd_files(), unseen_claims(monkeypatch):
        assert nodes.take() is None
        assert nodes.claimed("one") == {"a", "b"}
        assert [*nodes.aliases.strays(set())] == []
    nodes.serves = True
    nodes.go(0.9)
    assert nodes.taken == []
    assert [*nodes.aliases.strays(set())] == []
    nodes.go(0.1)
    assert nodes.seconds_taken == {"one/a": 1, "one/b": 1}
    assert nodes.answered("one") == {"a", "b"}


def test_a_listing_that_fails_is_tried_again_and_nothing_is_claimed_for_a_second(nodes: Nodes) -> None:
    nodes.put("one", "c")
    with nodes.odd_files() as files:
        files.refused["scandir"] = errno.EIO
        nodes.go(1)
        assert nodes.take() is None
        assert problem(nodes) is None
        nodes.go(2)
        assert problem(nodes) == "the directory cannot be listed now: Input/output error"
        del files.refused["scandir"]
        nodes.serves = True
        nodes.go(0.9)
        assert nodes.taken == []
        nodes.go(1)
    assert nodes.seconds_taken == {"one/a": 4, "one/b": 4, "one/c": 4}
    assert problem(nodes) is None


def test_a_listing_of_the_rest_that_fails_is_tried_again_in_a_second(
    make_nodes: MakeNodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nectar.runtime.daemon.aliases.waiting.BATCH", 3)
    nodes = make_nodes("one")
    nodes.put("one", "a", "b", "c", "d", "e")
    nodes.begin().go(5)
    before = directory_of(nodes).stat().st_mtime_ns
    for name in "abc":
        (directory_of(nodes) / f"{name}.pending").unlink()
    os.utime(directory_of(nodes), ns=(before, before))
    nodes.serves = True
    with nodes.odd_files() as files:
        files.refused["scandir"] = errno.EIO
        nodes.go(0)
    nodes.go(1)
    assert nodes.seconds_taken == {"one/d": 6, "one/e": 6}


def test_a_directory_that_cannot_be_looked_at_is_told_until_it_can_be(nodes: Nodes) -> None:
    with nodes.odd_files() as files:
        files.refused["stat"] = errno.EIO
        nodes.go(2)
        assert problem(nodes) is None
        nodes.go(1)
        assert problem(nodes) == "the directory cannot be looked at now: Input/output error"
    nodes.go(1)
    assert problem(nodes) is None
    assert nodes.take_all() == ["one/a", "one/b"]


# --- answers that cannot be published


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_an_answer_that_cannot_be_published_is_tried_again_each_second_and_counts_once(nodes: Nodes, number: int) -> None:
    taken = nodes.take()
    assert taken is not None
    with nodes.odd_files() as files:
        files.refused["rename"] = number
        taken.answer()
        nodes.go(5)
        assert nodes.counts == {}
        assert problem(nodes) == f"an answer cannot be published yet: {os.strerror(number)}"
        files.refused.clear()
        nodes.go(1)
    assert nodes.counts == {"success": 1}
    assert nodes.answered("one") == {"a"}
    assert problem(nodes) is None


@pytest.mark.parametrize(("number", "claims"), [(errno.EIO, True), (errno.ENOSPC, False)])
def test_where_no_answer_finds_its_place_no_question_is_claimed(nodes: Nodes, number: int, claims: bool) -> None:
    taken = nodes.take()
    assert taken is not None
    with nodes.odd_files() as files:
        files.refused["open"] = number
        taken.answer()
        files.refused.clear()
        assert (nodes.take() is not None) is claims
        nodes.go(0.9)
        nodes.serves = True
        nodes.go(0)
        assert nodes.taken == []
        nodes.go(0.1)
    assert nodes.seconds_taken == ({} if claims else {"one/b": 1})


def test_an_answer_that_is_lost_is_no_trouble_of_the_alias_any_more(nodes: Nodes) -> None:
    taken = nodes.take()
    assert taken is not None
    with nodes.odd_files() as files:
        files.refused["rename"] = errno.EIO
        taken.answer()
        nodes.go(3)
    assert problem(nodes) == "an answer cannot be published yet: Input/output error"
    (directory_of(nodes) / ".nectar" / taken.question.claim.name).unlink()
    nodes.go(3)
    assert nodes.counts == {"lost": 1}
    assert problem(nodes) is None


def test_five_hundred_answers_are_tried_again_each_second(make_nodes: MakeNodes) -> None:
    assert SETTLED_AT_ONCE == 500
    nodes = make_nodes("one")
    nodes.put("one", *(str(number) for number in range(1100)))
    nodes.begin().go(3)  # no time is listed as new
    with nodes.odd_files() as files:
        taken = []
        while (each := nodes.take()) is not None:
            taken.append(each)
        files.refused["open"] = errno.EIO
        for each in taken:
            each.answer()
        files.refused.clear()
        assert len(taken) == 1100
        published = []
        for _ in range(4):
            nodes.go(1)
            published.append(nodes.counts["success"])
    assert published == [500, 1000, 1100, 1100]


def test_a_claim_that_somebody_removed_is_lost_and_told(nodes: Nodes) -> None:
    taken = nodes.take()
    assert taken is not None
    (nodes.home.computations("one") / ".nectar" / taken.question.claim.name).unlink()
    taken.answer()
    assert nodes.counts == {}
    nodes.go(1)
    assert nodes.counts == {"lost": 1}
    assert nodes.said.lines[-1] == "one a: lost, nobody will see its answer: its claim was removed"
    nodes.go(5)
    assert nodes.counts == {"lost": 1}


# --- answers that nobody reads


@pytest.mark.parametrize(("keeps", "gone"), [(4, 6), (10, 12), (1190, 1192), (1800, 1803)])
def test_an_answer_that_nobody_read_is_removed_at_the_first_look_after_its_time(
    make_nodes: MakeNodes, keeps: int, gone: int
) -> None:
    """A look comes after half of that time, and after ten minutes at the latest."""
    assert EXPIRY_ROUND == 600
    nodes = make_nodes("one", keep_answers=keeps)
    nodes.put("one", "a")
    nodes.begin()
    assert nodes.take_all() == ["one/a"]
    foreign = nodes.home.computations("one") / "other.complete"
    foreign.write_text(json.dumps({"comp_id": "other", "status": "success", "result": {"value": 1}}))
    nodes.go(gone - 0.5)
    assert nodes.answered("one") == {"a", "other"}
    nodes.go(0.5)
    assert nodes.answered("one") == {"other"}


def test_answers_are_not_looked_for_more_often_than_once_a_second(make_nodes: MakeNodes) -> None:
    nodes = make_nodes("one", keep_answers=1)
    nodes.begin().go(40)
    with nodes.odd_files() as files:
        before = files.calls["scandir"]
        nodes.go(20)
        assert files.calls["scandir"] - before == 10  # and no listing, for half a minute


# --- directories that go away


def directory_of(nodes: Nodes) -> Path:
    return nodes.home.computations("one")


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
    following.watcher._deliver(0)
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
    nodes.watcher._deliver(0)
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
