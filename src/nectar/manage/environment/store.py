"""A handler's environment: found by its content, or built, checked, and only then given its name."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from nectar.errors import EnvironmentFailedError
from nectar.manage.environment import drift, generations, trials
from nectar.manage.environment.survey import survey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from nectar.home import Home
    from nectar.manage.environment.generations import Environment
    from nectar.manage.source.source import Source

_ATTEMPTS = 4


def find(home: Home, source: Source, *, environ: Mapping[str, str] | None = None) -> Environment | None:
    """The environment of what the source is now, where it is as it was built and its Python is still there. Runs no uv.

    :raises EnvironmentFailedError: what the source is cannot be said.
    """
    found = survey(home, source, os.environ if environ is None else environ)
    return generations.find_whole(home, found.key) if found.key else None


def provide(
    home: Home,
    source: Source,
    *,
    report: Callable[[str], None],
    upgrade: bool = False,
    trial: bool = False,
    walled: bool = False,
    environ: Mapping[str, str] | None = None,
) -> Environment:
    """The environment of what the source is now, built where it has not been.

    :param report: is given lines of progress for a person.
    :param upgrade: resolve anew what the project itself has no lock for.
    :param trial: where it is built, mark it as one that is only tried.
    :param walled: where it is built, have what others say runs for that run behind a wall.
    :raises EnvironmentFailedError: it cannot be built.
    :raises NectarError: no wall can stand here.
    """
    environ = os.environ if environ is None else environ
    home.create()
    found = survey(home, source, environ, walled=walled, upgrade=upgrade)
    known = generations.find_whole(home, found.key) if found.key and not upgrade else None
    if known:
        return known
    # What builds is loaded here alone: a launch of what has been built does without, and starts quicker for that.
    from nectar.manage.environment.build import build
    from nectar.manage.environment.build_directory import open_workshop
    from nectar.manage.wall import trying

    if walled:
        trying.require(home)
    with open_workshop(home, source, environ, report, walled=walled) as shop:
        for attempt in range(_ATTEMPTS):
            if attempt:
                shop.clear()
                found = survey(home, source, environ, walled=walled, trusting=False)
            with suppress(FileNotFoundError):  # an editor replaces a file by removing it
                anew, last = upgrade and not attempt, attempt == _ATTEMPTS - 1
                built = build(home, found, shop, upgrade=anew, last=last, trial=trial)
                if built:
                    return built
    raise EnvironmentFailedError("The handler's source changes faster than it can be read.", where=str(source.path))


@contextmanager
def use(
    home: Home,
    source: Source,
    *,
    report: Callable[[str], None],
    upgrade: bool = False,
    trial: bool = False,
    walled: bool = False,
) -> Iterator[Environment]:
    """The same, and nobody removes it while the block runs.

    :param trial: whether it is only tried; else it is none that was built only for that, from now on.
    """
    for last in (False, False, True):
        built = provide(home, source, report=report, upgrade=upgrade, trial=trial, walled=walled)
        with ExitStack() as stack:
            try:
                stack.enter_context(drift.keep_in_use(home, built.key))
            except EnvironmentFailedError:  # what another command had tried it for is over, and it went
                if last:
                    raise
                continue
            (trials.renew if trial else trials.forget)(home, built.key)
            yield built
            return


def find_unchanged(home: Home, key: str) -> Environment | None:
    """One of the same content as that of a name, which is as it was built; None where there is none."""
    return generations.find_whole(home, generations.key_of(key))


def explain_loss(home: Home, key: str) -> str:
    """Why there is none, to stand behind its name."""
    found = generations.find_newest(home, generations.key_of(key))
    if found is None or not found.changed:
        return ", or its Python, is gone"
    return f" was changed after it had been built: {found.path / found.changed[0]}"
