"""Who a file belongs to, and who can write in it: a node of another user forges no answer by way of the question that it has open."""

from __future__ import annotations

import json
import os
import stat
import struct
from pathlib import Path

import pytest

from nectar.api.computation import ComputationResult
from nectar.spool.claims import Question
from nectar.spool.place import SpoolUnusableError
from nectar.spool.spool import Spool
from tests.spool.conftest import MAX_BYTES, died, names, put
from tests.spool.test_recovery import resumed

NODE = 12345
MINE = 0
FORGED = 666

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or not Path("/proc/self/fd").exists(), reason="only root can give files to another user; the node reads /proc"
)


def answer(comp_id: str, token: str) -> bytes:
    return ComputationResult(comp_id=comp_id, status="success", value=FORGED, claim=token).to_json()


def forge(descriptor: int) -> None:
    """What a node writes that still has a question open: it learns from the kernel where that file is now."""
    name = Path(os.readlink(f"/proc/self/fd/{descriptor}")).name
    comp_id, _, token = name.removesuffix(" (deleted)").rsplit(".", 2)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, answer(comp_id, token), 0)


def let(directory: Path, user: int) -> None:
    """Give a user all rights at a directory, by an access control list as ``setfacl`` makes it."""
    entries = [(0x01, 7, -1), (0x02, 7, user), (0x04, 5, -1), (0x10, 7, -1), (0x20, 5, -1)]
    try:
        os.setxattr(
            directory, "system.posix_acl_access", struct.pack("<i", 2) + b"".join(struct.pack("<HHi", *each) for each in entries)
        )
    except OSError as error:
        pytest.skip(f"the file system of {directory} has no such lists: {error.strerror}")


def published(directory: Path, comp_id: str) -> dict[str, object]:
    fields: dict[str, object] = json.loads((directory / f"{comp_id}.complete").read_bytes())
    return fields


def after_a_crash(directory: Path) -> None:
    """What the next daemon does: what is no question any more gets its error, what is one is answered with 6."""
    spool = Spool.open(directory, max_bytes=MAX_BYTES)
    for question in resumed(spool):
        if question.computation is None:
            spool.answer(question, "error", error=question.problem)
        else:
            spool.answer(question, "success", value=6)
    assert spool.settle().problems == []
    spool.close()


@needs_root
def test_an_answer_that_a_node_has_written_into_its_question(directory: Path, spool: Spool) -> None:
    question = put(directory, "a1")
    os.chown(question, NODE, NODE)
    descriptor = os.open(question, os.O_RDWR)
    assert isinstance(spool.claim("a1", 0.0), Question)
    forge(descriptor)
    os.close(descriptor)
    died(spool)
    after_a_crash(directory)
    assert published(directory, "a1")["status"] == "error"
    assert published(directory, "a1")["result"] is None
    assert names(directory) == ["a1.complete"]


@needs_root
@pytest.mark.parametrize(
    ("mode", "owner", "group"),
    [(0o755, NODE, NODE), (0o2770, MINE, MINE), (0o770, MINE, NODE), (0o1777, MINE, MINE), (None, MINE, MINE)],
    ids=["the node's", "setgid", "another group's", "everybody's", "by a list"],
)
def test_a_file_of_ours_that_others_can_write_in_is_no_answer_either(
    directory: Path, spool: Spool, mode: int | None, owner: int, group: int
) -> None:
    """As ``submit`` writes one for a group, or an answer of ours that a node has opened and renamed into a question."""
    os.chown(directory, owner, group)
    if mode is None:
        let(directory, NODE)
    else:
        directory.chmod(mode)
    question = put(directory, "a1", "abc")
    question.chmod(0o660)
    os.utime(question, (1000, 1000))
    descriptor = os.open(question, os.O_RDWR)
    found = spool.claim("a1", 0.0)
    assert isinstance(found, Question)
    forge(descriptor)
    os.close(descriptor)
    died(spool)
    (claim,) = (directory / ".nectar").iterdir()
    assert (claim.stat().st_mtime, stat.S_IMODE(claim.stat().st_mode)) == (1000, 0o660)
    after_a_crash(directory)
    assert published(directory, "a1")["result"] == {"value": 6}
    assert stat.S_IMODE((directory / "a1.complete").stat().st_mode) == 0o660
    assert names(directory) == ["a1.complete"]


@pytest.mark.parametrize("mode", [0o755, 0o775])
def test_a_directory_of_one_user_costs_no_copy(directory: Path, spool: Spool, mode: int) -> None:
    os.chown(directory, -1, os.getegid())
    directory.chmod(mode)
    question = put(directory, "a1")
    question.chmod(0o664)
    inode = question.stat().st_ino
    found = spool.claim("a1", 0.0)
    assert isinstance(found, Question)
    assert (directory / ".nectar" / found.claim.name).stat().st_ino == inode


def test_a_file_system_that_gives_files_to_somebody_else(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one of a network may from one day to the next: an answer would not be known as ours."""
    found = os.stat

    def squashed(path: str, **options: object) -> os.stat_result:
        status = found(path, **options)  # type: ignore[arg-type]
        return os.stat_result((*status[:4], NODE, *status[5:])) if str(path).endswith(".trial") else status

    monkeypatch.setattr(os, "stat", squashed)
    with pytest.raises(SpoolUnusableError, match=f"gives files that are made user {NODE}"):
        Spool.open(directory, max_bytes=MAX_BYTES)
    monkeypatch.undo()
    assert os.listdir(directory / ".nectar") == []
