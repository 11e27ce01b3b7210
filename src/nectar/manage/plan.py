"""What an environment is made of: the files that go into its build, where each is from, and the hash over all of it."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from nectar.manage import trees
from nectar.manage.python import Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from nectar.manage.vcs import Checkout

FORMAT = "1"
"""Part of every key: raised when the same content would be built otherwise."""
LOCK = "uv.lock"
MARKER = "nectar.json"
"""Written last into an environment: one without it is none."""


@dataclass(frozen=True)
class Piece:
    """One file of a build: its content, from memory or from a file, or the target of a link within the tree."""

    content: bytes | None = None
    origin: Path | None = None
    link: str | None = None

    def read(self) -> bytes:
        """The content (a link's target)."""
        if self.origin is not None:
            return self.origin.read_bytes()
        return self.content if self.content is not None else (self.link or "").encode(errors="surrogateescape")

    def executable(self) -> bool:
        return self.origin is not None and bool(self.origin.stat().st_mode & stat.S_IXUSR)


@dataclass(kw_only=True)
class Plan:
    """A build, before it is one.

    :ivar distribution: the name of the handler's own distribution.
    :ivar project: where its project lies, relative to the tree (``""`` is the tree itself).
    :ivar lock: where its ``uv.lock`` is or would be, relative to the tree.
    :ivar pieces: path relative to the tree, to its file.
    :ivar locals_: names of the distributions that are built from the tree.
    :ivar python: the Python that is asked for.
    :ivar outside: why the resolution cannot be kept for the project, or None: its sources lie elsewhere.
    :ivar resolved_by: paths of the pieces that decide what is resolved, None for all.
    :ivar configured_by: the file of uv's settings elsewhere that counts for the project, as one above it does.
    :ivar configured_beside: whether it counts as if it lay in the project.
    :ivar read_in_place: directories that are only read, by position in the tree: indexes of local files.
    :ivar script_lock: where a single file's own lock lies, as ``uv lock --script`` wrote it; the file itself is beside it.
    :ivar lock_of: the author's lock, where it is or would be.
    :ivar extra: whatever else the content depends on.
    :ivar checkout: the position of git's working copy, and that, for a version that comes from git.
    """

    distribution: str
    project: str = ""
    lock: str = LOCK
    pieces: dict[str, Piece] = field(default_factory=dict)
    locals_: list[str] = field(default_factory=list)
    python: Request = field(default_factory=Request)
    outside: str | None = None
    resolved_by: list[str] | None = None
    configured_by: Path | None = None
    configured_beside: bool = False
    read_in_place: dict[str, Path] = field(default_factory=dict)
    script_lock: str | None = None
    lock_of: Path | None = None
    extra: list[str] = field(default_factory=list)
    checkout: tuple[str, Checkout] | None = None

    def add(self, position: str, tree: trees.Tree) -> None:
        """Put a tree of files at a position in the build's."""
        prefix = f"{position}/" if position else ""
        for name, origin in tree.files.items():
            self.pieces[prefix + name] = Piece(origin=origin)
        for name, target in tree.links.items():
            self.pieces[prefix + name] = Piece(link=target)

    @property
    def has_lock(self) -> bool:
        return self.lock in self.pieces

    def copy(self, into: Path) -> dict[str, str]:
        """Write the tree and return its digests, taken of what was written."""

        def write(name: str, piece: Piece, content: bytes, executable: bool) -> None:
            target = into / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if piece.link is not None:
                target.symlink_to(piece.link)
                return
            target.write_bytes(content)
            if executable:
                target.chmod(0o755)
            if piece.origin is not None:
                times = piece.origin.stat()
                os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))

        digests = self._digests(write)
        for name, origin in self.read_in_place.items():
            target = into / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if not os.path.lexists(target):
                target.symlink_to(origin, target_is_directory=True)
        if self.checkout:
            position, checkout = self.checkout
            checkout.reproduce(into / position)
        return digests

    def digests(self) -> dict[str, str]:
        """The digests of the content by part: ``project``, ``source``, ``lock`` and ``python``."""
        return self._digests(None)

    def _digests(self, seen: Callable[[str, Piece, bytes, bool], None] | None) -> dict[str, str]:
        parts = {"project": hashlib.sha256(), "source": hashlib.sha256(), "lock": hashlib.sha256()}
        for name in sorted(self.pieces):
            piece = self.pieces[name]
            content, executable = piece.read(), piece.executable()
            if seen:
                seen(name, piece, content, executable)
            kind = "lock" if name in (self.lock, self.script_lock) else "project" if name.endswith("pyproject.toml") else "source"
            mode = "link" if piece.link is not None else "executable" if executable else "plain"
            parts[kind].update(f"{len(name)} {name} {mode} {len(content)}\n".encode(errors="surrogateescape"))
            parts[kind].update(hashlib.sha256(content).digest())
        for line in self.extra:
            parts["source"].update(f"{line}\n".encode(errors="surrogateescape"))
        digests = {name: part.hexdigest() for name, part in parts.items()}
        digests["python"] = _text_digest(self.python.describe())
        return digests

    def resolution_digest(self) -> str:
        """A digest of what decides a resolution, the index settings aside."""
        names = sorted((set(self.pieces) if self.resolved_by is None else set(self.resolved_by) & set(self.pieces)) - {self.lock})
        parts = [f"{name} {hashlib.sha256(self.pieces[name].read()).hexdigest()}" for name in names]
        return _text_digest(*parts, self.python.describe())


def platform() -> str:
    """What else the content of an environment depends on."""
    return f"{sys.platform} {os.uname().machine}"


def key_of(digests: dict[str, str]) -> str:
    """The name of an environment: 20 hexadecimal digits over its parts."""
    return _text_digest(FORMAT, *(f"{name}={digests[name]}" for name in sorted(digests)))[:20]


def _text_digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode(errors="surrogateescape")).hexdigest()
