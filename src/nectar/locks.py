"""Advisory locks on files, between processes."""

from __future__ import annotations

import errno
import fcntl
import math
import os
import stat
import time
from contextlib import contextmanager

from nectar import ownership

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


POLL = 0.02
"""Seconds between two looks at a lock that somebody else holds."""
_SHORT = 0.3
"""Seconds for which a lock may be held by who only looks whether it is: nobody is told that they are waited for."""


class Busy(Exception):  # noqa: N818  (it is an answer)
    """Somebody else holds the lock."""


@contextmanager
def hold(
    path: Path,
    *,
    shared: bool = False,
    wait: bool = True,
    seconds: float = math.inf,
    waiting: Callable[[], None] | None = None,
) -> Iterator[int]:
    """Hold a lock, and give its descriptor.

    Its file, and the directory that it is in, may be removed by whoever holds it: then they are made anew.

    :param shared: hold it beside others who do.
    :param seconds: for which it is waited for at most.
    :param waiting: called once when it has to be waited for.
    :raises Busy: somebody holds it, and we do not ``wait``, or have waited long enough.
    """
    patience = seconds if wait else 0
    descriptor = take(path, lambda: patience, opener=_make, shared=shared, waiting=waiting)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def take(
    path: Path,
    patience: Callable[[], float],
    *,
    opener: Callable[[Path], int],
    shared: bool = False,
    waiting: Callable[[], None] | None = None,
) -> int:
    """Take a lock, and give its descriptor, which holds it until it is closed.

    Whoever holds it may remove its file; so it counts only where its file is still the one in its place.

    :param patience: the seconds for which it is waited for at most, asked whenever somebody else holds it.
    :param opener: opens the file; what it raises is raised.
    :param waiting: called once when it has to be waited for.
    :raises Busy: somebody has held it for longer.
    """
    begun = time.monotonic()
    while True:
        descriptor = opener(path)
        locked = _is_locked(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        if locked and is_at(descriptor, path):
            return descriptor
        os.close(descriptor)
        if locked:  # what was removed meanwhile
            continue
        waited = time.monotonic() - begun
        if waited >= patience():
            raise Busy(path)
        if waiting is not None and waited >= _SHORT:
            waiting()
            waiting = None
        time.sleep(POLL)


def is_free(path: Path) -> bool:
    """Whether nobody holds a lock. A file that is not there is held by nobody."""
    try:
        descriptor = ownership.opener(path, os.O_RDONLY)  # no pipe that a node may have put there is waited for
    except FileNotFoundError:
        return True
    try:
        return _is_locked(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def is_at(descriptor: int, path: Path) -> bool:
    """Whether a file that was opened there is still the one at a path."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except OSError:
        return False


def _is_locked(descriptor: int, kind: int) -> bool:
    """Lock a file where that can be done at once."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _make(path: Path) -> int:
    """Open a lock's file, which is made with its directory where they are not there."""
    while True:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            return _opened(path)
        except (FileNotFoundError, FileExistsError):  # the directory went in between
            if _is_in_the_way(path.parent):
                raise


def _opened(path: Path) -> int:
    try:
        return ownership.opener(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
        return ownership.opener(path, os.O_RDONLY)  # as good a lock, and a stop needs no more


def _is_in_the_way(directory: Path) -> bool:
    """Whether something that is no directory has its place. One look tells: the directory may come and go between two."""
    try:
        found = os.lstat(directory)
    except FileNotFoundError:
        return False
    return not stat.S_ISDIR(found.st_mode) and not directory.is_dir()
