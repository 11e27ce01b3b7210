"""Which claims their process let go of in order: to take them up again is no further try.

Their tokens are in ``.nectar/released``, one a line. Whatever else has that name says nothing; at worst a try is counted.
"""

from __future__ import annotations

import errno
import os
import re

from nectar.spool.claims import make_token
from nectar.spool.entries import NotAQuestionError, read

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from collections.abc import Collection

RELEASED = "released"
MOST = 1000
"""Claims that are named at most: each time that one of them is taken up, the file is written anew."""

_LINE = 16 + 1
_TOKEN = re.compile(r"[0-9a-f]{16}")
_SHORT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
_VANISHED = frozenset({errno.ENOENT, errno.ENOTCONN, errno.ESTALE})


class Released:
    """What the file of a directory of claims says, to whoever opens it next.

    :param claims: descriptor of the directory.
    :raises OSError: this process is short of something, which has nothing to do with the file.

    :ivar tokens: what it says now.
    """

    def __init__(self, claims: int) -> None:
        self._claims = claims
        self.tokens = _read(claims)

    def say(self, tokens: frozenset[str]) -> OSError | None:
        """Name these and no others, and return why that is not possible: what it said it still says then."""
        if tokens == self.tokens:
            return None
        try:
            _write(self._claims, tokens)
        except OSError as error:
            if error.errno not in _VANISHED:  # nobody comes to a directory that is no more
                return error
        self.tokens = tokens
        return None

    def strike(self, token: str) -> bool:
        """Whether it does not name this one from here on."""
        return token not in self.tokens or self.say(self.tokens - {token}) is None or self.say(frozenset()) is None


def _read(claims: int) -> frozenset[str]:
    try:
        content = read(RELEASED, claims, MOST * _LINE)
    except NotAQuestionError:
        return frozenset()
    except OSError as error:
        if error.errno in _SHORT:
            raise
        return frozenset()
    if content.status.st_uid != os.geteuid() or content.status.st_nlink > 1:
        return frozenset()
    return frozenset(filter(_TOKEN.fullmatch, content.raw.decode("ascii", errors="replace").split("\n")))


def _write(claims: int, tokens: Collection[str]) -> None:
    if not tokens:
        os.unlink(RELEASED, dir_fd=claims)
        return
    aside = f"{make_token()}.answer"  # what is left of that name is removed by who comes next
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=claims)
    try:
        try:
            left = memoryview("".join(f"{token}\n" for token in sorted(tokens)[:MOST]).encode())
            while left:
                left = left[os.write(descriptor, left) :]
        finally:
            os.close(descriptor)
        os.rename(aside, RELEASED, src_dir_fd=claims, dst_dir_fd=claims)
    except BaseException:
        try:
            os.unlink(aside, dir_fd=claims)
        except OSError:
            pass
        raise
