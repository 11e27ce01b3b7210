"""The environments of one content. The first is named by the key of the content; what has been changed, or lost its Python, is never
mended in its place, where a daemon may run from it: the next one is built beside it, under the key and a number.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nectar.manage.environment import marker, notes
from nectar.settings import Settings

if TYPE_CHECKING:
    from nectar.home import Home
    from nectar.manage.environment.marker import Marker


class Environment(NamedTuple):
    """A finished environment whose Python was there; nothing in it changes any more.

    :ivar key: its name on disk and in records: the hash of its content, and a number where another one of that content was changed.
    :ivar marker: what it says of itself.
    :ivar changed: the files, relative to it, that are not as they were when it was built; of one that is used, none.
    """

    key: str
    path: Path
    marker: Marker
    changed: tuple[str, ...] = ()

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.path / "bin" / "python"

    @property
    def snapshot(self) -> Path | None:
        """Of a single file: the manifest of what was taken along."""
        return self.path / self.marker.snapshot if self.marker.snapshot else None

    @property
    def settings(self) -> Settings:
        """``[tool.nectar]`` of when it was built."""
        return Settings.from_mapping(self.marker.settings)


def key_of(name: str) -> str:
    """The key of the content of an environment, from its name."""
    return name.partition(".")[0]


def read_marker(home: Home, name: str) -> Marker | None:
    """What an environment says of itself, or None where there is no finished one of that name."""
    return marker.read(home.envs / name) if "\0" not in name else None


def is_newer(home: Home, name: str) -> bool:
    """Whether an environment is a newer nectar's, which made it as this one does not know."""
    return "\0" not in name and marker.is_newer(home.envs / name)


def find(home: Home, name: str) -> Environment | None:
    """The environment of a name, changed or not; None where it is not finished, or its Python is gone."""
    found = read_marker(home, name)
    return Environment(name, home.envs / name, found) if found and (home.envs / name / "bin" / "python").exists() else None


def find_newest(home: Home, key: str) -> Environment | None:
    """The newest environment of a content that is finished and has its Python, with what was changed in it."""
    for number in sorted(_numbers(home, key), reverse=True):
        found = find(home, _name(key, number))
        if found:
            return found._replace(changed=tuple(notes.find_changed(found.path))) if found.marker.noted else found
    return None


def find_whole(home: Home, key: str) -> Environment | None:
    """The newest environment of a content, where it is as it was built."""
    found = find_newest(home, key)
    return None if found is None or found.changed else found


def find_newer(home: Home, key: str) -> list[Path]:
    """The environments of a content that a newer nectar made, which are left alone."""
    names = [_name(key, number) for number in sorted(_numbers(home, key))]
    return [home.envs / name for name in names if is_newer(home, name)]


def choose_name(home: Home, key: str) -> str:
    """A name for the next environment of a content, under a lock on its key."""
    return _name(key, max(_numbers(home, key), default=0) + 1)


def _numbers(home: Home, key: str) -> list[int]:
    pattern = re.compile(rf"{re.escape(key)}(?:\.([0-9]{{1,9}}))?")
    there = home.envs.iterdir() if home.envs.is_dir() else []
    return [int(found[1] or 1) for found in (pattern.fullmatch(each.name) for each in there) if found]


def _name(key: str, number: int) -> str:
    return key if number == 1 else f"{key}.{number}"
