"""The handler's log: one line an event, time-stamped when written, rotated, and safe to show on a terminal."""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MAX_BYTES = 5 * 1024 * 1024
MAX_OWED = 1 << 16
"""Bytes that are kept in mind of lines which cannot be written now."""
MAX_REMEMBERED = 10_000
"""Things that are remembered as said; of what is to be said once, nothing more is said when there are so many."""
PRINTED = logging.INFO + 1
"""The level of what the handler's own code printed."""

logging.addLevelName(PRINTED, "PRINT")
logging.raiseExceptions = False  # a full disk must not make the daemon talk to nobody


class _Formatter(logging.Formatter):
    """``2026-11-25T10:12:47.123+0000 INFO    text``, with control characters shown and not sent.

    A further line of the same event has ``| `` before its text, so that no text that came from outside can look like an event.
    """

    def __init__(self) -> None:
        super().__init__()
        self._second = -1
        self._written = ("", "")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - logging's own name
        if self._second != int(record.created):  # many lines are of the same second
            self._second = int(record.created)
            local = time.localtime(self._second)
            self._written = time.strftime("%Y-%m-%dT%H:%M:%S", local), time.strftime("%z", local)
        return f"{self._written[0]}.{record.msecs:03.0f}{self._written[1]}"

    def format(self, record: logging.LogRecord) -> str:
        begin = f"{self.formatTime(record)} {record.levelname:<7} "
        return begin + f"\n{begin}| ".join(map(visible, record.getMessage().split("\n")))


def visible(text: str) -> str:
    """The text with each character that is not printable as its escape, tabs aside."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\t" else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


class LogFile(logging.Handler):
    """The file that a handler's log is written to, mode 0600, and its one predecessor.

    A line is one system call. The library's own handlers take four or more, which was a sixth of the daemon's time for a question, and
    the one that rotates imports pickle and more: 4 ms and 0.4 MB of each daemon.

    :ivar most: bytes of a file that is not rotated.
    :raises OSError: there cannot be one.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.setFormatter(_Formatter())
        self.most = _most()
        self._path = os.fspath(path)
        self._descriptor, self._size = self._open()
        self._owed = b""

    def emit(self, record: logging.LogRecord) -> None:
        # What cannot be written as a line, or not now, must end nobody.
        with contextlib.suppress(Exception):
            line = f"{self.format(record)}\n".encode(errors="backslashreplace")
            # Something may have the predecessor's name: a log that is too long is better than one that ends.
            with contextlib.suppress(OSError):
                self._make_room(len(line))
            self._write(line)

    def keep(self) -> bool:
        """Where somebody moved the file away, or removed it, go on in the one that has its name, which is made if need be.

        :returns: whether that was so.
        :raises OSError: there cannot be one; what comes is written where it was until then.
        """
        self.acquire()
        try:
            if self._has_its_name():
                return False
            os.makedirs(os.path.dirname(self._path), 0o700, exist_ok=True)
            self._open_anew()
            return True
        finally:
            self.release()

    def close(self) -> None:
        self.acquire()
        try:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1
        finally:
            self.release()
        super().close()

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


def open_journal(handler: LogFile) -> logging.Logger:
    """The log of one handler."""
    journal = logging.getLogger("nectar")
    journal.setLevel(logging.INFO)
    journal.propagate = False
    journal.addHandler(handler)
    # watchdog's own complaints belong here too.
    other = logging.getLogger("watchdog")
    other.propagate = False
    other.addHandler(handler)
    return journal


class Seldom:
    """Says the same thing once a minute at most, or once.

    :param clock: monotonic seconds.
    """

    def __init__(self, say: logging.Logger, clock: Callable[[], float], *, seconds: float = 60.0) -> None:
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
        self._say.warning("%s", text)

    def once(self, key: str, text: str, level: int = logging.WARNING) -> None:
        """:param key: what counts as the same."""
        if key in self._once:
            return
        if len(self._once) >= MAX_REMEMBERED:
            self.warn("", "there is more of what is told once than can be remembered: it is not told any more")
            return
        self._once.add(key)
        self._say.log(level, "%s", text)
