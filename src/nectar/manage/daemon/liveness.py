"""Whether a handler's daemon runs: its lock says so, never a PID alone.

Where somebody has removed the lock, its marks say so for the moment until it has noticed.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nectar import ownership, processes
from nectar.locks import is_free

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from nectar.home import Home

_POLL = 0.02
_WRITTEN_WITHIN = 2.0
_LOOKED_AT = 0.3
"""Seconds for which a lock may be held by commands that only look whether the handler runs."""


@dataclass(frozen=True)
class Holder:
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


def running(home: Home, name: str) -> bool:
    """Whether somebody holds the name's lock."""
    return not is_free(home.lock(name))


def holder(home: Home, name: str, *, living: Callable[[], Mapping[str, set[int]]] | None = None) -> Holder | None:
    """The name's daemon: who holds its lock, or where nobody does, who has been robbed of it.

    :param living: gives what :func:`nectar.processes.daemons` said a moment ago, where several names are looked at.
    """
    found = _of_lock(home, name)
    if found is not None:
        return found
    if living is not None and not living().keys() & set(processes.marks(home.data_dir, name)):
        return None
    # One that has taken the lock meanwhile is none that was robbed.
    return robbed(home, name) or _of_lock(home, name)


def robbed(home: Home, name: str) -> Holder | None:
    """A daemon of this name that lives beside the name's lock."""
    while True:
        named = _of_lock(home, name)
        if named is not None and named.pid is None:
            return None  # it may be the one that would be found
        living = processes.daemons()
        pids = {pid for mark in processes.marks(home.data_dir, name) for pid in living.get(mark, ())}
        others = pids if named is None else pids - {named.pid}
        if not others:
            return None
        if _of_lock(home, name) == named:
            return Holder(pid=min(others), robbed=True)


def _of_lock(home: Home, name: str) -> Holder | None:
    path = home.lock(name)
    end = time.monotonic() + _WRITTEN_WITHIN
    while not is_free(path):
        found = _named(path)
        if found.pid is not None or time.monotonic() > end:
            return found
        time.sleep(_POLL)  # It writes its line right after it has locked the file.
    return None


def wait_until_free(home: Home, name: str, *, end: float, of: int | None = None) -> bool:
    """Wait until nobody holds the lock, or another daemon does.

    :param end: by :func:`time.monotonic`.
    :param of: the PID of the daemon whose end is waited for; None where nobody knows it.
    :returns: whether that has come.
    """
    while running(home, name):
        if of is not None and _named(home.lock(name)).pid not in (None, of):
            return True
        if time.monotonic() >= end:
            return False
        time.sleep(_POLL)
    return True


@contextmanager
def kept_free(home: Home, name: str) -> Iterator[bool]:
    """Keep daemons from taking a name for a moment.

    :returns: whether it was free; when it was not, nothing is kept.
    """
    try:
        descriptor = ownership.opener(home.lock(name), os.O_RDONLY)
    except FileNotFoundError:
        yield True
        return
    try:
        end = time.monotonic() + _LOOKED_AT
        while not (free := _locked(descriptor)) and time.monotonic() < end:
            time.sleep(_POLL)
        yield free
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _named(path: Path) -> Holder:
    """Whom a lock's file names, where that process has it open.

    Between a new daemon's lock and its line in it, the file still names the last one, whose PID may be anybody's by now.
    """
    found = _read(path)
    return found if found.pid is not None and processes.has_open(found.pid, path) else Holder(pid=None)


def _read(path: Path) -> Holder:
    try:
        fields = json.loads(ownership.read(path))
        return Holder(pid=int(fields["pid"]), started=float(fields["started"]), version=str(fields["version"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Holder(pid=None)
