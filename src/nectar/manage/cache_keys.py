"""``tool.uv.cache-keys``: what else a project says that its build depends on."""

from __future__ import annotations

import fnmatch
import hashlib
import os
import re
from typing import TYPE_CHECKING, Any

from nectar.errors import EnvironmentFailedError
from nectar.manage import authored, trees, vcs
from nectar.manage.bounds import is_virtual
from nectar.manage.pieces import DEPTH, is_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nectar.manage.project import Project

LOOKED_AT = 100_000
"""Files that one pattern may have looked at."""
_WILD = re.compile(r"[*?[]")
_REPEATED = re.compile(r"(?<![^/])(?:\*\*/+)+")


def values(project: Project) -> list[str]:
    """The variables, directories and commits among a project's keys, each with what it is now."""
    found = []
    for key in _keys(project):
        if isinstance(key.get("env"), str):
            found.append(f"variable {key['env']}={os.environ.get(key['env'])}")
        elif isinstance(key.get("dir"), str):
            found.append(f"directory {key['dir']} {os.path.isdir(project.directory / key['dir'])}")
        elif key.get("git"):
            checkout = vcs.checkout(project)
            found.append(f"commit {checkout.head if checkout else None}")
    return found


def files(project: Project) -> tuple[list[str], list[str]]:
    """The files among a project's keys: those below it, which go along also where git ignores them, and of others a digest each.

    :returns: paths relative to the project, and lines.
    :raises EnvironmentFailedError: too many would have to be looked at.
    """
    found = list(_files(project))
    lines = [f"file {pattern} {_digest(project.directory / name)}" for pattern, name in found if not is_name(name)]
    return [name for _, name in found if is_name(name)], lines


def _files(project: Project) -> Iterator[tuple[str, str]]:
    """The files that each pattern names, by their paths relative to the project; where that has ``..``, nothing is a wildcard."""
    for key in _keys(project):
        pattern = key.get("file")
        if not isinstance(pattern, str) or not pattern or os.path.isabs(pattern) or "\0" in pattern:
            continue
        parts = os.path.normpath(_REPEATED.sub("**/", pattern)).split("/")
        if parts[0] == ".." or not _WILD.search(pattern):
            names = ["/".join(parts)]
        else:
            names = sorted(_Search(project.directory, pattern).names("", parts))
        yield from ((pattern, name) for name in names if _is_data(project.directory / name))


def _is_data(file: Path) -> bool:
    return os.path.isfile(file) and not is_virtual(file.stat().st_dev)


class _Search:
    """A search for what a pattern matches: in no directory by way of a link, and in none that is never source."""

    def __init__(self, directory: Path, pattern: str) -> None:
        self._directory = directory
        self._pattern = pattern
        self._left = LOOKED_AT

    def names(self, prefix: str, parts: list[str]) -> set[str]:
        """What matches parts of a pattern below a directory, relative to the top."""
        if not parts or max(len(parts), prefix.count("/")) > DEPTH:
            return set()
        first, rest = parts[0], parts[1:]
        if not _WILD.search(first):
            name = prefix + first
            return self.names(f"{name}/", rest) if rest else {name}
        found: set[str] = set()
        if first == "**":
            found |= self.names(prefix, rest)
        for name, is_directory in self._entries(prefix):
            if first == "**":
                found |= self.names(f"{prefix}{name}/", parts) if is_directory else set() if rest else {prefix + name}
            elif fnmatch.fnmatchcase(name, first):
                found |= {prefix + name} if not rest else self.names(f"{prefix}{name}/", rest) if is_directory else set()
        return found

    def _entries(self, prefix: str) -> Iterator[tuple[str, bool]]:
        """What lies in a directory, each with whether it is one to look into."""
        place = self._directory / prefix
        try:
            if os.path.realpath(place) != str(place):
                return
            with os.scandir(place) as entries:
                for entry in entries:
                    self._left -= 1
                    if self._left < 0:
                        raise self._too_many()
                    yield entry.name, trees.is_walked(entry)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return

    def _too_many(self) -> EnvironmentFailedError:
        return EnvironmentFailedError(
            f"More than {LOOKED_AT:,} files would have to be looked at for the cache key {self._pattern!r}.",
            where=f"[tool.uv] cache-keys in {self._directory / 'pyproject.toml'}",
            hint="Begin the pattern with a directory that holds fewer.",
        )


def _keys(project: Project) -> Iterator[dict[str, Any]]:
    keys = project.section("tool", "uv").get("cache-keys")
    for key in keys if isinstance(keys, list) else []:
        if isinstance(key, dict):
            yield key
        elif isinstance(key, str):
            yield {"file": key}


def _digest(file: Path) -> str:
    return hashlib.sha256(authored.read_bytes(file, authored.ANY)).hexdigest()
