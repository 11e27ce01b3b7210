"""What an environment is made of: the files that go into its build, what settles their versions, what uv is told, and the hash over it."""

from __future__ import annotations

import hashlib
import os
import sys
from typing import TYPE_CHECKING, NamedTuple

from nectar.manage.tree import contents
from nectar.manage.tree.assembly import Assembly, BuildTree, see
from nectar.manage.tree.pieces import Piece
from nectar.manage.uv.interpreters import Request

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nectar.manage.source.checkouts import Checkout
    from nectar.manage.tree.assembly import Seen

FORMAT = "1"
"""Part of every key: raised when the same content would be built otherwise."""
LOCK = "uv.lock"


class Locking(NamedTuple):
    """What settles the versions of a build.

    :ivar place: where its ``uv.lock`` is or would be, relative to the tree.
    :ivar authors: the author's lock, where it is or would be.
    :ivar script: where a single file's own lock lies, as ``uv lock --script`` wrote it; the file itself is beside it.
    :ivar told_by: paths of the pieces that decide what is resolved, None for all.
    :ivar outside: why a resolution cannot be kept for the project, or None: its sources lie elsewhere.
    """

    place: str = LOCK
    authors: Path | None = None
    script: str | None = None
    told_by: frozenset[str] | None = None
    outside: str | None = None


class Asked(NamedTuple):
    """What uv is told beside the tree.

    :ivar python: the Python that is asked for.
    :ivar extras: of the handler's distribution, as they are compared; in a wrapper they stand in its text.
    :ivar settings: the file of uv's settings elsewhere that counts for the project in place of its own, as one above it does.
    """

    python: Request = Request()
    extras: tuple[str, ...] = ()
    settings: Path | None = None


class Plan(NamedTuple):
    """A build, before it is one; nothing in it changes, and nothing that is asked of it does anything.

    What it holds, as :meth:`nectar.manage.tree.assembly.BuildTree.see` says it, is ``seen`` in what follows: each name of the
    tree with mode, size and SHA-256.

    :ivar distribution: the name of the handler's own distribution.
    :ivar project: where its project lies, relative to the tree (``""`` is the tree itself).
    :ivar wrapped: whether the project is none of the author's, and has nothing but the distribution, with its extras, as a dependency.
    :ivar locals_: names of the distributions that are built from the tree.
    :ivar projects: where the projects lie that it is made of, relative to the tree; they are built, or say something that counts.
    :ivar elsewhere: what is taken whole and does not lie in the project.
    :ivar checkout: the position of git's working copy, and that, for a version that comes from git.
    """

    distribution: str
    project: str = ""
    wrapped: bool = False
    locals_: tuple[str, ...] = ()
    projects: tuple[str, ...] = ("",)
    elsewhere: tuple[Path, ...] = ()
    checkout: tuple[str, Checkout] | None = None
    tree: BuildTree = BuildTree()
    locking: Locking = Locking()
    asked: Asked = Asked()

    @property
    def has_lock(self) -> bool:
        return self.locking.place in self.tree.pieces

    def with_lock(self, content: bytes) -> Plan:
        """The same with a lock."""
        assembly = Assembly(self.tree.pieces)
        assembly.put(self.locking.place, Piece(content=content))
        return self._replace(tree=self.tree._replace(pieces=assembly.pieces))

    def see_lock(self, seen: Mapping[str, Seen]) -> dict[str, Seen]:
        """What it holds, where ``seen`` was before it had this lock."""
        lock = self.tree.pieces[self.locking.place]
        return {**seen, self.locking.place: see(lock, contents.read(lock))}

    def copy(self, into: Path) -> dict[str, Seen]:
        """Write the tree, and say what was written.

        :raises EnvironmentFailedError: a link leads out of it, or the file system takes two names to be the same.
        """
        seen = self.tree.copy(into)
        if self.checkout:
            position, checkout = self.checkout
            checkout.reproduce(into / position)
        return seen

    def digests(self, seen: Mapping[str, Seen] | None = None) -> dict[str, str]:
        """The digests of the content by part, each 64 hexadecimal digits.

        :param seen: what it holds; without, it is read.
        :returns: ``project`` (each ``pyproject.toml``, and extras), ``source``, ``lock`` and ``python``.
        """
        seen = self.tree.see() if seen is None else seen
        parts = {"project": hashlib.sha256(), "source": hashlib.sha256(), "lock": hashlib.sha256()}
        lock = self.locking.script or self.locking.place
        for name in sorted(self.tree.pieces):
            if name == self.locking.place != lock:
                continue  # uv has made it of the file's own
            mode, content = seen[name]
            part = parts["lock" if name == lock else "project" if name.endswith("pyproject.toml") else "source"]
            part.update(f"{len(name)} {name} {mode} {content.size}\n".encode(errors="surrogateescape"))
            part.update(content.digest)
        if self.asked.extras and not self.wrapped:
            parts["project"].update(f"extras {' '.join(self.asked.extras)}\n".encode())
        for line in self.tree.lines:
            parts["source"].update(f"{line}\n".encode(errors="surrogateescape"))
        return {**{name: part.hexdigest() for name, part in parts.items()}, "python": _digest(self.asked.python.describe())}

    def resolution_digest(self, seen: Mapping[str, Seen]) -> str:
        """A digest of what decides a resolution, the index settings aside."""
        told_by = self.tree.pieces.keys() if self.locking.told_by is None else self.locking.told_by & self.tree.pieces.keys()
        parts = [f"{name} {seen[name].content.digest.hex()}" for name in sorted(told_by - {self.locking.place})]
        return _digest(*parts, self.asked.python.describe())


def platform() -> str:
    """What else the content of an environment depends on."""
    return f"{sys.platform} {os.uname().machine}"


def key_of(digests: Mapping[str, str]) -> str:
    """The name of an environment: 20 hexadecimal digits over its parts, which are a plan's, ``index`` and ``platform``."""
    return _digest(FORMAT, *(f"{name}={digests[name]}" for name in sorted(digests)))[:20]


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode(errors="surrogateescape")).hexdigest()
