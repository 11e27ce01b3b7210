"""Which machine works in a data dir, where several could: on a network file system. There none sees what runs on the others."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from nectar import namelock, ownership
from nectar.errors import ConflictError
from nectar.home import NAME_PATTERN

if TYPE_CHECKING:
    from collections.abc import Callable

    from nectar.home import Home

ANYWAY = "--shared-data-dir"
_LOCK = ".lock"


def enter(home: Home, *, report: Callable[[str], None]) -> None:
    """Be the machine that works there, to start a handler.

    :param report: is told what does not hold there, once on each machine.
    :raises ConflictError: another one works there now.
    """
    kind = ownership.find_network(home)
    if kind is None:
        return
    before = ownership.sign(home)
    if before is not None and before.is_another:
        raise ConflictError(
            f"Another machine, {before.name}, was running handlers in this data dir {max(before.silent, 0):.0f} s ago.",
            where=str(home.host),
            hint=f"Stop them there, or wait until {ownership.SILENCE:g} s have passed. {ANYWAY} goes on all the same.",
        )
    if before is None or not before.is_this:
        report(f"warning: {describe(home, kind)}")


def enter_anyway(home: Home) -> None:
    """The same whoever works there."""
    if ownership.find_network(home) is not None:
        ownership.sign(home, anyway=True)


def leave(home: Home) -> None:
    """Let another machine have it at once, where nothing runs here any more."""
    found = ownership.find_host(home)
    if found is None or not found[0].is_this:
        return
    names = (path.name.removesuffix(_LOCK) for path in home.handlers.glob(f"*{_LOCK}"))
    if not any(namelock.is_running(home, name) for name in names if NAME_PATTERN.fullmatch(name)):
        with suppress(OSError):
            os.utime(home.host, (0, 0))


def describe(home: Home, kind: str) -> str:
    """What does not hold there, in a sentence."""
    return (
        f"{home.nectar} is on a network file system ({kind}): on another machine these handlers seem dead, "
        "and would be started a second time. Run them from one machine alone."
    )
