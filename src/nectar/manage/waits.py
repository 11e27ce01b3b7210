"""What a command waits for at this moment: whoever waits says so here, and the command line shows it to a person who wonders.

And what waits for nobody: a step in which an interrupt is held back.
"""

from __future__ import annotations

import signal
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def _show_nothing(_what: str, _seconds: float | None) -> AbstractContextManager[object]:
    return nullcontext()


show: Callable[[str, float | None], AbstractContextManager[object]] = _show_nothing
"""What shows it, while the block of what it returns is carried out; the command line puts its own there."""


def wait(what: str, *, seconds: float | None = None) -> AbstractContextManager[object]:
    """Say what is waited for in the block.

    :param what: as in "Loading 'h01'".
    :param seconds: after which the wait is given up; None is not known.
    """
    return show(what, seconds)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold an interrupt back until the end of the block: what must not be left half done takes seconds at most."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
