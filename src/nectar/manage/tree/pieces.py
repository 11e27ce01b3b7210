"""The pieces of a build, and the one place that writes them: into a fresh tree, which none of them leaves."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nectar import regular
from nectar.errors import EnvironmentFailedError
from nectar.manage.files import authored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEPTH = 200
"""Parts that a name may have; what walks the tree later calls itself for each."""
HOPS = 40
"""Links that are followed one after the other; the kernel follows no more."""
_MISPLACED = re.compile(r"(?:^|/)(?:\.{0,2}|\.git)(?:/|\Z)|\0", re.IGNORECASE)


class Piece(NamedTuple):
    """One file of a build: its content, from memory or from a file, or the target of a link within the tree.

    :ivar origin: that file, which is no link.
    """

    content: bytes | None = None
    origin: Path | None = None
    link: str | None = None

    def read(self) -> bytes:
        """The content (a link's target)."""
        if self.origin is not None:
            return regular.read_regular(self.origin, authored.ANY, follow=False)
        return self.content if self.content is not None else (self.link or "").encode(errors="surrogateescape")

    def executable(self) -> bool:
        return self.origin is not None and bool(self.origin.stat().st_mode & stat.S_IXUSR)


def is_name(name: str) -> bool:
    """Whether a piece may be called so: relative, without ``..``, and nothing of git's own, which is made anew."""
    return _MISPLACED.search(name) is None and name.count("/") < DEPTH


def parents(name: str) -> Iterator[str]:
    """The directories that a name lies in, the nearest first."""
    while "/" in name:
        name = name.rpartition("/")[0]
        yield name


def stays_inside(name: str, target_of: Callable[[str], str | None]) -> bool:
    """Whether a link leads nowhere out of its tree, at any step of the way, and not to the tree itself.

    It is told from the names alone: the tree is somewhere else in the copy, and what lies around it is, too.

    :param name: the link's, relative to the tree.
    :param target_of: what a name in the tree is a link to; None where it is none.
    """
    place: list[str] = []
    waiting = name.split("/")[::-1]
    hops = 0
    while waiting:
        part = waiting.pop()
        if part == ".." and not place:
            return False
        if part == "..":
            place.pop()
        elif part not in ("", "."):
            target = target_of("/".join([*place, part]))
            if target is None:
                place.append(part)
                continue
            hops += 1
            if hops > HOPS or target.startswith("/"):
                return False
            waiting.extend(target.split("/")[::-1])
    return bool(place)


class Copy:
    """A tree that is written: private, and nothing in it goes through a link.

    Links come last, so that no name, whatever the file system takes it to be the same as, lies below one.
    """

    def __init__(self, top: Path) -> None:
        self._top = top
        self._made = {""}
        self._links: list[tuple[str, str]] = []

    def write(self, name: str, content: bytes, *, like: os.stat_result | None = None) -> None:
        """Write one file.

        :param like: a file whose times it gets, and whether it can be executed.
        """
        self._make(name)
        executable = like is not None and like.st_mode & stat.S_IXUSR
        try:
            _write_new(self._top / name, content, 0o700 if executable else 0o600, like)
        except FileExistsError:
            raise _same(name) from None

    def link(self, name: str, target: str) -> None:
        """Have a link, once all files are there."""
        self._make(name)
        self._links.append((name, target))

    def finish(self) -> None:
        """Make the links."""
        for name, target in self._links:
            try:
                (self._top / name).symlink_to(target)
            except FileExistsError:
                raise _same(name) from None

    def _make(self, name: str) -> None:
        missing = [parent for parent in parents(name) if parent not in self._made]
        for parent in reversed(missing):
            try:
                (self._top / parent).mkdir(mode=0o700)
            except FileExistsError:  # by a name that the file system takes to be the same
                if not stat.S_ISDIR((self._top / parent).lstat().st_mode):
                    raise _same(parent) from None
            self._made.add(parent)


def rewrite(top: Path, name: str, content: bytes) -> None:
    """Write a file of a tree anew, in place of whatever has its name.

    :raises EnvironmentFailedError: it lies below a link.
    """
    if any((top / parent).is_symlink() for parent in parents(name)):
        raise misplaced(name)
    (top / name).unlink(missing_ok=True)
    _write_new(top / name, content, 0o600, None)


def misplaced(name: str) -> EnvironmentFailedError:
    """The error for a name that would lead out of the tree, or below a file or a link."""
    return EnvironmentFailedError(
        f"The source has a file that no copy of it can have: {name!r}.",
        hint="A file's name is relative to the source, without .. or .git, and lies below no other file or link.",
    )


def _same(name: str) -> EnvironmentFailedError:
    return EnvironmentFailedError(
        f"The source has two files whose names are the same to the data dir's file system: {name!r}.", hint="Rename one of them."
    )


def _write_new(path: Path, content: bytes, mode: int, like: os.stat_result | None) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(path, "wb", opener=lambda file, _: os.open(file, flags, mode)) as stream:
        stream.write(content)
        stream.flush()
        if like is not None:
            os.utime(stream.fileno(), ns=(like.st_atime_ns, like.st_mtime_ns))
