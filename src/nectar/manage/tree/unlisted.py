"""What git ignores and a build may need: what the settings of a build backend name is taken, and of the rest a person is told."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nectar.manage.files.tables import list_of_text
from nectar.manage.tree import git
from nectar.manage.tree.leavings import COMPILED, PYCACHE
from nectar.manage.tree.pieces import is_name, parents

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nectar.manage.source.pyproject import Project

_PATTERNS = 200
"""Patterns that a project's settings may have."""
_SHOWN = 5
_NO_PACKAGES = ("test", "tests", "docs", "examples", "benchmarks")


def find_named(project: Project) -> list[str]:
    """The files that git does not list and a project's build backend is told to pack, relative to the project.

    Without git these are the lists of setuptools in an unpacked sdist, by which it knows what data was packed.

    :raises EnvironmentFailedError: git cannot say.
    """
    repository = git.find(project.directory)
    if repository is None:
        lists = [*project.directory.glob("*.egg-info/SOURCES.txt"), *project.directory.glob("src/*.egg-info/SOURCES.txt")]
        return [each.relative_to(project.directory).as_posix() for each in lists if each.is_file()]
    patterns = list(dict.fromkeys(filter(is_name, map(_relative, _patterns(project)))))[:_PATTERNS]
    found = repository.ignored(project.directory, patterns) if patterns else []
    return [name for name in found if not _is_hidden(name) or name in patterns]


def find_in_packages(project: Project, taken: Iterable[str]) -> list[str]:
    """The files in a project's packages that git ignores and that were not taken, hidden ones and what tools leave aside.

    :param taken: what was, relative to the project.
    """
    repository = git.find(project.directory)
    taken = set(taken)
    packages = {os.path.dirname(name) for name in taken if os.path.basename(name) == "__init__.py"}
    packages = {each for each in packages if each and each.split("/")[0] not in _NO_PACKAGES}
    if repository is None or not packages:
        return []
    tops = sorted(each for each in packages if not packages & set(parents(each)))[:_PATTERNS]
    found = repository.ignored(project.directory, tops)
    return [name for name in found if name not in taken and not _is_hidden(name) and not name.endswith((*COMPILED, "~"))]


def select_lacking(names: list[str], installed: Iterable[str]) -> list[str]:
    """Which of a project's files are not among those that were installed, whatever directory its packages lie in."""
    there = set(installed)
    return [name for name in names if not any(tail in there for tail in _tails(name))]


def describe(project: Project, names: list[str]) -> str:
    """What a person is told of files that were left out."""
    shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
    # Hatchling looks into .gitignore by itself.
    by_hatch = project.section("build-system").get("build-backend") == "hatchling.build"
    table = "[tool.hatch.build]" if by_hatch else "[tool.uv]"
    key = f'artifacts = ["{names[0]}"]' if by_hatch else f'cache-keys = [{{ file = "pyproject.toml" }}, {{ file = "{names[0]}" }}]'
    return f"Left out, because git ignores it: {shown}. What the handler needs of it is taken when {table} names it: {key}"


def _patterns(project: Project) -> Iterator[str]:
    """What the settings of build backends name, as patterns of paths."""
    build = project.section("tool", "hatch", "build")
    wheel = project.section("tool", "hatch", "build", "targets", "wheel")
    for table in (build, wheel):
        for pattern in list_of_text(table.get("artifacts")):  # as in a .gitignore
            if pattern.strip("/") and not pattern.startswith(("!", "#")):
                yield pattern if "/" in pattern.rstrip("/") else f"**/{pattern}"
        yield from _keys(table.get("force-include"))
    for listed in (
        project.section("tool", "poetry").get("include"),
        project.section("tool", "pdm", "build").get("includes"),
        project.section("tool", "maturin").get("include"),
    ):
        for entry in listed if isinstance(listed, list) else []:
            path = entry.get("path") if isinstance(entry, dict) else entry
            if isinstance(path, str):
                yield path
    for package, patterns in project.section("tool", "setuptools", "package-data").items():
        place = "**" if package in ("", "*") else f"**/{package.replace('.', '/')}"
        yield from (f"{place}/{pattern}" for pattern in list_of_text(patterns))
    data = project.section("tool", "uv", "build-backend").get("data")
    yield from (each for each in (data.values() if isinstance(data, dict) else []) if isinstance(each, str))


def _keys(table: object) -> list[str]:
    return list(table) if isinstance(table, dict) else []


def _relative(pattern: str) -> str:
    return os.path.normpath(pattern.strip("/")) if pattern.strip("/") else ""


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part == PYCACHE for part in name.split("/"))


def _tails(name: str) -> Iterator[str]:
    parts = name.split("/")
    yield from ("/".join(parts[start:]) for start in range(max(1, len(parts) - 1)))
