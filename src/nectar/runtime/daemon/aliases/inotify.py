"""Hints where there is inotify: watchdog's class for it is asked directly, with a mask of our own.

That is: files closed after writing, files renamed into the directory, and the directory itself going away. watchdog's ``Observer`` would
hold up later events by half a second when a file is moved out of its directory, which is what a claim does.

Its descriptor is read in the loop, and its thread is never started: that one would be woken by each of our own publications as well,
which is two changes of threads for each question, and time spent waiting for the interpreter's lock.
"""

from __future__ import annotations

import errno
import importlib.util
import os
import sys
from typing import TYPE_CHECKING, Any

import watchdog

from nectar.runtime.daemon.aliases.hints import may_ask
from nectar.runtime.daemon.loop import READ

if TYPE_CHECKING:
    from collections.abc import Callable

    from watchdog.observers import inotify_c

    from nectar.runtime.daemon.aliases.hints import Hint
    from nectar.runtime.daemon.loop import Loop


def _load(name: str) -> Any:
    """A module of watchdog's by itself: the package that it lies in imports the ``Observer``, with 5 ms and 0.6 MB of each daemon.

    :raises UnsupportedLibcError: there is no inotify.
    """
    if name in sys.modules:
        return sys.modules[name]
    place = os.path.join(*watchdog.__path__, *name.split(".")[1:])
    spec = importlib.util.spec_from_file_location(name, f"{place}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


if not TYPE_CHECKING:
    inotify_c = _load("watchdog.observers.inotify_c")


class Inotify:
    def __init__(self, loop: Loop, tell: Callable[[Hint], None]) -> None:
        self._loop = loop
        self._tell = tell
        self._mask = (
            inotify_c.InotifyConstants.IN_CLOSE_WRITE
            | inotify_c.InotifyConstants.IN_MOVED_TO
            | inotify_c.InotifyConstants.IN_DELETE_SELF
            | inotify_c.InotifyConstants.IN_MOVE_SELF
            | inotify_c.InotifyConstants.IN_ONLYDIR
        )
        self._inotify = inotify_c.InotifyFD()
        self._descriptor = self._inotify._inotify_fd  # noqa: SLF001 - it gives it in no other way
        self._failed = False
        loop.watch(self._descriptor, READ, self._read)

    def add(self, number: int, path: str) -> tuple[Any, Any]:
        identifier = inotify_c.CallbackId(number)
        watch = self._inotify.add_callback(os.fsencode(path), inotify_c.Mask(self._mask), _Callback(self._tell, number), identifier)
        if watch < 0:  # it says nothing where the directory cannot be read
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return watch, identifier

    def remove(self, watch: tuple[Any, Any]) -> None:
        try:
            self._inotify.remove_callbacks([watch])
        except OSError:  # the directory is gone, and the watch with it
            pass

    def alive(self) -> bool:
        return not self._failed

    def close(self) -> None:
        self._loop.forget(self._descriptor)
        inotify = self._inotify
        # As long as nothing was read it leaves its descriptors to a thread that reads.
        reading = inotify._is_reading  # noqa: SLF001
        inotify.close()
        if reading:
            inotify._close_resources()  # noqa: SLF001

    def _read(self, _events: int) -> None:
        try:
            events = self._inotify.read_events()  # it would wait, but there are some
        except OSError:
            self._failed = True
            self._loop.forget(self._descriptor)
            return
        for event in events:
            self._inotify.handle_event(event)


class _Callback:
    """What watchdog calls a ``WatchCallback``."""

    def __init__(self, tell: Callable[[Hint], None], number: int) -> None:
        self._tell = tell
        self._number = number

    def on_event(self, event: Any) -> None:
        # Of what is renamed into the directory, our own answers are most.
        if not event.name or may_ask(event.name):
            self._tell((self._number, event.name))

    def on_watch_deleted(self, _wd: int) -> None:
        self._tell((self._number, b""))

    def on_queue_overflow(self) -> None:
        self._tell((self._number, b""))
