"""What a pattern of an author's matches: by way of no link, in no directory that is never source, and in bounds."""

from __future__ import annotations

import fnmatch
import os
import re
from typing import TYPE_CHECKING

from nectar.errors import EnvironmentFailedError
from nectar.manage.tree import trees
from nectar.manage.tree.pieces import DEPTH

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOOKED_AT = 100_000
"""Files that one pattern may have looked at."""
_WILD = r"[*?[]"
_REPEATED = r"(?<![^/])(?:\*\*/+)+"


def is_wild(text: str) -> bool:
    """Whether a part of a pattern may match several names."""
    return re.search(_WILD, text) is not None


def find_matching(directory: Path, pattern: str, *, where: str) -> list[str]:
    """The names below a directory that a pattern matches, sorted; one without wildcards matches itself, whatever is there.

    :param directory: without links.
    :param pattern: relative, without ``..``; ``**`` stands for any directories, and at the end for all that is in them.
    :param where: where the pattern stands, for the error.
    :raises EnvironmentFailedError: more than :data:`LOOKED_AT` files would have to be looked at.
    """
    return sorted(_Search(directory, where).names("", re.sub(_REPEATED, "**/", pattern).split("/")))


class _Search:
    def __init__(self, directory: Path, where: str) -> None:
        self._directory = directory
        self._where = where
        self._left = LOOKED_AT

    def names(self, prefix: str, parts: list[str]) -> set[str]:
        """What matches parts of a pattern below a directory, relative to the top."""
        if not parts or max(len(parts), prefix.count("/")) > DEPTH:
            return set()
        first, rest = parts[0], parts[1:]
        if not is_wild(first):
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
            f"More than {LOOKED_AT:,} files would have to be looked at for one pattern.",
            where=self._where,
            hint="Begin the pattern with a directory that holds fewer.",
        )
