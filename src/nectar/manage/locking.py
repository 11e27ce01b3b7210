"""Advisory locks on files, between processes."""

from __future__ import annotations

import fcntl
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Busy(Exception):  # noqa: N818  (it is an answer)
    """Somebody else holds the lock."""


@contextmanager
def held(path: Path, *, shared: bool = False, wait: bool = True, waiting: Callable[[], None] | None = None) -> Iterator[int]:
    """Hold a lock, and give its descriptor.

    Its file, and the directory that it is in, may be removed by whoever holds it: then they are made anew.

    :param shared: hold it beside others who do.
    :param waiting: called once when it has to be waited for, which takes as long as it takes.
    :raises Busy: somebody holds it, and we do not ``wait``.
    """
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    while True:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except (FileNotFoundError, FileExistsError):  # the directory went in between
            if _is_in_the_way(path.parent):
                raise
            continue
        try:
            try:
                fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                if not wait:
                    raise Busy(path) from None
                if waiting:
                    waiting()
                    waiting = None
                fcntl.flock(descriptor, kind)
            if _is_at(descriptor, path):
                yield descriptor
                return
        finally:
            os.close(descriptor)


def is_free(path: Path) -> bool:
    """Whether nobody holds a lock. A file that is not there is held by nobody."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
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


def _is_in_the_way(directory: Path) -> bool:
    """Whether something that is no directory has its place. One look tells: the directory may come and go between two."""
    try:
        found = os.lstat(directory)
    except FileNotFoundError:
        return False
    return not stat.S_ISDIR(found.st_mode) and not directory.is_dir()


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except OSError:
        return False
