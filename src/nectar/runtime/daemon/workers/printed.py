"""What a worker's code prints: line by line, as much of it as the log and the daemon can bear."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from nectar.runtime.daemon.loop import READ
from nectar.runtime.daemon.workers.kernel import BREATH, MOST_LEFT, SHORTAGES

if TYPE_CHECKING:
    from collections.abc import Callable

    from nectar.runtime.daemon.loop import Loop, Timer
    from nectar.runtime.daemon.workers.kernel import Kernel
    from nectar.runtime.daemon.workers.listener import Listener

MAX_PRINTED_LINE = 8192
"""Bytes; a longer line is cut into several."""
LINES_A_SECOND = 2000
BYTES_A_SECOND = 1024 * 1024
"""Of what one worker prints; the rest is counted and dropped, so that it neither fills the log nor keeps the daemon busy."""
UNFINISHED = 1.0
"""Seconds after which the beginning of a line is passed on as it is: it may be the last that is said for hours."""
LAST_LINES = 100
"""Lines that are kept of what was dropped: when the worker dies, they say why."""


class Printed:
    """What comes out of descriptors 1 and 2 of a worker, in lines, as many as there may be in a second.

    :param name: the author's files in place of the environment's copies, in each line.
    """

    def __init__(
        self, loop: Loop, kernel: Kernel, descriptor: int, listener: Listener, name: Callable[[str], str] = lambda line: line
    ) -> None:
        self._name = name
        self._loop = loop
        self._kernel = kernel
        self._descriptor = descriptor
        self._listener = listener
        self._rest = b""
        self._patience: Timer | None = None
        self._second = 0.0
        self._room = (LINES_A_SECOND, BYTES_A_SECOND)
        self._missing = 0
        self._last: deque[bytes] = deque(maxlen=LAST_LINES)
        self._listen()

    def close(self) -> None:
        """Take what has come, an unfinished line too, and let go."""
        # Bounded, because a process that was not found may go on writing.
        for _ in range(MOST_LEFT):
            if self._descriptor < 0 or not self._read():
                break
        self._cut()
        last = list(self._last)
        self._missing -= len(last)
        self._tell_missing()
        self._listener.printed([self._name(_text(line)) for line in last])
        self._end()

    def _listen(self) -> None:
        if self._descriptor >= 0:
            self._loop.watch(self._descriptor, READ, self._ready)

    def _ready(self, _events: int) -> None:
        self._read()

    def _read(self) -> bool:
        try:
            piece = self._kernel.read(self._descriptor, 1 << 16)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno in SHORTAGES:
                self._loop.forget(self._descriptor)
                self._loop.later(BREATH, self._listen)
                return False
            piece = b""
        if not piece:
            self._end()
            return False
        *whole, self._rest = (self._rest + piece).split(b"\n")
        while len(self._rest) > MAX_PRINTED_LINE:
            whole.append(self._rest[:MAX_PRINTED_LINE])
            self._rest = self._rest[MAX_PRINTED_LINE:]
        self._take(whole)
        if whole or self._patience is None:
            self._wait_for_the_rest()
        return True

    def _wait_for_the_rest(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
        self._patience = self._loop.later(UNFINISHED, self._cut) if self._rest else None

    def _cut(self) -> None:
        """Pass on what has come of a line that is not whole."""
        self._patience = None
        if self._rest:
            self._take([self._rest])
        self._rest = b""

    def _take(self, lines: list[bytes]) -> None:
        """Pass lines on while there is room for them in this second."""
        now = self._loop.now()
        if now - self._second >= 1.0:
            self._second = now
            self._room = (LINES_A_SECOND, BYTES_A_SECOND)
            self._tell_missing()
        count, size = self._room
        kept = []
        for number, line in enumerate(lines):
            if count <= 0 or size <= 0:
                self._drop(lines[number:])
                break
            kept.append(self._name(_text(line)))
            count -= 1
            size -= len(line)
        self._room = (count, size)
        self._listener.printed(kept)

    def _drop(self, lines: list[bytes]) -> None:
        if not self._missing:
            self._loop.later(1.0, self._tell_missing)
        self._missing += len(lines)
        self._last.extend(lines[-LAST_LINES:])

    def _tell_missing(self) -> None:
        if self._missing > 0:
            self._listener.warn(f"{self._missing} printed lines were dropped: there were too many at once")
        self._missing = 0
        self._last.clear()

    def _end(self) -> None:
        if self._descriptor >= 0:
            self._loop.forget(self._descriptor)
            self._kernel.close(self._descriptor)
            self._descriptor = -1


def _text(line: bytes) -> str:
    return line[:MAX_PRINTED_LINE].decode("utf-8", "replace")
