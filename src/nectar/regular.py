"""Opening what somebody else put there: a regular file or nothing. A pipe hangs nobody, and no device is touched."""

from __future__ import annotations

import errno
import os
import stat

_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_NO_FILE = (errno.ENXIO, errno.ENODEV, errno.EMLINK)
_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFLNK: "a link",
}


class NotRegularError(OSError):
    """It is a pipe, a device, a directory, a socket, or a link where none is followed; ``strerror`` says which."""


class TooLargeError(OSError):
    """The file has more bytes than it may have; ``strerror`` says how many it may."""


def open_regular(path: str | os.PathLike[str], *, directory: int | None = None, follow: bool) -> tuple[int, os.stat_result]:
    """Open a regular file for reading, without waiting for anybody.

    :param directory: a descriptor of what a relative path is relative to.
    :param follow: whether the last part may be a link. What it leads to is then looked at before it is opened: that alone does
        something to some devices.
    :returns: a descriptor, and what the file is.
    :raises NotRegularError: it is something else.
    :raises OSError: it is not there, or cannot be opened.
    """
    try:
        if follow:
            _refuse_irregular(os.stat(path, dir_fd=directory), path)
        descriptor = os.open(path, _READ | (0 if follow else os.O_NOFOLLOW), dir_fd=directory)
    except ValueError:  # a NUL, or half a surrogate
        raise FileNotFoundError(errno.ENOENT, "no file can have this name", path) from None
    except OSError as error:
        if error.errno in _NO_FILE or (error.errno == errno.ELOOP and not follow):
            raise NotRegularError(errno.EINVAL, "it is not a regular file", path) from None
        raise
    try:
        status = os.fstat(descriptor)
        _refuse_irregular(status, path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, status


def read_up_to(descriptor: int, limit: int, *, told: int = 0) -> bytes:
    """What is left in a file, whatever size it says it has, and at most so many bytes of it.

    :param told: bytes that it said it has. When just these have been read, it is not asked whether there are more by now.
    """
    pieces = []
    left = limit
    # Room for a megabyte would be mapped and unmapped each time.
    while left and (piece := os.read(descriptor, min(left, max(told + 1, 1 << 16)))):
        pieces.append(piece)
        left -= len(piece)
        if limit - left == told:
            break
    return b"".join(pieces)


def read_regular(path: str | os.PathLike[str], limit: int, *, directory: int | None = None, follow: bool) -> bytes:
    """Read a whole regular file.

    :param limit: bytes, at most.
    :raises NotRegularError: it is something else.
    :raises TooLargeError: it has more bytes.
    :raises OSError: it is not there, or cannot be read.
    """
    descriptor, status = open_regular(path, directory=directory, follow=follow)
    try:
        content = read_up_to(descriptor, limit + 1) if status.st_size <= limit else b""
    finally:
        os.close(descriptor)
    if max(status.st_size, len(content)) > limit:
        raise TooLargeError(errno.EFBIG, f"it has more than {limit:,} bytes", path)
    return content


def _refuse_irregular(status: os.stat_result, path: str | os.PathLike[str]) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        raise NotRegularError(errno.EINVAL, f"it is {kind}, not a regular file", path)
