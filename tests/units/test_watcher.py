"""Hints: to whom they are delivered, when they are not any more, and what becomes of watches whose directory or backend goes away."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from watchdog.events import DirDeletedEvent, DirMovedEvent, FileClosedEvent, FileCreatedEvent, FileMovedEvent, FileSystemEvent
from watchdog.observers.polling import PollingObserver

from nectar import features
from nectar.runtime.daemon.aliases import inotify, observed
from nectar.runtime.daemon.aliases.observed import Handover, Observed
from nectar.runtime.daemon.aliases.watcher import Watcher
from nectar.runtime.daemon.loop import READ, Loop
from tests import needs
from tests.units.machines import Clock, Looking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from nectar.runtime.daemon.aliases.hints import Hint


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

    def _begin(self, loop: Loop, tell: Callable[[Hint], None]) -> Backend:
        assert loop is self.loop
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


def test_each_hint_goes_to_whose_it_is(watched: Watched, directory: int) -> None:
    one, two = watched.add("one", directory), watched.add("two", directory)
    assert (one, two) == (1, 2)
    tell = watched.backends[0].tell
    for hint in ((1, b"a"), (2, b"b"), (1, b""), (3, b"nobody's"), (1, b"a")):
        tell(hint)
    assert watched.hints == [("one", b"a"), ("two", b"b"), ("one", b""), ("one", b"a")]


@pytest.fixture
def told() -> list[Hint]:
    return []


@pytest.fixture
def handover(told: list[Hint]) -> Iterator[tuple[Loop, Handover]]:
    loop = Loop(Clock(), Looking())
    made = Handover(loop, told.append)
    yield loop, made
    made.close()


def test_what_another_thread_gives_is_told_in_order_and_in_the_loop(handover: tuple[Loop, Handover], told: list[Hint]) -> None:
    loop, given = handover
    hints = [(1, b"a"), (2, b"b"), (1, b"")]
    thread = threading.Thread(target=lambda: any(map(given.give, hints)))
    thread.start()
    thread.join()
    assert told == []
    loop.turn()
    assert told == hints
    loop.turn()
    assert told == hints


@pytest.mark.parametrize("count", [65536, 70_000])
def test_more_hints_than_the_pipe_holds_are_all_told(handover: tuple[Loop, Handover], told: list[Hint], count: int) -> None:
    loop, given = handover
    for _ in range(count):
        given.give((1, b"a"))
    loop.turn()
    assert len(told) == count
    given.give((1, b"last"))
    loop.turn()
    assert told[-1] == (1, b"last")


def test_what_is_removed_gets_no_further_hint(watched: Watched, directory: int) -> None:
    one, two = watched.add("one", directory), watched.add("two", directory)
    watched.watcher.remove(one)
    watched.watcher.remove(one)
    watched.watcher.remove(None)
    watched.watcher.remove(99)
    watched.backends[0].tell((1, b"a"))
    watched.backends[0].tell((2, b"b"))
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
    assert watched.hints == [("two", b"a")]
    watched.watcher.remove(one)
    assert watched.backends[1].removed == []
    watched.watcher.close()
    assert watched.backends[1].closed


class Real:
    """A watcher on what the system itself says: for it alone time really passes here."""

    def __init__(self, begin: Any = None) -> None:
        self.loop = Loop(Clock(), Looking())
        self.watcher = Watcher(self.loop, begin)
        self.hints: list[bytes] = []

    def until(self, hint: bytes) -> None:
        end = time.monotonic() + 60
        while hint not in self.hints and time.monotonic() < end:
            time.sleep(0.002)
            self.loop.turn()
        assert hint in self.hints


@pytest.fixture(params=["system", "observer", "polling"])
def real(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Real]:
    """With inotify where it is; with what stands in for it; and with that as it is where not even the system tells of files."""
    if request.param == "polling":
        monkeypatch.setattr(observed, "Observer", lambda: PollingObserver(timeout=0.05))
    made = Real(None if request.param == "system" else Observed)
    yield made
    made.watcher.close()


def test_what_may_ask_is_told_and_what_we_do_ourselves_is_not(real: Real, tmp_path: Path) -> None:
    inbox, claims = tmp_path / "inbox", tmp_path / "inbox" / ".nectar"
    claims.mkdir(parents=True)
    descriptor = os.open(inbox, os.O_RDONLY)
    number = real.watcher.add(descriptor, real.hints.append)
    assert real.watcher.watching(number)
    for comp_id in ("a", "b"):
        (inbox / f"{comp_id}.answer").write_text("")
        (inbox / f"{comp_id}.aside").write_text("")
        (inbox / f"{comp_id}.aside").rename(inbox / f"{comp_id}.pending")
        real.until(f"{comp_id}.pending".encode())
        (inbox / f"{comp_id}.pending").rename(claims / f"{comp_id}.1.token")
        (claims / f"{comp_id}.1.token").rename(inbox / f"{comp_id}.complete")
        (inbox / f"{comp_id}.complete").unlink()
        (claims / "released").write_text("")
    (inbox / "c.pending").write_text("")
    real.until(b"c.pending")
    assert set(real.hints) == {b"a.pending", b"b.pending", b"c.pending"}
    os.close(descriptor)
    shutil.rmtree(inbox)
    real.until(b"")
    real.watcher.remove(number)
    assert not real.watcher.watching(number)


@needs.inotify
def test_a_directory_that_the_kernel_watches_no_more_is_looked_at_whole(tmp_path: Path) -> None:
    """As when its file system is unmounted: nothing is said but that the watch is gone."""
    real = Real()
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        number = real.watcher.add(descriptor, real.hints.append)
        assert number is not None
        backend: Any = real.watcher._backend
        watch: Any = real.watcher._watches[number][0]
        assert ctypes.CDLL(None).inotify_rm_watch(backend._descriptor, watch[0]) == 0
        real.until(b"")
    finally:
        os.close(descriptor)
        real.watcher.close()


@needs.inotify
def test_two_of_one_directory_are_told_each_as_long_as_it_is_there(directory: int, tmp_path: Path) -> None:
    real = Real()
    told: list[tuple[str, bytes]] = []
    one = real.watcher.add(directory, lambda name: told.append(("one", name)))
    two = real.watcher.add(directory, lambda name: told.append(("two", name)))
    three = real.watcher.add(directory, real.hints.append)
    (tmp_path / "a.pending").touch()
    real.until(b"a.pending")
    assert told == [("one", b"a.pending"), ("two", b"a.pending")]
    real.watcher.remove(one)
    (tmp_path / "b.pending").touch()
    real.until(b"b.pending")
    assert told[2:] == [("two", b"b.pending")]
    real.watcher.remove(two)
    real.watcher.remove(three)
    (tmp_path / "c.pending").touch()  # nobody is told of it, nor of the end of the watch
    real.watcher.add(directory, real.hints.append)
    (tmp_path / "d.pending").touch()
    real.until(b"d.pending")
    assert real.hints == [b"a.pending", b"b.pending", b"d.pending"]
    assert told[3:] == []
    real.watcher.close()


@needs.inotify
def test_what_was_written_of_the_kernels_is_as_it_is_in_watchdog() -> None:
    from watchdog.observers.inotify_c import InotifyConstants as Theirs

    wanted = Theirs.IN_CLOSE_WRITE | Theirs.IN_MOVED_TO | Theirs.IN_DELETE_SELF | Theirs.IN_MOVE_SELF | Theirs.IN_ONLYDIR
    assert (wanted, Theirs.IN_Q_OVERFLOW, Theirs.IN_IGNORED) == (inotify._ASKED, inotify._OVERFLOW, inotify._IGNORED)


@needs.inotify
def test_more_than_is_read_at_once_is_all_told(directory: int, tmp_path: Path) -> None:
    real = Real()
    real.watcher.add(directory, real.hints.append)
    names = [f"{number:04}.{'x' * 200}.pending" for number in range(1000)]
    for name in names:
        (tmp_path / name).touch()
    real.until(names[-1].encode())
    assert real.hints == [name.encode() for name in names]
    real.watcher.close()


@needs.inotify
@pytest.mark.parametrize(("what", "error"), [("there is none", errno.ENOENT), ("file", errno.ENOTDIR)])
def test_what_cannot_be_watched_is_refused_by_the_kernel_itself(tmp_path: Path, what: str, error: int) -> None:
    (tmp_path / "file").touch()
    made = inotify.Inotify(Loop(Clock(), Looking()), lambda _hint: None)
    with pytest.raises(OSError, match=os.strerror(error)) as raised:
        made.add(1, str(tmp_path / what))
    assert raised.value.errno == error
    made.close()


@needs.inotify
def test_where_more_happened_than_the_kernel_keeps_all_is_looked_at(tmp_path: Path) -> None:
    most = features.kernel_limit("fs/inotify/max_queued_events")
    if most is None or most > 100_000:
        pytest.skip("the kernel keeps too many events, or does not say how many")
    real = Real()
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        real.watcher.add(descriptor, real.hints.append)
        here, there = tmp_path / "a.pending", tmp_path / "b.pending"
        here.touch()
        for _ in range(most // 2 + 1000):
            os.rename(here, there)
            os.rename(there, here)
        real.until(b"")
        (tmp_path / "c.pending").touch()
        real.until(b"c.pending")
    finally:
        os.close(descriptor)
        real.watcher.close()


@needs.inotify
def test_one_that_cannot_be_read_any_more_is_replaced(directory: int, tmp_path: Path) -> None:
    real = Real()
    number = real.watcher.add(directory, real.hints.append)
    backend: Any = real.watcher._backend
    nothing = os.open(tmp_path, os.O_RDONLY)  # reading a directory is an error
    os.dup2(nothing, backend._descriptor)
    os.close(nothing)
    backend._read(READ)
    assert not real.watcher.watching(number)
    before = set(os.listdir("/dev/fd"))
    number = real.watcher.add(directory, real.hints.append)
    assert real.watcher.watching(number)
    assert len(set(os.listdir("/dev/fd"))) == len(before)
    (tmp_path / "a.pending").touch()
    real.until(b"a.pending")
    real.watcher.close()
    assert len(set(os.listdir("/dev/fd"))) < len(before)


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (FileCreatedEvent("/d/a.pending"), b"a.pending"),
        (FileClosedEvent(b"/d/a.pending"), b"a.pending"),
        (FileMovedEvent("/d/a.aside", "/d/a.pending"), b"a.pending"),
        (FileMovedEvent("", "/d/\udcff.pending"), b"\xff.pending"),
        (FileMovedEvent("/d/a.pending", "/d/.nectar/a.1.token"), None),
        (FileMovedEvent("/d/.nectar/a.1.token", "/d/a.complete"), None),
        (FileCreatedEvent("/d/a.complete"), None),
        (DirDeletedEvent("/d"), b""),
        (DirMovedEvent("/d", "/e"), b""),
        (DirDeletedEvent("/d/.nectar"), None),
        (DirMovedEvent("/d/a.pending", "/d/b.pending"), None),
    ],
)
def test_what_is_told_of_an_event_of_any_system(event: FileSystemEvent, told: bytes | None) -> None:
    hints: list[Hint] = []
    observed._Handler(hints.append, 7, "/d").dispatch(event)
    assert hints == ([] if told is None else [(7, told)])


def test_without_a_thread_nothing_is_watched_until_there_is_one(directory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    watcher = Watcher(Loop(Clock(), Looking()), Observed)
    with monkeypatch.context() as without:
        without.setattr(threading.Thread, "start", refuse)
        assert watcher.add(directory, lambda _name: None) is None
    assert watcher.watching(watcher.add(directory, lambda _name: None))
    watcher.close()


@needs.inotify
def test_where_there_is_inotify_no_thread_is_needed(directory: int) -> None:
    before = {*threading.enumerate()}
    watcher = Watcher(Loop(Clock(), Looking()))
    assert watcher.watching(watcher.add(directory, lambda _name: None))
    assert {*threading.enumerate()} <= before  # one of another test's may end meanwhile
    watcher.close()
