"""What has become of environments that were built: damaged, out of date, or in use."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nectar.errors import EnvironmentFailedError, NectarError, NewerError
from nectar.locks import hold
from nectar.manage.environment import generations, installed, notes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from nectar.home import Home
    from nectar.manage.handlers.registry import Record

_NAMES = {
    "project": "project",
    "source": "source",
    "lock": "lock",
    "python": "Python",
    "index": "uv's settings",
    "platform": "machine",
}


def check(home: Home, key: str) -> list[str]:
    """What is wrong with an environment, file by file against the records of its distributions; nothing when it is whole."""
    path = home.envs / key
    marker = generations.read_marker(home, key)
    if marker is None:
        return [f"{path}: it was never finished"]
    problems = []
    if not (path / "bin" / "python").exists():
        problems.append(f"its Python has vanished: {marker.base_python}")
    try:
        found = installed.read_distributions(path)
    except EnvironmentFailedError as error:
        return [*problems, error.message]
    names = [[each.name, each.version] for each in found]
    if names != marker.distributions:
        problems.append("its distributions are not those that it was built with")
    problems += installed.find_mismatches(path, found)
    return problems or [f"{path / each} was changed after it had been built" for each in find_edited(home, key)]


def refuse_newer(home: Home, name: str, key: str) -> None:
    """:raises NewerError: the environment of a handler was made by a newer nectar, as this one does not know."""
    if generations.is_newer(home, key):
        raise newer(home, name, key)


def newer(home: Home, name: str, key: str) -> NewerError:
    return NewerError(
        f"The environment of {name!r}",
        where=str(home.envs / key),
        hint=f"Update nectar, or use the version that wrote it; nectar restart {name} has another one built beside it.",
    )


def find_build_log(home: Home, record: Record) -> Path | None:
    """What uv said at the last build of what a handler is built from; None where there was none, or what that is cannot be said."""
    from nectar.manage.source import source  # which a list of handlers does not need

    try:
        log = home.build_log(source.reopen(record.source).name)
    except NectarError:
        return None
    return log if log.exists() else None


def find_changes(home: Home, record: Record, *, environ: Mapping[str, str] | None = None) -> list[str]:
    """What is no longer as it was when a handler's environment was built: some of ``source``, ``settings``, ``project``, ``lock``,
    ``Python``, ``uv's settings``, ``environment (…)`` where somebody changed that, or what makes it impossible to say.

    :param record: the handler's in the registry.
    """
    from nectar.manage.environment.survey import survey  # which a list of handlers does not need
    from nectar.manage.source import source

    marker = generations.read_marker(home, record.environment)
    if marker is None:
        return ["environment (it is gone)"]
    try:
        given = source.reopen(record.source).behind(record.wall)
        found = survey(home, given, os.environ if environ is None else environ)
    except NectarError as error:
        return [f"source ({error.message})"]
    known = dict(marker.digests)
    if found.key is None:  # nothing is resolved for it yet, because something else changed
        known["lock"] = found.digests["lock"]
    changed = [name for part, name in _NAMES.items() if found.digests[part] != known.get(part)]
    if given.settings.to_mapping() != marker.settings:
        changed = (
            ["settings" if name == "project" else name for name in changed] if "project" in changed else [*changed, "settings"]
        )
    return [*changed, *(f"environment ({path})" for path in find_edited(home, record.environment)[:1])]


def find_edited(home: Home, key: str) -> list[str]:
    """The files, relative to an environment, that were changed after it had been built, as far as its notes tell."""
    marker = generations.read_marker(home, key)
    return notes.find_changed(home.envs / key) if marker is not None and marker.noted else []


@contextmanager
def keep_in_use(home: Home, key: str) -> Iterator[None]:
    """Keep an environment from ``gc`` while no record or daemon shows that it is used yet.

    :raises EnvironmentFailedError: it has just been removed.
    """
    with hold(home.env_locks / f"{key}.use", shared=True):
        if generations.read_marker(home, key) is None:
            raise EnvironmentFailedError("The environment has just been removed.", where=str(home.envs / key), hint="Do it again.")
        yield
