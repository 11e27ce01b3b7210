"""What steers the interpreter of an environment, or tells nectar of it: made by uv and by nectar, and by nothing that is installed.

A daemon runs on that interpreter, before any code: what lies beside it decides which standard library that is.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from nectar.errors import EnvironmentFailedError
from nectar.manage.environment.installed import find_site_packages
from nectar.manage.environment.marker import COMPILED, MARKER, NOTES, ORIGINS, SOURCE

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from nectar.manage.environment.installed import Distribution

_STEERING = re.compile(
    rf"\.?({re.escape(MARKER)}|{re.escape(NOTES)}|{re.escape(ORIGINS)})|({re.escape(SOURCE)}|{re.escape(COMPILED)})(/.*)?|pyvenv\.cfg|lib|lib64"
    r"|bin|bin/(pyvenv\.cfg|pybuilddir\.txt|Modules(/.*)?|[^/]*\._pth|(python|pypy|graalpy)w?[0-9.]*t?)"
    r"|lib/libpython[^/]*|lib/(python|pypy)[0-9.]*t?(\.zip|/(?!site-packages(/|$)).*)?",
    re.DOTALL | re.IGNORECASE,  # which some file systems of macOS ignore, too
)


def look(venv: Path) -> dict[str, tuple[int, int, int]]:
    """What steers an environment now, by path in it: mode, size and when it was written, of a directory its mode alone."""
    return _made(venv, find_site_packages(venv))


def _made(venv: Path, packages: Path) -> dict[str, tuple[int, int, int]]:
    found = {}
    for place in (venv, venv / "bin", venv / "lib", packages.parent):
        for entry in os.scandir(place):
            name = str(Path(entry.path).relative_to(venv))
            if _STEERING.fullmatch(name):
                status = entry.stat(follow_symlinks=False)
                written = (0, 0) if entry.is_dir(follow_symlinks=False) else (status.st_size, status.st_mtime_ns)
                found[name] = (status.st_mode, *written)
    return found


def find_added(venv: Path, known: Container[str]) -> list[str]:
    """What steers a finished environment and is neither known of nor nectar's own."""
    packages = find_site_packages(venv)
    ours = {"bin", "lib", str(packages.parent.relative_to(venv)), MARKER, NOTES, ORIGINS, SOURCE, COMPILED}
    return sorted(name for name in _made(venv, packages) if name not in known and name not in ours)


def refuse(venv: Path, before: Mapping[str, tuple[int, int, int]], found: list[Distribution]) -> None:
    """Refuse what was installed where it steers the interpreter, or would be taken for ours.

    :param before: what steered when nothing was installed yet.
    :raises EnvironmentFailedError: a distribution's RECORD names such a file, or one was made or changed without.
    """
    packages = find_site_packages(venv)
    for each in found:
        for file, _, _ in each.files:
            path = os.path.normpath(packages.relative_to(venv) / file)
            if _STEERING.fullmatch(re.sub("^lib64/", "lib/", path)):
                raise EnvironmentFailedError(
                    f"The distribution {each.name} {each.version} installs {path}, which would steer the environment's Python.",
                    where=f"a dependency of the handler, or the handler itself: {each.name}",
                    hint="Remove it from the handler's dependencies, or the file from its data files.",
                )
    now = _made(venv, packages)
    changed = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
    if changed:
        raise EnvironmentFailedError(
            f"While the environment was built, something changed {changed[0]}, which steers its Python.",
            where=str(venv / changed[0]),
            hint="It is in no distribution's RECORD: a build backend of the handler, or of a dependency, does it.",
        )
