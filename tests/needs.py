"""What a test needs of the system that not each has, and what is said where it is not there; see :mod:`tests.elsewhere`."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import pytest

from nectar import features
from nectar.home import Home
from nectar.manage.wall import trying
from nectar.runtime.daemon.aliases import watcher

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
EITHER_WAY = ("open", pytest.param("walled", marks=[wall, pytest.mark.once]))
"""Parameters of a fixture whose handler is to be tried a second time, behind a wall."""
inotify = pytest.mark.skipif(not watcher.INOTIFY, reason="there is no inotify")
