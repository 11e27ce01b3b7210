"""Locks whose files come and go."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import threading
from typing import TYPE_CHECKING

import pytest

from nectar import ownership
from nectar.locks import POLL, Busy, hold, is_free, take
from tests.units.conftest import locked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.units.conftest import Clock

PATIENCE = 60.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


@pytest.fixture
def other(path: Path) -> Iterator[int]:
    """Somebody else's, of the lock that they hold."""
    with locked(path, fcntl.LOCK_EX) as descriptor:
        yield descriptor


def test_one_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "lock"
    assert is_free(path)
    with hold(path):
        assert not is_free(path)
        with pytest.raises(Busy), hold(path, wait=False):
            pass
    assert is_free(path)
    with hold(path, shared=True), hold(path, shared=True, wait=False), pytest.raises(Busy), hold(path, wait=False):
        pass


def test_a_directory_that_goes_with_its_lock_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "lock"
    waits, has = threading.Event(), threading.Event()

    def wait_for_it() -> None:
        with hold(path, waiting=waits.set):
            has.set()

    thread = threading.Thread(target=wait_for_it)
    with hold(path):
        thread.start()
        assert waits.wait(PATIENCE)
        shutil.rmtree(path.parent)
    assert has.wait(PATIENCE)
    thread.join(PATIENCE)
    assert path.is_file()


def test_many_who_make_and_remove_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "lock"
    inside: list[int] = []
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(50):
                with hold(path):
                    inside.append(1)
                    assert len(inside) == 1
                    inside.pop()
                    shutil.rmtree(path.parent, ignore_errors=True)
        except BaseException as error:  # told below
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert failures == []


@pytest.mark.parametrize("kind", ["file", "dangling link"])
def test_what_stands_in_the_place_of_its_directory(tmp_path: Path, kind: str) -> None:
    directory = tmp_path / "locks"
    if kind == "file":
        directory.write_text("kept")
    else:
        directory.symlink_to(tmp_path / "absent")
    with pytest.raises(FileExistsError, match="locks"), hold(directory / "lock"):
        pass
    assert os.listdir(tmp_path) == ["locks"]


# --- how long it is waited for


def test_one_that_nobody_holds_is_had_at_once(clock: Clock, path: Path) -> None:
    with hold(path, waiting=lambda: pytest.fail("nobody is waited for")):
        assert clock.seconds == 0


def test_who_does_not_wait_is_told_at_once(clock: Clock, path: Path, other: int) -> None:
    with pytest.raises(Busy), hold(path, wait=False, waiting=lambda: pytest.fail("nobody is waited for")):
        pytest.fail("it is another's")
    assert clock.seconds == 0


@pytest.mark.parametrize("seconds", [0.0, 0.5, 90.0])
def test_it_is_waited_for_as_long_as_is_said(clock: Clock, path: Path, other: int, seconds: float) -> None:
    with pytest.raises(Busy), hold(path, seconds=seconds):
        pytest.fail("it is another's")
    assert clock.seconds == pytest.approx(seconds, abs=POLL + 0.001)


def test_it_is_waited_for_without_end_and_that_is_told_once(clock: Clock, path: Path, other: int) -> None:
    def an_hour_goes_by() -> None:
        clock.now += 3600
        clock.at = 3660, lambda: os.close(other)

    clock.at = 30, an_hour_goes_by
    told: list[float] = []
    with hold(path, waiting=lambda: told.append(clock.seconds)):
        assert clock.seconds == pytest.approx(3660, abs=POLL + 0.001)
    assert told == [pytest.approx(0.3, abs=POLL + 0.001)]


def test_who_only_looks_is_waited_for_in_silence(clock: Clock, path: Path, other: int) -> None:
    clock.at = 0.28, lambda: os.close(other)
    with hold(path, waiting=lambda: pytest.fail("it was told")):
        assert clock.seconds == pytest.approx(0.28, abs=POLL + 0.001)


def test_one_whose_file_goes_is_not_waited_for_any_longer(clock: Clock, path: Path, other: int) -> None:
    clock.at = 0.1, path.unlink
    with hold(path) as descriptor:
        assert clock.seconds == pytest.approx(0.1, abs=POLL + 0.001)
        assert not os.path.samestat(os.fstat(descriptor), os.fstat(other))


def test_one_that_is_removed_between_its_opening_and_its_locking_is_opened_again(clock: Clock, path: Path) -> None:
    opened: list[int] = []

    def opener(path: Path) -> int:
        opened.append(ownership.opener(path, os.O_RDWR | os.O_CREAT))
        if len(opened) == 1:
            path.unlink()
        return opened[-1]

    descriptor = take(path, lambda: 0, opener=opener)
    assert len(opened) == 2
    assert os.path.samestat(os.fstat(descriptor), path.stat())
    assert clock.seconds == 0
    os.close(descriptor)


def test_how_long_it_is_waited_for_is_asked_each_time(clock: Clock, path: Path, other: int) -> None:
    with pytest.raises(Busy):
        take(path, lambda: 0.5 if clock.seconds >= 1 else 60, opener=lambda path: ownership.opener(path, os.O_RDONLY))
    assert clock.seconds == pytest.approx(1, abs=POLL + 0.001)


def test_who_gives_up_keeps_nothing_open(path: Path, other: int) -> None:
    before = os.listdir("/dev/fd")
    for _ in range(3):
        with pytest.raises(Busy), hold(path, wait=False):
            pass
    assert os.listdir("/dev/fd") == before


def test_one_on_a_disk_that_is_read_only_is_locked_all_the_same(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.touch()
    opener = ownership.opener

    def refuse(path: Path, flags: int) -> int:
        if flags & os.O_RDWR:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
        return opener(path, flags)

    monkeypatch.setattr(ownership, "opener", refuse)
    with hold(path):
        assert not is_free(path)
