"""Where a spool is: one alias's computation directory and the ``.nectar`` in it, held by one process.

All access goes through descriptors of the two: what is put in their place meanwhile is another place.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from enum import Enum
from typing import TYPE_CHECKING

from nectar.home import CLAIMS

if TYPE_CHECKING:
    from pathlib import Path


VANISHED = frozenset({errno.ENOENT, errno.ENOTCONN, errno.ESTALE})
"""What is said of a directory that is there no more, or whose network's file system has gone."""


class Standing(Enum):
    """What has become of a ``.nectar``."""

    THERE = "there"
    REMOVED = "removed"
    AWAY = "away"


class SpoolBusyError(Exception):
    """Another process holds this alias."""


class SpoolUnusableError(Exception):
    """The directory cannot be used as a spool; the message says why."""


class Place:
    """:ivar directory: descriptor of the computation directory.
    :ivar claims: descriptor of its ``.nectar``, which carries the lock.
    """

    def __init__(self, path: Path, directory: int, claims: int) -> None:
        self._path = path
        self.directory = directory
        self.claims = claims

    @classmethod
    def take(cls, path: Path) -> Place:
        """Take hold of a directory.

        :param path: the alias's computation directory.
        :raises SpoolBusyError: another process holds it.
        :raises SpoolUnusableError: it is not there, cannot be written, or its ``.nectar`` is not this user's alone.
        """
        try:
            directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                return cls(path, directory, _take_claims(path, directory))
            except BaseException:
                os.close(directory)
                raise
        except OSError as error:
            raise SpoolUnusableError(f"{error.filename or path}: {error.strerror}") from None

    def renew(self) -> None:
        """Make ``.nectar`` anew, which has been removed.

        :raises SpoolBusyError: another process was faster.
        :raises SpoolUnusableError: what is there now cannot be used.
        """
        claims = _take_claims(self._path, self.directory)
        os.dup2(claims, self.claims, inheritable=False)
        os.close(claims)

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
        return _removed(self.directory)

    @property
    def robbed(self) -> bool:
        """Whether its ``.nectar`` has been removed, or all of it."""
        return _removed(self.claims)

    def standing(self) -> Standing:
        """Whether ``.nectar`` is where it was; removed is only what was removed from a directory that is at its path."""
        if self.robbed:
            return Standing.REMOVED if not self.gone and self._is_at_its_path() else Standing.AWAY
        try:
            there = os.stat(CLAIMS, dir_fd=self.directory, follow_symlinks=False)
        except FileNotFoundError:
            return Standing.AWAY
        claims = os.fstat(self.claims)
        # What is mounted over it is in no descriptor's way.
        same = _identity(there) == _identity(claims) or there.st_dev != claims.st_dev
        return Standing.THERE if same else Standing.AWAY

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

    def _is_at_its_path(self) -> bool:
        try:
            return _identity(self._path.stat()) == self.identity
        except (FileNotFoundError, NotADirectoryError):
            return False

    def changed(self) -> int:
        """When the directory's list of files changed last, in nanoseconds by the file system's clock."""
        return os.fstat(self.directory).st_mtime_ns


def _take_claims(path: Path, directory: int) -> int:
    """Open ``.nectar``, which is made where it is not there, and lock it."""
    try:
        os.mkdir(CLAIMS, 0o700, dir_fd=directory)
    except FileExistsError:
        pass
    claims = os.open(CLAIMS, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    try:
        # Whoever else could write in it could forge answers, or lead ours astray.
        owner = os.fstat(claims)
        if owner.st_uid != os.geteuid() or stat.S_IMODE(owner.st_mode) & 0o077:
            raise SpoolUnusableError(f"{path / CLAIMS} belongs to, or is open to, somebody else")
        fcntl.flock(claims, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(claims)
        raise SpoolBusyError(f"{path} is held by another handler's process") from None
    except BaseException:
        os.close(claims)
        raise
    return claims


def _removed(directory: int) -> bool:
    try:
        return os.fstat(directory).st_nlink == 0
    except OSError as error:
        if error.errno in VANISHED:
            return True
        raise


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
