"""The tree that a build works on: put together piece by piece, and from then on as it is."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from nectar.errors import EnvironmentFailedError
from nectar.manage.tree import contents, trees
from nectar.manage.tree.pieces import Copy, Piece, is_name, misplaced, parents, stays_inside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from nectar.manage.tree.bounds import Bounds
    from nectar.manage.tree.contents import Content
    from nectar.manage.tree.trees import Tree


class Seen(NamedTuple):
    """What a piece was when somebody looked: ``link``, ``executable`` or ``plain``, and what it held."""

    mode: str
    content: Content


class BuildTree(NamedTuple):
    """What goes into a build.

    :ivar pieces: path relative to the tree, to its file.
    :ivar read_in_place: directories that are only read, by position in the tree: indexes of local files.
    :ivar left_out: what of the source was not taken, each a line for a person.
    :ivar lines: whatever else the content depends on.
    """

    pieces: Mapping[str, Piece] = {}
    read_in_place: Mapping[str, Path] = {}
    left_out: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()

    def see(self, look: Callable[[Piece], Content] = contents.read) -> dict[str, Seen]:
        """What each piece is now.

        :param look: says what one holds.
        :raises OSError: one cannot be read.
        """
        return {name: see(piece, look(piece)) for name, piece in self.pieces.items()}

    def copy(self, into: Path) -> dict[str, Seen]:
        """Write the tree, and say what was written.

        :raises EnvironmentFailedError: a link leads out of it, or the file system takes two names to be the same.
        """
        taken = {*self.pieces, *(parent for name in self.pieces for parent in parents(name))}
        elsewhere = {name: str(place) for name, place in self.read_in_place.items() if name and name not in taken}
        self._refuse_links_out(elsewhere)
        copy, seen = Copy(into), {}
        for name in sorted(self.pieces):
            piece = self.pieces[name]
            content = piece.read()
            if piece.link is None:
                copy.write(name, content, like=piece.origin.stat() if piece.origin else None)
            else:
                copy.link(name, piece.link)
            seen[name] = see(piece, contents.measure(content))
        for name, place in elsewhere.items():
            copy.link(name, place)
        copy.finish()
        return seen

    def _refuse_links_out(self, elsewhere: Mapping[str, str]) -> None:
        """Refuse a link that leads out of the copy, by whatever other links there will be in it."""
        links = {name: piece.link for name, piece in self.pieces.items() if piece.link is not None}
        targets = {**elsewhere, **links}
        for name, target in links.items():
            if not stays_inside(name, targets.get):
                raise EnvironmentFailedError(
                    f"The source has a link that would lead out of a copy of it: {name!r} -> {target!r}.",
                    hint="Put what it leads to in its place, or leave it out.",
                )


def see(piece: Piece, content: Content) -> Seen:
    """What a piece is now, that holds this."""
    return Seen("link" if piece.link is not None else "executable" if piece.executable() else "plain", content)


class Assembly:
    """A tree in the making."""

    def __init__(self, pieces: Mapping[str, Piece] | None = None) -> None:
        self._pieces = dict(pieces or {})
        self._directories = {parent for name in self._pieces for parent in parents(name)}
        self._in_place: dict[str, Path] = {}
        self._left_out: dict[str, None] = {}
        self._lines: list[str] = []

    @property
    def pieces(self) -> Mapping[str, Piece]:
        """Those that are there; :meth:`put` is the way in."""
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

    def put_tree(self, position: str, tree: Tree) -> None:
        """Have a directory's files at a position."""
        prefix = f"{position}/" if position else ""
        for name, origin in tree.files.items():
            self.put(prefix + name, Piece(origin=origin))
        for name, target in tree.links.items():
            self.put(prefix + name, Piece(link=target))
        self.leave_out(tree.left_out)

    def put_file(self, name: str, file: Path, bounds: Bounds) -> None:
        """Have a file under a name, if it is one, and no link to what is not taken."""
        origin, line = trees.follow(file, bounds)
        if origin:
            self.put(name, Piece(origin=origin))
        self.leave_out([line] if line else [])

    def leave_out(self, lines: Iterable[str]) -> None:
        """Say of something that it is not here."""
        self._left_out |= dict.fromkeys(lines)

    def read_in_place(self, position: str, directory: Path) -> None:
        """Have a directory at a position that is only read, where it lies."""
        self._in_place[position] = directory

    def depend_on(self, lines: Iterable[str]) -> None:
        """Have something else count as content."""
        self._lines.extend(lines)

    def finish(self) -> BuildTree:
        """The tree as it is now."""
        return BuildTree(
            pieces=MappingProxyType(dict(self._pieces)),
            read_in_place=MappingProxyType(dict(self._in_place)),
            left_out=tuple(self._left_out),
            lines=tuple(self._lines),
        )
