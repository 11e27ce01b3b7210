"""The author's own files, where a person is told of code: in a traceback, or of where something is wrong.

A project's code runs from the environment's copies of them; which is whose was noted when it was built
(:mod:`nectar.manage.environment.origins`). A single file's runs under the names of the author's (:mod:`nectar.runtime.worker.snapshot`).
Either way a traceback shows the lines of what has run, whatever the author has written since. Nothing of this is read before there is
something to tell.
"""

from __future__ import annotations

import importlib.util
import linecache
import os
import re

import nectar
from nectar.api.computation import Decoder

TYPE_CHECKING = False  # typing is not imported in a worker
if TYPE_CHECKING:
    from typing import Any

FILE = "nectar.origins"

_decode = Decoder().decode
"""Kept here, as all that is needed after the code has run."""
_open = open
_OURS = f" ({nectar.__file__})"


class Origins:
    """Of the one handler that a worker has."""

    def __init__(self) -> None:
        self.tell("", "", None)

    def tell(self, environment: str, directory: str, manifest: str | None) -> None:
        """Say which one it is.

        :param environment: the directory of its environment.
        :param directory: its source directory.
        :param manifest: that of a single file's snapshot.
        """
        self._environment = environment
        self._directory = directory
        self._manifest = manifest
        self._files: dict[str, str] | None = None
        self._lines: dict[str, list[str]] | None = None

    def name_in(self, text: str) -> str:
        """The text with the author's files in place of the copies that it names, and without that of our own in an ImportError."""
        text = text.replace(_OURS, "")
        if not self._environment or self._environment not in text:
            return text
        if self._files is None:
            self._files = self._read_files()
        return re.sub(rf'{re.escape(self._environment)}/([^"\n]*?\.py)\b', self._name, text)

    def settle_lines(self) -> None:
        """Have a traceback show the lines of a single file as it was loaded; those of a copy are, in any case."""
        if self._manifest is None:
            return
        if self._lines is None:
            try:
                self._lines = _read_lines(self._manifest)
            except (OSError, ValueError, KeyError, TypeError, AttributeError, SyntaxError):
                self._lines = {}
        for origin, lines in self._lines.items():
            # With no time in it, linecache takes it for what it is, without a look at the file.
            linecache.cache[origin] = (1, None, lines, origin)

    def _name(self, found: re.Match[str]) -> str:
        file = (self._files or {}).get(found[1])
        if file is None:
            return found[0]
        # What lies above is reckoned from where the directory really is.
        return os.path.normpath(os.path.join(os.path.realpath(self._directory) if file.startswith("..") else self._directory, file))

    def _read_files(self) -> dict[str, str]:
        try:
            fields = _read(os.path.join(self._environment, FILE))
            return {str(copy): str(file) for copy, file in fields["files"].items()} if fields["schema"] == 1 else {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):  # there is none: of a wheel, or as 0.1.0 built it
            return {}


ORIGINS = Origins()


def _read_lines(manifest: str) -> dict[str, list[str]]:
    found = {}
    for module in _read(manifest)["modules"].values():
        with _open(os.path.join(os.path.dirname(manifest), module["file"]), "rb") as file:
            found[str(module["origin"])] = importlib.util.decode_source(file.read()).splitlines(keepends=True)
    return found


def _read(path: str) -> Any:
    with _open(path, "rb") as file:
        return _decode(file.read().decode())
