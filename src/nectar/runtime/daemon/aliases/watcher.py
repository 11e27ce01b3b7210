"""Hints from the operating system that something came into a directory: an event says "look again", and nothing more.

Where there is inotify, watchdog's class for it is asked directly, with a mask of our own: files closed after writing, files renamed into the
directory, and the directory itself going away. watchdog's ``Observer`` is used elsewhere. Where there is inotify, it would hold up
later events by half a second when a file is moved out of its directory, which is what a claim does.
"""

from __future__ import annotations

import errno
import itertools
import os
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from watchdog.events import (
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.utils import UnsupportedLibcError

from nectar import features
from nectar.runtime.daemon.loop import READ
from nectar.spool.entries import PENDING

try:
    from watchdog.observers.inotify_c import CallbackId, InotifyConstants, InotifyFD, Mask
except UnsupportedLibcError:
    INOTIFY = False
else:
    INOTIFY = True

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nectar.runtime.daemon.loop import Loop

Hint = tuple[int, bytes]
"""A watch's number and the name of a file, which is empty where all of the directory is to be looked at."""
_PENDING = os.fsencode(PENDING)


class _Backend(Protocol):
    def add(self, number: int, path: str) -> object: ...
    def remove(self, watch: Any) -> None: ...
    def alive(self) -> bool: ...
    def close(self) -> None: ...


class Watcher:
    """Where there are no events, because the system gives no more of them, rescans find everything meanwhile.

    :param begin: begins to give hints, to what it is given, from a thread of its own or not; None asks the operating system.
    """

    def __init__(self, loop: Loop, begin: Callable[[Callable[[Hint], None]], _Backend] | None = None) -> None:
        self._begin = begin or (_Inotify if INOTIFY else _Observed)
        self._hints: deque[Hint] = deque()
        self._numbers = itertools.count(1)
        self._watches: dict[int, tuple[object, Callable[[bytes], None]]] = {}
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._reading, False)
        os.set_blocking(self._writing, False)
        loop.watch(self._reading, READ, self._deliver)
        self._backend: _Backend | None = None

    def add(self, directory: int, hinted: Callable[[bytes], None]) -> int | None:
        """Watch a directory.

        :param directory: its descriptor.
        :param hinted: called in the loop with the name of a file, or ``b""``.
        :returns: the watch's number, or None where it cannot be watched now.
        """
        if self._backend is not None and not self._backend.alive():
            self._backend.close()
            self._backend = None
            self._watches.clear()
        number = next(self._numbers)
        try:
            if self._backend is None:
                self._backend = self._begin(self._tell)
            self._watches[number] = self._backend.add(number, features.path_of(directory)), hinted
        except OSError:
            return None
        return number

    def watching(self, number: int | None) -> bool:
        """Whether this watch still gives hints."""
        return number in self._watches and self._backend is not None and self._backend.alive()

    def remove(self, number: int | None) -> None:
        watch = self._watches.pop(number, None) if number is not None else None
        if watch is not None and self._backend is not None:
            self._backend.remove(watch[0])

    def close(self) -> None:
        if self._backend is not None:
            self._backend.close()

    def _tell(self, hint: Hint) -> None:
        """Called in the backend's thread, which an exception would end for good."""
        self._hints.append(hint)
        try:
            os.write(self._writing, b"!")
        except OSError:  # full: the loop has been told already
            pass

    def _deliver(self, _events: int) -> None:
        os.read(self._reading, 65536)
        while self._hints:
            number, name = self._hints.popleft()
            if number in self._watches:
                self._watches[number][1](name)


class _Inotify:
    def __init__(self, tell: Callable[[Hint], None]) -> None:
        self._tell = tell
        self._mask = (
            InotifyConstants.IN_CLOSE_WRITE
            | InotifyConstants.IN_MOVED_TO
            | InotifyConstants.IN_DELETE_SELF
            | InotifyConstants.IN_MOVE_SELF
            | InotifyConstants.IN_ONLYDIR
        )
        self._inotify = InotifyFD()
        try:
            with _short_of_threads():
                self._inotify.start()
        except OSError:
            self._inotify._close_resources()  # noqa: SLF001
            raise

    def add(self, number: int, path: str) -> tuple[Any, Any]:
        identifier = CallbackId(number)
        watch = self._inotify.add_callback(os.fsencode(path), Mask(self._mask), _Callback(self._tell, number), identifier)
        if watch < 0:  # it says nothing where the directory cannot be read
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return watch, identifier

    def remove(self, watch: tuple[Any, Any]) -> None:
        try:
            self._inotify.remove_callbacks([watch])
        except OSError:  # the directory is gone, and the watch with it
            pass

    def alive(self) -> bool:
        return self._inotify.is_alive()

    def close(self) -> None:
        inotify = self._inotify
        # A thread that died while it read can no longer do what it is asked to do at its end: let go of its descriptors.
        died = not inotify.is_alive() and inotify._is_reading and not inotify._closed  # noqa: SLF001
        inotify.stop()
        if died:
            inotify._close_resources()  # noqa: SLF001


class _Callback:
    """What watchdog calls a ``WatchCallback``."""

    def __init__(self, tell: Callable[[Hint], None], number: int) -> None:
        self._tell = tell
        self._number = number

    def on_event(self, event: Any) -> None:
        # Of what is renamed into the directory, our own answers are most.
        if not event.name or _may_ask(event.name):
            self._tell((self._number, event.name))

    def on_watch_deleted(self, _wd: int) -> None:
        self._tell((self._number, b""))

    def on_queue_overflow(self) -> None:
        self._tell((self._number, b""))


class _Observed:
    """Some systems tell that a file was made, and not that it is whole: the patience with half-written questions covers that."""

    ASKED: ClassVar[list[type[FileSystemEvent]]] = [
        *(FileCreatedEvent, FileClosedEvent, FileMovedEvent),
        *(DirDeletedEvent, DirMovedEvent),
    ]

    def __init__(self, tell: Callable[[Hint], None]) -> None:
        self._tell = tell
        with _short_of_threads():
            self._observer = Observer()
            self._observer.start()

    def add(self, number: int, path: str) -> Any:
        with _short_of_threads():
            return self._observer.schedule(_Handler(self._tell, number, path), path, event_filter=self.ASKED, follow_symlink=True)

    def remove(self, watch: Any) -> None:
        self._observer.unschedule(watch)

    def alive(self) -> bool:
        return self._observer.is_alive()

    def close(self) -> None:
        self._observer.stop()


class _Handler(FileSystemEventHandler):
    """Of what happens in a directory, our claims, our answers and what a node reads are most: only what may ask is told."""

    def __init__(self, tell: Callable[[Hint], None], number: int, path: str) -> None:
        self._tell = tell
        self._number = number
        self._path = path

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.is_directory:
            if os.fsdecode(event.src_path) == self._path:  # it is gone
                self._tell((self._number, b""))
            return
        name = os.path.basename(os.fsencode(event.dest_path or event.src_path))
        if _may_ask(name):
            self._tell((self._number, name))


def _may_ask(name: bytes) -> bool:
    return name.endswith(_PENDING)


@contextmanager
def _short_of_threads() -> Iterator[None]:
    """:raises OSError: a thread cannot be started."""
    try:
        yield
    except RuntimeError as error:
        raise OSError(errno.EAGAIN, str(error)) from None
