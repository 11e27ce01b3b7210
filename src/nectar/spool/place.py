"""Where a spool is: one alias's computation directory and the ``.nectar`` in it, held by one process.

All access goes through descriptors of the two: what is put in their place meanwhile is another place.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
from enum import Enum

from nectar import features
from nectar.home import CLAIMS
from nectar.spool.approach import StrangeLinkError, enter, look
from nectar.spool.claims import make_token

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from pathlib import Path


VANISHED = frozenset({errno.ENOENT, errno.ENOTCONN, errno.ESTALE})
"""What is said of a directory that is there no more, or whose network's file system has gone."""


_ACL = "system.posix_acl_access"
_TRIAL = ".trial"
_MOVED = ".moved"
_TRIED = re.compile(r"[0-9a-f]{16}\.trial")


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
    :ivar exchanges: whether an answer and its question change places in there, which is quicker than a rename of one onto the other.
    """

    def __init__(self, path: Path, directory: int, claims: int, exchanges: bool) -> None:
        self._path = path
        self.directory = directory
        self.claims = claims
        self.exchanges = exchanges
        self._claimed = _identity(os.fstat(claims))

    @classmethod
    def take(cls, path: Path) -> Place:
        """Take hold of a directory.

        :param path: the alias's computation directory.
        :raises SpoolBusyError: another process holds it.
        :raises SpoolUnusableError: it is not there, its path leads through another user's link, it cannot be written, or its
            ``.nectar`` is not this user's alone.
        """
        try:
            directory = enter(path)
        except StrangeLinkError as error:
            raise SpoolUnusableError(error.message) from None
        except OSError as error:
            raise SpoolUnusableError(f"{path}: {error.strerror}") from None
        try:
            return cls(path, directory, *_take_claims(path, directory))
        except BaseException as error:
            os.close(directory)
            if isinstance(error, OSError):
                raise SpoolUnusableError(f"{path / CLAIMS}: {error.strerror}") from None
            raise

    def renew(self) -> None:
        """Make ``.nectar`` anew, which has been removed.

        :raises SpoolBusyError: another process was faster.
        :raises SpoolUnusableError: what is there now cannot be used.
        """
        claims, self.exchanges = _take_claims(self._path, self.directory)
        os.dup2(claims, self.claims, inheritable=False)
        os.close(claims)
        self._claimed = _identity(os.fstat(self.claims))

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
        try:
            # Asked twice for each question: one call, and the others only where this one does not tell. While it is open here, no
            # other directory can be the one that it is.
            if _identity(os.stat(CLAIMS, dir_fd=self.directory, follow_symlinks=False)) == self._claimed:
                return Standing.THERE
        except OSError:
            pass
        if self.robbed:
            return Standing.REMOVED if not self.gone and self._is_at_its_path() else Standing.AWAY
        try:
            there = os.stat(CLAIMS, dir_fd=self.directory, follow_symlinks=False)
        except FileNotFoundError:
            return Standing.AWAY
        # What is mounted over it is in no descriptor's way.
        same = _identity(there) == self._claimed or there.st_dev != self._claimed[0]
        return Standing.THERE if same else Standing.AWAY

    def is_at(self, path: Path) -> bool:
        """Whether this is what lies at a path now, its ``.nectar`` included.

        :raises OSError: it cannot be told now.
        """
        try:
            there = look(path)
            claims = os.stat(CLAIMS, dir_fd=self.directory, follow_symlinks=False)
            return self.identity == _identity(there) and self._claimed == _identity(claims)
        except StrangeLinkError:
            return False
        except OSError as error:
            if error.errno in (errno.EIO, errno.ENOMEM):
                raise
            return False

    def _is_at_its_path(self) -> bool:
        try:
            return _identity(look(self._path)) == self.identity
        except (FileNotFoundError, NotADirectoryError, StrangeLinkError):
            return False

    @property
    def shared(self) -> bool:
        """Whether others than this user may put files into the directory. A user's own group, as most systems give one, is the user."""
        found = os.fstat(self.directory)
        if found.st_uid != os.geteuid() or found.st_mode & stat.S_IWOTH:
            return True
        if not found.st_mode & stat.S_IWGRP:  # which an access control list is no more than
            return False
        return (
            bool(found.st_mode & stat.S_ISGID)
            or found.st_gid != os.getegid()
            or _ACL in features.extended_attributes(self.directory)
        )

    def changed(self) -> int:
        """When the directory's list of files changed last, in nanoseconds by the file system's clock."""
        return os.fstat(self.directory).st_mtime_ns


def _take_claims(path: Path, directory: int) -> tuple[int, bool]:
    """Open ``.nectar``, which is made where it is not there, lock it, and see whether it can be used.

    :returns: its descriptor, and whether answers and questions are to change places in there.
    """
    try:
        os.mkdir(CLAIMS, 0o700, dir_fd=directory)
    except FileExistsError:
        pass
    claims = os.open(CLAIMS, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    try:
        _require_ours(path / CLAIMS, claims)
        fcntl.flock(claims, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _remove_trials(directory, claims)
        exchanges = _try_renames(path, directory, claims)
    except BlockingIOError:
        os.close(claims)
        raise SpoolBusyError(f"{path} is held by another handler's process") from None
    except BaseException:
        os.close(claims)
        raise
    return claims, exchanges


def _require_ours(path: Path, claims: int) -> None:
    """Refuse what others could write in: they could forge answers, or lead ours astray."""
    found = os.fstat(claims)
    if found.st_uid == os.geteuid() and not stat.S_IMODE(found.st_mode) & 0o077:
        return
    made = _try_to_make(claims)
    if made is None or (made.st_uid == os.geteuid() and not made.st_mode & 0o077):
        raise SpoolUnusableError(f"{path} belongs to, or is open to, somebody else")
    raise SpoolUnusableError(
        f"{path} cannot be made private: its file system gives all that is made mode {stat.S_IMODE(made.st_mode):04o} and user "
        f"{made.st_uid}; mount it with modes 0700 and 0600 for user {os.geteuid()} (FAT: uid=, umask=077; CIFS: uid=, dir_mode=, file_mode=)"
    )


def _try_to_make(claims: int) -> os.stat_result | None:
    """What comes of it when a private directory is made; None where none can be made."""
    name = f"{make_token()}{_TRIAL}"
    try:
        os.mkdir(name, 0o700, dir_fd=claims)
        return os.stat(name, dir_fd=claims, follow_symlinks=False)
    except OSError:
        return None
    finally:
        _remove_trial(name, claims, claims)


def _try_renames(path: Path, directory: int, claims: int) -> bool:
    """Rename a file out of ``.nectar`` and back, as questions and answers are to be.

    :returns: whether answers and questions are to change places.

    What a kill leaves of it is removed by :func:`_remove_trials`: another file beside it tells, for as long as there is any.
    """
    name = f"{make_token()}{_TRIAL}"
    try:
        for made in (name, name + _MOVED):
            os.close(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=claims))
        owner = os.stat(name, dir_fd=claims, follow_symlinks=False).st_uid
        if owner != os.geteuid():  # by which an answer is known
            raise SpoolUnusableError(
                f"{path / CLAIMS}: its file system gives files that are made user {owner}; mount it so that they are user {os.geteuid()}'s"
            )
        exchanges = features.replaces_slowly(claims) and _can_exchange(name, name + _MOVED, claims)
        try:
            os.rename(name + _MOVED, f".{name}", src_dir_fd=claims, dst_dir_fd=directory)
            os.rename(f".{name}", name, src_dir_fd=directory, dst_dir_fd=claims)  # onto another, as an answer may be onto its claim
        except OSError as error:
            if error.errno == errno.EXDEV:
                raise SpoolUnusableError(
                    f"{path / CLAIMS} is on another file system, or another mount, than the directory that it is in: no question "
                    "can be renamed into it; unmount it there, or mount one file system over both"
                ) from None
            raise SpoolUnusableError(f"no file can be renamed between {path} and its {CLAIMS}: {error.strerror}") from None
        return exchanges
    finally:
        _remove_trial(name, directory, claims)


def _can_exchange(one: str, other: str, claims: int) -> bool:
    try:
        features.exchange(one, other, claims)
    except OSError:
        return False
    return True


def _remove_trials(directory: int, claims: int) -> None:
    with os.scandir(claims) as entries:
        names = [entry.name for entry in entries if _TRIED.fullmatch(entry.name)]
    for name in names:
        _remove_trial(name, directory, claims)


def _remove_trial(name: str, directory: int, claims: int) -> None:
    for left, where in ((f".{name}", directory), (name + _MOVED, claims), (name, claims)):
        try:
            os.unlink(left, dir_fd=where)
        except FileNotFoundError:
            continue
        except IsADirectoryError:
            os.rmdir(left, dir_fd=where)


def _removed(directory: int) -> bool:
    try:
        return os.fstat(directory).st_nlink == 0
    except OSError as error:
        if error.errno in VANISHED:
            return True
        raise


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
