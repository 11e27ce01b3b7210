"""What an environment is made of: the files that go into its build, where each is from, and the hash over all of it."""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from nectar.errors import EnvironmentFailedError
from nectar.manage.tree import contents
from nectar.manage.tree.contents import Memory
from nectar.manage.tree.pieces import Copy, Piece, is_name, misplaced, parents, stays_inside
from nectar.manage.uv.interpreters import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from nectar.manage.source.checkouts import Checkout
    from nectar.manage.tree.trees import Tree

FORMAT = "1"
"""Part of every key: raised when the same content would be built otherwise."""
LOCK = "uv.lock"


@dataclass(kw_only=True)
class Plan:
    """A build, before it is one.

    :ivar distribution: the name of the handler's own distribution.
    :ivar project: where its project lies, relative to the tree (``""`` is the tree itself).
    :ivar lock: where its ``uv.lock`` is or would be, relative to the tree.
    :ivar left_out: what of the source was not taken, each a line for a person.
    :ivar extras: of the handler's distribution, as they are compared.
    :ivar wrapped: whether the project is none of the author's, and has nothing but the distribution, with its extras, as a dependency.
    :ivar locals_: names of the distributions that are built from the tree.
    :ivar python: the Python that is asked for.
    :ivar outside: why the resolution cannot be kept for the project, or None: its sources lie elsewhere.
    :ivar resolved_by: paths of the pieces that decide what is resolved, None for all.
    :ivar configured_by: the file of uv's settings elsewhere that counts for the project in place of its own, as one above it does.
    :ivar read_in_place: directories that are only read, by position in the tree: indexes of local files.
    :ivar script_lock: where a single file's own lock lies, as ``uv lock --script`` wrote it; the file itself is beside it.
    :ivar lock_of: the author's lock, where it is or would be.
    :ivar extra: whatever else the content depends on.
    :ivar checkout: the position of git's working copy, and that, for a version that comes from git.
    :ivar memory: says what a piece holds; what is copied is read in any case.
    """

    distribution: str
    project: str = ""
    lock: str = LOCK
    left_out: list[str] = field(default_factory=list)
    extras: tuple[str, ...] = ()
    wrapped: bool = False
    locals_: list[str] = field(default_factory=list)
    python: Request = field(default_factory=Request)
    outside: str | None = None
    resolved_by: list[str] | None = None
    configured_by: Path | None = None
    read_in_place: dict[str, Path] = field(default_factory=dict)
    script_lock: str | None = None
    lock_of: Path | None = None
    extra: list[str] = field(default_factory=list)
    checkout: tuple[str, Checkout] | None = None
    memory: Memory = field(default_factory=Memory)
    _pieces: dict[str, Piece] = field(default_factory=dict)
    _directories: set[str] = field(default_factory=set)

    @property
    def pieces(self) -> Mapping[str, Piece]:
        """Path relative to the tree, to its file; :meth:`put` is the way in."""
        return MappingProxyType(self._pieces)

    def put(self, name: str, piece: Piece) -> None:
        """Have a piece, in place of what had its name. What lies below a name counts more than a link of that name.

        :raises EnvironmentFailedError: no copy can have it there.
        """
        if not is_name(name):
            raise misplaced(name)
        if name in self._directories:
            if piece.link is None:
                raise misplaced(name)
            return
        for parent in parents(name):
            if parent in self._directories:
                break
            if parent in self._pieces and self._pieces.pop(parent).link is None:
                raise misplaced(name)
            self._directories.add(parent)
        self._pieces[name] = piece

    def add(self, position: str, tree: Tree) -> None:
        """Put a tree of files at a position in the build's."""
        prefix = f"{position}/" if position else ""
        for name, origin in tree.files.items():
            self.put(prefix + name, Piece(origin=origin))
        for name, target in tree.links.items():
            self.put(prefix + name, Piece(link=target))
        self.left_out += [line for line in tree.left_out if line not in self.left_out]

    @property
    def has_lock(self) -> bool:
        return self.lock in self.pieces

    def copy(self, into: Path) -> dict[str, str]:
        """Write the tree and return its digests, taken of what was written.

        :raises EnvironmentFailedError: a link leads out of it, or the file system takes two names to be the same.
        """
        copy = Copy(into)

        def write(name: str, piece: Piece, content: bytes) -> None:
            if piece.link is None:
                copy.write(name, content, like=piece.origin.stat() if piece.origin else None)
            else:
                copy.link(name, piece.link)

        elsewhere = {name: place for name, place in self.read_in_place.items() if name and name not in self._taken()}
        self._refuse_links_out(elsewhere)
        digests = self._digests(write)
        for name, place in elsewhere.items():
            copy.link(name, str(place))
        copy.finish()
        if self.checkout:
            position, checkout = self.checkout
            checkout.reproduce(into / position)
        return digests

    def _taken(self) -> set[str]:
        return {*self._pieces, *self._directories}

    def _refuse_links_out(self, elsewhere: Mapping[str, Path]) -> None:
        """Refuse a link that leads out of the copy, by whatever other links there will be in it."""
        targets = {name: str(place) for name, place in elsewhere.items()}
        targets |= {name: piece.link for name, piece in self._pieces.items() if piece.link is not None}
        for name in targets.keys() - elsewhere.keys():
            if not stays_inside(name, targets.get):
                raise EnvironmentFailedError(
                    f"The source has a link that would lead out of a copy of it: {name!r} -> {targets[name]!r}.",
                    hint="Put what it leads to in its place, or leave it out.",
                )

    def digests(self) -> dict[str, str]:
        """The digests of the content by part: ``project``, ``source``, ``lock`` and ``python``."""
        return self._digests(None)

    def _digests(self, seen: Callable[[str, Piece, bytes], None] | None) -> dict[str, str]:
        parts = {"project": hashlib.sha256(), "source": hashlib.sha256(), "lock": hashlib.sha256()}
        for name in sorted(self.pieces):
            piece = self.pieces[name]
            if seen:
                written = piece.read()
                seen(name, piece, written)
                content = contents.of(written)
            else:
                content = self.memory.look(piece)
            kind = "lock" if name in (self.lock, self.script_lock) else "project" if name.endswith("pyproject.toml") else "source"
            mode = "link" if piece.link is not None else "executable" if piece.executable() else "plain"
            parts[kind].update(f"{len(name)} {name} {mode} {content.size}\n".encode(errors="surrogateescape"))
            parts[kind].update(content.digest)
        if self.extras and not self.wrapped:
            parts["project"].update(f"extras {' '.join(self.extras)}\n".encode())
        for line in self.extra:
            parts["source"].update(f"{line}\n".encode(errors="surrogateescape"))
        digests = {name: part.hexdigest() for name, part in parts.items()}
        digests["python"] = _text_digest(self.python.describe())
        return digests

    def resolution_digest(self) -> str:
        """A digest of what decides a resolution, the index settings aside."""
        names = sorted((set(self.pieces) if self.resolved_by is None else set(self.resolved_by) & set(self.pieces)) - {self.lock})
        parts = [f"{name} {self.memory.look(self.pieces[name]).digest.hex()}" for name in names]
        return _text_digest(*parts, self.python.describe())


def platform() -> str:
    """What else the content of an environment depends on."""
    return f"{sys.platform} {os.uname().machine}"


def key_of(digests: dict[str, str]) -> str:
    """The name of an environment: 20 hexadecimal digits over its parts."""
    return _text_digest(FORMAT, *(f"{name}={digests[name]}" for name in sorted(digests)))[:20]


def _text_digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode(errors="surrogateescape")).hexdigest()
