"""Where a handler's Python lies, which is to be seen behind its wall."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from nectar.errors import UsageError
from nectar.home import find_user_home
from nectar.manage.wall.paths import is_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nectar.home import Home

_HOPS = 40
_OF_A_PYTHON = ("bin", "include", "lib", "lib32", "lib64")


def list_prefixes(python: Path, home: Home) -> list[Path]:
    """The directories of the Python that an environment was made with, by each path that leads to it, but for the system's.

    :param python: the environment's.
    :raises UsageError: one holds what must not be seen.
    """
    user = find_user_home(os.environ)
    prefixes = [each for prefix in _find_prefixes(python) for each in _narrow(prefix, user)]
    for what, place in (("the data dir", home.data_dir), ("the home directory", user)):
        holding = place and is_in(place, map(str, prefixes))
        if holding:
            raise UsageError(
                f"The handler's Python cannot be shown behind a wall: its directory holds {what}.",
                where=holding,
                hint="Choose another Python: --python",
            )
    return prefixes


def _narrow(prefix: Path, user: Path | None) -> list[Path]:
    """A directory, or, where programs keep what is the user's in it, as in ``~/.local``, what in it is a Python's."""
    shared = user is not None and is_in(user, [str(prefix)]) is None and is_in(user / ".local/share", [str(prefix)]) is not None
    return [path for name in _OF_A_PYTHON if (path := prefix / name).is_dir()] if shared else [prefix]


def _find_prefixes(python: Path) -> Iterator[Path]:
    path = python
    for _ in range(_HOPS):
        if path != python and path.parent.name == "bin" and not path.is_relative_to("/usr") and path.parents[1] != Path("/"):
            yield path.parents[1]
        if not path.is_symlink():
            return
        path = Path(os.path.normpath(path.parent / os.readlink(path)))
