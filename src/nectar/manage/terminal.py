"""A terminal that is lent to a handler's worker, for its author to debug it there."""

from __future__ import annotations

import os
import signal
import termios
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any

from nectar.manage.relay import relay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Terminal:
    """Our standard streams, and our process group, which is the terminal's.

    :ivar streams: descriptors of them, for others to inherit.
    :ivar interrupted: whether an interrupt has come, which was the worker's to take.
    :ivar show: shows what was written there so far, where it is relayed.
    """

    def __init__(self, streams: list[int]) -> None:
        self.streams = streams
        self.interrupted = False
        self.show: Callable[[], None] = lambda: None

    def interrupt(self) -> None:
        self.interrupted = True

    def to_mapping(self) -> dict[str, Any]:
        """As the process that starts the worker reads it."""
        return {"group": os.getpgrp(), "streams": self.streams}


@contextmanager
def lend(*, relayed: bool = False) -> Iterator[Terminal]:
    """Leave the terminal, and interrupts, to somebody else, and have it afterwards as it was before, however that one ended.

    :param relayed: never the terminal itself, but a pseudo-terminal.
    """
    before = None
    with suppress(termios.error):  # it is a file, or a pipe
        before = termios.tcgetattr(0)
    terminal = Terminal([])

    handled = signal.signal(signal.SIGINT, lambda _number, _frame: terminal.interrupt())
    real = [number for number in range(3) if os.isatty(number)] if relayed else []
    try:
        with relay(real[0], terminal.interrupt) if real else nullcontext() as there:
            terminal.streams += [os.dup(there.theirs if there and number in real else number) for number in range(3)]
            if there:
                terminal.show = there.show
            yield terminal
    finally:
        for descriptor in terminal.streams:
            os.close(descriptor)
        signal.signal(signal.SIGINT, handled)
        if before is not None:
            with suppress(termios.error):
                termios.tcsetattr(0, termios.TCSADRAIN, before)
