"""Hints where there is no inotify: watchdog's ``Observer`` knows what else there is."""

from __future__ import annotations

import errno
import os
from collections import deque
from contextlib import contextmanager

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

from nectar.runtime.daemon.aliases.hints import may_ask
from nectar.runtime.daemon.loop import READ

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, ClassVar

    from nectar.runtime.daemon.aliases.hints import Hint
    from nectar.runtime.daemon.loop import Loop


class Observed:
    """Some systems tell that a file was made, and not that it is whole: the patience with half-written questions covers that."""

    ASKED: ClassVar[list[type[FileSystemEvent]]] = [
        *(FileCreatedEvent, FileClosedEvent, FileMovedEvent),
        *(DirDeletedEvent, DirMovedEvent),
    ]

    def __init__(self, loop: Loop, tell: Callable[[Hint], None]) -> None:
        self._handover = Handover(loop, tell)
        try:
            with _short_of_threads():
                self._observer = Observer()
                self._observer.start()
        except BaseException:
            self._handover.close()
            raise

    def add(self, number: int, path: str) -> Any:
        with _short_of_threads():
            return self._observer.schedule(
                _Handler(self._handover.give, number, path), path, event_filter=self.ASKED, follow_symlink=True
            )

    def remove(self, watch: Any) -> None:
        self._observer.unschedule(watch)

    def alive(self) -> bool:
        return self._observer.is_alive()

    def close(self) -> None:
        died = not self._observer.is_alive()
        self._observer.stop()
        if died:  # or its thread may still give something
            self._handover.close()


class Handover:
    """Hints that are given in another thread, and told in the loop."""

    def __init__(self, loop: Loop, tell: Callable[[Hint], None]) -> None:
        self._loop = loop
        self._tell = tell
        self._hints: deque[Hint] = deque()
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._reading, False)
        os.set_blocking(self._writing, False)
        loop.watch(self._reading, READ, self._deliver)

    def give(self, hint: Hint) -> None:
        """To be called in the other thread, which an exception would end for good."""
        self._hints.append(hint)
        try:
            os.write(self._writing, b"!")
        except OSError:  # full: the loop has been told already
            pass

    def close(self) -> None:
        self._loop.forget(self._reading)
        os.close(self._reading)
        os.close(self._writing)

    def _deliver(self, _events: int) -> None:
        os.read(self._reading, 65536)
        while self._hints:
            self._tell(self._hints.popleft())


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
        if may_ask(name):
            self._tell((self._number, name))


@contextmanager
def _short_of_threads() -> Iterator[None]:
    """:raises OSError: a thread cannot be started."""
    try:
        yield
    except RuntimeError as error:
        raise OSError(errno.EAGAIN, str(error)) from None
