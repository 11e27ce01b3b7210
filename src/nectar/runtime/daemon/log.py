"""The handler's log: time-stamped when written, rotated, and safe to show on a terminal; as text, and the same events as JSON."""

from __future__ import annotations

import contextlib
import os
import resource
import threading
import time

from nectar.events import INFO, WARNING, split_time, write_json, write_text
from nectar.frozen import Protocol

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

MAX_BYTES = 5 * 1024 * 1024
MAX_OWED = 1 << 16
"""Bytes that are kept in mind of lines which cannot be written now."""
MAX_REMEMBERED = 10_000
"""Things that are remembered as said; of what is to be said once, nothing more is said when there are so many."""
MINUTE = 60.0


class Say(Protocol):
    """What tells of events."""

    def __call__(self, text: str, kind: str = INFO, alias: str = "", computation: str = "") -> None:
        """:param alias: whose it is, as a word; and so is the computation."""


class LogFile:
    """The files that a handler's log is written to, mode 0600, each with its one predecessor; they are rotated together.

    An event is one system call for each of them, and several at once are no more. The library's ``logging`` would take four or more,
    and its import 3 ms and 0.4 MB of each daemon.

    :param path: of the text.
    :param events: of the JSON.
    :ivar most: bytes of a file that is not rotated.
    :raises OSError: there cannot be one.
    """

    def __init__(self, path: Path, events: Path) -> None:
        self.most = _most()
        self._text = _File(os.fspath(path))
        self._json = _File(os.fspath(events))
        self._second = -1
        self._written = ("", "")
        self._lock = threading.RLock()  # a library may complain in a thread of its own

    def say(self, text: str, kind: str = INFO, alias: str = "", computation: str = "") -> None:
        """Write an event. What cannot be written as a line, or not now, ends nobody."""
        self.say_all((text,), kind, alias, computation)

    def say_all(self, texts: Iterable[str], kind: str = INFO, alias: str = "", computation: str = "") -> None:
        """Write several of the same kind."""
        with self._lock, contextlib.suppress(Exception):
            when, seconds = self.stamp(time.time())
            lines, objects = [], []
            for each in texts:
                lines.append(write_text(when, kind, alias, computation, each))
                objects.append(write_json(seconds, kind, alias, computation, each))
            text = "".join(lines).encode(errors="backslashreplace")
            json = "".join(objects).encode()
            # Something may have a predecessor's name: a log that is too long is better than one that ends.
            with contextlib.suppress(OSError):
                self._make_room(len(text), len(json))
            self._text.write(text)
            self._json.write(json)

    def stamp(self, now: float) -> tuple[str, str]:
        """When an event was, as the text has it, and as the JSON does.

        :param now: Unix seconds.
        """
        if self._second != int(now):  # many lines are of the same second
            self._second = int(now)
            self._written = split_time(self._second)
        milliseconds = f"{int((now - self._second) * 1000):03}"
        return f"{self._written[0]}.{milliseconds}{self._written[1]}", f"{self._second}.{milliseconds}"

    def keep(self) -> bool:
        """Where somebody moved a file away, or removed it, go on in the one that has its name, which is made if need be.

        :returns: whether that was so.
        :raises OSError: there cannot be one; what comes is written where it was until then.
        """
        with self._lock:
            try:
                json = self._json.keep()
            finally:
                text = self._text.keep()
            return json or text

    def close(self) -> None:
        with self._lock:
            self._text.close()
            self._json.close()

    def _make_room(self, text: int, json: int) -> None:
        """Rotate the files before one of them has too many bytes by so many more."""
        if self._text.size + text < self.most and self._json.size + json < self.most:
            return
        # Both or none: they tell of the same events.
        if all(file.can_be_rotated() for file in (self._text, self._json)):
            self._json.rotate()
            self._text.rotate()


class _File:
    """One of them.

    :ivar size: in bytes.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor, self.size = self._open()
        self._owed = b""

    def write(self, lines: bytes) -> None:
        left = self._owed + lines
        try:
            while left:
                written = os.write(self._descriptor, left)
                self.size += written
                left = left[written:]
        except OSError:
            # The disk is full, and may have taken half of a line: at least the other half comes first when there is room.
            self._owed = left if len(left) <= MAX_OWED else left[: left.find(b"\n") + 1]
        else:
            self._owed = b""

    def can_be_rotated(self) -> bool:
        """Whether it has its name, and nothing is in the way that cannot be replaced."""
        return self._has_its_name() and not os.path.isdir(f"{self._path}.1")

    def rotate(self) -> None:
        os.replace(self._path, f"{self._path}.1")
        self._open_anew()

    def keep(self) -> bool:
        if self._has_its_name():
            return False
        os.makedirs(os.path.dirname(self._path), 0o700, exist_ok=True)
        self._open_anew()
        return True

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open_anew(self) -> None:
        left = self._descriptor
        self._descriptor, self.size = self._open()
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

    def warn(self, key: str, text: str, kind: str = WARNING, alias: str = "", computation: str = "") -> None:
        """:param key: what counts as the same."""
        now = self._clock()
        if key in self._said and now - self._said[key] < self._seconds:
            return
        if len(self._said) >= MAX_REMEMBERED:
            self._said.clear()
        self._said[key] = now
        self._say(text, kind, alias, computation)

    def once(self, key: str, text: str, kind: str = WARNING, alias: str = "", computation: str = "") -> None:
        """:param key: what counts as the same."""
        if key in self._once:
            return
        if len(self._once) >= MAX_REMEMBERED:
            self.warn("", "there is more of what is told once than can be remembered: it is not told any more")
            return
        self._once.add(key)
        self._say(text, kind, alias, computation)


class Tally:
    """Counts successes, and tells of them by the minute: at a hundred a second, a line for each would fill the log within half an hour.

    :param clock: monotonic seconds.
    """

    def __init__(self, say: Say, clock: Callable[[], float]) -> None:
        self._say = say
        self._clock = clock
        self._begun = 0.0
        self._counts: dict[str, tuple[int, float, float]] = {}
        """By alias how many there were, how many seconds they ran, and the longest."""

    def add(self, alias: str, seconds: float) -> None:
        if not self._counts:
            self._begun = self._clock()
        count, total, longest = self._counts.get(alias, (0, 0.0, 0.0))
        self._counts[alias] = count + 1, total + seconds, max(longest, seconds)

    def tell(self, *, last: bool = False) -> None:
        """Tell of a minute, when it is over.

        :param last: tell in any case.
        """
        lasted = self._clock() - self._begun
        if not self._counts or (lasted < MINUTE and not last):
            return
        counts, self._counts = self._counts, {}
        for alias, (count, total, longest) in counts.items():
            took = f"{total / count:.3f} s on average, {longest:.3f} s at most"
            self._say(f"success: {count} in {lasted:.0f} s ({took})", INFO, alias)
