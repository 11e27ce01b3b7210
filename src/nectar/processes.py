"""Processes that are proven ours: found by a token in their environment, and ended through a descriptor of them.

A PID alone proves nothing, because it may be somebody else's by now. Linux only: elsewhere nothing is found.
"""

from __future__ import annotations

import hashlib
import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

VARIABLE = "NECTAR_WORKER"
"""In the environment of each worker, and so of all that it starts: ``{handler}/{daemon's PID}-{its start time}/{token}``."""

_SET_CHILD_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of prctl(2)


def adopt_orphans() -> None:
    """Make this process the parent of those of its descendants whose own parent ends (Linux)."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def handler_mark(data_dir: str | Path, name: str) -> str:
    """What marks the processes of one handler, whichever daemon started them."""
    return hashlib.sha256(os.fsencode(data_dir) + b"\0" + name.encode()).hexdigest()[:16]


def daemon_mark(handler: str) -> str:
    """What marks the processes that this daemon starts."""
    return f"{handler}/{os.getpid()}-{_start_time(os.getpid())}"


def end_marked(mark: str, *, seconds: float = 2.0) -> int:
    """End every process that carries a mark, until there is none left or time is up.

    :param mark: the first parts of the variable, whole.
    :returns: how many were ended.
    """
    return _end_while(lambda pid: f"{_mark_of(pid)}/".startswith(f"{mark}/"), seconds)


def end_orphans(handler: str, *, seconds: float = 2.0) -> int:
    """End what daemons of a handler left that are no longer there themselves.

    :returns: how many were ended.
    """

    def orphaned(pid: int) -> bool:
        owner, _, rest = _mark_of(pid).partition("/")
        daemon, _, started = rest.partition("/")[0].partition("-")
        return owner == handler and daemon.isdigit() and _start_time(int(daemon)) != started

    return _end_while(orphaned, seconds)


def end_children(*, seconds: float = 2.0) -> int:
    """End every child of this process that has not ended, and those that become its children meanwhile.

    :returns: how many were ended.
    """
    own = str(os.getpid())
    return _end_while(lambda pid: _stat(pid)[1:2] == [own], seconds)


def has_open(pid: int, path: Path) -> bool:
    """Whether a process has a file open; where the system does not tell, it is taken to have."""
    if not os.path.isdir("/proc/self/fd"):
        return True
    try:
        wanted = path.stat()
        descriptors = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return False
    for descriptor in descriptors:
        try:
            if os.path.samestat(os.stat(f"/proc/{pid}/fd/{descriptor}"), wanted):
                return True
        except OSError:
            continue
    return False


def _end_while(found: Callable[[int], bool], seconds: float) -> int:
    if sys.platform != "linux":
        return 0
    ended = 0
    end = time.monotonic() + seconds
    left_alone = {os.getpid()}
    while matching := [pid for pid in _pids() if pid not in left_alone and found(pid)]:
        for pid in matching:
            if _end(pid, found):
                ended += 1
            else:  # it has gone, or it is not ours to end
                left_alone.add(pid)
        if time.monotonic() > end:
            break
    return ended


def _pids() -> list[int]:
    """Of all processes; of none where no descriptor is left to look."""
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []


def _mark_of(pid: int) -> str:
    """The process's variable, or nothing: it has none, has ended, or is somebody else's."""
    try:
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return ""
    prefix = f"{VARIABLE}=".encode()
    return next((os.fsdecode(variable[len(prefix) :]) for variable in variables if variable.startswith(prefix)), "")


def _start_time(pid: int) -> str:
    """In clock ticks since the machine's start; nothing where there is no such process, or only what is left of one."""
    fields = _stat(pid)
    return fields[19] if fields else ""


def _stat(pid: int) -> list[str]:
    """Its state, its parent and what else the kernel tells of it; nothing where there is none, or only what is left of one."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []
    return [] if fields[:1] in ([], ["Z"], ["X"]) else fields


def _end(pid: int, found: Callable[[int], bool]) -> bool:
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        # Now that it cannot become another process: is it still the one that was found?
        if not found(pid):
            return False
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)
        poller.poll(200)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
