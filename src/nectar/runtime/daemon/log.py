"""The handler's log: one line an event, time-stamped when written, rotated, and safe to show on a terminal."""

from __future__ import annotations

import contextlib
import os
import resource
import threading
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MAX_BYTES = 5 * 1024 * 1024
MAX_OWED = 1 << 16
"""Bytes that are kept in mind of lines which cannot be written now."""
MAX_REMEMBERED = 10_000
"""Things that are remembered as said; of what is to be said once, nothing more is said when there are so many."""
INFO, PRINTED, WARNING, ERROR = "INFO", "PRINT", "WARNING", "ERROR"
"""Of which kind an event is; what the handler's own code printed is one."""


class Say(Protocol):
    """What tells of events."""

    def __call__(self, text: str, kind: str = INFO) -> None: ...


def visible(text: str) -> str:
    """The text with each character that is not printable as its escape, tabs aside."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\t" else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


class LogFile:
    """The file that a handler's log is written to, mode 0600, and its one predecessor.

    A line is one system call. The library's ``logging`` would take four or more, and its import 3 ms and 0.4 MB of each daemon.

    :ivar most: bytes of a file that is not rotated.
    :raises OSError: there cannot be one.
    """

    def __init__(self, path: Path) -> None:
        self.most = _most()
        self._path = os.fspath(path)
        self._descriptor, self._size = self._open()
        self._owed = b""
        self._second = -1
        self._written = ("", "")
        self._lock = threading.RLock()  # a library may complain in a thread of its own

    def say(self, text: str, kind: str = INFO) -> None:
        """Write an event. What cannot be written as a line, or not now, ends nobody."""
        with self._lock, contextlib.suppress(Exception):
            line = f"{self.format(text, kind, time.time())}\n".encode(errors="backslashreplace")
            # Something may have the predecessor's name: a log that is too long is better than one that ends.
            with contextlib.suppress(OSError):
                self._make_room(len(line))
            self._write(line)

    def format(self, text: str, kind: str, now: float) -> str:
        """``2026-11-25T10:12:47.123+0000 INFO    text``, with control characters shown and not sent.

        A further line of the same event has ``| `` before its text, so that no text that came from outside can look like an event.

        :param now: Unix seconds.
        """
        if self._second != int(now):  # many lines are of the same second
            self._second = int(now)
            local = time.localtime(self._second)
            self._written = time.strftime("%Y-%m-%dT%H:%M:%S", local), time.strftime("%z", local)
        begin = f"{self._written[0]}.{int((now - self._second) * 1000):03}{self._written[1]} {kind:<7} "
        return begin + f"\n{begin}| ".join(map(visible, text.split("\n")))

    def keep(self) -> bool:
        """Where somebody moved the file away, or removed it, go on in the one that has its name, which is made if need be.

        :returns: whether that was so.
        :raises OSError: there cannot be one; what comes is written where it was until then.
        """
        with self._lock:
            if self._has_its_name():
                return False
            os.makedirs(os.path.dirname(self._path), 0o700, exist_ok=True)
            self._open_anew()
            return True

    def close(self) -> None:
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1

    def _write(self, line: bytes) -> None:
        left = self._owed + line
        try:
            while left:
                written = os.write(self._descriptor, left)
                self._size += written
                left = left[written:]
        except OSError:
            # The disk is full, and may have taken half of a line: at least the other half comes first when there is room.
            self._owed = left if len(left) <= MAX_OWED else left[: left.find(b"\n") + 1]
        else:
            self._owed = b""

    def _make_room(self, size: int) -> None:
        """Rotate the file before it has too many bytes by a line of so many."""
        if self._size + size < self.most or not self._has_its_name():
            return
        os.replace(self._path, f"{self._path}.1")
        self._open_anew()

    def _open_anew(self) -> None:
        left = self._descriptor
        self._descriptor, self._size = self._open()
        os.close(left)

    def _has_its_name(self) -> bool:
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(self._descriptor))
        except (FileNotFoundError, NotADirectoryError):
            return False

    def _open(self) -> tuple[int, int]:
        """A descriptor of the file, and its size."""
        # What lies there may be a pipe that nobody reads: that is not waited for.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(self._path, flags, 0o600)
        return descriptor, os.fstat(descriptor).st_size


def _most() -> int:
    """Bytes of the log before it is rotated: less where this process may write no file of so many."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    return MAX_BYTES if limit == resource.RLIM_INFINITY else min(MAX_BYTES, limit // 2)


def hear(library: str, say: Say) -> None:
    """Have events of a library be told that uses ``logging``."""
    import logging

    class Heard(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            say(record.getMessage(), record.levelname)

    logging.raiseExceptions = False  # a full disk must not make the daemon talk to nobody
    heard = logging.getLogger(library)
    heard.propagate = False
    heard.addHandler(Heard())


class Seldom:
    """Says the same thing once a minute at most, or once.

    :param clock: monotonic seconds.
    """

    def __init__(self, say: Say, clock: Callable[[], float], *, seconds: float = 60.0) -> None:
        self._say = say
        self._clock = clock
        self._seconds = seconds
        self._said: dict[str, float] = {}
        self._once: set[str] = set()

    def warn(self, key: str, text: str) -> None:
        """:param key: what counts as the same."""
        now = self._clock()
        if key in self._said and now - self._said[key] < self._seconds:
            return
        if len(self._said) >= MAX_REMEMBERED:
            self._said.clear()
        self._said[key] = now
        self._say(text, WARNING)

    def once(self, key: str, text: str, kind: str = WARNING) -> None:
        """:param key: what counts as the same."""
        if key in self._once:
            return
        if len(self._once) >= MAX_REMEMBERED:
            self.warn("", "there is more of what is told once than can be remembered: it is not told any more")
            return
        self._once.add(key)
        self._say(text, kind)
