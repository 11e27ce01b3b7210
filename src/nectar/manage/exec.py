"""A command in a handler's environment."""

from __future__ import annotations

import os
import shutil
import time
from typing import TYPE_CHECKING

from nectar.errors import EnvironmentFailedError, NotFoundError
from nectar.manage.daemon import given, variables
from nectar.manage.environment import drift, generations, sidecar
from nectar.manage.handlers import handlers
from nectar.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import NoReturn

    from nectar.home import Home
    from nectar.manage.environment.generations import Environment


def execute(home: Home, name: str, words: Sequence[str], *, report: Callable[[str], None]) -> NoReturn:
    """Become a command in the environment of a handler, running or not.

    It has the handler's variables, finds the environment's commands first, and nectar's API behind the environment's packages.

    :param report: is told when it is not as it was built.
    :raises NotFoundError: there is no such handler, or no such command.
    :raises EnvironmentFailedError: its environment is gone.
    :raises NewerError: that, or its record, is a newer nectar's.
    """
    record = handlers.require(home, name)
    drift.refuse_newer(home, name, record.environment)
    built = generations.find(home, record.environment)
    if built is None:
        raise EnvironmentFailedError(f"The environment of {name!r}, or its Python, is gone.", hint=f"nectar restart {name}")
    for path in drift.find_edited(home, record.environment)[:1]:
        report(f"{built.path / path} was changed after the environment had been built: nectar restart {name} builds it anew.")
    settings = Settings.from_mapping({**built.settings.to_mapping(), **record.settings})
    _become(home, built, variables.compose(os.environ, settings, given.read(home, name).variables()), words)


def execute_in_source(home: Home, handler: str, words: Sequence[str], *, report: Callable[[str], None]) -> NoReturn:
    """Become a command in the environment that launch would use, built as for a trial where it is not there.

    :param handler: a path, as a person wrote it.
    :param report: is given lines of progress for a person.
    :raises NotFoundError: nothing is there, or there is no such command.
    :raises EnvironmentFailedError: it cannot be built.
    """
    from nectar.manage import gc  # which a command in what is launched does without, as the next two
    from nectar.manage.environment import store
    from nectar.manage.source.source import open_source

    source, begun = open_source(handler), time.time()
    with store.use(home, source, report=report, trial=True) as built:
        gc.drop_trials(home, source, but=built.key, before=begun)
        # Until the command has taken our place, and names the environment in its variables, it is in use.
        _become(home, built, variables.compose(os.environ, source.settings, {}), words)


def _become(home: Home, built: Environment, given_variables: Mapping[str, str], words: Sequence[str]) -> NoReturn:
    process = variables.activate(built.path, given_variables) | variables.of_terminal(os.environ)
    process["PYTHONPATH"] = str(sidecar.provide_runtime(home, built.marker.python_version) / sidecar.API)
    found = shutil.which(words[0], path=process["PATH"])
    if found is None:
        raise NotFoundError(f"There is no command {words[0]!r}.", where=str(built.path / "bin"))
    os.execve(found, list(words), process)  # noqa: S606  # no shell is wanted
