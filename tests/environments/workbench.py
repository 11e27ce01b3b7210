"""Projects to try environments with, made in a temporary directory, and what to ask of what comes out."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from nectar.home import Home
from nectar.manage.environment import store
from nectar.manage.environment.generations import Environment
from nectar.manage.source import source
from nectar.manage.uv.uv import find_uv, select_variables

UV_BUILD = '[build-system]\nrequires = ["uv_build>=0.9,<100"]\nbuild-backend = "uv_build"\n'
HATCHLING = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
SETUPTOOLS = '[build-system]\nrequires = ["setuptools>=77"]\nbuild-backend = "setuptools.build_meta"\n'
STRANGER = 65534
"""The number of another user."""
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a file another user's")
ENTRY = '[project.entry-points."nectar.handlers"]\n{name} = "{module}:answer"\n'


class Bench:
    """A data dir and a place for sources.

    :ivar said: the lines that were reported.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.home = Home(directory / "data")
        self.said: list[str] = []

    def project(
        self,
        name: str = "demo",
        *,
        at: str | None = None,
        dependencies: tuple[str, ...] = (),
        build: str = UV_BUILD,
        handler: bool = True,
        fields: str = "",
        more: str = "",
        code: str = "def answer(comp):\n    return 1\n",
    ) -> Path:
        """Write a project with one package and, unless it is to be a mere library, an entry point to its ``answer``.

        :param fields: lines for ``[project]``.
        :param more: tables after it.
        """
        place = self.directory / (at or name)
        module = name.replace("-", "_")
        listed = ", ".join(f'"{each}"' for each in dependencies)
        requires = "" if "requires-python" in fields else 'requires-python = ">=3.11"\n'
        entry = ENTRY.format(name=module, module=module) if handler else ""
        write(
            place / "pyproject.toml",
            f'[project]\nname = "{name}"\nversion = "1.0"\n{requires}dependencies = [{listed}]\n{textwrap.dedent(fields)}\n{entry}\n{build}\n{textwrap.dedent(more)}',
        )
        write(place / "src" / module / "__init__.py", code)
        return place

    def file(self, name: str, text: str) -> Path:
        return write(self.directory / name, text)

    def provide(self, path: Path | None, *, upgrade: bool = False, walled: bool = False, **options: object) -> Environment:
        """What ``launch`` asks for."""
        return store.provide(self.home, self.open(path, **options), report=self.said.append, upgrade=upgrade, walled=walled)

    def find(self, path: Path | None, **options: object) -> Environment | None:
        return store.find(self.home, self.open(path, **options))

    def open(self, path: Path | None, **options: object) -> source.Source:
        return source.open_source(path, **options)  # type: ignore[arg-type]

    def lock(self, project: Path, *arguments: str) -> Path:
        """``uv lock`` as its author would."""
        uv("lock", "--project", project, *arguments)
        return project / "uv.lock"

    def built(self) -> list[str]:
        """The environments that are there, finished or not."""
        found = self.home.envs.glob("*") if self.home.envs.is_dir() else []
        return sorted(path.name for path in found if path.name != ".locks")


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return path


def uv(*arguments: str | Path, code: int = 0, **variables: str) -> str:
    """Run uv by hand and return what it wrote to its output."""
    ended = subprocess.run(
        [find_uv(), *map(str, arguments)],
        env={**select_variables(os.environ), **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == code, ended.stderr
    return ended.stdout


def run(found: Environment, code: str) -> str:
    """What a piece of code prints with an environment's interpreter."""
    ended = subprocess.run([found.python, "-I", "-B", "-c", code], capture_output=True, text=True, check=False, cwd="/")
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def installed(found: Environment) -> dict[str, str]:
    """The distributions in an environment, as one sees them from outside: name to version."""
    (place,) = found.path.glob("lib/python*/site-packages")
    return {each.name: each.version for each in importlib.metadata.distributions(path=[str(place)])}


def listed(found: Environment) -> dict[str, str]:
    """The same by uv's account, which takes fifty times as long."""
    frozen = uv("pip", "list", "--format", "freeze", "--python", found.python)
    return dict(line.split("==") for line in frozen.splitlines())


def snapshot(directory: Path) -> dict[str, tuple[int, int, bytes]]:
    """All that is in a directory: mode, time and content of each."""
    return {
        str(path.relative_to(directory)): (path.lstat().st_mode, path.lstat().st_mtime_ns, _content(path))
        for path in sorted(directory.rglob("*"))
    }


def _content(path: Path) -> bytes:
    if path.is_symlink():
        return os.fsencode(os.readlink(path))
    return path.read_bytes() if path.is_file() else b""


def pyenv(version: str) -> Path | None:
    """The directory with the commands of a Python that pyenv has, by minor version."""
    root = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    found = sorted(root.glob(f"{version}.*"), key=lambda path: [int(part) for part in re.findall(r"\d+", path.name)])
    return found[-1] / "bin" if found else None


Wait = Callable[[Callable[[], bool]], None]
