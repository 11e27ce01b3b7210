"""Wheels of what there is only as source: built behind the wall, from a copy, with tools that were fetched before.

uv alone can build what says ``uv_build``; it runs nothing for that, and so it may without a wall. Nothing else is built without.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from nectar import regular
from nectar.errors import EnvironmentFailedError
from nectar.manage.files.authored import CODE, SETTINGS, parse_toml, read_toml
from nectar.manage.files.tables import list_of_text, section
from nectar.manage.source import archive
from nectar.manage.source.pyproject import normalise
from nectar.manage.tree.git import Repository
from nectar.manage.uv import passing
from nectar.manage.wall import pythons, trying
from nectar.manage.wheels import enclosure, inside
from nectar.manage.wheels.buildsystem import BuildSystem
from nectar.manage.wheels.tools import Tools

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from email.message import Message

    from nectar.manage.environment.build_directory import Workshop
    from nectar.manage.uv.uv import Outcome
    from nectar.manage.wheels.cloning import Clone

_T = TypeVar("_T")
_WHEEL = r"[\w.+!-]{1,200}\.whl"
_NOTHING_ELSE = "It has no network and no variables but those of --build-env, and sees nothing but the system and its own source."


class Wheel(NamedTuple):
    """What was built.

    :ivar metadata: what it says of itself.
    """

    path: Path
    name: str
    version: str
    metadata: Message

    def digest(self) -> str:
        with open(self.path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()


class _Ground(NamedTuple):
    """Where something is built.

    :ivar written: the directory that the build can write to.
    :ivar directory: the project's in it.
    """

    written: Path
    directory: Path


class Builder:
    """Builds what one environment needs, each thing once.

    :param source: all of the handler's source, which is copied.
    :param python: as uv takes it.
    :param uv: what the project, or its workspace, says to uv.
    """

    def __init__(self, shop: Workshop, source: Path, python: str, uv: dict[str, Any]) -> None:
        self._shop = shop
        self.place = shop.wheels
        self.place.mkdir(mode=0o700)
        self._source = source
        self._copy = self.place / "source"
        shutil.copytree(source, self._copy, symlinks=True)
        assert shop.uv.settings is not None
        self._settings = read_toml(shop.uv.settings, CODE)
        constraints = list_of_text(uv.get("build-constraint-dependencies"))
        self._tools = Tools(shop, self.place, python, self._settings, constraints)
        self._sources = tuple(section(uv, "sources"))
        self._made: dict[str, Wheel] = {}
        self._had: dict[str, Any] = {}
        self._count = 0

    def keep_history(self, position: str) -> None:
        """Have the repository at a position of the copy hold by itself what a version comes from, and nothing else of its history."""
        place = self._copy / position / ".git"
        Repository(self._source / position, self._source / position / ".git").pack_history(place / "objects" / "pack")
        (place / "objects" / "info" / "alternates").unlink()

    @property
    def python(self) -> Path:
        """One like that of what is built."""
        return self._tools.provide() / "bin" / "python"

    def build_project(self, position: str) -> Wheel:
        """Build what lies at a position of the source."""
        return self._once(f"project {position}", lambda: self._build_project(position))

    def build_archive(self, file: Path, project: str = "") -> Wheel:
        """Build an sdist.

        :param project: where in it the project lies.
        """
        return self._once(f"archive {file}", lambda: self._build_archive(file, project))

    def build_clone(self, clone: Clone) -> Wheel:
        """Build what was cloned."""
        return self._once(f"clone {clone.directory}", lambda: self._build_clone(clone))

    def have(self, name: str, key: str, fetch: Callable[[Path], _T]) -> _T:
        """What is fetched to be built, once.

        :param fetch: fetches it into a directory.
        """
        self.require_wall(name)
        if key not in self._had:
            self._had[key] = fetch(self.make_place())
        return self._had[key]  # type: ignore[no-any-return]

    def _once(self, key: str, make: Callable[[], Wheel]) -> Wheel:
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def _build_project(self, position: str) -> Wheel:
        # What is built can change the copy, by then into a link out.
        file = self._source / position / "pyproject.toml"
        table = read_toml(file) if file.is_file() else {}
        name = section(table, "project").get("name")
        system = BuildSystem.read(table, name if isinstance(name, str) else position or "the project", self._sources)
        return self._build(system, _Ground(self._copy, self._copy / position))

    def _build_archive(self, file: Path, project: str) -> Wheel:
        name = re.split(r"-(?=\d)", file.name, maxsplit=1)[0]
        self.require_wall(name)
        place = self.make_place()
        told = self._step("unpack", name, _Ground(place, place), {"archive": str(file)}, shown=[file])
        top = told.get("top")
        if not isinstance(top, str) or Path(top).name != top:
            raise EnvironmentFailedError(f"The sdist of {name} does not hold one directory.", where=file.name)
        return self._build_strange(name, _Ground(place, place / top / project))

    def _build_clone(self, clone: Clone) -> Wheel:
        self.require_wall(clone.name)
        return self._build_strange(clone.name, _Ground(clone.directory, clone.directory / clone.project))

    def _build_strange(self, name: str, ground: _Ground) -> Wheel:
        """Build what is looked at behind the wall alone: any file in it may be a link out."""
        text = self._step("look", name, ground, {}).get("pyproject")
        return self._build(BuildSystem.read(_parse(text, name), name), ground)

    def _build(self, system: BuildSystem, ground: _Ground) -> Wheel:
        out = self.make_place()
        self._shop.uv.report(f"   Building {system.name}{' behind a wall' if self._shop.walled else ''}")
        made = self._build_by_uv(system, ground, out) if system.is_uvs else self._build_by_backend(system, ground, out)
        wheel = out / made if re.fullmatch(_WHEEL, made) else None
        if wheel is None or wheel.is_symlink() or not wheel.is_file():  # a build can leave anything
            raise EnvironmentFailedError(f"The build of {system.name} left no wheel.", where=self._where)
        return _read(wheel, system.name)

    def _build_by_uv(self, system: BuildSystem, ground: _Ground, out: Path) -> str:
        venv = self._tools.provide()
        # Without a network, an index and a cache: whatever uv wanted to run for it is not there.
        command = [
            self._shop.uv.binary,
            "--no-config",
            "--offline",
            "--no-cache",
            "--no-progress",
            "build",
            "--wheel",
            "--no-index",
        ]
        command += ["--python", str(venv / "bin" / "python"), "--out-dir", str(out), str(ground.directory)]
        outcome = self._run(command, venv, ground, out, shown=[Path(self._shop.uv.binary).resolve()])
        if outcome.code:
            raise self._failure(system.name, outcome)
        return next((each for each in sorted(os.listdir(out)) if each.endswith(".whl")), "")

    def _build_by_backend(self, system: BuildSystem, ground: _Ground, out: Path) -> str:
        self.require_wall(system.name)
        order = {"backend": system.backend, "path": list(system.path), "config": self._config(system.name), "out": str(out)}
        venv = self._tools.provide(system)
        more = list_of_text(self._step("require", system.name, ground, order, venv=venv, out=out).get("requires"))
        venv = self._tools.provide(system, more)
        return str(self._step("build", system.name, ground, order, venv=venv, out=out).get("wheel"))

    def _config(self, name: str) -> dict[str, Any] | None:
        """What uv's settings have a backend told."""
        every, its = (section(self._settings, *path) for path in (("config-settings",), ("config-settings-package", name)))
        return {**every, **its} or None

    def _step(
        self,
        step: str,
        name: str,
        ground: _Ground,
        order: dict[str, Any],
        *,
        venv: Path | None = None,
        out: Path | None = None,
        shown: Iterable[Path] = (),
    ) -> dict[str, Any]:
        """Have :mod:`nectar.manage.wheels.inside` do something behind the wall; what it says of it, which may be anything."""
        venv, out = venv or self._tools.provide(), out or self.make_place()
        result = out / "result.json"
        program = Path(inside.__file__)
        command = [str(venv / "bin" / "python"), "-I", str(program), step, json.dumps({**order, "result": str(result)})]
        outcome = self._run(command, venv, ground, out, shown=[program, *shown], more=self._variables_of(name))
        if outcome.code:
            raise self._failure(name, outcome)
        try:
            said = json.loads(regular.read_regular(result, SETTINGS, follow=False))
        except (OSError, ValueError):
            said = None
        if not isinstance(said, dict):
            raise EnvironmentFailedError(f"The build of {name} does not say what came of it.", where=self._where)
        result.unlink()
        return said

    def _variables_of(self, name: str) -> dict[str, str]:
        said = section(self._settings, "extra-build-variables", name)
        return {key: value for key, value in said.items() if isinstance(value, str)}

    def _run(
        self,
        command: list[str],
        venv: Path,
        ground: _Ground,
        out: Path,
        *,
        shown: Iterable[Path],
        more: dict[str, str] | None = None,
    ) -> Outcome:
        scratch = self.make_place()
        uv, source = self._shop.uv, self._shop.source
        named = {name: self._shop.environ[name] for name in source.build_env if name in self._shop.environ}
        variables = {
            **passing.select_for_builds({**uv.variables, **named}, source.build_env),
            **(more or {}),
            "PATH": os.pathsep.join(
                [str(venv / "bin"), "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
            ),
            "HOME": str(scratch),
            "TMPDIR": str(scratch),
            "VIRTUAL_ENV": str(venv),
        }
        if not self._shop.walled:
            return uv.follow(command, "uv build", variables, quiet=True)
        return enclosure.run(
            uv,
            command,
            program=trying.require(self._shop.home),
            shown=[*pythons.list_prefixes(venv / "bin" / "python", self._shop.home), venv, *shown],
            written=[ground.written, out, scratch],
            directory=ground.directory,
            variables=variables,
        )

    def make_place(self) -> Path:
        self._count += 1
        place = self.place / str(self._count)
        place.mkdir(mode=0o700)
        return place

    @property
    def _where(self) -> str:
        return f"{self._shop.source.shown} (the whole log is {self._shop.log})"

    def require_wall(self, name: str) -> None:
        """:raises EnvironmentFailedError: something has to be built by what its author chose, and nothing may be, or not without a wall."""
        if self._shop.source.no_build:
            raise EnvironmentFailedError(
                f"{name} would have to be built, which --no-build forbids.",
                where=self._where,
                hint="Without --no-build it is built; with --sandbox, behind a wall. What has a wheel, or says uv_build, needs no build.",
            )

    def _failure(self, name: str, outcome: Outcome) -> EnvironmentFailedError:
        outcome = replace(outcome, errors=outcome.errors.replace(str(self._copy), str(self._shop.tree)))
        hint = f"It was built behind a wall. {_NOTHING_ELSE}" if self._shop.walled else None
        return self._shop.failure(f"{name} could not be built.", outcome, hint)


def _parse(text: object, name: str) -> dict[str, Any]:
    try:
        return parse_toml(text) if isinstance(text, str) else {}
    except ValueError as error:
        raise EnvironmentFailedError(f"The pyproject.toml of {name} cannot be parsed: {error}.") from None


def _read(path: Path, name: str) -> Wheel:
    """:raises EnvironmentFailedError: it is no wheel."""
    from email.parser import BytesParser

    text = archive.read_metadata(path)
    metadata = BytesParser().parsebytes(text, headersonly=True) if text else None
    if metadata is None or not metadata["Name"] or not metadata["Version"]:
        raise EnvironmentFailedError(f"What the build of {name} left is no wheel.", where=path.name)
    return Wheel(path, normalise(str(metadata["Name"])), str(metadata["Version"]), metadata)
