"""What a finished environment says of itself: its ``nectar.json``, without which it is none.

A handler can write there. Whatever it makes of the file, what is not as we write it is no marker, and harms nobody who reads it.
What a newer version wrote is none either, and left alone.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from nectar.errors import UsageError
from nectar.manage.files import authored
from nectar.protocol import EntryPoint
from nectar.regular import read_regular
from nectar.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MARKER = "nectar.json"
NOTES = "nectar.files"
"""What :mod:`nectar.manage.environment.notes` writes beside it."""
ORIGINS = "nectar.origins"
"""What :mod:`nectar.manage.environment.origins` does."""
SOURCE = "nectar.source"
"""The files that a project was built from, for handlers behind a wall."""
COMPILED = "nectar.compiled"
"""Says that bytecode was made for them."""
SCHEMA = 1
_PORTABLE = ("lock", "project", "source")
"""Digests of what is no machine's own."""
_LIMIT = 16 * authored.MEBIBYTE


class Marker(NamedTuple):
    """What is in the file, a JSON object with these names and ``portable``, ``schema`` first; ``entries`` is an object there, name
    to value, and ``plugins`` a list of pairs. What is missing has its default; what this version does not know is not read.

    :ivar python_version: as in ``"3.12.1"``.
    :ivar distribution: the handler's own, name and version, as in ``"my-handler 1.0"``.
    :ivar entries: its entry points for handlers.
    :ivar plugins: the entry points of the group ``nectar.plugins``, of all distributions.
    :ivar distributions: all that is installed, as pairs of name and version.
    :ivar settings: ``[tool.nectar]`` of then, as :meth:`nectar.settings.Settings.to_mapping` writes it.
    :ivar digests: of what it was built from, by part, as :attr:`nectar.manage.environment.survey.Survey.digests` says them.
    :ivar snapshot: of a single file: where its manifest lies in the environment.
    :ivar key: that of its content.
    :ivar base_python: the interpreter that it was made with.
    :ivar source: what was built, as a person calls it.
    :ivar created: Unix seconds.
    :ivar took: seconds that it took to lock, build and install; 0 where that is not known.
    :ivar nectar: the version that built it.
    :ivar noted: whether :mod:`nectar.manage.environment.notes` wrote down what was in it; 0.1.0 had no such notes.
    :ivar rebuilt: for which files it, and those before it, took the place of one in which they were changed; path to Unix seconds.
    """

    python_version: str
    distribution: str
    entries: tuple[EntryPoint, ...]
    plugins: tuple[EntryPoint, ...]
    distributions: list[list[str]]
    settings: dict[str, Any]
    digests: dict[str, str]
    snapshot: str | None = None
    key: str = ""
    base_python: str = ""
    source: str = ""
    created: float = 0.0
    took: float = 0.0
    nectar: str = ""
    noted: bool = False
    rebuilt: Mapping[str, float] = {}

    @classmethod
    def from_json(cls, found: object) -> Marker | None:
        """Read what a file says; None where it is no marker of this schema."""
        if not isinstance(found, dict):
            return None
        known = {name: found[name] for name in _CHECKS if name in found}
        if not known.keys() >= _NEEDED or not all(_CHECKS[name](value) for name, value in known.items()):
            return None
        del known["schema"]
        known["entries"] = tuple(EntryPoint(name, value) for name, value in known["entries"].items())
        known["plugins"] = tuple(EntryPoint(name, value) for name, value in known["plugins"])
        return cls(**known)

    @property
    def portable(self) -> str:
        """What environments of one content and one Python (its major and minor) share, on whatever machine, from whatever index and
        wherever the source lies: 20 hexadecimal digits. It stands in the file for those who do not know how it is made.
        """
        parts = (self.python_version.split(".")[:2], [self.digests.get(part) for part in _PORTABLE])
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:20]

    def to_json(self) -> dict[str, Any]:
        """What the file says."""
        fields = {**self._asdict(), "portable": self.portable}
        return {"schema": SCHEMA, **fields, "entries": dict(self.entries), "plugins": [list(each) for each in self.plugins]}

    def write(self, venv: Path) -> None:
        """Make of what has been built a finished environment, which survives a power cut."""
        with (venv / MARKER).open("x", encoding="utf-8") as stream:
            json.dump(self.to_json(), stream, indent=1)
            stream.flush()
            os.fsync(stream.fileno())


def read(venv: Path) -> Marker | None:
    """What an environment says of itself; None where there is no finished one, as far as this version can tell."""
    return Marker.from_json(_load(venv))


def _load(venv: Path) -> object:
    try:
        return authored.parse_json(read_regular(venv / MARKER, _LIMIT, follow=False))
    except (OSError, ValueError):
        return None


def is_newer(venv: Path) -> bool:
    """Whether what an environment says of itself has a schema above ours."""
    found = _load(venv)
    return isinstance(found, dict) and type(found.get("schema")) is int and found["schema"] > SCHEMA


def _is_text(value: object) -> bool:
    return isinstance(value, str) and "\0" not in value and not re.search("[\ud800-\udfff]", value)


def _is_path(value: object) -> bool:
    return isinstance(value, str) and "\0" not in value


def _is_version(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[0-9]{1,4}\.[0-9]{1,4}(\.[0-9]{1,4})?", value) is not None


def _is_texts(value: object) -> bool:
    return isinstance(value, dict) and all(_is_text(each) for pair in value.items() for each in pair)


def _is_pairs(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(pair, list) and len(pair) == 2 and all(map(_is_text, pair)) for pair in value)


def _is_inside(value: object) -> bool:
    if value is None:
        return True
    return isinstance(value, str) and _is_text(value) and not value.startswith("/") and ".." not in PurePosixPath(value).parts


def _is_moment(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]


def _is_settings(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    try:
        Settings.from_mapping(value)
    except UsageError:
        return False
    return True


_CHECKS: dict[str, Callable[[object], bool]] = {
    "schema": lambda value: type(value) is int and value == SCHEMA,
    "python_version": _is_version,
    "distribution": _is_text,
    "entries": _is_texts,
    "plugins": _is_pairs,
    "distributions": _is_pairs,
    "settings": _is_settings,
    "digests": _is_texts,
    "snapshot": _is_inside,
    "key": _is_text,
    "base_python": _is_path,
    "source": _is_path,
    "created": _is_moment,
    "took": _is_moment,
    "nectar": _is_text,
    "noted": lambda value: isinstance(value, bool),
    "rebuilt": lambda value: isinstance(value, dict) and all(_is_path(path) and _is_moment(at) for path, at in value.items()),
}
_NEEDED = {"schema", "python_version", "distribution", "entries", "plugins", "distributions", "settings", "digests"}
