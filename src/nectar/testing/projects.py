"""Which handler's project tests are of, and what is installed of it where they run."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nectar.entries import GROUP, PLUGINS, choose
from nectar.errors import EnvironmentFailedError, NectarError, NotFoundError, UsageError
from nectar.protocol import EntryPoint
from nectar.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator


class Project(NamedTuple):
    """A directory with a ``pyproject.toml`` that has a ``[project]``."""

    directory: Path
    name: str
    settings: Settings


def find_project(place: Path) -> Project:
    """The project that a directory is in.

    :raises NotFoundError: it is in none, or is not there.
    :raises UsageError: it is a file.
    :raises NectarError: its ``pyproject.toml`` cannot be read, or its settings are wrong.
    """
    if not place.is_dir():
        if not place.exists():
            raise NotFoundError("There is nothing at this path.", where=str(place))
        raise UsageError(
            "This is a file, and only a project can be installed where its tests run.",
            where=str(place),
            hint="ask(function) asks a function, and node(project=…) launches a file, too.",
        )
    for directory in (place, *place.parents):
        found = _read(directory / "pyproject.toml")
        if found is not None:
            return found
    raise NotFoundError(
        "There is no handler's project: no pyproject.toml with a [project].",
        where=f"{place}, and what is above it",
        hint="Name its directory: project=…",
    )


def _read(file: Path) -> Project | None:
    import tomllib

    try:
        table: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise EnvironmentFailedError(f"pyproject.toml cannot be read: {error}", where=str(file)) from None
    match table.get("project"):
        case {"name": str(name)}:
            said = table.get("tool", {}).get("nectar", {})
            return Project(file.parent, name, Settings.from_mapping(said, where=f"[tool.nectar] in {file}"))
    return None


def choose_entry(project: Project, name: str | None) -> EntryPoint:
    """The entry point of a project that is meant, of those that it has been installed with where this runs.

    :raises EnvironmentFailedError: it is not installed.
    :raises UsageError: there is none of that name, or there are several and none was named.
    """
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        entries = distribution(project.name).entry_points.select(group=GROUP)
    except PackageNotFoundError:
        import sys

        raise EnvironmentFailedError(
            f"{project.name} is not installed where its tests run.",
            where=sys.prefix,
            hint=f"nectar dev {project.directory} makes an environment for them: uv run --directory {project.directory} pytest",
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
