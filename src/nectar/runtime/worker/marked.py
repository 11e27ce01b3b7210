"""Standard streams of a worker that has several computations at once: what each of them prints is marked as its own.

Lines stay whole, whoever prints beside them: of each computation they are put together by the daemon. What is written to descriptors
1 and 2 below Python is nobody's.
"""

from __future__ import annotations

import io
import os
import select
import sys
import threading
from collections import deque
from contextvars import ContextVar

from nectar.runtime.frames import MARK, MARKED

TYPE_CHECKING = False  # typing is not imported in a worker
if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

whose: ContextVar[bytes] = ContextVar("nectar.whose", default=b"")
"""What marks what this thread or task prints; nothing, where it works on no computation."""
SHORTEST = 256
"""Bytes of a piece that is written at once, where names leave so little room."""


class Marked(io.BufferedIOBase):
    """Bytes that are written to a descriptor line by line, marked as that thread's or task's which writes them.

    :ivar name: of the stream, as Python names it.
    """

    def __init__(self, descriptor: int, name: str) -> None:
        super().__init__()
        self.name = name
        self._descriptor = descriptor
        self._unwritten: deque[tuple[bytes, bytes]] = deque()
        self._lock = threading.RLock()  # a signal handler may print, too
        self._write = os.write
        os.register_at_fork(after_in_child=self._renew)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return False

    def write(self, data: ReadableBuffer, /) -> int:
        text = bytes(data)
        self._unwritten.append((whose.get(), text))  # without a lock: who is ended in the middle of it loses nothing of others
        if b"\n" in text:
            self.flush()
        return len(text)

    def flush(self) -> None:
        with self._lock:
            name, pieces = b"", [b""]
            while self._unwritten:
                other, text = self._unwritten.popleft()
                if other != name:
                    self._put(name, b"".join(pieces))
                    name, pieces = other, []
                pieces.append(text)
            self._put(name, b"".join(pieces))

    def _put(self, name: bytes, text: bytes) -> None:
        """Write what is one's, in pieces into which nobody else's can come."""
        head, tail = (MARK + name + MARKED, MARK + MARKED) if name else (b"", b"")
        text = text.replace(MARK, b"\\x1e") if name else text
        room = max(SHORTEST, select.PIPE_BUF - len(head) - len(tail))
        begin = 0
        while begin < len(text):
            end = begin + room
            if end < len(text):
                end = text.rfind(b"\n", begin, end) + 1 or end
            left = memoryview(head + text[begin:end] + tail)
            while left:
                left = left[self._write(self._descriptor, left) :]
            begin = end

    def _renew(self) -> None:
        self._lock = threading.RLock()


def install() -> None:
    """Have what Python prints marked, from now on."""
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        # Each piece is passed on by who writes it, and waits for the end of its line below.
        stream = io.TextIOWrapper(Marked(descriptor, f"<{name}>"), encoding="utf-8", errors="backslashreplace", write_through=True)
        vars(stream)["mode"] = "w"  # as Python's own has it
        setattr(sys, name, stream)
