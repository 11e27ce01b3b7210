"""The author's own files, where a person is told of code: in a traceback, or of where something is wrong.

A project's code runs from the environment's copies of them; which is whose was noted when it was built
(:mod:`nectar.manage.environment.origins`), and is read when there is something to tell for the first time. A single file's runs under the
names of the author's anyway (:mod:`nectar.runtime.worker.snapshot`).
"""

from __future__ import annotations

import os
import re

from nectar.api.computation import Decoder
from nectar.regular import read_regular

TYPE_CHECKING = False  # typing is not imported in a worker
if TYPE_CHECKING:
    from typing import Any

FILE = "nectar.origins"
MOST = 1 << 26
"""Bytes of that file, which the handler's code can write, too."""
_decode = Decoder().decode
"""Kept here, as all that is needed after the code has run."""


class Origins:
    """Of one handler.

    :param environment: the directory of its environment.
    :param directory: its source directory.
    """

    def __init__(self, environment: str = "", directory: str = "") -> None:
        self._environment = environment
        self._directory = directory
        self._files: dict[str, str] | None = None

    def name_in(self, text: str) -> str:
        """The text with the author's files in place of the copies that it names."""
        return self._replace(text, "")

    def name_lines_in(self, text: str) -> str:
        """The same where a line is named too, as Python itself does it: in a traceback, or a warning."""
        return self._replace(text, r'(?=", line \d|:\d)')

    def _replace(self, text: str, behind: str) -> str:
        if not self._environment or self._environment not in text:
            return text
        if self._files is None:
            self._files = self._read()
        # No name goes on over the next one: else lines of nothing but the environment's path would take the daemon all of its time.
        own = re.escape(f"{self._environment}/")
        return re.sub(rf'{own}((?:(?!{own})[^"\n])*?\.py)\b{behind}', self._name, text)

    def _name(self, found: re.Match[str]) -> str:
        file = (self._files or {}).get(found[1])
        if file is None:
            return found[0]
        # What lies above is reckoned from where the directory really is.
        return os.path.normpath(os.path.join(os.path.realpath(self._directory) if file.startswith("..") else self._directory, file))

    def _read(self) -> dict[str, str]:
        try:
            fields = _decode(read_regular(os.path.join(self._environment, FILE), MOST, follow=False).decode())
            return {str(copy): str(file) for copy, file in fields["files"].items()} if fields["schema"] == 1 else {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):  # there is none: of a wheel, say
            return {}


def find_origins(fields: dict[str, Any], directory: str) -> dict[str, str]:
    """The author's own file of each module of a manifest; 0.1.0 wrote them down where they lay.

    :param directory: in which the handler's file lies, which may be a link; what goes along is beside what that leads to.
    """
    modules, entry = fields["modules"], fields["entry"]
    own = os.path.join(directory, str(modules[entry]["origin"]))
    beside = os.path.dirname(os.path.realpath(own))
    return {name: own if name == entry else os.path.join(beside, str(modules[name]["origin"])) for name in modules}
