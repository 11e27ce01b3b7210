"""The lock that says that a handler of a name runs: its file, taking it, and who holds it. A PID alone never says so.

A daemon takes it once, writes a line into its file, and holds it until the process ends:
``{"pid": …, "started": …, "version": …}``, where ``started`` is in Unix seconds and the version is nectar's. Commands look at
it meanwhile, and keep it from being taken for a moment. Where somebody has removed the file, the marks of its daemon say that
it runs, until that has noticed.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import contextmanager

import nectar
from nectar import ownership, proc, processes
from nectar.errors import ConflictError
from nectar.frozen import NamedTuple
from nectar.locks import POLL, Busy, is_free, take

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from nectar.home import Home

UNNAMED = 2.0
"""Seconds for whoever holds the lock and is not named in it: a daemon that is about to write its line, or a command that looks."""
NAMED = 0.3
"""Seconds for a daemon that holds the lock to end, where it is about to."""


class Holder(NamedTuple):
    """The daemon that holds a name's lock.

    :ivar pid: as it wrote into the lock's file; None where it has not done so, or it cannot be read.
    :ivar started: Unix seconds.
    :ivar version: nectar's.
    :ivar robbed: whether it lives without the lock, whose file was removed or replaced; then all that is known is its PID.
    """

    pid: int | None
    started: float | None = None
    version: str | None = None
    robbed: bool = False


class NameLock:
    """The lock, taken by this process.

    :param started: Unix seconds, which are written into the file, with who holds it.
    :raises ConflictError: somebody has it.
    :raises OSError: its file cannot be opened or written.
    """

    def __init__(self, path: Path, started: float) -> None:
        self._path = path
        try:
            self._descriptor = _take(path, os.O_RDWR | os.O_CREAT)
        except Busy:
            raise ConflictError(f"A handler named {path.stem!r} is running.", hint=f"nectar stop {path.stem}") from None
        line = {"pid": os.getpid(), "started": started, "version": nectar.__version__}
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, json.dumps(line).encode() + b"\n")

    def loss(self) -> str | None:
        """Why the name is not ours any more; None where it is, or where the system does not tell now."""
        try:
            found = os.lstat(self._path)
        except (FileNotFoundError, NotADirectoryError):
            return f"{self._gone()} is gone"
        except OSError:
            return None
        if os.path.samestat(found, os.fstat(self._descriptor)):
            return None
        return f"{self._path} is another file by now"

    def is_another_daemons(self) -> bool:
        """Whether what lies in the lock's place is held."""
        try:
            return not is_free(self._path)
        except OSError:  # a link, or nothing that could be a lock
            return False

    def _gone(self) -> Path:
        """The outermost of what is missing on the way to the lock."""
        missing = self._path
        for path in (self._path, *self._path.parents):
            if os.path.lexists(path):
                break
            missing = path
        return missing


def is_running(home: Home, name: str) -> bool:
    """Whether somebody holds the name's lock."""
    return not is_free(home.lock(name))


def find_holder(home: Home, name: str, *, living: Callable[[], Mapping[str, set[int]]] | None = None) -> Holder | None:
    """The name's daemon: who holds its lock, or where nobody does, who has been robbed of it.

    :param living: gives what :func:`nectar.processes.daemons` said a moment ago, where several names are looked at.
    """
    path = home.lock(name)
    found = _holder(path)
    if found is not None:
        return found
    if living is not None and not living().keys() & set(processes.marks(home.data_dir, name)):
        return None
    # One that has taken the lock meanwhile is none that was robbed.
    return find_robbed(home, name) or _holder(path)


def find_robbed(home: Home, name: str) -> Holder | None:
    """A daemon of this name that lives beside the name's lock."""
    path = home.lock(name)
    while True:
        named = _holder(path)
        if named is not None and named.pid is None:
            return None  # it may be the one that would be found
        living = processes.daemons(processes.marks(home.data_dir, name))
        pids = {pid for taken in living.values() for pid in taken}
        others = pids if named is None else pids - {named.pid}
        if not others:
            return None
        if _holder(path) == named:
            return Holder(pid=min(others), robbed=True)


def wait_until_free(home: Home, name: str, *, end: float, of: int | None = None) -> bool:
    """Wait until nobody holds the lock, or another daemon does.

    :param end: by :func:`time.monotonic`.
    :param of: the PID of the daemon whose end is waited for; None where nobody knows it.
    :returns: whether that has come.
    """
    path = home.lock(name)
    while not is_free(path):
        if of is not None and _named(path).pid not in (None, of):
            return True
        if time.monotonic() >= end:
            return False
        time.sleep(POLL)
    return True


@contextmanager
def keep_free(home: Home, name: str) -> Iterator[bool]:
    """Keep daemons from taking a name for a moment.

    :returns: whether it was free; when it was not, nothing is kept.
    """
    descriptor = None
    try:
        descriptor = _take(home.lock(name), os.O_RDONLY)
        free = True
    except FileNotFoundError:
        free = True
    except Busy:
        free = False
    try:
        yield free
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _take(path: Path, flags: int) -> int:
    """Lock the file, and give its descriptor.

    :raises Busy: a daemon has it, and does not end, or somebody else has had it for too long.
    """
    return take(
        path,
        lambda: UNNAMED if _named(path).pid is None else NAMED,
        opener=lambda path: ownership.opener(path, flags),
    )


def _holder(path: Path) -> Holder | None:
    """Who holds a lock; somebody without a PID where that is not said within :data:`UNNAMED`."""
    end = time.monotonic() + UNNAMED
    while not is_free(path):
        found = _named(path)
        if found.pid is not None or time.monotonic() > end:
            return found
        time.sleep(POLL)
    return None


def _named(path: Path) -> Holder:
    """Whom a lock's file names, where that process has it open.

    Between a new daemon's lock and its line in it, the file still names the last one, whose PID may be anybody's by now.
    """
    found = _read(path)
    return found if found.pid is not None and proc.has_open(found.pid, path) else Holder(pid=None)


def _read(path: Path) -> Holder:
    try:
        fields = json.loads(ownership.read(path))
        return Holder(pid=int(fields["pid"]), started=float(fields["started"]), version=str(fields["version"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Holder(pid=None)
