"""Which of an environment's modules are copies of the author's files: a worker names these where it tells of those. And which are not,
though they should be: a backend may have installed something else than the source that it was given.

Noted is what had the same content when it was built; what a backend has written or changed is no copy. The file is ``{"schema": 1,
"files": {copy: file}}``, with paths relative to the environment and to the handler's source directory. Who reads it is
:mod:`nectar.runtime.origins`.
"""

from __future__ import annotations

import itertools
import json
import os
from typing import TYPE_CHECKING

from nectar.manage.environment.installed import find_site_packages
from nectar.manage.environment.marker import ORIGINS
from nectar.manage.files import authored
from nectar.manage.files.writing import write_whole

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from nectar.manage.environment.installed import Distribution
    from nectar.manage.environment.notes import Note
    from nectar.manage.source.plan import Plan
    from nectar.manage.tree.assembly import Seen

SCHEMA = 1


def find(venv: Path, found: list[Distribution], noted: Mapping[str, Note], plan: Plan, seen: Mapping[str, Seen]) -> dict[str, str]:
    """The modules of the distributions that were built from a plan, each with the file that it is a copy of, where it is one.

    :param noted: what is in the environment.
    :param seen: what the plan's tree held.
    """
    files: dict[str, list[str]] = {}
    for name, (mode, content) in seen.items():
        if name.endswith(".py") and mode != "link":
            files.setdefault(content.digest.hex(), []).append(name)
    packages = find_site_packages(venv).relative_to(venv)
    copies = {}
    for path in (path for each in found if each.name in plan.locals_ for path, _, _ in each.files if path.endswith(".py")):
        copy = os.path.normpath(packages / path)
        alike = files.get(str(noted[copy][-1])) if copy in noted else None
        if alike:
            copies[copy] = os.path.relpath(f"/{_nearest(path, alike)}", f"/{plan.project}")  # which needs no current directory
    return copies


def _nearest(path: str, files: Iterable[str]) -> str:
    """Of several files with one content the one with most of the path in its own, and of those the shortest."""

    def rank(name: str) -> tuple[int, int]:
        common = itertools.takewhile(
            lambda pair: pair[0] == pair[1], zip(path.split("/")[::-1], name.split("/")[::-1], strict=False)
        )
        return -len([*common]), len(name)

    return min(files, key=rank)


def write(venv: Path, copies: Mapping[str, str]) -> None:
    """Have it lie in the environment, where there is something to say."""
    if copies:
        write_whole(venv / ORIGINS, json.dumps({"schema": SCHEMA, "files": copies}, separators=(",", ":")).encode())


def find_differing(venv: Path, tree: Path, found: list[Distribution], names: Collection[str]) -> list[str]:
    """The installed modules of some distributions that differ from every file of that name in the tree.

    A backend may change a module on its way, so that this is a reason to say so, and no proof.
    """
    by_name: dict[str, list[Path]] = {}
    for file in tree.rglob("*.py"):
        if "build" not in file.relative_to(tree).parts:  # where an old copy would be
            by_name.setdefault(file.name, []).append(file)
    packages = find_site_packages(venv)
    paths = [path for each in found if each.name in names for path, _, _ in each.files if path.endswith(".py")]
    return [path for path in paths if _differs(packages / path, path, by_name)]


def _differs(file: Path, path: str, by_name: dict[str, list[Path]]) -> bool:
    candidates = [each for each in by_name.get(file.name, []) if str(each).endswith("/" + path)]
    content = _read(file)
    return bool(candidates) and all(_read(each) != content for each in candidates)


def _read(file: Path) -> bytes:
    try:
        return authored.read_bytes(file, authored.CODE)
    except OSError:  # nothing that could be compared
        return b""
