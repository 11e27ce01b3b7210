"""What a worker's code prints: line by line, as much of it as the log and the daemon can bear."""

from __future__ import annotations

import re
from collections import deque

from nectar.runtime.daemon.job import MAX_NAME
from nectar.runtime.daemon.loop import READ
from nectar.runtime.daemon.workers.kernel import BREATH, MOST_LEFT, SHORTAGES
from nectar.runtime.frames import MARK, MARKED

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
MOST_UNFINISHED = 100
"""Jobs of which the beginning of a line is kept: more than there are, but code can write marks too."""
LONGEST_MARK = 4 * MAX_NAME + 2
MARKS = re.compile(MARK + b"([^" + MARK + MARKED + b"\n]*)" + MARKED)
LAST_LINES = 100
"""Lines that are kept of what was dropped: when the worker dies, they say why."""


class Printed:
    """What comes out of descriptors 1 and 2 of a worker, in lines, as many as there may be in a second.

    :param name: the author's files in place of the environment's copies, in each line.
    :param source: what the job is called that the worker has, or the first of several.

    :ivar is_marked: whether the worker has several, and marks whose it is.
    """

    def __init__(
        self,
        loop: Loop,
        kernel: Kernel,
        descriptor: int,
        listener: Listener,
        name: Callable[[str], str] = lambda line: line,
        source: Callable[[], str] = str,
    ) -> None:
        self._name = name
        self._loop = loop
        self._kernel = kernel
        self._descriptor = descriptor
        self._listener = listener
        self._source = source
        self.is_marked = False
        self._whose = ""
        self._mark = b""
        """The beginning of a mark that has not come wholly."""
        self._rests: dict[str, tuple[bytes, Timer]] = {}
        """What has come of lines that are not whole, by whose they are, and what passes it on as it is."""
        self._second = 0.0
        self._room = (LINES_A_SECOND, BYTES_A_SECOND)
        self._missing = 0
        self._last: deque[tuple[str, bytes]] = deque(maxlen=LAST_LINES)
        self._listen()

    def catch_up(self, *, wholly: bool = False) -> None:
        """Take what came before that of which the worker tells now, as long as it is known whose it is.

        Who writes first and tells then is seen to have written, when he is seen to tell: where nothing was, nothing is asked of the system.

        :param wholly: whether to look in any case.
        """
        if wholly or self._loop.was_ready(self._descriptor):
            try:
                self._take_all()
            except Exception as error:  # what it tells is no less true
                self._loop.fault(error)

    def close(self) -> None:
        """Take what has come, an unfinished line too, and let go."""
        self._take_all()
        self._feed(self._whose, self._mark)
        self._mark = b""
        for whose in [*self._rests]:
            self._cut(whose)
        last = list(self._last)
        self._missing -= len(last)
        self._tell_missing()
        for whose, line in last:
            self._listener.printed([self._name(_text(line))], whose)
        self._end()

    def _listen(self) -> None:
        if self._descriptor >= 0:
            self._loop.watch(self._descriptor, READ, self._ready)

    def _ready(self, _events: int) -> None:
        self._read()

    def _take_all(self) -> None:
        # Bounded, because a process that was not found may go on writing.
        for _ in range(MOST_LEFT):
            if self._descriptor < 0 or not self._read():
                break

    def _read(self) -> bool:
        """:returns: whether there may be more."""
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
        for whose, part in self._split(piece) if self.is_marked else [(self._source(), piece)]:
            self._feed(whose, part)
        return True

    def _split(self, piece: bytes) -> Iterator[tuple[str, bytes]]:
        """What a worker with several jobs has printed, by whose it is."""
        piece = self._mark + piece
        begun = piece.rfind(MARK)
        whole = begun < 0 or MARKED in piece[begun:] or len(piece) - begun > LONGEST_MARK
        self._mark = b"" if whole else piece[begun:]
        text, *others = MARKS.split(piece if whole else piece[:begun])
        if self._is_full() and others:  # what is dropped is not worth the time
            yield self._whose, b"".join([text, *others[1::2]])
            self._whose = others[-2].decode("utf-8", "replace")
            return
        yield self._whose, text
        for name, part in zip(others[::2], others[1::2], strict=True):
            self._whose = name.decode("utf-8", "replace")
            yield self._whose, part

    def _feed(self, whose: str, piece: bytes) -> None:
        if not piece:
            return
        rest, timer = self._rests.pop(whose, (b"", None))
        *whole, rest = (rest + piece).split(b"\n")
        if max(map(len, whole), default=0) > MAX_PRINTED_LINE:
            whole = [part for line in whole for part in _cut_up(line)]
        *parts, rest = _cut_up(rest)
        whole += parts
        if timer is not None and (whole or not rest):
            timer.cancel()
            timer = None
        if rest:
            self._rests[whose] = rest, timer or self._loop.later(UNFINISHED, lambda: self._cut(whose))
        self._take(whose, whole)
        if len(self._rests) > MOST_UNFINISHED:
            self._cut(next(iter(self._rests)))

    def _cut(self, whose: str) -> None:
        """Pass on what has come of a line that is not whole."""
        rest, timer = self._rests.pop(whose)
        timer.cancel()
        self._take(whose, [rest])

    def _is_full(self) -> bool:
        """Whether there is no more room for lines in this second."""
        now = self._loop.now()
        if now - self._second >= 1.0:
            self._second = now
            self._room = (LINES_A_SECOND, BYTES_A_SECOND)
            self._tell_missing()
        return min(self._room) <= 0

    def _take(self, whose: str, lines: list[bytes]) -> None:
        """Pass lines on while there is room for them in this second."""
        self._is_full()
        count, size = self._room
        kept = []
        for number, line in enumerate(lines):
            if count <= 0 or size <= 0:
                self._drop(whose, lines[number:])
                break
            kept.append(self._name(_text(line)))
            count -= 1
            size -= len(line)
        self._room = (count, size)
        if kept:
            self._listener.printed(kept, whose)

    def _drop(self, whose: str, lines: list[bytes]) -> None:
        if not self._missing:
            self._loop.later(1.0, self._tell_missing)
        self._missing += len(lines)
        self._last.extend((whose, line) for line in lines[-LAST_LINES:])

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


def _cut_up(line: bytes) -> list[bytes]:
    return [line[begin : begin + MAX_PRINTED_LINE] for begin in range(0, len(line), MAX_PRINTED_LINE)] or [b""]


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace")
