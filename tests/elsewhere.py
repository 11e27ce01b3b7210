"""A system that has less than Linux, as macOS has: what of it is taken away from nectar, for ``nox -s elsewhere`` and for single tests.

The one module in which nectar asks what the system can do gets another beginning and another end, where it is installed: in the wheel
for the command, and so in what rides beside an environment for the daemon and its workers.

Taken away from each of these processes: descriptors of processes, ``waitid``, ``O_PATH``, ``prlimit``, credentials of a socket's other
side; ``prctl``, ``renameat2`` and ``inotify`` in the C library, as :mod:`ctypes` finds it, so that watchdog polls (20 times a second); and
all of ``/proc``.

Not taken away: what tests themselves look at, ``/proc`` most of all; what uv, git and the code of handlers do. Given, because macOS has
it: ``F_GETPATH``, the path of an open directory.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_FUTURE = "from __future__ import annotations\n"
_BEGINNING = """
import ctypes as _ctypes
import fcntl as _fcntl
import os as _os
import resource as _resource
import signal as _signal
import socket as _socket

for _module, _names in (
    (_os, ("pidfd_open", "waitid", "O_PATH")),
    (_signal, ("pidfd_send_signal",)),
    (_resource, ("prlimit",)),
    (_socket, ("SO_PEERCRED",)),
):
    for _name in _names:
        vars(_module).pop(_name, None)


class _Library(_ctypes.CDLL):
    def __getattr__(self, name):
        if name in ("prctl", "renameat2") or name.startswith("inotify_"):
            raise AttributeError(name)
        return super().__getattr__(name)


def _control(descriptor, command, *argument, _ask=_fcntl.fcntl):
    if command == 50:
        return _os.fsencode(_os.readlink(f"/proc/self/fd/{descriptor}")).ljust(1024, b"\\0")
    return _ask(descriptor, command, *argument)


_ctypes.CDLL = _Library
_fcntl.F_GETPATH = 50
_fcntl.fcntl = _control
"""
_END = """
PROC = "/there is none"
"""


def poorer(features: str) -> str:
    """The text of ``nectar/features.py``, with all that taken away."""
    if features.endswith(_END):  # a session that is run again in its environment
        return features
    assert features.count(_FUTURE) == 1
    return features.replace(_FUTURE, _FUTURE + _BEGINNING) + _END


def _change(module: str, change: Callable[[str], str]) -> None:
    """Change a module where it is installed."""
    found = find_spec(module)
    assert found is not None and found.origin is not None
    place = Path(found.origin)
    text = place.read_text()
    place.unlink()  # it may be one file with that in uv's cache
    place.write_text(change(text))


def _quicker(api: str) -> str:
    """The text of watchdog's ``observers/api.py``, with which polling tells of a file nearly as soon as macOS does."""
    default = "DEFAULT_OBSERVER_TIMEOUT: Seconds = "
    assert api.count(default) == 1
    return api.replace(f"{default}1.0", f"{default}0.05")


if __name__ == "__main__":
    _change("nectar.features", poorer)
    _change("watchdog.observers.api", _quicker)
