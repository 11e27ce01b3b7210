"""A project's directory as a handler, with whatever else on this machine it is made of.

What lies around it keeps its relative position: a workspace's root and members, and the projects and files that path sources
name. What is built for the handler comes whole; of other members uv only wants to know what they say, to check the lock.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nectar.errors import EnvironmentFailedError
from nectar.manage.source import cache_keys, checkouts, extras, workspace
from nectar.manage.source.path_sources import DECIDING, Gathering, gather
from nectar.manage.source.plan import LOCK, Plan
from nectar.manage.source.pyproject import normalised, open_handler
from nectar.manage.tree import trees, unlisted
from nectar.manage.tree.bounds import Bounds
from nectar.manage.tree.pieces import Piece
from nectar.manage.uv import configuration
from nectar.manage.uv.interpreters import Request, pinned, required

if TYPE_CHECKING:
    from nectar.manage.source.pyproject import Project

_TOLD_BY = ("pyproject.toml", "uv.toml", ".python-version")


def plan(directory: Path, *, python: str | None, chosen: tuple[str, ...] = (), but: tuple[Path, ...]) -> Plan:
    """What the environment of a project is made of.

    :param python: what ``--python`` asked for.
    :param chosen: extras, beyond those that the project chooses itself.
    :param but: directories that are never source.
    :raises EnvironmentFailedError: it is no handler, or names what cannot be taken along.
    """
    project = open_handler(directory.resolve())
    gathered = Gathering()
    space = gathered.space(project)
    root = space.root if space else project
    gather(project, gathered, whole=True)
    checkout = checkouts.checkout(project) if any(checkouts.names_version(each) for each in gathered.whole.values()) else None
    base = gathered.base(*([checkout.top] if checkout else []))
    made = Plan(
        distribution=normalised(project.name), project=position(project.directory, base), python=_request(project, space, python)
    )
    made.extras = require_extras(project, chosen)
    made.lock = position(root.directory / LOCK, base)
    made.lock_of = root.directory / LOCK
    take(made, gathered, base, but)
    if position(project.file, base) not in made.pieces:
        raise EnvironmentFailedError(
            "The project's pyproject.toml is a link to a file that is not taken.",
            where=str(project.file),
            hint="Put the file itself in its place.",
            detail="\n".join(made.left_out) or None,
        )
    if (root.directory / LOCK).is_file():
        _put(made, root.directory / LOCK, base)
    if checkout:
        made.checkout = (position(checkout.top, base), checkout)
        made.extra += checkout.describe()
    if not ((root.directory / "uv.toml").is_file() or "uv" in root.section("tool")):
        made.configured_by = configuration.above(root.directory)
    outside = [each.directory for each in gathered.all() if not each.directory.is_relative_to(project.directory)]
    made.outside = str(min(outside)) if outside else None
    return made


def require_extras(project: Project, chosen: tuple[str, ...]) -> tuple[str, ...]:
    """The extras that a project and a person chose.

    :raises UsageError: the project has no such one.
    """
    wanted = extras.together((*project.settings.extras, *chosen))
    if "optional-dependencies" not in project.dynamic:  # else a build will tell
        extras.require(wanted, project.section("project", "optional-dependencies"), where=str(project.file))
    return wanted


def request(project: Project, python: str | None) -> Request:
    """The Python that a project and its workspace ask for, unless a person asked for another."""
    return _request(project, workspace.of(project), python)


def _request(project: Project, space: workspace.Workspace | None, python: str | None) -> Request:
    everyone = [project, *(space.members.values() if space else ())]
    requires = required((each.requires_python, each.file) for each in everyone)
    if python:
        return Request(requires, python)
    top = space.root.directory if space else project.directory
    for directory in (project.directory, *project.directory.parents):
        wanted = pinned(directory, project.directory)
        if wanted or directory == top:
            return Request(requires, wanted, str(directory / ".python-version"))
    return Request(requires)


def position(path: Path, base: Path) -> str:
    """Where in a tree something lies, ``""`` for the tree itself."""
    found = path.relative_to(base).as_posix()
    return "" if found == "." else found


def take(made: Plan, gathered: Gathering, base: Path, but: tuple[Path, ...]) -> None:
    """Put all that was gathered into a plan."""
    made.locals_ = sorted({*made.locals_, *(normalised(each.name) for each in gathered.whole.values())})
    for each in gathered.whole.values():
        place = position(each.directory, base)
        also, lines = cache_keys.files(each)
        made.add(
            place, trees.read(each.directory, but=but, bounds=Bounds(each.directory, base), also=[*also, *unlisted.named(each)])
        )
        made.extra += [*cache_keys.values(each), *lines]
    for each in [*gathered.told.values(), *gathered.roots.values()]:
        if DECIDING & set(each.dynamic):
            tree = trees.read(each.directory, but=but, bounds=Bounds(each.directory, base))
            made.add(position(each.directory, base), tree)
        for name in _TOLD_BY:
            _put(made, each.directory / name, base)
    for file in gathered.files:
        _put(made, file, base)
    made.read_in_place = {position(index, base): index for index in gathered.indexes if index.is_dir()}
    dynamic = any(
        DECIDING & set(each.dynamic) or "project" not in each.table
        for each in gathered.all()
        if each not in gathered.roots.values()
    )
    made.resolved_by = None if dynamic else sorted(name for name in made.pieces if name.rsplit("/", 1)[-1] in _TOLD_BY)


def _put(made: Plan, file: Path, base: Path) -> None:
    """Put one file that is there into a plan."""
    origin = trees.content_of(file, Bounds(file.parent, base), made.left_out)
    if origin:
        made.put(position(file, base), Piece(origin=origin))
