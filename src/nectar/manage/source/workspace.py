"""uv's workspaces: which one a project belongs to, and its members."""

from __future__ import annotations

import itertools
import os
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, NamedTuple

from nectar.errors import EnvironmentFailedError
from nectar.manage.files.strangers import is_foreign, is_trusted
from nectar.manage.files.tables import list_of_text
from nectar.manage.source.pyproject import Project, normalise, open_project
from nectar.manage.tree import searching

if TYPE_CHECKING:
    from collections.abc import Iterator


class Workspace(NamedTuple):
    """A project with ``[tool.uv.workspace]``, and the projects that it names.

    :ivar members: by directory; the root is one when it is a project itself.
    """

    root: Project
    members: dict[Path, Project]

    def named(self, name: str) -> Project | None:
        """The member of a normalised name."""
        return next((each for each in self.members.values() if normalise(each.name) == name), None)


def find(project: Project) -> Workspace | None:
    """The workspace that a project is the root or a member of; a stranger's does not count.

    :raises EnvironmentFailedError: a ``pyproject.toml`` in it cannot be parsed.
    """
    for directory in () if project.alone else (project.directory, *project.directory.parents):
        if directory != project.directory and not is_trusted(directory / "pyproject.toml", project.directory):
            continue
        root = project if directory == project.directory else open_project(directory)
        if "workspace" not in root.section("tool", "uv"):
            continue
        found = {each: open_project(each) for each in sorted(set(_member_directories(root)))}
        if "project" in root.table:
            found[directory] = root
        return Workspace(root, found) if directory == project.directory or project.directory in found else None
    return None


def find_above(directory: Path) -> Project | None:
    """The root of the workspace above a directory, whether it names that or not; a stranger's does not count.

    :raises EnvironmentFailedError: its ``pyproject.toml`` cannot be parsed.
    """
    there = next(each for each in directory.parents if each.is_dir())
    for above in directory.resolve().parents:
        if is_trusted(above / "pyproject.toml", there):
            root = open_project(above)
            if "workspace" in root.section("tool", "uv"):
                return root
    return None


def refuse_strangers(project: Project) -> None:
    """Refuse to have uv work in a project's own directory where it would take a stranger's workspace above for the project's.

    :raises EnvironmentFailedError: there is one.
    """
    for directory in project.directory.parents:
        file = directory / "pyproject.toml"
        if is_foreign(file, project.directory):
            raise EnvironmentFailedError(
                "Above the project lies a pyproject.toml of another user, which uv would go by.",
                where=str(file),
                hint="Move the project to a directory that only you can write to.",
            )


def _member_directories(root: Project) -> Iterator[Path]:
    table = root.section("tool", "uv", "workspace")
    excluded = list_of_text(table.get("exclude"))
    for pattern in list_of_text(table.get("members")):
        for found in _expand(root, pattern):
            inside = PurePath(os.path.relpath(found, root.directory))
            hidden = found.name.startswith(".")
            if (found / "pyproject.toml").is_file() and not hidden and not any(_matches(inside, each) for each in excluded):
                yield found


def _expand(root: Project, pattern: str) -> list[Path]:
    if "\0" in pattern or os.path.isabs(pattern):
        return []
    parts = os.path.normpath(pattern).split("/")
    fixed = list(itertools.takewhile(lambda part: not searching.is_wild(part), parts))
    base = Path(os.path.realpath(root.directory.joinpath(*fixed)))
    rest = "/".join(parts[len(fixed) :])
    found = searching.find_matching(base, rest, where=f"[tool.uv.workspace] in {root.file}") if rest else ["."]
    return [(base / name).resolve() for name in found if os.path.isdir(base / name)]


def _matches(path: PurePath, pattern: str) -> bool:
    wanted = pattern.removeprefix("./").rstrip("/").split("/")
    parts = path.parts
    return len(parts) >= len(wanted) and PurePath(*parts[: len(wanted)]).match("/".join(wanted))
