"""Where a spool is: one alias's computation directory and the ``.nectar`` in it, held by one process.

All access goes through descriptors of the two: what is put in their place meanwhile is another place.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from typing import TYPE_CHECKING

from nectar.home import CLAIMS

if TYPE_CHECKING:
    from pathlib import Path


class SpoolBusyError(Exception):
    """Another process holds this alias."""


class SpoolUnusableError(Exception):
    """The directory cannot be used as a spool; the message says why."""


class Place:
    """:ivar directory: descriptor of the computation directory.
    :ivar claims: descriptor of its ``.nectar``, which carries the lock.
    """

    def __init__(self, directory: int, claims: int) -> None:
        self.directory = directory
        self.claims = claims

    @classmethod
    def take(cls, path: Path) -> Place:
        """Take hold of a directory.

        :param path: the alias's computation directory.
        :raises SpoolBusyError: another process holds it.
        :raises SpoolUnusableError: it is not there, cannot be written, or its ``.nectar`` is not this user's alone.
        """
        opened: list[int] = []
        try:
            directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            opened.append(directory)
            try:
                os.mkdir(CLAIMS, 0o700, dir_fd=directory)
            except FileExistsError:
                pass
            claims = os.open(CLAIMS, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
            opened.append(claims)
            # Whoever else could write in it could forge answers, or lead ours astray.
            owner = os.fstat(claims)
            if owner.st_uid != os.geteuid() or stat.S_IMODE(owner.st_mode) & 0o077:
                raise SpoolUnusableError(f"{path / CLAIMS} belongs to, or is open to, somebody else")
            fcntl.flock(claims, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException as error:
            for descriptor in opened:
                os.close(descriptor)
            if isinstance(error, BlockingIOError):
                raise SpoolBusyError(f"{path} is held by another handler's process") from None
            if isinstance(error, OSError):
                raise SpoolUnusableError(f"{error.filename or path}: {error.strerror}") from None
            raise
        return cls(directory, claims)

    def close(self) -> None:
        os.close(self.claims)
        os.close(self.directory)

    @property
    def identity(self) -> tuple[int, int]:
        """Device and inode of the directory."""
        return _identity(os.fstat(self.directory))

    @property
    def gone(self) -> bool:
        """Whether the directory has been removed: nothing can be published in it any more."""
        try:
            return os.fstat(self.directory).st_nlink == 0
        except OSError as error:
            if error.errno in (errno.ENOTCONN, errno.ESTALE):  # a network's file system that has gone
                return True
            raise

    def is_at(self, path: Path) -> bool:
        """Whether this is what lies at a path now, its ``.nectar`` included.

        :raises OSError: it cannot be told now.
        """
        try:
            return self.identity == _identity(path.stat()) and _identity(os.fstat(self.claims)) == _identity(
                (path / CLAIMS).lstat()
            )
        except OSError as error:
            if error.errno in (errno.EIO, errno.ENOMEM):
                raise
            return False

    def changed(self) -> int:
        """When the directory's list of files changed last, in nanoseconds by the file system's clock."""
        return os.fstat(self.directory).st_mtime_ns


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
