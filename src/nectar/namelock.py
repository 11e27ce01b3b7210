"""The lock that says that a handler of a name runs: taken once, held until the process ends, and looked at meanwhile."""

from __future__ import annotations

import fcntl
import json
import os
import time
from typing import TYPE_CHECKING

import nectar
from nectar import processes
from nectar.errors import ConflictError

if TYPE_CHECKING:
    from pathlib import Path

LOOKED_AT = 2.0
"""Seconds for which a lock may be held by commands that only look whether the handler runs."""
ENDING = 0.3
"""Seconds for a daemon that holds the lock to end, where it is about to."""


class NameLock:
    """:param started: Unix seconds, which are written into the file, with who holds it.
    :raises ConflictError: somebody has it.
    """

    def __init__(self, path: Path, started: float) -> None:
        self._path = path
        self._descriptor = _hold(path, started)

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
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        else:
            return False
        finally:
            os.close(descriptor)

    def _gone(self) -> Path:
        """The outermost of what is missing on the way to the lock."""
        missing = self._path
        for path in (self._path, *self._path.parents):
            if os.path.lexists(path):
                break
            missing = path
        return missing


def _hold(path: Path, started: float) -> int:
    begun = time.monotonic()
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            # A command that only looks whether we run holds it for a moment, too.
            if time.monotonic() < begun + (ENDING if _has_holder(path) else LOOKED_AT):
                time.sleep(0.01)
                continue
            raise ConflictError(f"A handler named {path.stem!r} is running.", hint=f"nectar stop {path.stem}") from None
        try:
            same = path.stat().st_ino == os.fstat(descriptor).st_ino
        except FileNotFoundError:
            same = False
        if same:
            break
        os.close(descriptor)  # it was removed meanwhile
    os.ftruncate(descriptor, 0)
    os.write(descriptor, json.dumps({"pid": os.getpid(), "started": started, "version": nectar.__version__}).encode() + b"\n")
    return descriptor


def _has_holder(path: Path) -> bool:
    """Whether the daemon that wrote its PID into a lock's file has it open."""
    try:
        return processes.has_open(int(json.loads(path.read_bytes())["pid"]), path)
    except (OSError, ValueError, KeyError, TypeError):
        return False
