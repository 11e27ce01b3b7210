"""The daemon's end of the frames to and from one worker."""

from __future__ import annotations

from nectar.runtime.daemon.loop import READ, WRITE
from nectar.runtime.daemon.workers.kernel import BREATH, MOST_LEFT, SHORTAGES
from nectar.runtime.frames import FrameError, Reader, encode

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from nectar.runtime.daemon.loop import Loop
    from nectar.runtime.daemon.workers.kernel import Kernel


class Channel:
    """Frames, without ever waiting for the other side.

    :param descriptor: of a socket that does not block; it is closed by :meth:`close`.
    :param received: called with each header.
    :param closed: called when the other side has closed it, which it also does when it ends.
    :param broken: called when something came that is no frame, or none that was expected (``received`` raised a ValueError);
        what comes after that is not looked at.

    :ivar unread: whether the other side ended without having read all that was sent (Linux).
    """

    def __init__(
        self,
        loop: Loop,
        kernel: Kernel,
        descriptor: int,
        received: Callable[[dict[str, Any]], None],
        closed: Callable[[], None],
        broken: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._kernel = kernel
        self._descriptor = descriptor
        self._received = received
        self._closed = closed
        self._broken = broken
        self._reader = Reader(max_body=0)
        self.unread = False
        self._spoilt = False
        self._unsent = memoryview(b"")
        self._waits = False
        """Whether there was no room for what is unsent."""
        loop.watch(descriptor, READ, self._ready)

    def send(self, header: dict[str, Any], body: bytes = b"") -> None:
        """Send a frame, now or when there is room; where the other side has closed it, not at all."""
        try:
            if self._descriptor >= 0 and not self._spoilt:
                self._unsent = memoryview(bytes(self._unsent) + encode(header, body))
                self._write()
        except Exception as error:
            self._loop.fault(error)

    def drain(self) -> bool:
        """Take all that has come, after the worker's end.

        :returns: whether it could be taken now; what is left is still there then.
        """
        try:
            for _ in range(MOST_LEFT):
                if self._descriptor < 0 or not self._read():
                    break
        except OSError:
            return False
        return True

    def close(self) -> None:
        if self._descriptor >= 0:
            self._loop.forget(self._descriptor)
            self._kernel.close(self._descriptor)
            self._descriptor = -1
            self.unread |= len(self._unsent) > 0

    def _ready(self, events: int) -> None:
        if events & WRITE:
            self._write()
        if events & READ and self._descriptor >= 0:
            try:
                self._read()
            except OSError:  # what it holds may be the right answer
                self._loop.forget(self._descriptor)
                self._loop.later(BREATH, self._listen)

    def _listen(self) -> None:
        if self._descriptor >= 0:
            self._loop.watch(self._descriptor, READ | WRITE if self._waits else READ, self._ready)

    def _write(self) -> None:
        try:
            while self._unsent:
                self._unsent = self._unsent[self._kernel.write(self._descriptor, self._unsent) :]
        except OSError as error:
            if error.errno not in SHORTAGES:
                self.unread = True
                self._end()
                return
        if self._waits is not bool(self._unsent):
            self._waits = not self._waits
            self._listen()

    def _read(self) -> bool:
        """:raises OSError: it cannot be read now, for want of something."""
        try:
            piece = self._kernel.read(self._descriptor, 1 << 16)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno in SHORTAGES:
                raise
            self.unread |= isinstance(error, ConnectionResetError)
            piece = b""
        if not piece:
            self._end()
            return False
        if self._spoilt:
            return True
        self._reader.feed(piece)
        try:
            while (whole := self._reader.next()) is not None:
                self._received(whole[0])
        except (FrameError, KeyError, TypeError, ValueError):
            # It stays open, because its end tells whether the other side has read all.
            self._spoilt = True
            self._loop.forget(self._descriptor)
            self._broken()
        return True

    def _end(self) -> None:
        self.close()
        self._closed()
