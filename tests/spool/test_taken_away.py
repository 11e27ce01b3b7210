"""What is removed or moved while a question runs, and what a file system does and reports as failed."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
from typing import TYPE_CHECKING, Any

import pytest

from nectar import features
from nectar.spool.claims import Later, Question
from nectar.spool.place import SpoolBusyError
from nectar.spool.spool import Spool
from tests.spool.conftest import MAX_BYTES, died, names, put, whole

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def running(spool: Spool, directory: Path, comp_id: str = "a1") -> Question:
    put(directory, comp_id)
    question = spool.claim(comp_id, 0.0)
    assert isinstance(question, Question)
    return question


def answer(spool: Spool, question: Question, value: int = 7) -> None:
    spool.answer(question, "success", value=value)


def published(directory: Path, comp_id: str = "a1") -> object:
    return json.loads((directory / f"{comp_id}.complete").read_bytes())["result"]["value"]


def test_claims_that_were_removed_with_their_directory_are_answered(directory: Path, spool: Spool) -> None:
    answered, later, written = (running(spool, directory, comp_id) for comp_id in ("answered", "later", "written"))
    (directory / "written.complete").mkdir()  # so that it is in its claim, and not published
    answer(spool, written, 3)
    assert len(spool.settle().problems) == 1
    answer(spool, answered, 1)
    shutil.rmtree(directory / ".nectar")
    (directory / "written.complete").rmdir()
    settled = spool.settle()
    assert {claim.comp_id for claim, _ in settled.published} == {"answered", "written"}
    assert (settled.lost, settled.problems) == ([], [])
    assert stat.S_IMODE((directory / ".nectar").stat().st_mode) == 0o700
    with pytest.raises(SpoolBusyError):
        Spool.open(directory, max_bytes=MAX_BYTES)
    assert spool.forsaken() == [later.claim]
    answer(spool, later, 2)
    assert len(spool.settle().published) == 1
    assert [published(directory, comp_id) for comp_id in ("answered", "later", "written")] == [1, 2, 3]
    assert names(directory) == ["answered.complete", "later.complete", "written.complete"]
    running(spool, directory, "after")
    assert len(os.listdir(directory / ".nectar")) == 1


def test_a_directory_that_is_removed_takes_its_answers_along(directory: Path, spool: Spool) -> None:
    question = running(spool, directory)
    shutil.rmtree(directory)
    directory.mkdir()
    answer(spool, question)
    assert spool.settle().lost == [(question.claim, "the directory was removed")]
    assert names(directory) == []


def test_where_the_claims_were_moved_nothing_is_published(directory: Path, spool: Spool, tmp_path: Path) -> None:
    """Who finds them there, or moves them back, has the question."""
    question = running(spool, directory)
    (directory / ".nectar").rename(tmp_path / "moved")
    answer(spool, question)
    assert len(spool.settle().problems) == 1
    settled = spool.settle()
    assert (settled.lost, settled.published) == ([(question.claim, ".nectar is not in its place any more")], [])
    assert names(directory) == []
    assert names(tmp_path / "moved") == [question.claim.name]
    assert not spool.busy


def test_claims_that_are_moved_away_and_back_are_answered(directory: Path, spool: Spool, tmp_path: Path) -> None:
    question = running(spool, directory)
    (directory / ".nectar").rename(tmp_path / "moved")
    answer(spool, question)
    assert len(spool.settle().problems) == 1
    (tmp_path / "moved").rename(directory / ".nectar")
    assert len(spool.settle().published) == 1
    assert names(directory) == ["a1.complete"]


def test_where_another_process_was_faster_nothing_is_published(directory: Path, spool: Spool) -> None:
    question = running(spool, directory)
    shutil.rmtree(directory / ".nectar")
    other = Spool.open(directory, max_bytes=MAX_BYTES)
    answer(spool, question)
    assert len(spool.settle().problems) == 1
    ((_, reason),) = spool.settle().lost
    assert "held by another handler's process" in reason
    assert names(directory) == []
    other.close()


def test_a_claim_that_waits_for_its_next_try_and_is_removed_is_told(directory: Path, spool: Spool) -> None:
    claim = running(spool, directory).claim
    spool.close()
    spool = Spool.open(directory, max_bytes=MAX_BYTES)
    assert whole(spool.abandoned()) == [claim]
    (directory / ".nectar" / claim.name).unlink()
    assert isinstance(spool.resume(claim, 0.0), Later)
    assert spool.resume(claim, 1.0) is None
    assert spool.settle().lost == [(claim, "its claim was removed")]
    spool.close()


def test_an_answer_whose_mode_cannot_be_set_is_published(directory: Path, spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    question = running(spool, directory)

    def refused(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "fchmod", refused)
    monkeypatch.setattr(os, "fchown", refused)
    answer(spool, question)
    assert len(spool.settle().published) == 1
    assert stat.S_IMODE((directory / "a1.complete").stat().st_mode) & ~question.mode == 0


class Liar:
    """Does renames, and says of one that it failed; what it did cannot be seen at once, either, where it is told so.

    :param which: which one, counted from 1.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, which: int, number: int, *, unseen: bool) -> None:
        self.lied = False
        self._rename: Callable[..., None] = os.rename
        self._exchange = features.exchange
        self._stat: Callable[..., os.stat_result] = os.stat
        self._left = which
        self._number = number
        self._unseen = unseen
        self._hidden: set[object] = set()
        monkeypatch.setattr(os, "rename", self.rename)
        monkeypatch.setattr(features, "exchange", self.exchange)
        monkeypatch.setattr(os, "stat", self.stat)

    def rename(self, source: Any, target: Any, **options: Any) -> None:
        self._rename(source, target, **options)
        self._lie(source, target)

    def exchange(self, one: str, other: str, directory: int) -> None:
        self._exchange(one, other, directory)
        self._lie(one, other)

    def _lie(self, *paths: object) -> None:
        self._left -= 1
        if self._left == 0:
            self.lied = True
            self._hidden = {*paths} if self._unseen else set()
            raise OSError(self._number, os.strerror(self._number))

    def stat(self, path: Any, **options: Any) -> os.stat_result:
        if path in self._hidden:
            self._hidden.clear()
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return self._stat(path, **options)


@pytest.mark.parametrize("exchanges", [False, True])
@pytest.mark.parametrize("unseen", [False, True])
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOENT, errno.ESTALE])
@pytest.mark.parametrize("which", range(1, 5))
def test_what_was_done_and_reported_as_failed(
    directory: Path, spool: Spool, monkeypatch: pytest.MonkeyPatch, which: int, number: int, unseen: bool, exchanges: bool
) -> None:
    """At each rename of a question's way: the claim, the next try, the answer in the claim's place, and its publication."""
    monkeypatch.setattr(features, "replaces_slowly", lambda _: exchanges)
    put(directory, "a1")
    (directory / "left.pending").write_bytes((directory / "a1.pending").read_bytes())
    left = spool.claim("left", 0.0)
    assert isinstance(left, Question)
    died(spool)
    spool = Spool.open(directory, max_bytes=MAX_BYTES)
    liar = Liar(monkeypatch, which, number, unseen=unseen)
    todo: list[Any] = ["a1", *whole(spool.abandoned())]
    seen: list[str] = []
    runs = []
    for _ in range(10):  # as often as an alias would look, in so many seconds
        again: list[Any] = []
        for item in todo:
            try:
                found = spool.claim(item, 0.0) if isinstance(item, str) else spool.resume(item, 0.0)
            except OSError:
                again.append(item)
                continue
            if isinstance(found, Later):
                again.append(found.claim or item)
            elif found is not None:
                runs.append((found.claim.comp_id, found.claim.attempt))
                answer(spool, found)
        settled = spool.settle()
        assert settled.lost == []
        seen += [claim.comp_id for claim, _ in settled.published]
        todo = again + whole(spool.abandoned()) if spool.doubts else again
    assert liar.lied
    assert sorted(runs) == [("a1", 1), ("left", 2)]
    assert sorted(seen) == ["a1", "left"]
    assert names(directory) == ["a1.complete", "left.complete"]
    spool.close()


def test_nothing_is_taken_to_a_directory_of_claims_that_was_moved_away(directory: Path, spool: Spool) -> None:
    put(directory, "a1")
    (directory / ".nectar").rename(directory / "robbed")
    assert isinstance(spool.claim("a1", 0.0), Later)
    assert names(directory) == ["a1.pending"]
    (directory / "robbed").rename(directory / ".nectar")
    assert isinstance(spool.claim("a1", 0.0), Question)
