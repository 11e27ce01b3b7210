"""Directories that cannot be a spool: refused with the reason, and left as they were."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nectar.locks import is_free
from nectar.spool.claims import Question
from nectar.spool.place import SpoolUnusableError
from nectar.spool.spool import Spool
from tests.soak.ground import mounted
from tests.spool.conftest import MAX_BYTES, names, put

if TYPE_CHECKING:
    from collections.abc import Callable


def refused(directory: Path) -> str:
    with pytest.raises(SpoolUnusableError) as caught:
        Spool.open(directory, max_bytes=MAX_BYTES)
    return str(caught.value)


def test_claims_on_another_file_system_are_refused_until_it_is_gone(directory: Path) -> None:
    put(directory, "a1")
    (directory / ".nectar").mkdir(mode=0o700)
    with mounted(directory / ".nectar", "-o", "mode=0700"):
        assert "is on another file system" in refused(directory)
        assert names(directory) == ["a1.pending"]
    Spool.open(directory, max_bytes=MAX_BYTES).close()


def test_claims_on_another_mount_of_the_same_file_system_are_refused(directory: Path) -> None:
    """Device and inode are as they should be, and no rename works."""
    (directory / ".nectar").mkdir(mode=0o700)
    with mounted(directory / ".nectar", "--bind", kind="", source=str(directory / ".nectar")):
        assert (directory / ".nectar").stat().st_dev == directory.stat().st_dev
        assert "or another mount" in refused(directory)
    assert names(directory) == []


def test_claims_that_a_mount_covers_later_are_another_place(directory: Path, spool: Spool) -> None:
    put(directory, "a1")
    question = spool.claim("a1", 0.0)
    assert isinstance(question, Question)
    with mounted(directory / ".nectar", "-o", "mode=0700"):
        assert not spool.place.is_at(directory)
        spool.answer(question, "success", value=1)
        assert len(spool.settle().published) == 1, "from below it can be answered all the while"
    assert spool.place.is_at(directory)
    assert names(directory) == ["a1.complete"]


def test_a_directory_that_cannot_be_written_is_refused(directory: Path) -> None:
    with mounted(directory, "-o", "mode=0700"):
        (directory / ".nectar").mkdir(mode=0o700)
        put(directory, "a1")
        with mounted(directory, "-o", "bind,ro", kind="", source=str(directory)):
            assert refused(directory) == f"{directory}/.nectar: Read-only file system"
        Spool.open(directory, max_bytes=MAX_BYTES).close()


def test_what_a_kill_leaves_of_a_trial_is_removed(directory: Path) -> None:
    claims = directory / ".nectar"
    claims.mkdir(mode=0o700)
    for number, places in enumerate(((f"{claims}/{{}}", f"{claims}/{{}}.moved"), (f"{claims}/{{}}", f"{directory}/.{{}}"))):
        for place in places:
            with open(place.format(f"{number:016x}.trial"), "w"):
                pass
    (claims / f"{2:016x}.trial").mkdir()
    foreign = [f".{3:016x}.trial", f".nectar/{3:016x}.trials"]
    for name in foreign:
        (directory / name).touch()
    Spool.open(directory, max_bytes=MAX_BYTES).close()
    assert names(directory) == foreign
    assert sorted(os.listdir(claims)) == [f"{3:016x}.trials"]


def _theirs(claims: Path) -> None:
    claims.mkdir(mode=0o700)
    os.chown(claims, 12345, 12345)


def _open(claims: Path) -> None:
    claims.mkdir()
    claims.chmod(0o750)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda claims: claims.symlink_to(claims.parent.parent), "Not a directory"),
        (lambda claims: claims.symlink_to("nowhere"), "Not a directory"),
        (os.mkfifo, "Not a directory"),
        (Path.touch, "Not a directory"),
        (_open, "belongs to, or is open to, somebody else"),
        (_theirs, "belongs to, or is open to, somebody else"),
    ],
    ids=["link", "link to nothing", "pipe", "file", "open", "theirs"],
)
def test_claims_that_a_node_has_made(directory: Path, make: Callable[[Path], object], reason: str) -> None:
    if make is _theirs and os.geteuid() != 0:
        pytest.skip("only root can make what belongs to another user")
    claims = directory / ".nectar"
    make(claims)
    before = (claims.lstat().st_ino, claims.lstat().st_mode)
    assert reason in refused(directory)
    assert claims.is_symlink() or is_free(claims), "a look at it hangs nobody"
    assert (claims.lstat().st_ino, claims.lstat().st_mode) == before
    assert os.listdir(directory.parent) == ["computation"]
