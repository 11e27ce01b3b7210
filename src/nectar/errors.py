"""What can go wrong, told to a person: what, where, and what to do next.

Every error of nectar's own is a :class:`NectarError`. The command line has one place that turns it into a message and an exit
code; nothing else prints it.
"""

from __future__ import annotations

import errno

TYPE_CHECKING = False  # typing is not imported in a worker
if TYPE_CHECKING:
    from typing import ClassVar


class NectarError(Exception):
    """The root of nectar's errors, and the one for "it was tried and failed" (exit code 1).

    :param message: what happened, naming the thing, in one sentence.
    :param where: the file, directory or setting that it is about.
    :param hint: what to do next, as a command where there is one.
    :param detail: somebody else's words, whole: the handler author's traceback, or uv's output.
    """

    exit_code: ClassVar[int] = 1
    kind: ClassVar[str] = "failed"

    def __init__(self, message: str, *, where: str | None = None, hint: str | None = None, detail: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint
        self.detail = detail


def from_system(error: OSError) -> NectarError:
    """What the system refused, as an error of ours."""
    where = None if error.filename is None else str(error.filename)
    if error.errno == errno.ELOOP:
        return ConflictError("There is a link where nectar follows none.", where=where, hint="Put what it leads to in its place.")
    return NectarError(f"{error.strerror or error}.", where=where)


class UsageError(NectarError):
    """The command line, or a setting, is wrong (exit code 2)."""

    exit_code = 2
    kind = "usage"


class NotFoundError(NectarError):
    """There is no such handler, alias or path (exit code 3)."""

    exit_code = 3
    kind = "not-found"


class UnknownNameError(NotFoundError):
    """There is no handler, or no node, of a name that somebody typed.

    :param what: ``"handler"`` or ``"node"``.
    :ivar name: what was typed.
    """

    def __init__(self, what: str, name: str, *, where: str | None = None, hint: str) -> None:
        super().__init__(f"There is no {what} {name!r}.", where=where, hint=hint)
        self.what = what
        self.name = name


class ConflictError(NectarError):
    """The name is running, the alias has a handler, the handler is not running, the data dir is not ours (exit code 4)."""

    exit_code = 4
    kind = "conflict"


class NewerError(ConflictError):
    """A newer nectar wrote something that this one does not know, and leaves as it is (exit code 4).

    :param what: the thing, as a sentence begins with it.
    """

    def __init__(self, what: str, *, where: str, hint: str = "Update nectar, or use the version that wrote it.") -> None:
        super().__init__(f"{what} was written by a newer nectar than this one, and is left as it is.", where=where, hint=hint)


class EnvironmentFailedError(NectarError):
    """The handler's environment could not be built (exit code 5)."""

    exit_code = 5
    kind = "environment"


class UnresponsiveError(NectarError):
    """The daemon does not answer, or not in time (exit code 6)."""

    exit_code = 6
    kind = "unresponsive"
