"""A tree of what projects say, in place of the projects: what uv resolves and installs by, with nothing in it that could be run.

uv builds a project of the workspace whatever ``--no-build`` says, and asks a build where its ``pyproject.toml`` does not tell all. Here each
one tells all, and its build system is none.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w

from nectar.errors import EnvironmentFailedError
from nectar.manage.files.authored import CODE, parse_toml, read_bytes, read_toml
from nectar.manage.files.tables import list_of_text, section
from nectar.manage.source import inline_metadata, workspace
from nectar.manage.source.path_sources import DECIDING
from nectar.manage.source.pyproject import Project, normalise
from nectar.manage.uv import configuration
from nectar.manage.wheels import fetching
from nectar.manage.wheels.builder import Builder
from nectar.manage.wheels.cloning import Clone, clone

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping

    from nectar.manage.environment.build_directory import Workshop
    from nectar.manage.source.plan import Plan
    from nectar.manage.wheels.builder import Wheel

LOCAL = ("editable", "directory", "virtual")
"""What a lock calls sources that are projects here."""
_ASIDE = "aside"
_NOWHERE = "nectar-leaves-this-out"
UNTOLD = "0"
"""The version of a project that only its build knows, where nothing depends on which it is."""
_NO_BUILD_SYSTEM = {"requires": [], "build-backend": "nothing"}
_READ = (".whl", ".zip", ".html", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
"""What uv reads that lies beside projects: distributions, and indexes of them."""
_SDISTS = {".tar.gz": "gztar", ".tgz": "gztar", ".tar.bz2": "bztar", ".tar.xz": "xztar", ".zip": "zip"}
_FIELDS = ("Name", "Version", "Requires-Python", "Requires-Dist", "Provides-Extra")
_OF_EXTRA = r"""(?:(?P<before>.+)\s+and\s+)?extra\s*==\s*["'](?P<extra>[\w.-]+)["'](?:\s+and\s+(?P<after>.+))?"""


class Told:
    """That tree, in the place of the source.

    :ivar source: where the source is meanwhile.
    :ivar root: the directory of its lock.
    :ivar builder: builds what is needed of the source.
    """

    def __init__(self, shop: Workshop, plan: Plan, source: Path) -> None:
        self._shop = shop
        self.source = source
        self.plan = plan
        self.tree = shop.tree
        self.root = shop.tree / Path(plan.locking.place).parent
        self._versions: dict[str, str] = {}
        self._sdist: str | None = None
        above = read_toml(source / Path(plan.locking.place).with_name("pyproject.toml"))
        if shop.builder is None:
            shop.builder = Builder(shop, source, shop.choose_python(plan), section(above, "tool", "uv"))
            if plan.checkout and plan.checkout[1].head:
                shop.builder.keep_history(plan.checkout[0])
        self.builder = shop.builder

    def fill(self) -> None:
        """Write it.

        :raises EnvironmentFailedError: what a project needs, only its build would say, and that fails or is forbidden.
        """
        for position in self.plan.projects:
            self._put(f"{position}/pyproject.toml" if position else "pyproject.toml", self._say(position))
        for name in self.plan.tree.pieces:
            if name.endswith(_READ):
                place = self.tree / name
                place.parent.mkdir(parents=True, exist_ok=True)
                os.link(self.source / name, place, follow_symlinks=False)
        for name in self.plan.tree.read_in_place:
            if name and os.path.islink(self.source / name):
                (self.tree / name).parent.mkdir(parents=True, exist_ok=True)
                os.symlink(os.readlink(self.source / name), self.tree / name)
        for name in filter(None, (self.plan.locking.place, self.plan.locking.script)):
            lock = self.source / name
            if lock.is_file():
                self._put(name, self._with_versions(read_bytes(lock, CODE), read_toml(lock, CODE)))
        if self.plan.locking.script:
            script = self.plan.locking.script.removesuffix(".lock")
            table = dict(inline_metadata.read(self.source / script).table)
            table["tool"] = {"uv": self._within(self.plan.project, table)}
            self._put(script, inline_metadata.write(table).encode())

    def tell_sdist(self) -> bool:
        """Have the sdist that is the handler say what it needs, as one that holds nothing else; False where the handler is none."""
        file = next((each for each in self.plan.tree.pieces if each.endswith(tuple(_SDISTS))), None)
        if file is None:
            return False
        ending = next(each for each in _SDISTS if file.endswith(each))
        metadata = self.builder.build_archive(self.source / file).metadata
        lines = [f"{field}: {' '.join(str(value).split())}\n" for field in _FIELDS for value in metadata.get_all(field) or []]
        aside = self.builder.make_place()
        name = Path(file).name.removesuffix(ending)
        (aside / name).mkdir()
        (aside / name / "PKG-INFO").write_text(f"Metadata-Version: 2.2\n{''.join(lines)}", encoding="utf-8")
        os.unlink(self.tree / file)
        os.rename(shutil.make_archive(str(aside / "made"), _SDISTS[ending], aside, name), self.tree / file)
        self._sdist = file
        return True

    def read_lock(self) -> bytes:
        """The lock that uv has left, as it would be for the source itself."""
        content = read_bytes(self.tree / self.plan.locking.place, CODE)
        if not self._versions and self._sdist is None:
            return content
        table = parse_toml(content.decode())
        for each in table["package"]:
            if self._versions.get(each["name"]) == each.get("version"):
                del each["version"]
            if self._sdist is not None and each["source"].get("path") == self._sdist:
                with open(self.source / self._sdist, "rb") as stream:
                    each["sdist"] = {"hash": f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"}
        return tomli_w.dumps(table).encode()

    def _with_versions(self, content: bytes, table: dict[str, Any]) -> bytes:
        """A lock with a version of each project, as they have one here."""
        self.check(table)
        if not self._versions:
            return content
        packages = table.get("package")
        for each in packages if isinstance(packages, list) else []:
            if isinstance(each, dict) and each.get("name") in self._versions:
                each.setdefault("version", self._versions[each["name"]])
        return tomli_w.dumps(table).encode()

    def _put(self, name: str, content: bytes) -> None:
        place = self.tree / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)

    def _say(self, position: str) -> bytes:
        """What the project at a position says, as a ``pyproject.toml``."""
        file = self.source / position / "pyproject.toml"
        table = read_toml(file) if file.is_file() else {}
        project = section(table, "project")
        kept = {name: value for name, value in table.items() if name == "dependency-groups"}
        if "uv" in section(table, "tool"):
            kept["tool"] = {"uv": self._within(position, table)}
        if file.is_file() and not project:  # a workspace's root
            return tomli_w.dumps(kept).encode()
        if "build-system" in table or not project:
            kept["build-system"] = _NO_BUILD_SYSTEM
        untold = DECIDING & {*list_of_text(project.get("dynamic"))} or (
            "dependencies" not in project and "poetry" in table.get("tool", {})
        )
        wheel = self.builder.build_project(position) if untold or not project else None
        return tomli_w.dumps({"project": self._tell(project, wheel), **kept}).encode()

    def _within(self, position: str, table: dict[str, Any]) -> dict[str, Any]:
        """A project's ``[tool.uv]``, in which no path leads out of the tree: from there it would lead to what is not told."""
        uv = dict(section(table, "tool", "uv"))
        if "workspace" in uv:
            space = workspace.find(Project(self.source / position, table))
            members = {self._name(each) for each in space.members} if space else set()
            here = sorted(os.path.relpath(each or ".", position or ".") for each in members & {*self.plan.projects} - {position})
            uv["workspace"] = {"members": [re.sub(r"([*?\[\]])", r"[\1]", each) for each in here]}
        uv["sources"] = {
            name: [self._inward(position, each) for each in entries]
            if isinstance(entries, list)
            else self._inward(position, entries)
            for name, entries in section(uv, "sources").items()
        }
        return uv

    def _name(self, directory: Path) -> str | None:
        place = os.path.relpath(directory, self.source)
        return "" if place == "." else place

    def _inward(self, position: str, entry: Any) -> Any:
        """A source, which is none where its path leads out."""
        path = entry.get("path") if isinstance(entry, dict) else None
        if path is None:
            return entry
        place = os.path.normpath(os.path.join(position, str(path)))
        there = place in self.plan.tree.pieces or ("" if place == "." else place) in self.plan.projects
        return entry if there else {**entry, "path": _NOWHERE}

    def check(self, lock: dict[str, Any]) -> None:
        """Refuse a lock that names what is not told, which would be read or built where it lies.

        :raises EnvironmentFailedError: it does.
        """
        packages = lock.get("package")
        for each in packages if isinstance(packages, list) else []:
            named = each.get("source") if isinstance(each, dict) else None
            source = named if isinstance(named, dict) else {}
            for kind in source.keys() & {*LOCAL, "path"}:
                if kind in LOCAL:
                    self.find_project(str(source[kind]))
                elif not self.plan.wrapped:  # else an operator named it
                    self.find_file(str(source[kind]))
            if not self.plan.wrapped:
                self._refuse_ungranted({kind: str(source[kind]) for kind in source.keys() & {"git", "url", "registry"}})

    def _refuse_ungranted(self, source: Mapping[str, str]) -> None:
        """Refuse a repository, or an index, on this machine that neither the operator names nor the handler is granted.

        :param source: as a lock has it.
        :raises ConflictError: it is one.
        """
        handler = self._shop.source
        if handler.grants is None:
            return
        base = handler.directory if self.plan.locking.authors is None else self.plan.locking.authors.parent
        for said in source.values():
            place = configuration.find_place(re.split(r"[?#]", said)[0].removeprefix("git+"), base)
            if place is not None and not handler.may_take(place, configuration.list_operators(self._shop.environ)):
                raise handler.refuse(place)

    def find_project(self, relative: str) -> str:
        """Where in the tree a project lies that a lock names.

        :raises EnvironmentFailedError: it is none of the handler's source.
        """
        return self._require(relative, self.plan.projects)

    def find_file(self, relative: str) -> Path:
        """The wheel or sdist in the source that a lock names.

        :raises EnvironmentFailedError: it is none.
        """
        return self.source / self._require(relative, self.plan.tree.pieces)

    def fetch(self, name: str, sdist: dict[str, Any], base: Path) -> Path:
        """The sdist that a lock says, fetched once.

        :param base: what a path in it is relative to.
        """
        offline = bool(self._shop.uv.variables.get("UV_OFFLINE"))
        return self.builder.have(name, f"sdist {sdist}", lambda into: fetching.fetch(name, sdist, base, into, offline=offline))

    def clone(self, name: str, source: str) -> Clone:
        """What a lock says comes from git, cloned once."""
        return self.builder.have(name, f"clone {source}", lambda into: clone(self._shop.uv, name, source, into))

    def _require(self, relative: str, known: Container[str]) -> str:
        found = os.path.normpath(os.path.join(os.path.dirname(self.plan.locking.place), relative))
        found = "" if found == "." else found
        if found not in known:
            raise EnvironmentFailedError(
                f"The lock names what is not in the handler's source: {relative}.",
                where=str(self.plan.locking.authors or self.plan.locking.place),
                hint="Behind a wall, and with --no-build, it can name only what lies there, or on an index.",
            )
        return found

    def _tell(self, project: Mapping[str, Any], wheel: Wheel | None) -> dict[str, Any]:
        said = {name: project[name] for name in ("name", "version", "requires-python", "optional-dependencies") if name in project}
        said["dependencies"] = project.get("dependencies", [])
        if wheel is not None:
            requires = wheel.metadata["Requires-Python"]
            said = {"name": wheel.name, "version": wheel.version, **({"requires-python": requires} if requires else {}), **said}
            said["dependencies"], said["optional-dependencies"] = list_requirements(wheel)
        if project and "version" not in project:
            said["version"] = UNTOLD
            self._versions[normalise(str(said.get("name")))] = UNTOLD
        return said


def list_requirements(wheel: Wheel) -> tuple[list[str], dict[str, list[str]]]:
    """What a wheel requires, and what each of its extras does."""
    always: list[str] = []
    extras: dict[str, list[str]] = {str(name): [] for name in wheel.metadata.get_all("Provides-Extra") or []}
    for line in map(str, wheel.metadata.get_all("Requires-Dist") or []):
        requirement, _, marker = line.partition(";")
        found = re.fullmatch(_OF_EXTRA, marker.strip())
        if found is None:
            always.append(line)
            continue
        left = " and ".join(filter(None, (found["before"], found["after"])))
        extras.setdefault(found["extra"], []).append(f"{requirement.strip()}; {left}" if left else requirement.strip())
    return always, extras


@contextmanager
def tell(shop: Workshop, plan: Plan) -> Iterator[Told]:
    """Have that tree in place of the source, which is a copy, while the block runs."""
    aside = shop.directory / _ASIDE
    shop.tree.rename(aside)
    try:
        shop.tree.mkdir(mode=0o700)
        told = Told(shop, plan, aside)
        told.fill()
        yield told
    finally:
        shutil.rmtree(shop.tree)
        aside.rename(shop.tree)
