"""The environments of one content. The first is named by the key of the content; what has been changed, or lost its Python, is never
mended in its place, where a daemon may run from it: the next one is built beside it, under the key and a number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nectar.manage.environment import marker, notes

if TYPE_CHECKING:
    from nectar.home import Home
    from nectar.manage.environment.marker import Marker


@dataclass(frozen=True)
class Generation:
    """A finished environment whose Python is there.

    :ivar name: its own, on disk and in records.
    :ivar changed: the files, relative to it, that are not as they were when it was built.
    """

    name: str
    path: Path
    marker: Marker
    changed: list[str]


def key_of(name: str) -> str:
    """The key of the content of an environment, from its name."""
    return name.partition(".")[0]


def marker_of(home: Home, name: str) -> Marker | None:
    """What an environment says of itself, or None where there is no finished one of that name."""
    return marker.read(home.envs / name) if "\0" not in name else None


def is_newer(home: Home, name: str) -> bool:
    """Whether an environment is a newer nectar's, which made it as this one does not know."""
    return "\0" not in name and marker.is_newer(home.envs / name)


def at(home: Home, name: str) -> Marker | None:
    """The same, and None where its Python is gone."""
    return marker_of(home, name) if (home.envs / name / "bin" / "python").exists() else None


def newest(home: Home, key: str) -> Generation | None:
    """The newest environment of a content that is finished and has its Python."""
    for number in sorted(_numbers(home, key), reverse=True):
        name = _name(key, number)
        found = at(home, name)
        if found is not None:
            path = home.envs / name
            return Generation(name, path, found, notes.changed(path) if found.noted else [])
    return None


def next_name(home: Home, key: str) -> str:
    """A name for the next environment of a content, under a lock on its key."""
    return _name(key, max(_numbers(home, key), default=0) + 1)


def _numbers(home: Home, key: str) -> list[int]:
    pattern = re.compile(rf"{re.escape(key)}(?:\.([0-9]{{1,9}}))?")
    there = home.envs.iterdir() if home.envs.is_dir() else []
    return [int(found[1] or 1) for found in (pattern.fullmatch(each.name) for each in there) if found]


def _name(key: str, number: int) -> str:
    return key if number == 1 else f"{key}.{number}"
