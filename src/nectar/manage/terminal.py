"""A terminal that is lent to a handler's worker, for its author to debug it there."""

from __future__ import annotations

import os
import signal
import termios
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


class Terminal:
    """Our standard streams, and our process group, which is the terminal's.

    :ivar streams: descriptors of them, for others to inherit.
    :ivar interrupted: whether an interrupt has come, which was the worker's to take.
    """

    def __init__(self, streams: list[int]) -> None:
        self.streams = streams
        self.interrupted = False

    def to_mapping(self) -> dict[str, Any]:
        """As the process that starts the worker reads it."""
        return {"group": os.getpgrp(), "streams": self.streams}


@contextmanager
def lend() -> Iterator[Terminal]:
    """Leave the terminal, and interrupts, to somebody else, and have it afterwards as it was before, however that one ended."""
    before = None
    with suppress(termios.error):  # it is a file, or a pipe
        before = termios.tcgetattr(0)
    terminal = Terminal([])

    def note(_number: int, _frame: object) -> None:
        terminal.interrupted = True

    handled = signal.signal(signal.SIGINT, note)
    try:
        terminal.streams += [os.dup(number) for number in range(3)]
        yield terminal
    finally:
        for descriptor in terminal.streams:
            os.close(descriptor)
        signal.signal(signal.SIGINT, handled)
        if before is not None:
            with suppress(termios.error):
                termios.tcsetattr(0, termios.TCSADRAIN, before)
