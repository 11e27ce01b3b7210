"""Waiting until what is tried has changed: the files that its environment is made of, and others that a person named.

They are looked at, a few times a second. That takes 4 ms for 1,000 files, needs nothing that runs out, and sees what no event tells
of: what comes from another machine or from outside of a container, a directory in another's place, an editor that saves by renaming.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from nectar.errors import NectarError
from nectar.manage.environment.survey import never_source
from nectar.manage.source import siblings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from nectar.home import Home
    from nectar.manage.source.source import Source

LEAST = 0.15
"""Seconds between two looks, at least."""
SHARE = 20
"""How many times as long as a look takes is the pause after it, at least."""
STILL = 0.05
"""Seconds in which nothing changes any more: who saves ten files at once is waited for."""

Mark = tuple[int, int, int] | None


class Changed(Exception):  # noqa: N818  (it is an answer)
    """What is watched is no longer what it was: this file, among others perhaps."""

    def __init__(self, file: Path) -> None:
        super().__init__(str(file))
        self.file = file


class Watch:
    """:param path: what a person pointed at.
    :param opened: says what lies there now.
    :param also: further files, and directories whose files count.
    """

    def __init__(self, home: Home, path: Path, opened: Callable[[], Source], also: Iterable[Path] = ()) -> None:
        self._home = home
        self._path = path
        self._opened = opened
        self._also = tuple(also)
        self._files: frozenset[Path] = frozenset()
        self._marks: dict[Path, Mark] = {}
        self._places: dict[Path, Mark] = {}
        self._next = 0.0

    def begin(self) -> None:
        """From now on, changes count."""
        self._files = self._list() or self._files or frozenset((self._path, self._path / "pyproject.toml"))
        self._marks = _mark(self._files)
        self._places = _mark(self._directories())

    def look(self) -> None:
        """Look again, unless somebody has just done so.

        :raises Changed: there is something to try.
        """
        begun = time.monotonic()
        if begun < self._next:
            return
        try:
            for file, mark in _mark(self._files).items():
                if mark != self._marks[file]:
                    raise Changed(file)
            places = _mark(self._places)
            if places != self._places:
                self._places = places
                for file in sorted(self._files.symmetric_difference(self._list() or self._files)):
                    raise Changed(file)
        finally:
            now = time.monotonic()
            self._next = now + max(LEAST, SHARE * (now - begun))

    def wait(self, *, wanted: Callable[[], bool]) -> None:
        """Wait until something changes.

        :param wanted: asked again and again, until it is not.
        :raises Changed: it has.
        """
        while wanted():
            self.look()
            time.sleep(max(0.0, self._next - time.monotonic()))

    def settle(self) -> None:
        """Wait until nothing changes any more for a moment."""
        before = None
        while before != (before := _mark(self._files)):
            time.sleep(STILL)

    def _list(self) -> frozenset[Path] | None:
        """The files that count now; None where that cannot be said, because something is broken or is just being written."""
        try:
            source = self._opened()
            pieces = source.plan(but=never_source(self._home)).tree.pieces.values()
        except (NectarError, OSError):
            return None
        found = {piece.origin for piece in pieces if piece.origin is not None}
        for each in self._also:
            found |= set(each.iterdir()) if each.is_dir() else {each}
        if source.kind == "file":  # of which a build has copies
            found |= {each.origin for each in siblings.find(source.path, lambda _: True)}
        return frozenset(found | ({source.path} if source.kind != "package" else set()))

    def _directories(self) -> set[Path]:
        """Where a file may come to that counts."""
        found = {self._path, *(each for each in self._also if each.is_dir())}
        for file in self._files:
            found |= {file.parent, *(each for each in file.parent.parents if each.is_relative_to(self._path))}
        return found


def _mark(paths: Iterable[Path]) -> dict[Path, Mark]:
    found: dict[Path, Mark] = {}
    for path in paths:
        found[path] = None
        with suppress(OSError, ValueError):
            status = os.stat(path)
            found[path] = (status.st_mtime_ns, status.st_size, status.st_ino)
    return found
