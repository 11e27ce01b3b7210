"""Where the command ``nectar`` is for who runs tests: beside the API that tests import, there is often none."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import sysconfig
from pathlib import Path

from nectar.errors import NotFoundError

PTH = "nectar-dev.pth"
"""What ``nectar dev`` puts into a project's ``.venv``."""
NOTE = "# nectar: "
"""How the line in it begins that names the interpreter of the command; Python takes no notice of such a line."""


def find_command() -> list[str]:
    """How to begin a command line: this environment's own nectar, else the one that ``nectar dev`` was, else that on ``PATH``.

    :raises NotFoundError: there is none.
    """
    if importlib.util.find_spec("nectar.cli") is not None:
        return _of(sys.executable)
    try:
        lines = Path(sysconfig.get_path("purelib"), PTH).read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        python = line.removeprefix(NOTE)
        if python != line and os.access(python, os.X_OK):
            return _of(python)
    found = shutil.which("nectar")
    if found is None:
        raise NotFoundError(
            "There is no command nectar: where these tests run there is only what they import of it.",
            where=sys.prefix,
            hint="Put the command on PATH, or run `nectar dev` again with the one to be used, which it notes.",
        )
    return [found]


def _of(python: str) -> list[str]:
    return [python, "-P", "-m", "nectar"]
