"""Hints where there is inotify, which is asked directly, and read in the loop.

Of a directory it tells which files were closed after writing or renamed into it, and that it has gone away itself. watchdog, which gives
the hints elsewhere, would do here, too; but what it imports for it, to find a C library on any system, is 6 ms of a daemon's start and
1 MB, and its ``Observer`` holds up later events by half a second when a file is moved out of its directory, which is what a claim does.
"""

from __future__ import annotations

import errno
import os
import struct

from nectar import features
from nectar.runtime.daemon.aliases.hints import may_ask
from nectar.runtime.daemon.loop import READ

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from collections.abc import Callable

    from nectar.runtime.daemon.aliases.hints import Hint
    from nectar.runtime.daemon.loop import Loop

# As in inotify(7).
_CLOSE_WRITE, _MOVED_TO, _DELETE_SELF, _MOVE_SELF, _ONLYDIR = 0x8, 0x80, 0x400, 0x800, 0x1000000
_OVERFLOW, _IGNORED = 0x4000, 0x8000
_ASKED = _CLOSE_WRITE | _MOVED_TO | _DELETE_SELF | _MOVE_SELF | _ONLYDIR
_EVENT = struct.Struct("iIII")  # the watch, what happened, what it belongs to, and how long the name is that follows
_PIECE = 1 << 16


class Inotify:
    """:raises OSError: the system has no more of them."""

    def __init__(self, loop: Loop, tell: Callable[[Hint], None]) -> None:
        self._loop = loop
        self._tell = tell
        self._numbers: dict[int, list[int]] = {}
        """Whose each of the kernel's watches is: two of the same directory are one."""
        self._failed = False
        self._descriptor = features.call_inotify("init1", os.O_NONBLOCK | os.O_CLOEXEC)
        loop.watch(self._descriptor, READ, self._read)

    def add(self, number: int, path: str) -> tuple[int, int]:
        watch = features.call_inotify("add_watch", self._descriptor, os.fsencode(path), _ASKED)
        self._numbers.setdefault(watch, []).append(number)
        return watch, number

    def remove(self, watch: tuple[int, int]) -> None:
        which, number = watch
        numbers = self._numbers.get(which, [])
        if number in numbers:
            numbers.remove(number)
            if not numbers:
                del self._numbers[which]
                try:
                    features.call_inotify("rm_watch", self._descriptor, which)
                except OSError as error:
                    if error.errno != errno.EINVAL:  # the directory is gone, and the watch with it
                        raise

    def alive(self) -> bool:
        return not self._failed

    def close(self) -> None:
        self._loop.forget(self._descriptor)
        os.close(self._descriptor)

    def _read(self, _events: int) -> None:
        try:
            told = os.read(self._descriptor, _PIECE)
        except BlockingIOError:
            return
        except OSError:
            self._failed = True
            self._loop.forget(self._descriptor)
            return
        at = 0
        while at < len(told):
            watch, what, _, length = _EVENT.unpack_from(told, at)
            at += _EVENT.size + length
            self._hear(watch, what, told[at - length : at].rstrip(b"\0"))

    def _hear(self, watch: int, what: int, name: bytes) -> None:
        if what & _OVERFLOW:
            numbers = [number for numbers in self._numbers.values() for number in numbers]
        elif what & _IGNORED:
            numbers = self._numbers.pop(watch, [])
        elif not name or may_ask(name):  # of what is renamed into the directory, our own answers are most
            numbers = [*self._numbers.get(watch, [])]
        else:
            return
        for number in numbers:
            self._tell((number, name))
