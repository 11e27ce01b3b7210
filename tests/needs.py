"""What a test needs of the system that not each has, and what is said where it is not there; see :mod:`tests.elsewhere`."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

from nectar import features
from nectar.home import Home
from nectar.manage.wall import trying
from nectar.runtime.daemon.aliases import watcher
from tests.soak.table import FRACTION

if TYPE_CHECKING:
    from collections.abc import Iterable

_Way = TypeVar("_Way")

NOWHERE = Home(Path("/nowhere"))

proc = pytest.mark.skipif(
    not features.has_proc(), reason="without /proc, what carries a mark is not found: it ends with its group, or by itself"
)
kernel_files = pytest.mark.skipif(not features.mounts(), reason="without /proc, no file is the kernel's talk")
memory = pytest.mark.skipif(
    not features.resident_memory(os.getpid()), reason="without /proc, nobody tells how much memory a process has"
)
death_signal = pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "prctl"),
    reason="without prctl, the worker of a killed daemon ends when it next looks at its channel",
)
wall = pytest.mark.skipif(not isinstance(trying.examine(NOWHERE), str), reason="no wall can stand here")
WALLED = os.environ.get("NECTAR_SANDBOX") == "1"
"""Whether every handler of this run has a wall: ``nox -s walls``."""
_BEHIND = pytest.param("walled", marks=[wall, pytest.mark.once])
EITHER_WAY = (_BEHIND,) if WALLED else ("open", _BEHIND)
"""Parameters of a fixture whose handler is to be tried a second time, behind a wall."""


def one_side(ways: Iterable[_Way], *, walled: bool) -> list[_Way]:
    """What is tried on this side of the wall by a test that runs on both: where not all of the soak is run, each way is on one of them."""
    return [*ways] if WALLED or FRACTION >= 1 else [*ways][walled::2]


def no_wall(reason: str) -> pytest.MarkDecorator:
    """A test that says nothing, or that cannot be, where every handler has a wall."""
    return pytest.mark.skipif(WALLED, reason=f"behind a wall: {reason}")


inotify = pytest.mark.skipif(not watcher.INOTIFY, reason="there is no inotify")
