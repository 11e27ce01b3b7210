"""``nectar dev``: a project's own ``.venv``, in which editor, type checker and pytest find nectar's API.

Nectar does not become one of the project's dependencies: a ``.pth`` file in the ``.venv`` names where the API lies, and uv leaves
such a file alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from nectar.api.command import NOTE, PTH
from nectar.errors import EnvironmentFailedError, NotFoundError, UsageError
from nectar.home import make_absolute
from nectar.manage.environment import build_directory, sidecar
from nectar.manage.files import authored
from nectar.manage.source import extras, package, workspace
from nectar.manage.source.pyproject import Project, open_project
from nectar.manage.source.source import require_buildable
from nectar.manage.uv import interpreters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from nectar.home import Home

_ASK = "import json, sysconfig; print(json.dumps([sysconfig.get_python_version(), sysconfig.get_path('purelib')]))"


def prepare(
    home: Home,
    path: Path,
    *,
    chosen: tuple[str, ...] = (),
    report: Callable[[str], None],
    build_env: Iterable[str] = (),
    relock: bool = False,
) -> Path:
    """Make a project's ``.venv`` with its dev group, and put nectar's API on its path.

    ``pyproject.toml`` and ``uv.lock`` stay as they are, except that a project without a lock gets one.

    :param path: the project's, with extras behind it or not.
    :param chosen: more extras.
    :param build_env: names of the shell's variables that builds get besides what all get.
    :param relock: bring a lock that is there up to date: a workspace's, which does not know of a new project.
    :returns: the ``.venv``, the workspace's where the project is in one.
    :raises EnvironmentFailedError: uv could not do it, or the lock does not match the project.
    """
    project, behind = _open(path)
    home.create()
    workspace.refuse_strangers(project)
    venv = _root(project) / ".venv"
    wanted = package.require_extras(project, (*behind, *chosen))
    _sync(home, project, venv, wanted, report=report, build_env=build_env, relock=relock)
    interpreters.check(put_api(home, venv), package.read_request(project, None))
    return venv


def put_api(home: Home, venv: Path) -> str:
    """Put nectar's API on the path of a ``.venv``.

    :returns: the minor version of its Python, as in ``3.12``.
    :raises EnvironmentFailedError: it does not run.
    """
    minor, packages = _ask(venv)
    runtime = sidecar.provide_runtime(home, minor)
    pth = Path(packages) / PTH
    pth.unlink(missing_ok=True)  # it may be a link
    pth.write_text(f"{runtime / sidecar.API}\n{runtime / sidecar.META}\n{NOTE}{sys.executable}\n", encoding="utf-8")
    _note(runtime, pth)
    return minor


def _open(path: Path) -> tuple[Project, tuple[str, ...]]:
    """The project at a path, and the extras behind that."""
    directory, behind = extras.part_path(make_absolute(path))
    if directory.is_file():
        raise UsageError("This is no project, and no .py file.", where=str(directory))
    if not directory.is_dir():
        raise NotFoundError("There is nothing at this path.", where=str(directory))
    return open_project(directory.resolve()), behind  # as uv and workspaces go by it


def _sync(
    home: Home,
    project: Project,
    venv: Path,
    wanted: Iterable[str],
    *,
    report: Callable[[str], None],
    build_env: Iterable[str],
    relock: bool,
) -> None:
    """Have uv make the ``.venv``.

    :param wanted: extras.
    """
    directory, root = project.directory, venv.parent
    arguments = ["sync", "--project", str(directory), *(f"--extra={name}" for name in wanted)]
    if (root / "uv.lock").exists() and not relock:
        arguments.append("--locked")
    with build_directory.open_in_place(home, root, report, os.environ, build_env=require_buildable(build_env)) as uv:
        if not (venv / "bin" / "python").exists():
            arguments += ["--python", interpreters.choose(uv, package.read_request(project, None), downloads=False)]
        outcome = uv.run(*arguments)
    if outcome.code != 0:
        raise EnvironmentFailedError(
            "The project's .venv could not be made.",
            where=str(directory),
            hint=f"If its lock is not up to date: uv lock --project {directory}" if "--locked" in arguments else None,
            detail=outcome.errors.strip(),
        )


def is_developed(runtime: Path) -> bool:
    """Whether a project's ``.venv`` names a runtime."""
    try:
        paths = [Path(line) for line in _users(runtime).read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError:
        return False
    return any(_names(path, runtime) for path in paths)


def _names(pth: Path, runtime: Path) -> bool:
    try:
        return runtime.name in authored.read_text(pth, authored.LINE)
    except (OSError, EnvironmentFailedError):
        return False


def _note(runtime: Path, pth: Path) -> None:
    with _users(runtime).open("a", encoding="utf-8") as users:
        users.write(f"{pth}\n")


def _users(runtime: Path) -> Path:
    return runtime.with_name(f"{runtime.name}.dev")


def _root(project: Project) -> Path:
    """Where the lock and the ``.venv`` are: the project's directory, or that of the workspace that names it, as uv sees it."""
    space = workspace.find(project)
    return space.root.directory if space else project.directory


def _ask(venv: Path) -> tuple[str, str]:
    """The Python's minor version, and where packages lie.

    :raises EnvironmentFailedError: it does not run.
    """
    try:
        answer = subprocess.run([venv / "bin" / "python", "-I", "-c", _ASK], capture_output=True, text=True, check=True, timeout=60)
        minor, packages = authored.parse_json(answer.stdout)
        return str(minor), str(packages)
    except (OSError, subprocess.SubprocessError, ValueError, TypeError):
        raise EnvironmentFailedError(
            "The Python in the .venv does not run.", where=str(venv), hint="Remove the .venv, and it is made anew."
        ) from None
