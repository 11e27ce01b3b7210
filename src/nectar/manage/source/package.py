"""A project's directory as a handler, with whatever else on this machine it is made of.

What lies around it keeps its relative position: a workspace's root and members, and the projects and files that path sources
name. What is built for the handler comes whole; of other members uv only wants to know what they say, to check the lock.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nectar.errors import EnvironmentFailedError
from nectar.manage.source import cache_keys, checkouts, extras, workspace
from nectar.manage.source.path_sources import DECIDING, gather
from nectar.manage.source.plan import LOCK, Asked, Locking, Plan
from nectar.manage.source.pyproject import normalise, open_handler
from nectar.manage.tree import trees, unlisted
from nectar.manage.tree.assembly import Assembly
from nectar.manage.tree.bounds import Bounds
from nectar.manage.uv import configuration
from nectar.manage.uv.interpreters import Request, join_required, read_pinned

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nectar.manage.source.path_sources import Gathered
    from nectar.manage.source.pyproject import Project

_TOLD_BY = ("pyproject.toml", "uv.toml", ".python-version")


def plan(directory: Path, *, python: str | None, chosen: tuple[str, ...] = (), but: tuple[Path, ...], alone: bool = False) -> Plan:
    """What the environment of a project is made of.

    :param python: what ``--python`` asked for.
    :param chosen: extras, beyond those that the project chooses itself.
    :param but: directories that are never source.
    :param alone: whether no link brings along what lies outside of its project.
    :raises EnvironmentFailedError: it is no handler, or names what cannot be taken along.
    """
    project = open_handler(directory.resolve())
    gathered = gather(project)
    checkout = checkouts.open_checkout(project) if any(checkouts.names_version(each) for each in gathered.whole.values()) else None
    base = gathered.base(*([checkout.top] if checkout else []))
    asked = _asked(project, gathered, python, chosen)
    assembly = assemble(gathered, base, but, alone=alone)
    if position(project.file, base) not in assembly.pieces:
        raise EnvironmentFailedError(
            "The project's pyproject.toml is a link to a file that is not taken.",
            where=str(project.file),
            hint="Put the file itself in its place.",
            detail="\n".join(assembly.finish().left_out) or None,
        )
    lock = gathered.root(project).directory / LOCK
    if lock.is_file():
        assembly.put_file(position(lock, base), lock, Bounds(lock.parent, base, alone=alone))
    assembly.depend_on(checkout.describe() if checkout else [])
    outside = [each.directory for each in gathered.all() if not each.directory.is_relative_to(project.directory)]
    return Plan(
        distribution=normalise(project.name),
        project=position(project.directory, base),
        locals_=names_built(gathered),
        projects=list_positions(gathered, base),
        elsewhere=tuple(place for place in list_taken(gathered, asked.settings) if not place.is_relative_to(project.directory)),
        checkout=(position(checkout.top, base), checkout) if checkout else None,
        tree=assembly.finish(),
        locking=Locking(
            place=position(lock, base),
            authors=lock,
            told_by=told_by(gathered, assembly.pieces),
            outside=str(min(outside)) if outside else None,
        ),
        asked=asked,
    )


def _asked(project: Project, gathered: Gathered, python: str | None, chosen: tuple[str, ...]) -> Asked:
    root = gathered.root(project)
    has_own = "uv" in root.section("tool") or (root.directory / "uv.toml").is_file()
    return Asked(
        python=_request(project, gathered.space, python),
        extras=require_extras(project, chosen),
        settings=None if has_own else configuration.find_above(root.directory),
    )


def require_extras(project: Project, chosen: tuple[str, ...]) -> tuple[str, ...]:
    """The extras that a project and a person chose.

    :raises UsageError: the project has no such one.
    """
    wanted = extras.join((*project.settings.extras, *chosen))
    if "optional-dependencies" not in project.dynamic:  # else a build will tell
        extras.require(wanted, project.section("project", "optional-dependencies"), where=str(project.file))
    return wanted


def read_request(project: Project, python: str | None) -> Request:
    """The Python that a project and its workspace ask for, unless a person asked for another."""
    return _request(project, workspace.find(project), python)


def _request(project: Project, space: workspace.Workspace | None, python: str | None) -> Request:
    everyone = [project, *(space.members.values() if space else ())]
    requires = join_required((each.requires_python, each.file) for each in everyone)
    if python:
        return Request(requires, python)
    top = space.root.directory if space else project.directory
    for directory in (project.directory, *project.directory.parents):
        wanted = read_pinned(directory, project.directory)
        if wanted or directory == top:
            return Request(requires, wanted, str(directory / ".python-version"))
    return Request(requires)


def position(path: Path, base: Path) -> str:
    """Where in a tree something lies, ``""`` for the tree itself."""
    found = path.relative_to(base).as_posix()
    return "" if found == "." else found


def assemble(gathered: Gathered, base: Path, but: tuple[Path, ...], *, alone: bool = False) -> Assembly:
    """A tree with all that was gathered.

    :param but: and ``alone`` are as for :func:`plan`.
    """
    assembly = Assembly()
    for each in gathered.whole.values():
        also, more = cache_keys.find_files(each)
        bounds = Bounds(each.directory, base, alone=alone)
        assembly.put_tree(
            position(each.directory, base),
            trees.read(each.directory, but=but, bounds=bounds, also=[*also, *unlisted.find_named(each)]),
        )
        assembly.depend_on([*cache_keys.read_values(each), *more])
    for each in [*gathered.told.values(), *gathered.roots.values()]:
        bounds = Bounds(each.directory, base, alone=alone)
        if DECIDING & set(each.dynamic):
            assembly.put_tree(position(each.directory, base), trees.read(each.directory, but=but, bounds=bounds))
        for name in _TOLD_BY:
            assembly.put_file(position(each.directory / name, base), each.directory / name, bounds)
    for file in gathered.files:
        assembly.put_file(position(file, base), file, Bounds(file.parent, base, alone=alone))
    for index in gathered.indexes:
        if index.is_dir():
            assembly.read_in_place(position(index, base), index)
    return assembly


def names_built(gathered: Gathered) -> tuple[str, ...]:
    """The distributions that are built from what was gathered."""
    return tuple(sorted({normalise(each.name) for each in gathered.whole.values()}))


def list_positions(gathered: Gathered, base: Path) -> tuple[str, ...]:
    """Where in a tree the projects lie that were gathered."""
    return tuple(sorted({position(each.directory, base) for each in gathered.all()}))


def list_taken(gathered: Gathered, settings: Path | None) -> list[Path]:
    """What of it is taken whole, and not only for what it says of itself.

    :param settings: the file of uv's settings elsewhere that counts for it.
    """
    dynamic = [each.directory for each in gathered.all() if DECIDING & set(each.dynamic)]
    above = [] if settings is None else configuration.list_local(configuration.read(settings), settings.parent)
    return sorted({*gathered.whole, *dynamic, *gathered.files, *gathered.local, *above})


def told_by(gathered: Gathered, pieces: Iterable[str]) -> frozenset[str] | None:
    """Which pieces decide what is resolved for what was gathered; None for all."""
    roots = gathered.roots.values()
    projects = [each for each in gathered.all() if each not in roots]
    if any(DECIDING & set(each.dynamic) or "project" not in each.table for each in projects):
        return None
    return frozenset(name for name in pieces if name.rsplit("/", 1)[-1] in _TOLD_BY)
