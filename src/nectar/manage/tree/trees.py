"""What belongs to a directory of source: its files as git would list them, else all but a fixed list of what is never source."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from nectar.errors import EnvironmentFailedError
from nectar.frozen import dataclass, field
from nectar.manage.files.devices import is_virtual
from nectar.manage.tree import git
from nectar.manage.tree.bounds import Bounds, is_below
from nectar.manage.tree.leavings import OUTPUT, is_leaving
from nectar.manage.tree.pieces import is_name, parents, stays_inside

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MEBIBYTE = 1024 * 1024
LIMIT = 1024 * MEBIBYTE
"""Bytes of source that are taken into an environment."""
FILES = 200_000
"""Files that are looked at in a directory that no git lists."""

ALWAYS = ("pyproject.toml", "uv.lock", "uv.toml", ".python-version")
"""Taken even where git ignores them."""


@dataclass(frozen=True, kw_only=True)
class Tree:
    """The files of a directory.

    :ivar files: path relative to the directory, with ``/``, to the file that holds the content (elsewhere than in the directory
        where a link leads out of it).
    :ivar links: links that stay within the directory: relative path to the target as it is written.
    :ivar left_out: what was not taken, each a line for a person.
    """

    files: dict[str, Path] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


def read(directory: Path, *, but: tuple[Path, ...] = (), bounds: Bounds | None = None, also: Iterable[str] = ()) -> Tree:
    """List the source in a directory.

    :param but: directories that are no source where they lie in this one (the data dir).
    :param bounds: where its links may lead to; by default into it and its working copy of git.
    :param also: files in it that are taken although git ignores them, with their content where they are links.
    :raises EnvironmentFailedError: it is larger than :data:`LIMIT`; it says by what, and how to leave that out.
    """
    directory = directory.resolve()
    names = _by_git(directory)
    taking = _Taking(directory, bounds or Bounds(directory), [os.path.realpath(place) for place in but])
    listed = set(names if names is not None else taking.walk(str(directory)))
    listed.update(name for name in ALWAYS if (directory / name).is_file())
    for name in sorted(listed):
        taking.take(name)
    for name in also:
        taking.take_content(name)
    _refuse_large(directory, taking.sizes, by_git=names is not None)
    return taking.tree


def follow(path: Path, bounds: Bounds) -> tuple[Path | None, str | None]:
    """The file to read for one that is taken by its name; None where it is none, or leads to what is not taken, of which a line says so.

    :param path: absolute; where it is not the real one, it is a link or lies below one.
    """
    real = os.path.realpath(path)
    refusal = bounds.refusal(real) if real != str(path) else None
    if refusal:
        return None, _line(path, refusal)
    return Path(real) if os.path.isfile(real) and not is_virtual(os.stat(real).st_dev) else None, None


class _Taking:
    """What is taken of a directory, name by name.

    :ivar sizes: of the files, in bytes.
    """

    def __init__(self, directory: Path, bounds: Bounds, excluded: list[str]) -> None:
        self.tree = Tree()
        self.sizes: dict[str, int] = {}
        self._top = str(directory)
        self._bounds = bounds
        self._excluded = [place for place in excluded if not is_below(self._top, place)]
        self._plain = {""}

    def walk(self, directory: str) -> Iterator[str]:
        """All files and links below a directory but what is never source.

        :raises EnvironmentFailedError: there are more than :data:`FILES`.
        """
        waiting, count = [""], 0
        while waiting:
            prefix = waiting.pop()
            try:
                with os.scandir(f"{directory}/{prefix}") as entries:
                    found = list(entries)
            except (FileNotFoundError, PermissionError) as error:
                if not prefix:
                    raise
                if isinstance(error, FileNotFoundError):  # deleted meanwhile
                    continue
                self.tree.left_out.append(f"Left out: {directory}/{prefix}, which cannot be read.")
                continue
            count += len(found)
            if count > FILES:
                raise EnvironmentFailedError(
                    f"More than {FILES:,} files lie in a directory of the handler's source.",
                    where=directory,
                    hint="Make it a git repository and name them in .gitignore, or move them elsewhere.",
                )
            for entry in found:
                name = prefix + entry.name
                if is_leaving(entry.name) or (not prefix and _is_output(Path(directory), entry.name)):
                    continue
                if not entry.is_dir(follow_symlinks=False):
                    yield name
                elif is_walked(entry):
                    waiting.append(f"{name}/")

    def take(self, name: str) -> None:
        """Take what has a name, unless it lies below a link: that is what is taken there."""
        if not is_name(name):
            self.tree.left_out.append(f"Left out: {name!r}, which is no name of a file in {self._top}.")
            return
        path = f"{self._top}/{name}"
        try:
            if not self._lies_plainly(name):
                return
            found = os.lstat(path)
        except OSError:
            return  # listed by git, and deleted
        if self._is_excluded(path):
            return
        if stat.S_ISLNK(found.st_mode):
            self._take_link(name, path)
        elif stat.S_ISDIR(found.st_mode):  # a submodule
            inside = _by_git(Path(path))
            for inner in inside if inside is not None else self.walk(path):
                self.take(f"{name}/{inner}")
        else:
            self._take_file(name, path, found)

    def take_content(self, name: str) -> None:
        """Take a file, unless that is taken already, where it really lies; a link's content, where that may be taken."""
        path = f"{self._top}/{name}"
        parent = os.path.realpath(os.path.dirname(path))
        if name in self.tree.files or name in self.tree.links or not is_below(parent, self._top):
            return
        path = os.path.join(parent, os.path.basename(path))
        name = os.path.relpath(path, self._top)
        if not is_name(name) or name in self.tree.files or name in self.tree.links or self._is_excluded(os.path.realpath(path)):
            return
        real, line = follow(Path(path), self._bounds)
        self.tree.left_out.extend([line] if line else [])
        if real:
            self._take_file(name, str(real), real.stat())

    def _take_file(self, name: str, path: str, found: os.stat_result) -> None:
        if stat.S_ISREG(found.st_mode) and not is_virtual(found.st_dev):
            self.tree.files[name] = Path(path)
            self.sizes[name] = found.st_size

    def _take_link(self, name: str, path: str) -> None:
        if stays_inside(name, lambda inner: _target(f"{self._top}/{inner}")):
            self.tree.links[name] = os.readlink(path)
            return
        real = os.path.realpath(path)
        refusal = self._bounds.refusal(real)
        if not refusal and is_below(self._top, real):
            refusal = "which the source itself lies in"
        if refusal:
            self.tree.left_out.append(_line(Path(path), refusal))
        elif os.path.isdir(real):
            self._take_directory(name, real)
        elif not self._is_excluded(real):
            self._take_file(name, real, os.lstat(real))

    def _take_directory(self, name: str, real: str) -> None:
        """Take what lies in a directory that a link leads to; a link in it only where it stays in there."""
        for inner in self.walk(real):
            path = f"{real}/{inner}"
            if self._is_excluded(path):
                continue
            if os.path.islink(path):
                if stays_inside(inner, lambda each: _target(f"{real}/{each}")):
                    self.tree.links[f"{name}/{inner}"] = os.readlink(path)
                else:
                    self.tree.left_out.append(_line(Path(path), "which lies outside of what a link led to"))
            elif self._bounds.refusal(path) is None:
                self._take_file(f"{name}/{inner}", path, os.lstat(path))

    def _is_excluded(self, real: str) -> bool:
        return any(is_below(real, place) for place in self._excluded)

    def _lies_plainly(self, name: str) -> bool:
        """Whether no link is on the way to a name.

        :raises OSError: there is no way.
        """
        for parent in parents(name):
            if parent in self._plain:
                break
            if not stat.S_ISDIR(os.lstat(f"{self._top}/{parent}").st_mode):
                return False
        self._plain.update(parents(name))
        return True


def _target(path: str) -> str | None:
    """What a link leads to, as it is written; None for what is none."""
    try:
        return os.readlink(path)
    except OSError:
        return None


def _line(path: Path, refusal: str) -> str:
    return (
        f"Left out: {path} leads to {_target(str(path)) or os.path.realpath(path)}, {refusal}. What the build needs of it has to lie in the project "
        "(or its working copy of git); the handler runs in the project's directory, and can still open it there."
    )


def _by_git(directory: Path) -> list[str] | None:
    """What git lists in a directory: tracked files, and those that are neither tracked nor ignored. None where there is no git."""
    repository = git.find(directory)
    if repository is None:
        return None
    tracked, others = repository.names(directory)
    names = tracked + [
        name for name in others if not any(is_leaving(part) for part in name.split("/")) and not _is_output(directory, name)
    ]
    # A project in a directory that git ignores has no list of its own.
    return names if any(name == "pyproject.toml" or name.endswith(".py") for name in names) else None


def is_walked(entry: os.DirEntry[str]) -> bool:
    """Whether a thing in a directory is a directory itself, on a disk, and one that can be source."""
    if is_leaving(entry.name) or not entry.is_dir(follow_symlinks=False):
        return False
    device = entry.stat(follow_symlinks=False).st_dev
    return not is_virtual(device) and not os.path.exists(os.path.join(entry.path, "pyvenv.cfg"))


def _is_output(directory: Path, name: str) -> bool:
    top = name.split("/", 1)[0]
    return top in OUTPUT and not (directory / top / "__init__.py").exists() and (directory / top).is_dir()


def _refuse_large(directory: Path, sizes: dict[str, int], *, by_git: bool) -> None:
    total = sum(sizes.values())
    if total <= LIMIT:
        return
    tops: dict[str, int] = {}
    for name, size in sizes.items():
        top = "/".join(name.split("/")[:2]) if name.count("/") > 1 else name
        tops[top] = tops.get(top, 0) + size
    largest = sorted(tops.items(), key=lambda item: -item[1])[:3]
    listed = ", ".join(f"{name} ({size / MEBIBYTE:,.0f} MiB)" for name, size in largest)
    way = "name them in .gitignore" if by_git else "make it a git repository and name them in .gitignore, or move them elsewhere"
    raise EnvironmentFailedError(
        f"The project holds {total / MEBIBYTE:,.0f} MiB, of which {listed}; at most {LIMIT // MEBIBYTE:,} MiB go into an environment.",
        where=str(directory),
        hint=f"Leave data out: {way}. The handler runs in the project's directory and can still open them there.",
    )
