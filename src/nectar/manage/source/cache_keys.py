"""``tool.uv.cache-keys``: what else a project says that its build depends on."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any

from nectar.manage.files import authored
from nectar.manage.files.devices import is_virtual
from nectar.manage.source import checkouts
from nectar.manage.tree import searching
from nectar.manage.tree.pieces import is_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nectar.manage.source.pyproject import Project


def read_values(project: Project) -> list[str]:
    """The variables, directories and commits among a project's keys, each with what it is now."""
    found = []
    for key in _keys(project):
        if isinstance(key.get("env"), str):
            found.append(f"variable {key['env']}={os.environ.get(key['env'])}")
        elif isinstance(key.get("dir"), str):
            found.append(f"directory {key['dir']} {os.path.isdir(project.directory / key['dir'])}")
        elif key.get("git"):
            checkout = checkouts.open_checkout(project)
            found.append(f"commit {checkout.head if checkout else None}")
    return found


def find_files(project: Project) -> tuple[list[str], list[str]]:
    """The files among a project's keys: those below it, which go along also where git ignores them, and of others a digest each.

    :returns: paths relative to the project, and lines.
    :raises EnvironmentFailedError: too many would have to be looked at.
    """
    found = list(_files(project))
    lines = [f"file {pattern} {_digest(project.directory / name)}" for pattern, name in found if not is_name(name)]
    return [name for _, name in found if is_name(name)], lines


def _files(project: Project) -> Iterator[tuple[str, str]]:
    """The files that each pattern names, by their paths relative to the project; where that has ``..``, nothing is a wildcard."""
    for key in _keys(project):
        pattern = key.get("file")
        if not isinstance(pattern, str) or not pattern or os.path.isabs(pattern) or "\0" in pattern:
            continue
        plain = os.path.normpath(pattern)
        where = f"[tool.uv] cache-keys in {project.file}"
        names = [plain] if plain.split("/")[0] == ".." else searching.find_matching(project.directory, plain, where=where)
        yield from ((pattern, name) for name in names if _is_data(project.directory / name))


def _is_data(file: Path) -> bool:
    return os.path.isfile(file) and not is_virtual(file.stat().st_dev)


def _keys(project: Project) -> Iterator[dict[str, Any]]:
    keys = project.section("tool", "uv").get("cache-keys")
    for key in keys if isinstance(keys, list) else []:
        if isinstance(key, dict):
            yield key
        elif isinstance(key, str):
            yield {"file": key}


def _digest(file: Path) -> str:
    return hashlib.sha256(authored.read_bytes(file, authored.ANY)).hexdigest()
