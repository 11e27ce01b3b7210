"""Processes that are proven ours: found by a token in their environment, and ended through a descriptor of them where there is one.

A PID alone proves nothing, because it may be somebody else's by now: its start says whose it is. Linux only: elsewhere nothing is found.
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
_PAUSE = 0.02
"""Seconds between two looks at processes that were killed."""


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


def kill_marked(mark: str) -> int:
    """Kill every process that carries a mark, and wait for none.

    :param mark: the first parts of the variable, whole.
    :returns: how many have not ended yet. One of them may have started others meanwhile: to be called until there is none.
    """
    return len(_kill(_carries(mark)))


def kill_children() -> int:
    """Kill every child of this process, and wait for none.

    :returns: how many have not ended yet; to be called until there is none, because the children of those become ours.
    """
    return len(_kill(_is_child))


def end_marked(mark: str, *, seconds: float = 2.0) -> None:
    """End every process that carries a mark, until there is none left or time is up.

    :param mark: the first parts of the variable, whole.
    """
    _end(_carries(mark), seconds)


def end_orphans(handler: str, *, seconds: float = 2.0) -> None:
    """End what daemons of a handler left that are no longer there themselves, until there is none left or time is up."""

    def orphaned(pid: int) -> bool:
        owner, _, rest = _mark_of(pid).partition("/")
        daemon, _, started = rest.partition("/")[0].partition("-")
        return owner == handler and daemon.isdigit() and _start_time(int(daemon)) != started

    _end(orphaned, seconds)


def end_children(*, seconds: float = 2.0) -> None:
    """End every child of this process, and those that become its children meanwhile, until there is none left or time is up."""
    _end(_is_child, seconds)


class Process:
    """One process, and never another that was given its PID later.

    A descriptor of it is held where the system has such (Linux 5.3); where not, its start is compared right before each signal.

    :raises ProcessLookupError: there is none, or only what is left of one.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.started = _start_time(pid)
        if not self.started:
            raise ProcessLookupError(pid)
        self._descriptor = _descriptor_of(pid)

    @property
    def there(self) -> bool:
        """Whether it has not ended."""
        return _start_time(self.pid) == self.started

    def send(self, number: signal.Signals) -> None:
        """:raises ProcessLookupError: it has ended.
        :raises PermissionError: it is not ours.
        """
        if self._descriptor is not None:
            signal.pidfd_send_signal(self._descriptor, number)
        elif self.there:
            os.kill(self.pid, number)
        else:
            raise ProcessLookupError(self.pid)

    def ended(self, *, end: float) -> bool:
        """Wait for its end.

        :param end: until when, by :func:`time.monotonic`.
        """
        while self.there:
            left = end - time.monotonic()
            if left <= 0:
                return False
            if self._descriptor is None:
                time.sleep(min(left, _PAUSE))
            else:
                poller = select.poll()
                poller.register(self._descriptor, select.POLLIN)
                poller.poll(left * 1000)
        return True

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


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


def _carries(mark: str) -> Callable[[int], bool]:
    return lambda pid: f"{_mark_of(pid)}/".startswith(f"{mark}/")


def _is_child(pid: int) -> bool:
    return _stat(pid)[1:2] == [str(os.getpid())]


def _end(found: Callable[[int], bool], seconds: float) -> None:
    """Kill all, then wait for all: one that is slow to die holds up no other."""
    end = time.monotonic() + seconds
    left = _kill(found)
    while left and time.monotonic() < end:
        time.sleep(_PAUSE)
        # One that is about to end shows no mark any more.
        left = {(pid, started) for pid, started in left if _start_time(pid) == started} | _kill(found)


def _kill(found: Callable[[int], bool]) -> set[tuple[int, str]]:
    """Kill what is found, in one pass.

    :returns: PID and start of each that has not ended yet.
    """
    own = os.getpid()
    return {(pid, started) for pid in _pids() if pid != own and found(pid) and (started := _kill_one(pid, found))}


def _kill_one(pid: int, found: Callable[[int], bool]) -> str:
    """:returns: its start; nothing where it has ended, or is not ours to end."""
    try:
        process = Process(pid)
    except ProcessLookupError:
        return ""
    try:
        # Now that it cannot become another process: is it still the one that was found?
        if not found(pid):
            return ""
        process.send(signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return ""
    finally:
        process.close()
    return process.started


def _descriptor_of(pid: int) -> int | None:
    if not (hasattr(os, "pidfd_open") and hasattr(signal, "pidfd_send_signal")):
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:  # this kernel has none, or a filter of system calls refuses it, or no descriptor is left
        return None


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
