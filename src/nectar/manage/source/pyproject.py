"""Reading a project's ``pyproject.toml``: what a handler's must say, and what other projects on this machine it is made with."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import Any, NamedTuple

from nectar.entries import GROUP
from nectar.errors import EnvironmentFailedError, NotFoundError, UsageError
from nectar.manage.files.authored import SETTINGS, read_text, read_toml
from nectar.manage.files.tables import list_of_text, section
from nectar.settings import FLOOR, Settings

UV_BUILD = "uv_build>=0.9"
"""The build backend that comes with uv, from the version on that builds what we say; it insists on an upper bound besides."""
BUILD_SYSTEM = f"""\
    [build-system]
    requires = ["{UV_BUILD},<1"]
    build-backend = "uv_build\""""
NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_VERSION = r"[0-9][A-Za-z0-9.+!_-]*"
_DECORATED = r"(?m)^@(?:nectar\.)?handler\b[^\n]*\n(?:@[^\n]*\n){0,9}(?:async\s+)?def\s+(\w+)"


_LOOKED_AT = 200
"""Files in which a handler is looked for, to name it in a hint."""


class Project(NamedTuple):
    """A directory with a ``pyproject.toml`` that could be parsed.

    :ivar directory: absolute.
    :ivar alone: whether it belongs to no workspace, whatever lies above it.
    """

    directory: Path
    table: dict[str, Any]
    alone: bool = False

    @property
    def file(self) -> Path:
        return self.directory / "pyproject.toml"

    @property
    def name(self) -> str:
        name = self.section("project").get("name")
        return name if isinstance(name, str) else self.directory.name

    @property
    def requires_python(self) -> str | None:
        requires = self.section("project").get("requires-python")
        return requires if isinstance(requires, str) else None

    @property
    def settings(self) -> Settings:
        return read_settings(self.table, self.file)

    def section(self, *path: str) -> dict[str, Any]:
        """A table in the file, empty where there is none."""
        return section(self.table, *path)

    @property
    def dynamic(self) -> list[str]:
        return list_of_text(self.section("project").get("dynamic"))


def read_settings(table: dict[str, Any], file: Path) -> Settings:
    """What ``[tool.nectar]`` in a file's table says.

    :raises UsageError: that is wrong.
    """
    where = f"[tool.nectar] in {file}"
    said = section(table, "tool").get("nectar", {})
    if not isinstance(said, dict):
        raise UsageError("The settings are not a table.", where=where)
    return Settings.from_mapping(said, where=where)


def normalise(name: str) -> str:
    """A distribution's name as it is compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


def open_project(directory: Path) -> Project:
    """The project in a directory.

    :raises NotFoundError: it has no ``pyproject.toml``.
    :raises EnvironmentFailedError: it cannot be parsed, or its name is none.
    """
    file = directory / "pyproject.toml"
    if not os.path.lexists(file):
        older = [name for name in ("setup.py", "setup.cfg") if (directory / name).is_file()]
        raise NotFoundError(
            "The directory has no pyproject.toml, so it is no handler's project.",
            where=str(directory),
            hint=f"What {' and '.join(older)} says of it is not read. {_lines(Project(directory, {}), 'Write a pyproject.toml with')}"
            if older
            else f"nectar new {shlex.quote(str(directory / 'my_handler'))} makes one; a single .py file works too.",
        )
    found = Project(directory, read_toml(file))
    name = found.section("project").get("name")
    if isinstance(name, str) and not NAME.fullmatch(name):
        raise EnvironmentFailedError(
            "The project's name is no name of a distribution.",
            where=str(file),
            hint=f'It has letters, digits, ".", "_" and "-", as in name = "{_distribution_name(name)}".',
        )
    return found


def open_handler(directory: Path) -> Project:
    """The same, of a project that must hold a handler.

    :raises EnvironmentFailedError: it says nothing of how it is built, or declares no handler; the lines to add are in the hint.
    """
    project = open_project(directory)
    table = project.section("project")
    if not isinstance(project.table.get("project"), dict):
        raise EnvironmentFailedError(
            "The project has no [project] table.",
            where=str(project.file),
            hint=_lines(project, "Only that table is read. Add these lines to it"),
        )
    if not isinstance(table.get("name"), str):
        raise EnvironmentFailedError(
            "The project has no name.",
            where=str(project.file),
            hint=f'Add this line to its [project]:\n    name = "{_distribution_name(directory.name)}"',
        )
    package = project.section("tool", "uv").get("package")
    if package is False or ("build-system" not in project.table and package is not True):
        remove = " (and remove `package = false` from [tool.uv])" if package is False else ""
        raise EnvironmentFailedError(
            "The project has no [build-system], so it would be installed without its entry point."
            if "build-system" not in project.table
            else "The project says `package = false`, so it would not be installed.",
            where=str(project.file),
            hint=f"Add these lines to it{remove}:\n{BUILD_SYSTEM}"
            if "build-system" not in project.table
            else "Remove that line from [tool.uv].",
        )
    entries = section(table, "entry-points", GROUP)
    if not entries and "entry-points" not in project.dynamic:
        raise EnvironmentFailedError(
            f"The project declares no handler: it has no entry point in the group {GROUP}.",
            where=str(project.file),
            hint=f'Add these lines to it:\n    [project.entry-points."{GROUP}"]\n    {_suggested_entry(project)}',
        )
    return project


def _lines(project: Project, ask: str) -> str:
    """The lines that a project without ``[project]`` lacks, with what another tool's table says of it."""
    poetry = project.section("tool", "poetry")
    name, version = poetry.get("name"), poetry.get("version")
    lines = [
        "[project]",
        f'name = "{_distribution_name(name if isinstance(name, str) else project.directory.name)}"',
        f'version = "{version if isinstance(version, str) and re.fullmatch(_VERSION, version) else "0.1.0"}"',
        f'requires-python = "{FLOOR}"',
        "dependencies = []",
        "",
        f'[project.entry-points."{GROUP}"]',
        _suggested_entry(project),
    ]
    text = "\n".join(f"    {line}".rstrip() for line in lines)
    return f"{ask}:\n{text}" + ("" if "build-system" in project.table else f"\n\n{BUILD_SYSTEM}")


def _distribution_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", text[:100]).strip("-").lower() or "my-handler"


def _suggested_entry(project: Project) -> str:
    """An entry point for the first function with ``@handler`` in the project's source, else an example."""
    for root in (project.directory / "src", project.directory):
        for file in sorted([*root.glob("*.py"), *root.glob("*/*.py")])[:_LOOKED_AT]:
            try:
                found = re.search(_DECORATED, read_text(file, SETTINGS))
            except (OSError, EnvironmentFailedError):
                continue
            if found and file.relative_to(root).parts[0] not in ("tests", "test", "examples"):
                parts = [*file.relative_to(root).with_suffix("").parts]
                module = ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)
                return f'{found[1]} = "{module}:{found[1]}"'
    module = re.sub(r"\W", "_", project.name).lower()
    return f'{module} = "{module}:analyze"'
