"""The standard streams, for as long as there is somebody to read them: that a reader goes away ends the printing, and no verb."""

from __future__ import annotations

import io
import os
import select
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO

    from _typeshed import ReadableBuffer


class Sink(io.RawIOBase):
    """A descriptor that is written to whole, also where it does not block; what cannot be written is dropped.

    :ivar lost: why it is.
    """

    def __init__(self, descriptor: int) -> None:
        self.lost: OSError | None = None
        self._descriptor = descriptor

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        left = memoryview(data)
        while left and self.lost is None:
            try:
                left = left[os.write(self._descriptor, left) :]
            except BlockingIOError:
                select.select([], [self._descriptor], [])
            except OSError as error:
                self.lost = error
        return memoryview(data).nbytes

    def has_reader(self) -> bool:
        """Whether what is written now would be read, as far as the system tells."""
        if self.lost is not None:
            return False
        poll = select.poll()
        poll.register(self._descriptor, 0)
        return not any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))


def count_columns(descriptor: int) -> int | None:
    """How many a terminal has; None where it is none, or does not know."""
    try:
        return os.get_terminal_size(descriptor).columns or None
    except OSError:
        return None


def is_ascii(stream: TextIO) -> bool:
    """Whether a stream shows no more than ASCII: its encoding has no more, or it is a terminal in the locale ``C``.

    Python takes that locale for one of UTF-8, and says so in ``LC_CTYPE``; what is piped stays as it is everywhere.
    """
    try:
        "✅═".encode(stream.encoding)
    except UnicodeEncodeError:
        return True
    chosen = os.environ.get("LC_ALL") or os.environ.get("LC_CTYPE", "C.UTF-8").replace("C.UTF-8", "") or os.environ.get("LANG")
    return chosen in ("C", "POSIX") and stream.isatty()


def install() -> Sink:
    """Have all that this process prints go through such descriptors, whoever prints it; standard output's is returned."""
    sinks = Sink(1), Sink(2)
    for name, sink in zip(("stdout", "stderr"), sinks, strict=True):
        # An encoding without an emoji, or a path that is no text, must not become a traceback.
        encoding = getattr(sys, name).encoding
        setattr(sys, name, io.TextIOWrapper(sink, encoding, "backslashreplace", write_through=True))
    return sinks[0]


def read_input(limit: int) -> bytes:
    """Standard input, also where it does not block, and at most so many bytes of it."""
    pieces = []
    while limit:
        try:
            piece = os.read(0, min(limit, 1 << 20))
        except BlockingIOError:
            select.select([0], [], [])
            continue
        if not piece:
            break
        pieces.append(piece)
        limit -= len(piece)
    return b"".join(pieces)
