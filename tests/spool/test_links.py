"""Links in an alias's path: followed where they lead nobody astray, and looked at each second."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nectar.spool import approach
from nectar.spool.approach import StrangeLinkError
from nectar.spool.place import SpoolUnusableError
from nectar.spool.spool import Spool
from tests.spool.conftest import MAX_BYTES, put

US, NODE, OTHER = 0, 12345, 23456

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make what belongs to other users")

STEPS = ["alice", "alice/data", "alice/data/computation"]
FOLLOWED = [
    # whose the link is, whose what it leads to is, whose the alias's own directory is
    (US, US, US),
    (US, NODE, NODE),
    (NODE, NODE, NODE),
]
REFUSED = [
    (NODE, US, NODE, "through a link of user 12345, "),
    (NODE, US, US, "through a link of user 12345, "),
    (OTHER, NODE, NODE, "through a link of user 23456, "),
    (NODE, OTHER, NODE, "through a link of user 12345, "),
    (US, OTHER, NODE, "to a directory of user 23456, and the alias's own belongs to user 12345"),
    (OTHER, OTHER, NODE, "to a directory of user 23456, and the alias's own belongs to user 12345"),
    (NODE, NODE, US, "to a directory of user 12345, and the alias's own belongs to user 0"),
]


def lay(tmp_path: Path, step: str, link: int, target: int, owner: int) -> Path:
    """An alias's path, one step of which is a link.

    :param link: whose the link is; ``target``: whose all is that it leads to; ``owner``: whose the other directories are.
    :returns: the path of its computation directory.
    """
    data = tmp_path / "bee-hive"
    computation = data / "alice" / "data" / "computation"
    computation.mkdir(parents=True)
    for directory in (computation, *computation.parents[:2]):
        os.chown(directory, owner, owner)
    elsewhere = tmp_path / "elsewhere"
    (data / step).rename(elsewhere)
    (data / step).symlink_to(elsewhere)
    os.lchown(data / step, link, link)
    for directory in (elsewhere, *elsewhere.rglob("*")):
        os.chown(directory, target, target)
    return computation


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(("link", "target", "owner"), FOLLOWED)
def test_a_link_that_is_followed(tmp_path: Path, step: str, link: int, target: int, owner: int) -> None:
    computation = lay(tmp_path, step, link, target, owner)
    spool = Spool.open(computation, max_bytes=MAX_BYTES)
    assert spool.place.is_at(computation)
    spool.close()


@pytest.mark.parametrize("step", STEPS[1:])
@pytest.mark.parametrize(("link", "target", "owner", "reason"), REFUSED)
def test_a_link_that_is_not(tmp_path: Path, step: str, link: int, target: int, owner: int, reason: str) -> None:
    computation = lay(tmp_path, step, link, target, owner)
    with pytest.raises(StrangeLinkError, match=reason):
        approach.look(computation)
    with pytest.raises(SpoolUnusableError, match=reason):
        Spool.open(computation, max_bytes=MAX_BYTES)
    assert not (computation / ".nectar").exists()


def test_an_alias_that_is_a_link(tmp_path: Path) -> None:
    """What it leads to is the alias's own directory, whose ever that is."""
    Spool.open(lay(tmp_path / "1", STEPS[0], US, NODE, US), max_bytes=MAX_BYTES).close()
    for number, target in enumerate((US, OTHER)):
        with pytest.raises(SpoolUnusableError, match="through a link of user 12345"):
            Spool.open(lay(tmp_path / f"refused{number}", STEPS[0], NODE, target, NODE), max_bytes=MAX_BYTES)


@pytest.mark.parametrize("owner", [US, NODE, OTHER])
def test_a_link_behind_a_link(tmp_path: Path, owner: int) -> None:
    """Of a user that neither this is nor the owner of what they lead to, none is followed, wherever it stands."""
    computation = lay(tmp_path, STEPS[1], NODE, NODE, NODE)
    data = computation.parent
    middle = tmp_path / "middle"
    middle.mkdir()
    (middle / "on").symlink_to("../elsewhere")
    os.lchown(middle / "on", owner, owner)
    data.unlink()
    data.symlink_to("../../middle/./on/")
    os.lchown(data, NODE, NODE)
    if owner == OTHER:
        with pytest.raises(SpoolUnusableError, match=r"through a link of user 23456, .*middle/\./on|through a link of user 23456"):
            Spool.open(computation, max_bytes=MAX_BYTES)
    else:
        Spool.open(computation, max_bytes=MAX_BYTES).close()


def test_links_in_a_circle_and_into_nothing(tmp_path: Path) -> None:
    computation = lay(tmp_path, STEPS[2], US, US, US)
    for target, reason in (("computation", "Too many levels"), ("nowhere", "No such file"), ("/etc/passwd", "Not a directory")):
        computation.unlink()
        computation.symlink_to(target)
        with pytest.raises(SpoolUnusableError, match=reason):
            Spool.open(computation, max_bytes=MAX_BYTES)


@pytest.mark.parametrize("step", STEPS)
def test_a_change_while_it_is_held(tmp_path: Path, step: str) -> None:
    """Also of a link that leads to the very directory that is held."""
    data = tmp_path / "bee-hive"
    computation = data / STEPS[2]
    computation.mkdir(parents=True)
    spool = Spool.open(computation, max_bytes=MAX_BYTES)
    assert spool.place.is_at(computation)
    (data / step).rename(tmp_path / "moved")
    (data / step).symlink_to(tmp_path / "moved")
    assert spool.place.is_at(computation), "it is a link of this user's to a directory of this user's"
    os.lchown(data / step, NODE, NODE)
    assert not spool.place.is_at(computation)
    put(computation, "a1")
    assert not spool.rehome()
    spool.close()
    with pytest.raises(SpoolUnusableError, match="link of user 12345"):
        Spool.open(computation, max_bytes=MAX_BYTES)


def test_no_descriptor_is_left(tmp_path: Path) -> None:
    followed = lay(tmp_path / "followed", STEPS[1], NODE, NODE, NODE)
    refused = lay(tmp_path / "refused", STEPS[1], NODE, US, NODE)
    before = sorted(os.listdir("/dev/fd"))
    os.close(approach.enter(followed))
    with pytest.raises(StrangeLinkError):
        approach.enter(refused)
    assert sorted(os.listdir("/dev/fd")) == before
