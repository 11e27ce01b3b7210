"""The way to an alias's computation directory: which links in it are followed.

A node makes what is below the data dir, and may be another user. A link of its own must not lead this process, with its rights, to a
directory that the node could not use itself. So a link is followed where it belongs to this user, to root, or to the owner of what
it leads to, and what it leads to belongs to the owner of the alias's own directory. Each step is opened, and then looked at: what is
put in its place meanwhile is not gone through.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import ExitStack

from nectar import features
from nectar.errors import ConflictError

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from pathlib import Path

_STEPS = 3
"""From the data dir on: the alias, ``data`` and ``computation``."""
_MOST = 40
"""Links that are followed on the way of one step, as the kernel does."""
_DIRECTORY = (os.O_RDONLY if features.O_PATH is None else features.O_PATH) | os.O_DIRECTORY | os.O_CLOEXEC


class StrangeLinkError(ConflictError):
    """A link in an alias's path is not followed; the message says whose it is."""


def enter(path: Path) -> int:
    """Open an alias's computation directory.

    :returns: its descriptor, for reading.
    :raises StrangeLinkError: a link in its path is not to be followed.
    :raises OSError: it is not there, or cannot be opened.
    """
    steps = [step for step in (path, *path.parents)[:_STEPS] if step.name]
    with ExitStack() as stack:
        here = _open(steps[-1].parent, None, stack)
        owner = None
        for step in reversed(steps):
            links: list[tuple[str, int]] = []
            here = _follow(step.name, here, str(step.parent), links, stack)
            target = os.fstat(here).st_uid
            owner = target if owner is None else owner
            _require_trusted(step, links, target, owner)
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=here)


def look(path: Path) -> os.stat_result:
    """What is at an alias's path now.

    It is asked each second for each alias: where there is no link, it takes three looks and opens nothing.

    :raises StrangeLinkError, OSError: as :func:`enter`.
    """
    computation = str(path)
    data = os.path.dirname(computation)
    for step in (os.path.dirname(data), data, computation):
        status = os.lstat(step)
        if stat.S_ISLNK(status.st_mode):
            directory = enter(path)
            try:
                return os.fstat(directory)
            finally:
                os.close(directory)
    return status


def _follow(name: str, directory: int, shown: str, links: list[tuple[str, int]], stack: ExitStack) -> int:
    """A descriptor of what a name in a directory leads to.

    :param shown: the directory, for a person.
    :param links: gets the links that were followed, each with its owner.
    """
    try:
        return _open(name, directory, stack)
    except OSError as error:
        if error.errno not in (errno.ENOTDIR, errno.ELOOP, errno.EMLINK):
            raise
    owner, target = _read(name, directory)
    links.append((os.path.join(shown, name), owner))
    if len(links) > _MOST:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    if target.startswith("/"):
        directory, shown = _open("/", None, stack), "/"
    for part in target.split("/"):
        if part not in ("", "."):
            directory = _follow(part, directory, shown, links, stack)
            shown = os.path.join(shown, part)
    return directory


def _open(name: str | Path, directory: int | None, stack: ExitStack) -> int:
    opened = os.open(name, _DIRECTORY | (0 if directory is None else os.O_NOFOLLOW), dir_fd=directory)
    stack.callback(os.close, opened)
    return opened


def _read(name: str, directory: int) -> tuple[int, str]:
    """Owner and target of one and the same link.

    :raises OSError: it is none, or was replaced meanwhile.
    """
    if features.O_PATH is not None:
        link = os.open(name, features.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        try:
            status = os.fstat(link)
            if stat.S_ISLNK(status.st_mode):
                return status.st_uid, os.readlink("", dir_fd=link)
        finally:
            os.close(link)
    else:
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if stat.S_ISLNK(status.st_mode):
            target = os.readlink(name, dir_fd=directory)
            again = os.stat(name, dir_fd=directory, follow_symlinks=False)
            if (status.st_ino, status.st_ctime_ns) == (again.st_ino, again.st_ctime_ns):
                return status.st_uid, target
    raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))


def _require_trusted(step: Path, links: list[tuple[str, int]], target: int, owner: int) -> None:
    """:param target: whose the directory is that the step leads to.
    :param owner: whose the alias's own directory is.
    """
    if not links:
        return
    strange = next(((link, whose) for link, whose in links if whose not in (os.geteuid(), 0, target)), None)
    if strange is not None:
        problem = f"it goes through a link of user {strange[1]}, {strange[0]}, to a directory of user {target}"
    elif target != owner:
        problem = (
            f"it goes through a link, {links[0][0]}, to a directory of user {target}, and the alias's own belongs to user {owner}"
        )
    else:
        return
    raise StrangeLinkError(
        f"The alias's path is not followed: {problem}.",
        where=str(step),
        hint="A link must belong to this account, to root, or to the owner of what it leads to, and that to the owner of the alias's own "
        "directory.",
    )
