"""What lies in a file of a spool, looked at so that whatever it is does no harm: a link leads nowhere, a pipe hangs nobody."""

from __future__ import annotations

import os
import stat

from nectar.frozen import NamedTuple
from nectar.regular import NotRegularError, open_regular, read_up_to

PENDING = ".pending"
COMPLETE = ".complete"
LINKED = "it has more than one link"
"""Why a file is no question now, and may be one when its writer has removed the other name that it delivered it from."""
MAX_ID = 255 - len(".9.") - 16
"""Bytes of the longest id whose claim has a name that fits."""
MAX_ANSWER = 64 * 1024
"""Bytes of an answer of ours, at most: what lies in a claim, or was published, is read up to here however small questions must be."""


class NotAQuestionError(Exception):
    """A link, a directory, a device, a name that is too long: left alone. The message says which."""


class Content(NamedTuple):
    """A file's bytes, as far as they are of interest.

    :ivar too_large: whether there are more than a question may have; none are kept then.
    :ivar closed: why it cannot be opened, which may be for a moment or for good.
    """

    raw: bytes
    status: os.stat_result
    too_large: bool = False
    closed: str | None = None

    @property
    def signature(self) -> tuple[int, int, int]:
        """What changes when the file does."""
        return (self.status.st_ino, self.status.st_size, self.status.st_mtime_ns)

    def within(self, limit: int) -> Content:
        """The same, without its bytes where there are more than a question may have."""
        too_large = self.too_large or max(self.status.st_size, len(self.raw)) > limit
        return Content(b"", self.status, too_large=True) if too_large else self


class Stillness:
    """How long files that are not whole have been as they are."""

    def __init__(self) -> None:
        self._since: dict[str, tuple[tuple[int, int, int], float]] = {}

    def still(self, name: str, content: Content, now: float) -> float:
        """Seconds since a file was first seen with what it has now.

        :param now: monotonic seconds.
        """
        seen, since = self._since.get(name, (None, now))
        if seen != content.signature:
            since = now
        self._since[name] = (content.signature, since)
        return now - since

    def forget(self, name: str) -> None:
        self._since.pop(name, None)


def read(name: str, directory: int, limit: int) -> Content:
    """Read a file of a directory.

    :param limit: bytes, at most.
    :raises NotAQuestionError: it is no regular file.
    :raises OSError: it is not there, or cannot be read now.
    """
    try:
        descriptor, status = open_regular(name, directory=directory, follow=False)
    except NotRegularError:
        raise NotAQuestionError("it is not a regular file") from None
    except PermissionError as error:
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        return Content(b"", status, closed=f"it cannot be opened ({error.strerror})")
    try:
        # What is written to it meanwhile is noticed when it has been claimed.
        raw = read_up_to(descriptor, limit + 1, told=status.st_size) if status.st_size <= limit else b""
    finally:
        os.close(descriptor)
    return Content(raw, status, max(status.st_size, len(raw)) > limit).within(limit)


def no_question(comp_id: str, status: os.stat_result) -> str | None:
    """Why what has the name of a question is none, or None where it may be one."""
    if not comp_id:
        return "its name has no id"
    if comp_id.startswith("."):  # as many writers call what they are to rename
        return "its name begins with a dot"
    if len(os.fsencode(comp_id)) > MAX_ID:
        return f"its id is longer than {MAX_ID} bytes"
    if not stat.S_ISREG(status.st_mode):
        return "it is not a regular file"
    if status.st_nlink > 1:
        return LINKED
    return None
