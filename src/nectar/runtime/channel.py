"""The daemon's end of what connects it to one worker: frames both ways, and what the code prints."""

from __future__ import annotations

import os
from collections import deque
from typing import TYPE_CHECKING, Any

from nectar.runtime.frames import FrameError, Reader, frame
from nectar.runtime.loop import READ, WRITE

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from nectar.runtime.loop import Loop

MAX_PRINTED_LINE = 8192
"""Bytes; a longer line is cut into several."""
LINES_A_SECOND = 2000
BYTES_A_SECOND = 1024 * 1024
"""Of what one worker prints; the rest is counted and dropped, so that it neither fills the log nor keeps the daemon busy."""
LAST_LINES = 100
"""Lines that are kept of what was dropped: when the worker dies, they say why."""


class Channel:
    """Frames, without ever waiting for the other side.

    :param received: called with each header.
    :param closed: called when the other side has closed it, which it also does when it ends.
    :param broken: called when something came that is no frame, or none that was expected (``received`` raised a ValueError).

    :ivar unread: whether the other side ended without having read all that was sent (Linux).
    """

    def __init__(
        self,
        loop: Loop,
        own: socket.socket,
        received: Callable[[dict[str, Any]], None],
        closed: Callable[[], None],
        broken: Callable[[], None],
    ) -> None:
        own.setblocking(False)
        self._loop = loop
        self._socket = own
        self._received = received
        self._closed = closed
        self._broken = broken
        self._reader = Reader(max_body=0)
        self.unread = False
        self._unsent = memoryview(b"")
        loop.watch(own.fileno(), READ, self._ready)

    def send(self, header: dict[str, Any], body: bytes = b"") -> None:
        self._unsent = memoryview(bytes(self._unsent) + frame(header, body))
        self._write()

    def drain(self) -> None:
        """Take all that has come, after the worker's end."""
        while self._socket.fileno() >= 0 and self._read():
            pass

    def close(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.forget(self._socket.fileno())
            self._socket.close()

    def _ready(self, events: int) -> None:
        if events & WRITE:
            self._write()
        if events & READ and self._socket.fileno() >= 0:
            self._read()

    def _write(self) -> None:
        try:
            while self._unsent:
                self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            self.unread = True
            self._end(self._closed)
            return
        self._loop.watch(self._socket.fileno(), READ | WRITE if self._unsent else READ, self._ready)

    def _read(self) -> bool:
        try:
            piece = self._socket.recv(1 << 16)
        except BlockingIOError:
            return False
        except OSError as error:
            self.unread = isinstance(error, ConnectionResetError)
            piece = b""
        if not piece:
            self._end(self._closed)
            return False
        self._reader.feed(piece)
        try:
            while (whole := self._reader.next()) is not None:
                self._received(whole[0])
        except (FrameError, KeyError, TypeError, ValueError):
            self._end(self._broken)
            return False
        return True

    def _end(self, tell: Callable[[], None]) -> None:
        self.close()
        tell()


class Printed:
    """What comes out of descriptors 1 and 2 of a worker, in lines, as many as there may be in a second.

    :param lines: called with some lines, without their ends.
    :param dropped: called with the number of lines that were too many.
    """

    def __init__(
        self, loop: Loop, descriptor: int, lines: Callable[[list[str]], None], dropped: Callable[[int], None] = lambda _count: None
    ) -> None:
        os.set_blocking(descriptor, False)
        self._loop = loop
        self._descriptor = descriptor
        self._lines = lines
        self._dropped = dropped
        self._rest = b""
        self._second = 0.0
        self._room = (LINES_A_SECOND, BYTES_A_SECOND)
        self._missing = 0
        self._last: deque[bytes] = deque(maxlen=LAST_LINES)
        loop.watch(descriptor, READ, self._ready)

    def close(self) -> None:
        """Take what has come, an unfinished line too, and let go."""
        # Bounded, because a process that was not found may go on writing.
        for _ in range(64):
            if self._descriptor < 0 or not self._read():
                break
        if self._rest:
            self._take([self._rest])
            self._rest = b""
        last = list(self._last)
        self._missing -= len(last)
        self._tell_missing()
        self._lines([_text(line) for line in last])
        self._end()

    def _ready(self, _events: int) -> None:
        self._read()

    def _read(self) -> bool:
        try:
            piece = os.read(self._descriptor, 1 << 16)
        except BlockingIOError:
            return False
        except OSError:
            piece = b""
        if not piece:
            self._end()
            return False
        *whole, self._rest = (self._rest + piece).split(b"\n")
        while len(self._rest) > MAX_PRINTED_LINE:
            whole.append(self._rest[:MAX_PRINTED_LINE])
            self._rest = self._rest[MAX_PRINTED_LINE:]
        self._take(whole)
        return True

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
            kept.append(_text(line))
            count -= 1
            size -= len(line)
        self._room = (count, size)
        self._lines(kept)

    def _drop(self, lines: list[bytes]) -> None:
        if not self._missing:
            self._loop.later(1.0, self._tell_missing)
        self._missing += len(lines)
        self._last.extend(lines[-LAST_LINES:])

    def _tell_missing(self) -> None:
        if self._missing > 0:
            self._dropped(self._missing)
        self._missing = 0
        self._last.clear()

    def _end(self) -> None:
        if self._descriptor >= 0:
            self._loop.forget(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1


def _text(line: bytes) -> str:
    return line[:MAX_PRINTED_LINE].decode("utf-8", "replace")
