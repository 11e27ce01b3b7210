"""Answers that are owed: in which order they are tried, and what is known of one whose file system does not tell the truth."""

from __future__ import annotations

import errno
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from nectar import features
from nectar.spool import owed
from nectar.spool.claims import Question
from nectar.spool.spool import Spool
from tests.spool.conftest import MAX_BYTES, names, put
from tests.units.nodes import Files

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> Files:
    made = Files()
    monkeypatch.setattr(owed, "os", made)
    monkeypatch.setattr(features, "exchange", made.failing("rename", features.exchange))
    return made


def claimed(spool: Spool, directory: Path, comp_id: str) -> Question:
    put(directory, comp_id)
    question = spool.claim(comp_id, 0.0)
    assert isinstance(question, Question)
    return question


def answer(spool: Spool, question: Question) -> None:
    spool.answer(question, "success", value=7)


def test_those_that_were_not_tried_for_the_longest_time_come_first(directory: Path, spool: Spool) -> None:
    for comp_id in ("a", "b", "c", "d"):
        answer(spool, claimed(spool, directory, comp_id))
    for in_the_way in ("a.complete", "b.complete"):
        (directory / in_the_way).mkdir()
    assert len(spool.settle(limit=2).problems) == 2
    assert [claim.comp_id for claim, _ in spool.settle(limit=2).published] == ["c", "d"]
    (directory / "a.complete").rmdir()
    assert [claim.comp_id for claim, _ in spool.settle(limit=1).published] == ["a"]


def test_one_that_may_have_been_published_is_not_written_again_where_its_claims_were_removed(
    directory: Path, spool: Spool, files: Files
) -> None:
    def publish_and_deny(old: str, new: str, **directories: int) -> None:
        os.rename(old, new, **directories)
        if new == "a.complete":
            files.refused["stat"] = errno.EIO  # nobody can see what became of it
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    vars(files)["rename"] = publish_and_deny
    answer(spool, claimed(spool, directory, "a"))
    assert len(spool.settle().problems) == 1
    assert names(directory) == ["a.complete"]
    files.refused.clear()
    (directory / "a.complete").unlink()  # its node has read it
    shutil.rmtree(directory / ".nectar")
    assert [status for _, status in spool.settle().published] == ["success"]
    assert names(directory) == []


def test_one_that_was_written_anew_is_no_longer_without_a_claim_on_disk(directory: Path, spool: Spool) -> None:
    question = claimed(spool, directory, "a")
    shutil.rmtree(directory / ".nectar")
    assert spool.rehome()
    assert spool.forsaken() == [question.claim]
    (directory / "a.complete").mkdir()
    answer(spool, question)
    assert len(spool.settle().problems) == 1
    assert spool.forsaken() == []


def test_a_claim_is_lost_when_it_is_missing_twice_in_a_row(directory: Path, spool: Spool, files: Files) -> None:
    question = claimed(spool, directory, "a")
    claim = directory / ".nectar" / question.claim.name
    answer(spool, question)
    aside = claim.rename(directory / "aside")
    assert len(spool.settle().problems) == 1
    files.refused["stat"] = errno.EIO  # nobody knows
    assert len(spool.settle().problems) == 1
    files.refused.clear()
    assert len(spool.settle().problems) == 1
    assert spool.settle().lost == [(question.claim, "its claim was removed")]
    aside.unlink()
    assert not spool.busy


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EPERM, errno.EINVAL])
def test_where_no_two_files_can_change_places_an_answer_is_renamed_onto_its_claim(
    directory: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A system without such a call, and one where a filter of system calls refuses it."""
    tried = []

    def refused(*names: object) -> None:
        tried.append(names)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(features, "replaces_slowly", lambda _: True)
    monkeypatch.setattr(features, "exchange", refused)
    spool = Spool.open(directory, max_bytes=MAX_BYTES)
    for comp_id in ("a", "b"):
        answer(spool, claimed(spool, directory, comp_id))
        assert len(spool.settle().published) == 1
    assert names(directory) == ["a.complete", "b.complete"]
    assert len(tried) == 1
    spool.close()
