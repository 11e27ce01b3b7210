"""Bytecode for workers behind a wall, which cannot write it where they read it, and would compile all that they import at each start."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nectar.manage.environment import installed
from nectar.manage.environment.marker import COMPILED
from nectar.manage.waits import wait
from nectar.manage.wall import bubblewrap, running
from nectar.manage.wall.bubblewrap import Layout
from nectar.manage.wall.grants import Grants

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from nectar.manage.environment.generations import Environment

_SECONDS = 600
_TESTS = "[/](tests?|testing)[/]"
"""What of a library no handler imports, mostly, and is half of some."""


def provide(program: str, built: Environment, api: Path, shown: Iterable[str]) -> None:
    """Have an environment's modules compiled, and nectar's own, by the environment's Python: behind a wall, because others wrote them.

    What cannot be compiled is left to who imports it.

    :param program: bubblewrap.
    :param api: where nectar's own side lies.
    :param shown: what that Python needs to be seen.
    """
    done = built.path / COMPILED
    if done.exists():
        return
    places = [str(installed.find_site_packages(built.path)), str(api)]
    # Each is shown at its own path, and only these two can be written to, by Python itself: nothing of the environment is run.
    layout = Layout(home=None, directory="/", shown={path: path for path in shown}, grants=Grants(write=tuple(places)))
    command = [str(built.python), "-I", "-S", "-m", "compileall", "-q", "-q", "-j", str(os.cpu_count() or 1), "-x", _TESTS, *places]
    with wait("Compiling what the handler imports", seconds=_SECONDS):
        running.run(command, _SECONDS, wall=bubblewrap.compose(program, layout))
    done.touch(0o600)
