"""The lock of a name: who holds it, how long another one waits, and what becomes of one that loses its file."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from typing import TYPE_CHECKING

import pytest

import nectar
from nectar.errors import ConflictError
from nectar.locks import POLL
from nectar.namelock import NameLock
from tests.units.conftest import locked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.units.conftest import Clock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bees.lock"


@pytest.fixture
def looking(path: Path) -> Iterator[int]:
    """A command that holds the lock to look."""
    with locked(path, fcntl.LOCK_SH) as descriptor:
        yield descriptor


def test_it_says_who_holds_it_since_when(clock: Clock, path: Path) -> None:
    path.write_text("something that was there, and longer than what is to be there" * 9)
    lock = NameLock(path, 12.5)
    assert json.loads(path.read_text()) == {"pid": os.getpid(), "started": 12.5, "version": nectar.__version__}
    assert path.read_bytes().endswith(b"}\n")
    assert lock.loss() is None
    assert clock.seconds == 0


def test_a_new_one_is_nobody_elses_to_read(path: Path) -> None:
    NameLock(path, 0)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("content", "waits"),
    [
        pytest.param(
            json.dumps({"pid": os.getpid(), "started": 1.5, "version": "9"}), 0.3, id="a daemon has it, which may be about to end"
        ),
        pytest.param(json.dumps({"pid": 1 << 22, "started": 1.5, "version": "9"}), 2, id="who is named there does not live"),
        pytest.param("", 2, id="nobody is named"),
        pytest.param("[1]", 2, id="a list"),
        pytest.param('{"pid": "x"}', 2, id="no number"),
        pytest.param("{}", 2, id="no pid"),
    ],
)
def test_one_that_is_held_is_waited_for_and_then_refused(
    clock: Clock, path: Path, looking: int, content: str, waits: float
) -> None:
    os.write(looking, content.encode())
    with pytest.raises(ConflictError) as refused:
        NameLock(path, 0)
    assert clock.seconds == pytest.approx(waits, abs=POLL + 0.001)
    assert str(refused.value) == "A handler named 'bees' is running."
    assert refused.value.hint == "nectar stop bees"
    assert path.read_text() == content


@pytest.mark.parametrize("released", [0.01, 0.5, 1.9])
def test_one_that_is_let_go_of_meanwhile_is_taken_at_once(clock: Clock, path: Path, looking: int, released: float) -> None:
    clock.at = released, lambda: os.close(looking)
    NameLock(path, 0)
    assert clock.seconds == pytest.approx(released, abs=POLL + 0.001)


def test_one_that_was_removed_meanwhile_is_made_anew(clock: Clock, path: Path, looking: int) -> None:
    clock.at = 0.1, path.unlink
    lock = NameLock(path, 0)
    assert clock.seconds == pytest.approx(0.1, abs=POLL + 0.001)
    assert lock.loss() is None
    assert not os.path.samestat(path.stat(), os.fstat(looking))


def test_one_that_is_removed_between_its_opening_and_its_locking_is_not_taken(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flock = fcntl.flock
    locked: list[int] = []

    def slow(descriptor: int, operation: int) -> None:
        if not locked:
            path.unlink()
        locked.append(descriptor)
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", slow)
    lock = NameLock(path, 0)
    assert len(locked) == 2
    assert lock.loss() is None


@pytest.mark.parametrize("dangling", [False, True])
def test_a_link_in_its_place_is_not_followed(tmp_path: Path, path: Path, dangling: bool) -> None:
    other = tmp_path / "other"
    if not dangling:
        other.write_text("theirs")
    path.symlink_to(other)
    with pytest.raises(OSError, match=r"bees\.lock") as refused:
        NameLock(path, 0)
    assert refused.value.errno == errno.ELOOP
    assert other.exists() is not dangling
    assert dangling or other.read_text() == "theirs"


# --- its loss


def test_a_removed_file_is_a_loss(path: Path) -> None:
    lock = NameLock(path, 0)
    path.unlink()
    assert lock.loss() == f"{path} is gone"
    assert not lock.is_another_daemons()


def test_a_loss_names_the_outermost_of_what_is_gone(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    lock = NameLock(tmp_path / "a/b/bees.lock", 0)
    (tmp_path / "a").rename(tmp_path / "moved")
    assert lock.loss() == f"{tmp_path / 'a'} is gone"
    (tmp_path / "a").write_text("a file where the directory was")
    assert lock.loss() == f"{tmp_path / 'a/b'} is gone"
    (tmp_path / "a").unlink()
    (tmp_path / "moved").rename(tmp_path / "a")
    assert lock.loss() is None


@pytest.mark.parametrize("held", [None, fcntl.LOCK_SH, fcntl.LOCK_EX])
def test_another_file_is_a_loss_and_may_be_another_daemons(path: Path, held: int | None) -> None:
    lock = NameLock(path, 0)
    path.rename(path.with_suffix(".old"))
    path.write_text(path.with_suffix(".old").read_text())
    with path.open("rb") as other:
        if held is not None:
            fcntl.flock(other, held)
        assert lock.loss() == f"{path} is another file by now"
        assert lock.is_another_daemons() is (held == fcntl.LOCK_EX)
    path.with_suffix(".old").rename(path)
    assert lock.loss() is None


def test_a_link_to_the_very_file_is_another_file(path: Path) -> None:
    lock = NameLock(path, 0)
    path.rename(path.with_suffix(".old"))
    path.symlink_to(path.with_suffix(".old"))
    assert lock.loss() == f"{path} is another file by now"
    assert not lock.is_another_daemons()


def test_a_pipe_in_its_place_is_not_waited_for(path: Path) -> None:
    lock = NameLock(path, 0)
    path.unlink()
    os.mkfifo(path)
    assert lock.loss() == f"{path} is another file by now"
    assert not lock.is_another_daemons()


@pytest.mark.parametrize("error", [errno.EIO, errno.EACCES, errno.ENOMEM, errno.ESTALE])
def test_where_the_system_does_not_tell_it_is_no_loss(path: Path, monkeypatch: pytest.MonkeyPatch, error: int) -> None:
    lock = NameLock(path, 0)

    def fail(_path: object) -> os.stat_result:
        raise OSError(error, os.strerror(error))

    with monkeypatch.context() as failing:
        failing.setattr(os, "lstat", fail)
        assert lock.loss() is None
