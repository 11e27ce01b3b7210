"""What belongs to a directory of source: its files as git would list them, else all but a fixed list of what is never source."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nectar.errors import EnvironmentFailedError
from nectar.manage import git

if TYPE_CHECKING:
    from collections.abc import Iterator

MEBIBYTE = 1024 * 1024
LIMIT = 1024 * MEBIBYTE
"""Bytes of source that are taken into an environment."""

ALWAYS = ("pyproject.toml", "uv.lock", "uv.toml", ".python-version")
"""Taken even where git ignores them."""

_NEVER = frozenset(
    {".git", ".hg", ".svn", ".venv", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", ".tox", ".nox"}
    | {
        "node_modules",
        ".idea",
        ".vscode",
        ".DS_Store",
        ".ipynb_checkpoints",
        ".coverage",
        ".import_linter_cache",
        ".cache",
        ".eggs",
    },
)
_NEVER_ENDINGS = (".pyc", ".pyo", ".egg-info", ".swp", "~")
_OUTPUT = frozenset({"build", "dist"})
"""At the top of a project these are what a backend wrote; an old ``build/`` puts deleted modules into new wheels."""


@dataclass(frozen=True)
class Tree:
    """The files of a directory.

    :ivar files: path relative to the directory, with ``/``, to the file that holds the content (elsewhere than in the directory
        where a link leads out of it).
    :ivar links: links that stay within the directory: relative path to the target as it is written.
    """

    files: dict[str, Path]
    links: dict[str, str]


def read(directory: Path, *, but: tuple[Path, ...] = ()) -> Tree:
    """List the source in a directory.

    :param but: directories that are no source where they lie in this one (the data dir).
    :raises EnvironmentFailedError: it is larger than :data:`LIMIT`; it says by what, and how to leave that out.
    """
    names = _by_git(directory)
    listed = names if names is not None else list(_walk(directory))
    listed += [name for name in ALWAYS if name not in listed and (directory / name).is_file()]
    tree = Tree({}, {})
    inside = os.path.realpath(directory) + os.sep
    excluded = [place for place in map(os.path.realpath, but) if place.startswith(inside)]
    for name in sorted(set(listed)):
        _take(tree, directory, name, excluded)
    _refuse_large(directory, tree, by_git=names is not None)
    return tree


def _take(tree: Tree, directory: Path, name: str, excluded: list[str]) -> None:
    path = directory / name
    real = os.path.realpath(path)
    if any(real == place or real.startswith(place + os.sep) for place in excluded):
        return
    try:
        mode = path.lstat().st_mode
    except OSError:
        return  # listed by git, and deleted
    if stat.S_ISLNK(mode):
        inside = os.path.realpath(directory) + os.sep
        if not os.path.isabs(os.readlink(path)) and real.startswith(inside):
            tree.links[name] = os.readlink(path)
        elif os.path.isfile(real):
            tree.files[name] = Path(real)
        elif os.path.isdir(real) and not (os.path.realpath(directory) + os.sep).startswith(real + os.sep):
            for inner in _walk(Path(real)):
                if not (Path(real) / inner).is_symlink():
                    tree.files[f"{name}/{inner}"] = Path(real) / inner
    elif stat.S_ISDIR(mode):  # a submodule
        inner_tree = _by_git(path)
        for inner in inner_tree if inner_tree is not None else _walk(path):
            _take(tree, directory, f"{name}/{inner}", excluded)
    elif stat.S_ISREG(mode):
        tree.files[name] = path


def _by_git(directory: Path) -> list[str] | None:
    """What git lists in a directory: tracked files, and those that are neither tracked nor ignored. None where it cannot say."""
    found = git.names(directory)
    if found is None:
        return None
    tracked, others = found
    names = tracked + [
        name for name in others if not any(_never(part) for part in name.split("/")) and not _is_output(directory, name)
    ]
    # A project in a directory that git ignores has no list of its own.
    return names if any(name == "pyproject.toml" or name.endswith(".py") for name in names) else None


def _walk(directory: Path, prefix: str = "") -> Iterator[str]:
    with os.scandir(directory) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            name = prefix + entry.name
            if _never(entry.name) or (not prefix and _is_output(directory, entry.name)):
                continue
            if not entry.is_dir(follow_symlinks=False):
                yield name
            elif not os.path.exists(os.path.join(entry.path, "pyvenv.cfg")):
                try:
                    yield from _walk(Path(entry.path), name + "/")
                except PermissionError:
                    continue


def _never(part: str) -> bool:
    return part in _NEVER or part.endswith(_NEVER_ENDINGS)


def _is_output(directory: Path, name: str) -> bool:
    top = name.split("/", 1)[0]
    return top in _OUTPUT and not (directory / top / "__init__.py").exists() and (directory / top).is_dir()


def _refuse_large(directory: Path, tree: Tree, *, by_git: bool) -> None:
    sizes = {name: path.stat().st_size for name, path in tree.files.items() if path.exists()}
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
