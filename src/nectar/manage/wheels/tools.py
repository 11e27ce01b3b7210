"""What a build requires: wheels, which are fetched and put into environments of their own before anything of the build runs."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w

from nectar.errors import EnvironmentFailedError
from nectar.manage.files.tables import section
from nectar.manage.source.pyproject import normalise
from nectar.manage.wheels.buildsystem import name_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nectar.manage.environment.build_directory import Workshop
    from nectar.manage.wheels.buildsystem import BuildSystem

_OF_THE_RESULT = ("UV_CONSTRAINT", "UV_OVERRIDE", "UV_EXCLUDE")
"""Variables that say what an environment of a handler's is made of, and not what builds it."""


class Tools:
    """Environments to build in. Each is finished by one call of uv, which asks a Python what it is while nothing is installed yet.

    :param python: as uv takes it.
    :param settings: that uv gets.
    :param constraints: on what builds, of the project.
    """

    def __init__(self, shop: Workshop, place: Path, python: str, settings: dict[str, Any], constraints: list[str]) -> None:
        self._shop = shop
        self._place = place
        self._python = python
        self._settings = settings
        self._constraints = [each for each in constraints if name_of(each) and "\n" not in each]  # an option may stand there
        self._made: dict[tuple[str, ...], Path] = {}

    def provide(self, system: BuildSystem | None = None, more: Iterable[str] = ()) -> Path:
        """The environment for a build.

        :param system: whose; without, one with nothing in it.
        :param more: requirements that the backend has besides.
        :raises EnvironmentFailedError: something cannot be had, or not as a wheel.
        """
        requires = () if system is None else (*system.requires, *self._extra(system.name), *more)
        key = tuple(sorted(set(requires)))
        if key not in self._made:
            if system is not None:
                _refuse_sources(system, key)
            self._made[key] = self._make(key, system)
        return self._made[key]

    def _extra(self, name: str) -> list[str]:
        said = section(self._settings, "extra-build-dependencies")
        entries = next(
            (value for each, value in said.items() if normalise(each) == normalise(name) and isinstance(value, list)), []
        )
        return [each["requirement"] if isinstance(each, dict) and "requirement" in each else each for each in entries]

    def _write_settings(self) -> Path:
        """The settings without those for ``uv pip``, which say where a person wants to have things installed."""
        place = self._shop.directory / "tools.toml"  # beside the other: relative paths in it are meant from there
        place.touch(0o600)
        place.write_text(tomli_w.dumps({name: value for name, value in self._settings.items() if name != "pip"}), encoding="utf-8")
        return place

    def _make(self, requires: tuple[str, ...], system: BuildSystem | None) -> Path:
        venv = self._place / f"tools-{len(self._made)}"
        uv = self._shop.uv
        made = uv.run("venv", "--no-project", "--python", self._python, venv, quiet=True)
        if made.code:
            raise self._shop.failure("uv could not make the virtual environment.", made)
        if not requires or system is None:
            return venv
        wanted = venv / "wanted"
        wanted.mkdir()
        project = {"name": "nectar-tools", "version": "0", "dependencies": list(requires)}
        (wanted / "pyproject.toml").write_text(tomli_w.dumps({"project": project}), encoding="utf-8")
        files = [Path(each).absolute() for each in shlex.split(uv.variables.get("UV_BUILD_CONSTRAINT", ""))]
        if self._constraints:
            files.append(wanted / "constraints.txt")
            files[-1].write_text("".join(f"{each}\n" for each in self._constraints), encoding="utf-8")
        variables = {**dict.fromkeys(_OF_THE_RESULT, ""), "UV_BUILD_CONSTRAINT": ""}
        outcome = replace(uv, settings=self._write_settings()).run(
            *("pip", "install", "--no-build", "--no-compile-bytecode", "--python", venv / "bin" / "python"),
            *("--requirements", wanted / "pyproject.toml"),
            *(part for file in files for part in ("--constraints", file)),
            variables=variables,
            quiet=True,
        )
        if outcome.code:
            raise self._shop.failure(
                f"What builds {system.name} cannot be fetched: {', '.join(requires)}.",
                outcome,
                hint="Behind a wall a build has only what there is as a wheel; what else it needs is put into its project.",
            )
        return venv


def _refuse_sources(system: BuildSystem, requires: Iterable[str]) -> None:
    named = next((each for each in requires if name_of(each) in system.sources), None)
    if named is not None:
        raise EnvironmentFailedError(
            f"{system.name} is built with {named}, which [tool.uv.sources] has from elsewhere than the index; a build behind a wall"
            " cannot have that.",
            hint="Have it on an index as a wheel, or the handler's own wheel built before: nectar launch --sandbox my_handler.whl",
        )
