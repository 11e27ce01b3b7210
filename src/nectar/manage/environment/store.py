"""A handler's environment: found by its content, or built, checked, and only then given its name."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nectar.errors import EnvironmentFailedError
from nectar.manage.environment import build, build_directory, generations
from nectar.manage.environment.survey import survey
from nectar.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nectar.home import Home
    from nectar.manage.environment.generations import Generation
    from nectar.manage.environment.marker import Marker
    from nectar.manage.source.source import Source

_ATTEMPTS = 4


@dataclass(frozen=True)
class Environment:
    """A finished environment; nothing in it changes any more.

    :ivar key: its name on disk: the hash of its content, and a number where another one of that content was changed.
    :ivar python_version: as in ``"3.12.1"``.
    :ivar distribution: the handler's own, name and version, as in ``"my-handler 1.0"``.
    :ivar entries: its entry points for handlers, name to value.
    :ivar plugins: entry points of the group ``nectar.plugins`` in the environment.
    :ivar directory: the author's, in which the handler runs; not part of the content.
    :ivar snapshot: of a single file: the manifest of what was taken along.
    """

    key: str
    path: Path
    python: Path
    python_version: str
    distribution: str
    entries: dict[str, str]
    plugins: list[tuple[str, str]]
    directory: Path
    snapshot: Path | None
    settings: Settings


def find(home: Home, source: Source, *, environ: Mapping[str, str] | None = None) -> Environment | None:
    """The environment of what the source is now, where it is as it was built and its Python is still there. Runs no uv.

    :raises EnvironmentFailedError: what the source is cannot be said.
    """
    found = survey(home, source, os.environ if environ is None else environ)
    return _whole(source, generations.newest(home, found.key)) if found.key else None


def provide(
    home: Home,
    source: Source,
    *,
    report: Callable[[str], None],
    upgrade: bool = False,
    environ: Mapping[str, str] | None = None,
) -> Environment:
    """The environment of what the source is now, built where it has not been.

    :param report: is given lines of progress for a person.
    :param upgrade: resolve anew what the project itself has no lock for.
    :raises EnvironmentFailedError: it cannot be built.
    """
    environ = os.environ if environ is None else environ
    home.create()
    found = survey(home, source, environ, upgrade=upgrade)
    known = _whole(source, generations.newest(home, found.key)) if found.key and not upgrade else None
    if known:
        return known
    with build_directory.workshop(home, source, environ, report) as shop:
        for attempt in range(_ATTEMPTS):
            if attempt:
                shop.clear()
                found = survey(home, source, environ, trusting=False)
            with suppress(FileNotFoundError):  # an editor replaces a file by removing it
                anew, last = upgrade and not attempt, attempt == _ATTEMPTS - 1
                built = _whole(source, build.build(home, found, shop, upgrade=anew, last=last))
                if built:
                    return built
    raise EnvironmentFailedError("The handler's source changes faster than it can be read.", where=str(source.path))


def _whole(source: Source, found: Generation | None) -> Environment | None:
    """An environment that is as it was built."""
    return None if found is None or found.changed else _environment(source, found.name, found.path, found.marker)


def _environment(source: Source, name: str, path: Path, marker: Marker) -> Environment:
    return Environment(
        key=name,
        path=path,
        python=path / "bin" / "python",
        python_version=marker.python_version,
        distribution=marker.distribution,
        entries=marker.entries,
        plugins=[(name, value) for name, value in marker.plugins],
        directory=source.directory,
        snapshot=path / marker.snapshot if marker.snapshot else None,
        settings=source.settings,
    )


def recorded(home: Home, source: Source, name: str) -> Environment | None:
    """The environment that a handler was launched in, changed or not, with the settings of then; None where it, or its Python, is
    gone.
    """
    found = generations.at(home, name)
    if found is None:
        return None
    return replace(_environment(source, name, home.envs / name, found), settings=Settings.from_mapping(found.settings))


def unchanged(home: Home, source: Source, name: str) -> Environment | None:
    """One of the same content as that, which is as it was built; None where there is none."""
    found = generations.newest(home, generations.key_of(name))
    if found is None or found.changed:
        return None
    return replace(
        _environment(source, found.name, found.path, found.marker), settings=Settings.from_mapping(found.marker.settings)
    )


def lost(home: Home, name: str) -> str:
    """Why there is no environment of the same content any more that is as it was built, to stand behind its name."""
    found = generations.newest(home, generations.key_of(name))
    if found is None or not found.changed:
        return ", or its Python, is gone"
    return f" was changed after it had been built: {found.path / found.changed[0]}"
