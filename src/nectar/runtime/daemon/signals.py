"""Signals as calls in the loop: a handler sets nothing but a byte in a pipe."""

from __future__ import annotations

import os
import signal

from nectar.runtime.daemon.loop import READ

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from collections.abc import Callable

    from nectar.runtime.daemon.loop import Loop


def route(loop: Loop, calls: dict[signal.Signals, Callable[[], None]]) -> None:
    """Have the loop make a call for each of these signals."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in calls:
        signal.signal(number, lambda *_: None)

    def read(_events: int) -> None:
        received = set(os.read(reading, 4096))
        for number, call in calls.items():
            if number in received:
                call()

    loop.watch(reading, READ, read)
