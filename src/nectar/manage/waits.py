"""What a command waits for at this moment: whoever waits says so here, and the command line shows it to a person who wonders."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


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
