"""A command in a handler's environment."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from nectar.errors import EnvironmentFailedError, NotFoundError
from nectar.manage.daemon import given, variables
from nectar.manage.environment import drift, generations, sidecar
from nectar.manage.handlers import handlers
from nectar.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

    from nectar.home import Home


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
    process = variables.compose(os.environ, settings, given.read(home, name).variables())
    process = variables.activate(built.path, process)
    process |= variables.of_terminal(os.environ)
    process["PYTHONPATH"] = str(sidecar.provide_runtime(home, built.marker.python_version) / sidecar.API)
    found = shutil.which(words[0], path=process["PATH"])
    if found is None:
        raise NotFoundError(f"There is no command {words[0]!r}.", where=str(built.path / "bin"))
    os.execve(found, list(words), process)  # noqa: S606  # no shell is wanted
