"""A handler's environment: found by its content, or built, checked, and only then given its name."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nectar.errors import EnvironmentFailedError
from nectar.locks import held
from nectar.manage.environment import generations, resolution
from nectar.manage.source.plan import key_of, platform
from nectar.manage.tree import contents
from nectar.manage.uv import configuration
from nectar.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nectar.home import Home
    from nectar.manage.environment.build_directory import Workshop
    from nectar.manage.environment.marker import Marker
    from nectar.manage.source.plan import Plan
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
    environ = os.environ if environ is None else environ
    parts = current(home, source, environ)
    return None if parts is None else _known(home, source, key_of(parts))


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
    found = None if upgrade else find(home, source, environ=environ)
    if found:
        return found
    from nectar.manage.environment import build_directory  # which is not needed for what has been built

    home.create()
    with build_directory.workshop(home, source, environ, report) as shop:
        for attempt in range(_ATTEMPTS):
            with suppress(FileNotFoundError):  # an editor replaces a file by removing it
                first, last = attempt == 0, attempt == _ATTEMPTS - 1
                found = _attempt(home, source, shop, environ, upgrade=upgrade and first, first=first, last=last)
            if found:
                return found
            shop.clear()
    raise EnvironmentFailedError("The handler's source changes faster than it can be read.", where=str(source.path))


def _attempt(
    home: Home, source: Source, shop: Workshop, environ: Mapping[str, str], *, upgrade: bool, first: bool, last: bool
) -> Environment | None:
    """Find or build; None where it has to be done again: the source has changed meanwhile, or a kept lock does not fit."""
    from nectar.manage.environment import build, edits

    plan = planned(home, source, trusting=first)
    own_lock = plan.has_lock
    if not own_lock:
        resolution.resolve(home, plan, shop, environ, upgrade=upgrade)
    parts = digests(home, plan, environ)
    assert parts is not None, "it is resolved"
    key = key_of(parts)
    with held(
        home.env_locks / key, waiting=lambda: shop.uv.report("Another command is building this environment; waiting for it.")
    ):
        newest = generations.newest(home, key)
        if newest and not newest.changed:
            return _environment(source, newest.name, newest.path, newest.marker)
        rebuilt = {}
        if newest:
            rebuilt = edits.remember(newest, source, plan)
            shop.uv.report(edits.tell(newest, source, plan))
        try:
            return _known(home, source, key) if build.build(home, plan, shop, parts, rebuilt) else None
        except build.LockMismatchError:
            if own_lock or last:
                raise
            # A kept lock is ours to mend: a newer uv, or what a build says of itself, may ask for another.
            resolution.forget(home, plan, environ)
            return None


def data(home: Home) -> tuple[Path, ...]:
    """What of the disk is never a handler's source."""
    return (home.data_dir, home.nectar)


def planned(home: Home, source: Source, *, trusting: bool = True) -> Plan:
    """What a source's environment would be made of now.

    :param trusting: go by what is remembered of its large files.
    """
    plan = source.plan(but=data(home))
    plan.memory = contents.Memory(contents.place(home, source.path), trusting=trusting)
    return plan


def current(home: Home, source: Source, environ: Mapping[str, str]) -> dict[str, str] | None:
    """The digests of what a source is now, by part; None where it would have to be resolved first."""
    for attempt in range(_ATTEMPTS):
        try:
            return digests(home, planned(home, source), environ)
        except OSError as error:
            if isinstance(error, FileNotFoundError) and attempt < _ATTEMPTS - 1:
                continue  # an editor replaces a file by removing it
            raise EnvironmentFailedError(
                f"The handler's source cannot be read: {error.strerror or error}.",
                where=str(error.filename or source.path),
            ) from error
    raise AssertionError


def digests(home: Home, plan: Plan, environ: Mapping[str, str]) -> dict[str, str] | None:
    """The digests of a plan's parts; None where it must be resolved first."""
    index = configuration.digest(environ, above=plan.configured_by)
    if not plan.has_lock and not resolution.use_kept(home, plan, index):
        return None
    found = {**plan.digests(), "index": index, "platform": platform()}
    plan.memory.keep()
    return found


def _known(home: Home, source: Source, key: str) -> Environment | None:
    found = generations.newest(home, key)
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
