"""A pseudo-terminal for who is behind a wall: what is typed goes there, and what is shown comes from there."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import termios
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PIECE = 65536
_SIZE = b"\0" * 8
"""Room for a terminal's size, as the kernel tells it."""
_OURS, _THEIRS = termios.ECHO | termios.ICANON | termios.ISIG | termios.IEXTEN, termios.OPOST
"""What the real terminal leaves to the other one, and what that one leaves to it."""


class Relay:
    """Between a terminal, which is standard input or one of the others, and a pseudo-terminal.

    :param interrupted: called for an interrupt that is typed.
    :ivar theirs: the descriptor of the other side.
    """

    def __init__(self, terminal: int, interrupted: Callable[[], None]) -> None:
        self._terminal = terminal
        self._interrupted = interrupted
        self._ours, self.theirs = os.openpty()
        os.set_blocking(self._ours, False)
        self._woken, self._wake = os.pipe()
        self._one_at_a_time = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def begin(self) -> None:
        self.fit()
        quiet = termios.tcgetattr(self.theirs)
        quiet[1] &= ~_THEIRS
        termios.tcsetattr(self.theirs, termios.TCSANOW, quiet)
        raw = termios.tcgetattr(self._terminal)
        raw[0] &= ~(termios.ICRNL | termios.INLCR | termios.IXON)
        raw[3] &= ~_OURS
        termios.tcsetattr(self._terminal, termios.TCSADRAIN, raw)
        self._thread.start()

    def fit(self) -> None:
        """Have the other one as large as the terminal."""
        with suppress(OSError):
            fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, fcntl.ioctl(self._terminal, termios.TIOCGWINSZ, _SIZE))

    def show(self) -> None:
        """Show all that was written so far."""
        with self._one_at_a_time, suppress(BlockingIOError):
            while piece := os.read(self._ours, _PIECE):
                _write(self._terminal, piece)

    def end(self) -> None:
        os.write(self._wake, b"x")
        self._thread.join()
        self.show()
        for descriptor in (self._ours, self.theirs, self._woken, self._wake):
            os.close(descriptor)

    def _run(self) -> None:
        while True:
            ready = select.select([self._terminal, self._ours, self._woken], [], [])[0]
            if self._ours in ready:
                self.show()
            if self._woken in ready:
                return
            if self._terminal in ready:
                self._type(os.read(self._terminal, 1024))

    def _type(self, keys: bytes) -> None:
        now = termios.tcgetattr(self.theirs)
        if now[3] & termios.ISIG and now[6][termios.VINTR] in keys:
            self._interrupted()
        with suppress(BlockingIOError):  # nobody there reads, and there is no room for more
            os.write(self._ours, keys)


@contextmanager
def relay(terminal: int, interrupted: Callable[[], None]) -> Iterator[Relay]:
    """Have what is at a terminal relayed while the block runs; its settings are the caller's to put back."""
    made = Relay(terminal, interrupted)
    handled = signal.signal(signal.SIGWINCH, lambda _number, _frame: made.fit())
    made.begin()
    try:
        yield made
    finally:
        made.end()
        signal.signal(signal.SIGWINCH, handled)


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
