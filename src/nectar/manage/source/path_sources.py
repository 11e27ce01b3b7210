"""What a project is made of on this machine: the workspace's other members, and the projects and files that path sources name."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit

from nectar.errors import EnvironmentFailedError
from nectar.manage.files.authored import read_toml
from nectar.manage.files.tables import list_of_text, section
from nectar.manage.source import workspace
from nectar.manage.source.pyproject import Project, normalise, open_project
from nectar.manage.uv import configuration

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DECIDING = frozenset({"dependencies", "optional-dependencies", "requires-python"})
"""Fields that decide what is resolved; where one is dynamic, only a build of the whole project says it."""
_NAME = r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)"


class Gathered(NamedTuple):
    """What a project is made of.

    :ivar space: the workspace that it is in.
    :ivar whole: projects that are built, by directory; it is one of them.
    :ivar told: projects of which only what they say of themselves counts.
    :ivar roots: the roots of their workspaces.
    :ivar files: wheels and sdists that path sources name.
    :ivar indexes: directories that are indexes, by a relative path.
    :ivar local: all that is an index and lies on this machine, by whatever path.
    """

    space: workspace.Workspace | None
    whole: Mapping[Path, Project]
    told: Mapping[Path, Project]
    roots: Mapping[Path, Project]
    files: frozenset[Path]
    indexes: frozenset[Path]
    local: frozenset[Path]

    def root(self, project: Project) -> Project:
        """The project itself, or the root of the workspace that it is in."""
        return self.space.root if self.space else project

    def all(self) -> list[Project]:
        """The projects, whatever they are here for."""
        return [*self.whole.values(), *self.told.values(), *self.roots.values()]

    def base(self, *more: Path) -> Path:
        """The directory that everything lies in."""
        places = [*self.whole, *self.told, *self.roots, *(each.parent for each in (*self.files, *self.indexes)), *more]
        return Path(os.path.commonpath(places))


def gather(project: Project) -> Gathered:
    """What a project is made of on this machine: each thing that it names, and that those name.

    :raises EnvironmentFailedError: it names what a copy cannot follow, or a ``pyproject.toml`` cannot be read.
    """
    walk = _Walk()
    space = walk.space(project)
    walk.follow(project, whole=True)
    return Gathered(space, walk.whole, walk.told, walk.roots, frozenset(walk.files), frozenset(walk.indexes), frozenset(walk.local))


class _Walk:
    """From project to project; what has been found so far is as in :class:`Gathered`."""

    def __init__(self) -> None:
        self.whole: dict[Path, Project] = {}
        self.told: dict[Path, Project] = {}
        self.roots: dict[Path, Project] = {}
        self.files: set[Path] = set()
        self.indexes: set[Path] = set()
        self.local: set[Path] = set()
        self._spaces: list[workspace.Workspace] = []

    def space(self, project: Project) -> workspace.Workspace | None:
        """The workspace of a project; each is read once."""
        known = next((each for each in self._spaces if project.directory in each.members), None)
        found = known or workspace.find(project)
        if found and not known:
            self._spaces.append(found)
        return found

    def follow(self, project: Project, *, whole: bool) -> None:
        """Note a project and what it names, each once."""
        place = project.directory
        if place in self.whole or (place in self.told and not whole):
            return
        (self.whole if whole else self.told)[place] = project
        if whole:
            self.told.pop(place, None)
            _refuse_urls(project)
        space = self.space(project)
        inherited: dict[str, Any] = {}
        if space:
            self.roots[space.root.directory] = space.root
            inherited = space.root.section("tool", "uv", "sources") if space.root is not project else {}
        named = _named(project)
        for name, entries, base in [
            *((name, entries, space.root.directory) for name, entries in inherited.items() if space),
            *((name, entries, place) for name, entries in project.section("tool", "uv", "sources").items()),
        ]:
            for entry in entries if isinstance(entries, list) else [entries]:
                if isinstance(entry, dict):
                    self._follow_source(entry, normalise(name), base, project, whole=whole and normalise(name) in named)
        if space:
            for member in space.members.values():
                self.follow(member, whole=False)
        for table in (project.section("tool", "uv"), _uv_toml(place)):
            self.indexes.update(_indexes(table, place))
            self.local.update(configuration.list_local(table, place))

    def _follow_source(self, entry: dict[str, Any], name: str, base: Path, project: Project, *, whole: bool) -> None:
        space = self.space(project)
        if entry.get("workspace") is True and space:
            member = space.named(name)
            if member:
                self.follow(member, whole=whole)
            return
        path = entry.get("path") or _local(entry.get("url"))
        if not isinstance(path, str):
            return
        if "\0" in path:
            raise EnvironmentFailedError(f"The source of {name} is no path.", where=f"[tool.uv.sources] in {project.file}")
        if os.path.isabs(os.path.expanduser(path)):
            raise EnvironmentFailedError(
                f"The source of {name} is an absolute path; the handler is built from a copy, which only relative ones follow.",
                where=f"[tool.uv.sources] in {project.file}",
                hint=f'{name} = {{ path = "{os.path.relpath(path, base)}" }}',
            )
        place = Path(os.path.normpath(base / path)).resolve()
        if os.path.isdir(place):
            found = open_project(place) if (place / "pyproject.toml").is_file() else Project(place, {})
            self.follow(found, whole=whole or bool(DECIDING & set(found.dynamic)) or "project" not in found.table)
        elif os.path.isfile(place):
            self.files.add(place)


def _local(url: object) -> str | None:
    """The path in a URL of a file."""
    if not isinstance(url, str) or not url.startswith("file:"):
        return None
    try:
        return unquote(urlsplit(url).path)
    except ValueError:  # of a host that is none; uv says so
        return None


def _refuse_urls(project: Project) -> None:
    """Refuse a dependency on a directory by its URL: uv would build it where it lies."""
    for requirement in list_of_text(project.section("project").get("dependencies")):
        name, at, url = requirement.partition("@")
        place = _local(url.split(";")[0].strip()) if at else None
        if place and os.path.isdir(place):
            raise EnvironmentFailedError(
                f"The dependency {name.strip()} is a directory by its absolute path; the handler is built from a copy, which only "
                "relative ones follow.",
                where=str(project.file),
                hint=f'[tool.uv.sources] {name.strip()} = {{ path = "{os.path.relpath(place, project.directory)}" }}',
            )


def _named(project: Project) -> set[str]:
    """The distributions that a project may need, whatever the extra; build requirements included."""
    table = project.section("project")
    lists = [
        table.get("dependencies"),
        *section(table, "optional-dependencies").values(),
        project.section("build-system").get("requires"),
    ]
    names = (re.match(_NAME, item) for each in lists for item in list_of_text(each))
    return {normalise(found[1]) for found in names if found}


def _uv_toml(directory: Path) -> dict[str, Any]:
    file = directory / "uv.toml"
    return read_toml(file) if file.is_file() else {}


def _indexes(table: dict[str, Any], base: Path) -> Iterator[Path]:
    """The directories beside a project that its settings name as indexes."""
    indexes = table.get("index")
    urls = [index.get("url") for index in indexes if isinstance(index, dict)] if isinstance(indexes, list) else []
    for url in (*urls, *list_of_text(table.get("find-links")), table.get("index-url"), *list_of_text(table.get("extra-index-url"))):
        if isinstance(url, str) and "://" not in url and not os.path.isabs(url) and os.path.isdir(base / url):
            yield Path(os.path.normpath(base / url))
