"""What becomes of one alias when files fail, or answers stay: with the file system in the test's hand."""

from __future__ import annotations

import errno
import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from nectar.runtime.daemon.aliases.alias import EXPIRY_ROUND, SETTLED_AT_ONCE
from nectar.runtime.daemon.aliases.failures import BLOCKED
from tests.units.nodes import directory_of, problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.units.conftest import MakeNodes
    from tests.units.nodes import Nodes

FOR_ALL = [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT, errno.EROFS]
"""What goes wrong for each question alike."""


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


@pytest.mark.once
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
