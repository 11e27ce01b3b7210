"""A project's directory as a handler, with whatever else on this machine it is made of.

What lies around it keeps its relative position: a workspace's root and members, and the projects and files that path sources
name. What is built for the handler comes whole; of other members uv only wants to know what they say, to check the lock.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nectar.errors import EnvironmentFailedError
from nectar.manage import cache_keys, configuration, trees, vcs, workspace
from nectar.manage.plan import LOCK, Piece, Plan
from nectar.manage.project import Project, list_of_text, normalised, open_handler, open_project, read_toml, section
from nectar.manage.python import Request, pinned

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOLD_BY = ("pyproject.toml", "uv.toml", ".python-version")
_DECIDING = frozenset({"dependencies", "optional-dependencies", "requires-python"})
_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")


def plan(directory: Path, *, python: str | None, but: tuple[Path, ...]) -> Plan:
    """What the environment of a project is made of.

    :param python: what ``--python`` asked for.
    :param but: directories that are never source.
    :raises EnvironmentFailedError: it is no handler, or names what cannot be taken along.
    """
    project = open_handler(directory.resolve())
    space = workspace.of(project)
    root = space.root if space else project
    gathered = _Gathering()
    _gather(project, gathered, whole=True)
    checkout = vcs.checkout(project) if any(vcs.names_version(each) for each in gathered.whole.values()) else None
    base = _base(gathered, checkout)

    def position(path: Path) -> str:
        found = path.relative_to(base).as_posix()
        return "" if found == "." else found

    made = Plan(distribution=normalised(project.name), project=position(project.directory), python=_request(project, space, python))
    made.lock = f"{position(root.directory)}/{LOCK}".removeprefix("/")
    made.locals_ = sorted({normalised(each.name) for each in gathered.whole.values()})
    made.lock_of = root.directory
    for each in gathered.whole.values():
        made.add(position(each.directory), trees.read(each.directory, but=but))
        made.extra += cache_keys.values(each)
        cache_keys.add_files(made, each, position(each.directory))
    for each in [*gathered.told.values(), *gathered.roots.values()]:
        _add_told(made, each, position(each.directory), but)
    if (root.directory / LOCK).is_file():
        made.pieces[made.lock] = Piece(origin=root.directory / LOCK)
    for file in gathered.files:
        made.pieces[position(file)] = Piece(origin=file)
    made.read_in_place = {position(index): index for index in gathered.indexes if index.is_dir()}
    if checkout:
        made.checkout = (position(checkout.top), checkout)
        made.extra += checkout.describe()
    if not _configured(root):
        made.configured_above = configuration.above(root.directory)
    outside = [each for each in (*gathered.whole, *gathered.told, *gathered.roots) if not each.is_relative_to(project.directory)]
    made.outside = str(min(outside)) if outside else None
    told = [*gathered.whole.values(), *gathered.told.values(), *gathered.roots.values()]
    dynamic = any(_DECIDING & set(each.dynamic) or "project" not in each.table for each in told)
    made.resolved_by = None if dynamic else [name for name in made.pieces if name.rsplit("/", 1)[-1] in _TOLD_BY]
    return made


def _add_told(made: Plan, project: Project, position: str, but: tuple[Path, ...]) -> None:
    """Add what a project says of itself, and all of it where that has to be computed."""
    if _DECIDING & set(project.dynamic):
        made.add(position, trees.read(project.directory, but=but))
    for name in _TOLD_BY:
        if (project.directory / name).is_file():
            made.pieces[f"{position}/{name}".removeprefix("/")] = Piece(origin=project.directory / name)


def _request(project: Project, space: workspace.Workspace | None, python: str | None) -> Request:
    """The Python that a project and its workspace ask for, unless a person asked for another."""
    everyone = [project, *(space.members.values() if space else ())]
    requires = ",".join(dict.fromkeys(each.requires_python for each in everyone if each.requires_python)) or None
    if python:
        return Request(requires, python)
    top = space.root.directory if space else project.directory
    for directory in (project.directory, *project.directory.parents):
        wanted = pinned(directory)
        if wanted or directory == top:
            return Request(requires, wanted, str(directory / ".python-version"))
    return Request(requires)


def _configured(root: Project) -> bool:
    return (root.directory / "uv.toml").is_file() or "uv" in root.section("tool")


