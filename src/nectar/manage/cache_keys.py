"""``tool.uv.cache-keys``: what else a project says that its build depends on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nectar.manage import vcs
from nectar.manage.plan import Piece

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nectar.manage.plan import Plan
    from nectar.manage.project import Project


def values(project: Project) -> list[str]:
    """The variables, directories and commits among a project's keys, each with what it is now."""
    found = []
    for key in _keys(project):
        if isinstance(key.get("env"), str):
            found.append(f"variable {key['env']}={os.environ.get(key['env'])}")
        elif isinstance(key.get("dir"), str):
            found.append(f"directory {key['dir']} {(project.directory / key['dir']).is_dir()}")
        elif key.get("git"):
            checkout = vcs.checkout(project)
            found.append(f"commit {checkout.head if checkout else None}")
    return found


def add_files(made: Plan, project: Project, position: str) -> None:
    """Take along the files among a project's keys, also where git ignores them."""
    for key in _keys(project):
        pattern = key.get("file")
        if not isinstance(pattern, str) or os.path.isabs(pattern):
            continue
        try:
            found = sorted(project.directory.glob(pattern)) if not pattern.startswith("..") else [project.directory / pattern]
        except (ValueError, NotImplementedError):
            continue
        for file in found:
            if not file.is_file():
                continue
            if file.is_relative_to(project.directory):
                name = f"{position}/{file.relative_to(project.directory).as_posix()}".removeprefix("/")
                made.pieces.setdefault(name, Piece(origin=file))
            else:
                made.extra.append(f"file {pattern} {_digest(file)}")


def _keys(project: Project) -> Iterator[dict[str, Any]]:
    keys = project.section("tool", "uv").get("cache-keys")
    for key in keys if isinstance(keys, list) else []:
        if isinstance(key, dict):
            yield key
        elif isinstance(key, str):
            yield {"file": key}


def _digest(file: Path) -> str:
    import hashlib

    return hashlib.sha256(file.read_bytes()).hexdigest()
