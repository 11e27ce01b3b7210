"""What a worker knows of its handler's own files, where it tells of them: their names, and the lines that have run.

A project's lines are those of the environment's copies. A single file's are looked for where the author may have written others since, and
are taken from its snapshot.
"""

from __future__ import annotations

import linecache
import os
import tokenize

import nectar
from nectar.api.computation import Decoder
from nectar.runtime.origins import Origins, find_origins

TYPE_CHECKING = False  # typing is not imported in a worker
if TYPE_CHECKING:
    from typing import Any

_OURS = f" ({nectar.__file__})"
_decode = Decoder().decode
_open = open


class Own:
    """Of the one handler that a worker has."""

    def __init__(self) -> None:
        self.tell("", "", None)

    def tell(self, environment: str, directory: str, manifest: str | None) -> None:
        """Say which one it is.

        :param environment: the directory of its environment.
        :param directory: its source directory.
        :param manifest: that of a single file's snapshot.
        """
        self._origins = Origins(environment, directory)
        self._directory = directory
        self._manifest = manifest
        self._lines: dict[str, list[str]] | None = None

    def name_in(self, text: str) -> str:
        """The text with the author's files in place of the copies that it names, and without that of our own in an ImportError."""
        return self._origins.name_in(text.replace(_OURS, ""))

    def settle_lines(self) -> None:
        """Have a traceback show the lines of a single file as it was loaded."""
        if self._manifest is None:
            return
        if self._lines is None:
            try:
                self._lines = _read_lines(self._manifest, self._directory)
            except (OSError, ValueError, KeyError, TypeError, AttributeError, SyntaxError):
                self._lines = {}
        for origin, lines in self._lines.items():
            # With no time in it, linecache takes it for what it is, without a look at the file.
            linecache.cache[origin] = (1, None, lines, origin)


OWN = Own()


def _read_lines(manifest: str, directory: str) -> dict[str, list[str]]:
    fields, found = _read(manifest), {}
    for name, origin in find_origins(fields, directory).items():
        with tokenize.open(os.path.join(os.path.dirname(manifest), fields["modules"][name]["file"])) as file:
            found[origin] = file.readlines()
    return found


def _read(path: str) -> Any:
    with _open(path, "rb") as file:
        return _decode(file.read().decode())
