"""Hints: to whom they are delivered, when they are not any more, and what becomes of watches whose directory or backend goes away."""

from __future__ import annotations

import errno
import os
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from nectar.runtime.daemon.aliases.watcher import Watcher
from nectar.runtime.daemon.loop import Loop
from tests.units.machines import Clock, Looking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from nectar.runtime.daemon.aliases.watcher import Hint


class Backend:
    """What gives hints, in the test's hand."""

    def __init__(self, tell: Callable[[Hint], None]) -> None:
        self.tell = tell
        self.added: list[int] = []
        self.removed: list[int] = []
        self.error: int | None = None
        self.lives = True
        self.closed = False

    def add(self, number: int, path: str) -> int:
        assert path
        if self.error is not None:
            raise OSError(self.error, os.strerror(self.error))
        self.added.append(number)
        return -number

    def remove(self, watch: Any) -> None:
        self.removed.append(watch)

    def alive(self) -> bool:
        return self.lives

    def close(self) -> None:
        self.closed = True


class Watched:
    def __init__(self) -> None:
        self.loop = Loop(Clock(), Looking())
        self.backends: list[Backend] = []
        self.refusal: int | None = None
        self.watcher = Watcher(self.loop, self._begin)
        self.hints: list[tuple[str, bytes]] = []

    def _begin(self, tell: Callable[[Hint], None]) -> Backend:
        if self.refusal is not None:
            raise OSError(self.refusal, os.strerror(self.refusal))
        self.backends.append(Backend(tell))
        return self.backends[-1]

    def add(self, who: str, directory: int) -> int | None:
        return self.watcher.add(directory, lambda name: self.hints.append((who, name)))


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_each_hint_goes_to_whose_it_is_in_order_and_in_the_loop(watched: Watched, directory: int) -> None:
    one, two = watched.add("one", directory), watched.add("two", directory)
    assert (one, two) == (1, 2)
    tell = watched.backends[0].tell
    for hint in ((1, b"a"), (2, b"b"), (1, b""), (3, b"nobody's"), (1, b"a")):
        tell(hint)
    assert watched.hints == []
    watched.loop.turn()
    assert watched.hints == [("one", b"a"), ("two", b"b"), ("one", b""), ("one", b"a")]
    watched.loop.turn()
    assert len(watched.hints) == 4


@pytest.mark.parametrize("count", [65536, 70_000])
def test_more_hints_than_the_pipe_holds_are_all_delivered(watched: Watched, directory: int, count: int) -> None:
    watched.add("one", directory)
    for _ in range(count):
        watched.backends[0].tell((1, b"a"))
    watched.loop.turn()
    assert len(watched.hints) == count
    watched.backends[0].tell((1, b"last"))
    watched.loop.turn()
    assert watched.hints[-1] == ("one", b"last")


def test_what_is_removed_gets_no_hint_that_is_on_its_way(watched: Watched, directory: int) -> None:
    one, two = watched.add("one", directory), watched.add("two", directory)
    watched.backends[0].tell((1, b"a"))
    watched.backends[0].tell((2, b"b"))
    watched.watcher.remove(one)
    watched.watcher.remove(one)
    watched.watcher.remove(None)
    watched.watcher.remove(99)
    watched.loop.turn()
    assert watched.hints == [("two", b"b")]
    assert watched.backends[0].removed == [-1]
    assert not watched.watcher.watching(one)
    assert watched.watcher.watching(two)


def test_one_that_removes_itself_at_a_hint_gets_no_further_one(watched: Watched, directory: int) -> None:
    came: list[bytes] = []

    def once(name: bytes) -> None:
        came.append(name)
        watched.watcher.remove(1)

    watched.watcher.add(directory, once)
    watched.backends[0].tell((1, b"a"))
    watched.backends[0].tell((1, b"b"))
    watched.loop.turn()
    assert came == [b"a"]


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EMFILE, errno.EACCES])
def test_what_cannot_be_watched_now_may_be_later_under_another_number(watched: Watched, directory: int, error: int) -> None:
    watched.refusal = error
    assert watched.add("one", directory) is None
    assert not watched.watcher.watching(None)
    watched.refusal = None
    assert watched.add("one", directory) == 2
    watched.backends[0].error = error
    assert watched.add("two", directory) is None
    watched.backends[0].error = None
    assert watched.add("two", directory) == 4
    assert watched.backends[0].added == [2, 4]


def test_a_backend_that_died_is_replaced_and_its_watches_are_none_any_more(watched: Watched, directory: int) -> None:
    one = watched.add("one", directory)
    watched.backends[0].lives = False
    assert not watched.watcher.watching(one)
    two = watched.add("two", directory)
    assert [backend.closed for backend in watched.backends] == [True, False]
    assert not watched.watcher.watching(one)
    assert watched.watcher.watching(two)
    watched.backends[0].tell((1, b"late"))
    watched.backends[1].tell((2, b"a"))
    watched.loop.turn()
    assert watched.hints == [("two", b"a")]
    watched.watcher.remove(one)
    assert watched.backends[1].removed == []
    watched.watcher.close()
    assert watched.backends[1].closed


@pytest.mark.skipif(sys.platform != "linux", reason="the events of one system")
def test_a_directory_that_is_deleted_hints_at_all_of_it(tmp_path: Path) -> None:
    """What the system itself says: for it alone time really passes here."""
    loop = Loop(Clock(), Looking())
    watcher = Watcher(loop)
    hints: list[bytes] = []

    def until(hint: bytes) -> None:
        end = time.monotonic() + 5
        while hint not in hints and time.monotonic() < end:
            time.sleep(0.002)
            loop.turn()
        assert hint in hints

    inbox = tmp_path / "inbox"
    inbox.mkdir()
    descriptor = os.open(inbox, os.O_RDONLY)
    try:
        number = watcher.add(descriptor, hints.append)
        assert watcher.watching(number)
        (inbox / "a.answer").write_text("")
        (inbox / "a.pending").write_text("")
        until(b"a.pending")
        assert b"a.answer" not in hints
        (inbox / "b.tmp").write_text("")
        (inbox / "b.tmp").rename(inbox / "b.pending")
        until(b"b.pending")
        for path in inbox.iterdir():
            path.unlink()
        os.close(descriptor)
        descriptor = -1
        inbox.rmdir()
        until(b"")
        watcher.remove(number)
        assert not watcher.watching(number)
    finally:
        if descriptor >= 0:
            os.close(descriptor)
        watcher.close()
