"""Sessions of nox for handlers' projects: ``handlers("handlers")`` in a noxfile.

nox is what the noxfile runs with; nothing else here imports it.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import nox

from nectar.api.command import find_command
from nectar.entries import GROUP

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence


class Project(NamedTuple):
    """A handler's project.

    :ivar entries: the names of its entry points; none where only its build knows them.
    :ivar keywords: that its ``[project]`` has.
    """

    directory: Path
    entries: list[str]
    keywords: list[str]


NO_TESTS = 5
"""With which exit code pytest says that it has found none."""


def handlers(
    folder: str | Path,
    *,
    name: str = "handlers",
    tags: Sequence[str] = (),
    unasked: Collection[str] = (),
    data_dir: str | Path | None = None,
) -> None:
    """Make a session of each handler's project below a folder: ``nox -s "handlers(sentiment)"``, and ``nox -s handlers`` for all.

    A session makes the project's ``.venv`` as ``nectar dev`` does, from its lock and with its own Python, runs its tests there, and asks
    each of its entry points one question in the environment that ``nectar launch`` would use. What is behind ``--`` is pytest's.

    :param folder: from the noxfile on. Where there is no project in it, the session does nothing.
    :param name: of the sessions.
    :param tags: that all of them have; each has its project's keywords, too.
    :param unasked: the paths below the folder of those that cannot answer just any question here, as where they ask a service.
    :param data_dir: where nectar's environments are; None is where they are for the command.
    """
    place = Path(sys._getframe(1).f_code.co_filename).parent / folder  # noqa: SLF001
    found = {project.directory.relative_to(place).as_posix(): project for project in _find(place)}
    given = [] if data_dir is None else ["--data-dir", str(data_dir)]

    def run(session: nox.Session, project: Project) -> None:
        _try(session, project, given, asks=project.directory.relative_to(place).as_posix() not in unasked)

    run.__doc__ = f"The tests of a handler below {folder}, and a question in the environment that it would be launched in."
    parameters = [nox.param(project, id=path, tags=project.keywords) for path, project in found.items()]
    nox.session(name=name, python=False, venv_backend="none", tags=list(tags))(nox.parametrize("project", parameters)(run))


def _try(session: nox.Session, project: Project, given: list[str], *, asks: bool) -> None:
    command = [*find_command(), *given]
    directory = str(project.directory)
    session.run(*command, "dev", directory, external=True)
    session.chdir(directory)
    # A project whose handler wants something beside which no pytest works is tried by the one that is here.
    theirs = project.directory / ".venv" / "bin" / "pytest"
    if theirs.exists():
        session.run(str(theirs), *session.posargs, external=True, success_codes=[0, NO_TESTS])
    elif importlib.util.find_spec("pytest") is not None:
        session.run(sys.executable, "-m", "pytest", *session.posargs, external=True, success_codes=[0, NO_TESTS])
    else:
        session.warn("There is no pytest, neither in its dev group nor here: its tests are not run.")
    for chosen in ([["--handler", entry] for entry in project.entries] or [[]]) if asks else ():
        session.run(*command, "test", directory, *chosen, external=True)


def _find(folder: Path) -> Iterator[Project]:
    """All below a folder, by their paths; none in another, and none in what a tool has made."""
    for path, directories, files in os.walk(folder):
        project = _read(Path(path)) if "pyproject.toml" in files else None
        directories[:] = sorted(each for each in directories if not each.startswith((".", "__"))) if project is None else []
        if project is not None:
            yield project


def _read(directory: Path) -> Project | None:
    try:
        table: dict[str, Any] = tomllib.loads((directory / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Project(directory, [], [])  # its session says what is wrong with it
    match table.get("project"):
        case {"entry-points": dict(groups), **others} if isinstance(groups.get(GROUP), dict):
            return Project(directory, sorted(groups[GROUP]), _keywords(others))
        case {"dynamic": list(dynamic), **others} if "entry-points" in dynamic:
            return Project(directory, [], _keywords(others))
    return None


def _keywords(project: dict[Any, Any]) -> list[str]:
    return [*map(str, project.get("keywords", ()))]
