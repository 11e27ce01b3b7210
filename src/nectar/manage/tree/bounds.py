"""What of the machine the links of a source may bring into a build, and what they may not."""

from __future__ import annotations

import functools
import os
import stat
from pathlib import Path

from nectar.home import find_user_home
from nectar.manage.files import strangers
from nectar.manage.files.devices import is_virtual
from nectar.manage.tree import git


class Bounds:
    """What a source may link to: what lies in it, in its working copy of git, or in what all of a build lies in.

    A directory that holds the user's whole home is none of these, whatever it says of itself.

    :ivar source: the source's directory, without links.
    :ivar base: what all of the build lies in, without links.
    :ivar alone: whether it may link to what lies in it, and to nothing else.
    """

    def __init__(self, source: Path, base: Path | None = None, *, alone: bool = False) -> None:
        self.source = source
        self.base = base
        self.alone = alone

    def refusal(self, real: str) -> str | None:
        """Why something that a link leads to is not taken; None where it may be.

        :param real: its path, without links.
        :raises EnvironmentFailedError: the working copy that the source is in cannot be used.
        """
        try:
            found = os.lstat(real)
        except OSError:
            return "which is not there"
        if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
            return "which is neither a file nor a directory"
        if is_virtual(found.st_dev):
            return "which is no file on a disk"
        if not any(is_below(real, top) for top in self._tops):
            return "which lies outside the project"
        return None if found.st_uid in self._owners else "which belongs to another user"

    @functools.cached_property
    def _owners(self) -> frozenset[int]:
        return strangers.list_owners(self.source)

    @functools.cached_property
    def _tops(self) -> tuple[str, ...]:
        if self.alone:
            return (str(self.source),)
        repository = git.find(self.source)
        home = find_user_home(os.environ)
        kept = os.path.realpath(home) if home else os.sep
        wider = (str(place) for place in (repository and repository.top, self.base) if place and not is_below(kept, str(place)))
        return (str(self.source), *wider)


def is_below(path: str, top: str) -> bool:
    """Whether a path is a directory or lies in it; both without links."""
    return path == top or path.startswith(top.rstrip(os.sep) + os.sep)
