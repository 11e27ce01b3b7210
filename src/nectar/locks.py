"""Advisory locks on files, between processes."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nectar import ownership

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


_POLL = 0.02
_SHORT = 0.3
"""Seconds for which a lock may be held by who only looks whether it is: nobody is told that they are waited for."""


class Busy(Exception):  # noqa: N818  (it is an answer)
    """Somebody else holds the lock."""


@contextmanager
def held(
    path: Path,
    *,
    shared: bool = False,
    wait: bool = True,
    seconds: float | None = None,
    waiting: Callable[[], None] | None = None,
) -> Iterator[int]:
    """Hold a lock, and give its descriptor.

    Its file, and the directory that it is in, may be removed by whoever holds it: then they are made anew.

    :param shared: hold it beside others who do.
    :param seconds: for which it is waited for at most.
    :param waiting: called once when it has to be waited for.
    :raises Busy: somebody holds it, and we do not ``wait``, or have waited long enough.
    """
    end = None if seconds is None else time.monotonic() + seconds
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    while True:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = _opened(path)
        except (FileNotFoundError, FileExistsError):  # the directory went in between
            if _is_in_the_way(path.parent):
                raise
            continue
        try:
            if not _got(descriptor, kind, _SHORT if wait else 0):
                if not wait:
                    raise Busy(path)
                if waiting:
                    waiting()
                    waiting = None
                if not _got(descriptor, kind, None if end is None else end - time.monotonic()):
                    raise Busy(path)
            if is_at(descriptor, path):
                yield descriptor
                return
        finally:
            os.close(descriptor)


def _opened(path: Path) -> int:
    try:
        return ownership.opener(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
        return ownership.opener(path, os.O_RDONLY)  # as good a lock, and a stop needs no more


def is_free(path: Path) -> bool:
    """Whether nobody holds a lock. A file that is not there is held by nobody."""
    try:
        descriptor = ownership.opener(path, os.O_RDONLY)  # no pipe that a node may have put there is waited for
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)


def is_at(descriptor: int, path: Path) -> bool:
    """Whether a file that was opened there is still the one at a path."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except OSError:
        return False


def _got(descriptor: int, kind: int, seconds: float | None) -> bool:
    """:param seconds: for which it is tried; None waits as long as it takes."""
    if seconds is None:
        fcntl.flock(descriptor, kind)
        return True
    end = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                return False
            time.sleep(_POLL)
        else:
            return True


def _is_in_the_way(directory: Path) -> bool:
    """Whether something that is no directory has its place. One look tells: the directory may come and go between two."""
    try:
        found = os.lstat(directory)
    except FileNotFoundError:
        return False
    return not stat.S_ISDIR(found.st_mode) and not directory.is_dir()
