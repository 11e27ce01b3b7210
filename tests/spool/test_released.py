"""An end that is in order is no try: what a spool says of its claims when it is closed, and what the next one makes of that."""

from __future__ import annotations

import errno
import os
import resource
import shutil
from typing import TYPE_CHECKING

import pytest

from nectar.spool.claims import Claim, Later, Question
from nectar.spool.released import MOST, RELEASED, Released
from nectar.spool.spool import MAX_TRIES, Spool
from nectar.testing.sample import sample
from tests.spool.conftest import MAX_BYTES, died, names, put, whole

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TOKEN = "0123456789abcdef"


def opened(directory: Path) -> Spool:
    return Spool.open(directory, max_bytes=MAX_BYTES)


def taken_up(spool: Spool, now: float = 0.0) -> list[Question]:
    found = [spool.resume(claim, now) for claim in whole(spool.abandoned())]
    return [question for question in found if isinstance(question, Question)]


def planted(directory: Path, attempt: int, content: bytes | None = None) -> Claim:
    """A claim as a process that was killed leaves it."""
    claim = Claim("a1", attempt, TOKEN)
    (directory / ".nectar").mkdir(mode=0o700, exist_ok=True)
    (directory / ".nectar" / claim.name).write_bytes(sample("abc", comp_id="a1").to_json() if content is None else content)
    return claim


def running(directory: Path, spool: Spool) -> Claim:
    put(directory, "a1")
    question = spool.claim("a1", 0.0)
    assert isinstance(question, Question)
    return question.claim


def running_after_a_death(directory: Path, spool: Spool) -> Claim:
    planted(directory, 1)
    (question,) = taken_up(spool)
    assert question.claim.attempt == 2
    return question.claim


def running_the_last_time(directory: Path, spool: Spool) -> Claim:
    planted(directory, MAX_TRIES - 1)
    (question,) = taken_up(spool)
    assert question.claim.attempt == MAX_TRIES
    return question.claim


def torn(directory: Path, spool: Spool) -> Claim:
    """Another file, which is not whole, came between the look and the claim."""
    put(directory, "a1")
    rename = os.rename

    def replaced(old: str, new: str, **options: int) -> None:
        (directory / "a1.pending").write_bytes(b'{"query": ')
        rename(old, new, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "rename", replaced)
        found = spool.claim("a1", 0.0)
    assert isinstance(found, Later)
    assert found.claim is not None
    return found.claim


def left(directory: Path, spool: Spool) -> Claim:
    """What waited to be looked at again when the alias was paused."""
    claim = torn(directory, spool)
    spool.leave(claim)
    return claim


def unwritten(directory: Path, spool: Spool) -> Claim:
    """Its answer could not be written."""
    claim = running(directory, spool)
    question = spool.resume(claim, 0.0)
    assert isinstance(question, Question)
    spool.answer(question, "success", value=1)
    return claim


@pytest.mark.parametrize("state", [running, running_after_a_death, running_the_last_time, torn, left, unwritten])
def test_what_is_let_go_of_in_order_stays_the_same_try(
    directory: Path, spool: Spool, state: Callable[[Path, Spool], Claim]
) -> None:
    claim = state(directory, spool)
    (directory / ".nectar" / claim.name).write_bytes(sample("abc", comp_id="a1").to_json())
    for _ in range(MAX_TRIES + 1):
        assert spool.close() is None
        assert names(directory) == sorted([f".nectar/{claim.name}", f".nectar/{RELEASED}"])
        assert (directory / ".nectar" / RELEASED).stat().st_mode & 0o777 == 0o600
        spool = opened(directory)
        (question,) = taken_up(spool)
        assert question.claim == claim
        assert question.computation is not None
        assert names(directory) == [f".nectar/{claim.name}"], "it may die of the run from here on"
    spool.close()


def test_a_death_counts_once_however_often_it_is_let_go_of_before_it_runs(directory: Path, spool: Spool) -> None:
    claim = planted(directory, 1)
    for _ in range(MAX_TRIES + 1):
        assert whole(spool.abandoned()) == [claim]
        spool.close()
        assert names(directory) == [f".nectar/{claim.name}"]
        spool = opened(directory)
    (question,) = taken_up(spool)
    assert question.claim.attempt == 2
    spool.close()


def test_a_run_that_kills_ends_after_three_tries_whatever_ends_in_order_meanwhile(directory: Path, spool: Spool) -> None:
    claim = running(directory, spool)
    for attempt in range(1, MAX_TRIES + 1):
        spool.close()
        spool = opened(directory)
        (question,) = taken_up(spool)
        assert question.claim == claim
        assert claim.attempt == attempt
        died(spool)
        spool = opened(directory)
        (question,) = taken_up(spool)
        claim = question.claim
    assert question.computation is None
    assert question.problem is not None
    assert f"tried {MAX_TRIES} times" in question.problem
    spool.close()


def test_what_has_not_been_taken_up_is_not_counted_by_the_death_of_another(directory: Path, spool: Spool) -> None:
    for comp_id in ("a1", "a2"):
        put(directory, comp_id)
        assert isinstance(spool.claim(comp_id, 0.0), Question)
    spool.close()
    spool = opened(directory)
    first, second = whole(spool.abandoned())
    spool.resume(first, 0.0)
    died(spool)
    spool = opened(directory)
    attempts = {question.claim.comp_id: question.claim.attempt for question in taken_up(spool)}
    assert attempts == {first.comp_id: 2, second.comp_id: 1}
    spool.close()


def test_names_that_were_never_looked_at_are_told_on(directory: Path, spool: Spool) -> None:
    """The next process ended before it had searched for claims."""
    claim = running(directory, spool)
    spool.close()
    opened(directory).close()
    spool = opened(directory)
    (question,) = taken_up(spool)
    assert question.claim == claim
    spool.close()


def test_an_answer_that_waits_is_not_named_and_names_of_what_is_gone_go(directory: Path, spool: Spool) -> None:
    claim = unwritten(directory, spool)
    (directory / "a1.complete").mkdir()
    assert len(spool.settle().problems) == 1
    spool.close()
    assert names(directory) == [f".nectar/{claim.name}"]
    (directory / ".nectar" / RELEASED).write_text(f"{claim.token}\n{'f' * 16}\n")
    spool = opened(directory)
    assert taken_up(spool) == []
    spool.close()
    assert names(directory) == [f".nectar/{claim.name}"]


def text(path: Path) -> None:
    path.write_text(f"{TOKEN[:8]}\n{TOKEN} \nnothing of the kind\n")


def noise(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 16)


def empty(path: Path) -> None:
    path.touch()


def huge(path: Path) -> None:
    path.write_text(f"{TOKEN}\n")
    os.truncate(path, 1 << 40)


def link(path: Path) -> None:
    (path.parent.parent / "elsewhere").write_text(f"{TOKEN}\n")
    path.symlink_to("../elsewhere")


def hard_link(path: Path) -> None:
    (path.parent.parent / "elsewhere").write_text(f"{TOKEN}\n")
    os.link(path.parent.parent / "elsewhere", path)


def folder(path: Path) -> None:
    path.mkdir()


def pipe(path: Path) -> None:
    os.mkfifo(path)


def of_another(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    path.write_text(f"{TOKEN}\n")
    os.chown(path, 65534, -1)


@pytest.mark.parametrize("kind", [text, noise, empty, huge, link, hard_link, folder, pipe, of_another])
def test_what_is_none_of_ours_counts_a_try_and_does_no_harm(directory: Path, kind: Callable[[Path], None]) -> None:
    planted(directory, 1)
    kind(directory / ".nectar" / RELEASED)
    for attempt in range(2, MAX_TRIES + 1):
        spool = opened(directory)
        (question,) = taken_up(spool)
        assert question.claim.attempt == attempt
        assert question.computation is not None
        died(spool)
    spool = opened(directory)
    (question,) = taken_up(spool)
    assert question.computation is None
    spool.answer(question, "error", error="it is enough")
    assert spool.settle().problems == []
    put(directory, "a2")
    assert isinstance(spool.claim("a2", 0.0), Question)
    problem = spool.close()
    assert (problem is None) == (kind is not folder)
    (question,) = taken_up(opened(directory))
    assert question.claim.attempt == (2 if kind is folder else 1)
    if (directory / "elsewhere").exists():
        assert (directory / "elsewhere").read_text() == f"{TOKEN}\n"


def test_where_nothing_can_be_written_it_counts_and_is_said(directory: Path, spool: Spool) -> None:
    running(directory, spool)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        problem = spool.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert problem is not None
    assert problem.errno == errno.EFBIG
    spool = opened(directory)
    (question,) = taken_up(spool)
    assert question.claim.attempt == 2
    spool.close()


def test_a_directory_that_is_gone_needs_no_word(directory: Path, spool: Spool) -> None:
    running(directory, spool)
    shutil.rmtree(directory)
    assert spool.close() is None


def test_no_more_are_named_than_can_be_read(directory: Path, spool: Spool) -> None:
    tokens = frozenset(f"{number:016x}" for number in range(MOST + 10))
    claims = spool.place.claims
    assert Released(claims).say(tokens) is None
    named = Released(claims)
    assert len(named.tokens & tokens) == MOST
    assert named.say(frozenset()) is None
    assert names(directory) == []


def test_what_fails_while_it_is_read_holds_nothing(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the daemon would find that another process, which is itself, holds the alias."""

    def fail(_claims: int) -> Released:
        raise MemoryError

    with monkeypatch.context() as failing:
        failing.setattr("nectar.spool.spool.Released", fail)
        with pytest.raises(MemoryError):
            Spool.open(directory, max_bytes=1000)
    Spool.open(directory, max_bytes=1000).close()
