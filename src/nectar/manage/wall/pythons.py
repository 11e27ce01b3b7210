"""Where a handler's Python lies, which is to be seen behind its wall."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from nectar.errors import UsageError
from nectar.home import find_user_home

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nectar.home import Home

_HOPS = 40


def list_prefixes(python: Path, home: Home) -> list[Path]:
    """The directories of the Python that an environment was made with, by each path that leads to it, but for the system's.

    :param python: the environment's.
    :raises UsageError: one holds what must not be seen.
    """
    prefixes = list(_find_prefixes(python))
    for what, place in (("the data dir", home.data_dir), ("the home directory", find_user_home(os.environ))):
        holding = next((each for each in prefixes if place is not None and place.is_relative_to(each)), None)
        if holding is not None:
            raise UsageError(
                f"The handler's Python cannot be shown behind a wall: its directory holds {what}.",
                where=str(holding),
                hint="Choose another Python: --python",
            )
    return prefixes


def _find_prefixes(python: Path) -> Iterator[Path]:
    path = python
    for _ in range(_HOPS):
        if path != python and path.parent.name == "bin" and not path.is_relative_to("/usr") and path.parents[1] != Path("/"):
            yield path.parents[1]
        if not path.is_symlink():
            return
        path = Path(os.path.normpath(path.parent / os.readlink(path)))
