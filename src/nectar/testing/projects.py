"""Which handler's project tests are of, and what is installed of it where they run."""

from __future__ import annotations

import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nectar.entries import GROUP, PLUGINS, choose
from nectar.errors import EnvironmentFailedError, NectarError, NotFoundError, UsageError
from nectar.protocol import EntryPoint
from nectar.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator


_BLOCK = re.compile(r"(?m)^# /// script$\s((?:^#(?:| .*)$\s)+)^# ///$")
"""Inline metadata, as its specification finds it; what is wrong with it, ``nectar test`` tells."""


class Project(NamedTuple):
    """A directory with a ``pyproject.toml`` that has a ``[project]``, or a single file.

    :ivar name: the distribution's; of a single file, its module's.
    """

    directory: Path
    name: str
    settings: Settings
    is_file: bool = False


def find_project(place: Path) -> Project:
    """The project that a directory is in, or a single file.

    :raises NotFoundError: it is in none, or is not there.
    :raises NectarError: its ``pyproject.toml`` cannot be read, or its settings are wrong.
    """
    if not place.exists():
        raise NotFoundError("There is nothing at this path.", where=str(place))
    if place.is_file():
        block = _BLOCK.search(place.read_text(encoding="utf-8-sig"))
        table = _parse("\n".join(line[2:] for line in block[1].splitlines()) if block else "", place)
        return Project(place.parent, place.stem, _read_settings(table, place), is_file=True)
    for directory in (place, *place.parents):
        file = directory / "pyproject.toml"
        try:
            table = _parse(file.read_text(encoding="utf-8"), file)
        except FileNotFoundError:
            continue
        match table.get("project"):
            case {"name": str(name)}:
                return Project(directory, name, _read_settings(table, file))
    raise NotFoundError(
        "There is no handler's project: no pyproject.toml with a [project].",
        where=f"{place}, and what is above it",
        hint="Name its directory, or a single file: project=…",
    )


def _parse(text: str, file: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text)
    except ValueError as error:
        raise EnvironmentFailedError(f"{file.name} cannot be read: {error}", where=str(file)) from None


def _read_settings(table: dict[str, Any], file: Path) -> Settings:
    where = f"[tool.nectar] in {file}"
    match table.get("tool"):
        case {"nectar": dict(said)}:
            return Settings.from_mapping(said, where=where)
        case {"nectar": _}:
            raise UsageError("The settings are not a table.", where=where)
    return Settings()


def choose_entry(project: Project, name: str | None) -> EntryPoint:
    """The entry point of a project that is meant, of those that it has been installed with where this runs.

    :param name: its name; of a single file, its function's.
    :raises EnvironmentFailedError: it is not installed.
    :raises UsageError: there is none of that name, or there are several and none was named.
    """
    from importlib.metadata import PackageNotFoundError, distribution

    if project.is_file:
        return EntryPoint(project.name, project.name if name is None else f"{project.name}:{name}")
    try:
        entries = distribution(project.name).entry_points.select(group=GROUP)
    except PackageNotFoundError:
        import shlex
        import sys

        place = shlex.quote(str(project.directory))
        raise EnvironmentFailedError(
            f"{project.name} is not installed where its tests run.",
            where=sys.prefix,
            hint=f"nectar dev {place} makes an environment for them: uv run --directory {place} pytest",
        ) from None
    return choose(
        [EntryPoint(entry.name, entry.value) for entry in entries],
        name,
        where=project.name,
        way="handler=",
        example='worker(handler="{0}") or @pytest.mark.nectar(handler="{0}")',
    )


def list_plugins() -> list[tuple[str, str]]:
    """Name and value of each entry point with hooks of all that is installed, in the order in which a worker is given them."""
    from importlib.metadata import entry_points

    found = sorted(entry_points(group=PLUGINS), key=lambda plugin: plugin.dist.name.lower() if plugin.dist else "")
    return [(plugin.name, plugin.value) for plugin in found]


@contextmanager
def noted() -> Iterator[None]:
    """Have nectar's errors show all that they say, by whomever they are shown."""
    try:
        yield
    except NectarError as error:
        for line in (error.where, error.hint):
            if line:
                error.add_note(f"   {line}")
        if error.detail:
            error.add_note(error.detail)
        raise
