"""Installing by a lock, with wheels alone: what has none is built first, and stands in the lock as a wheel then."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w

from nectar.errors import EnvironmentFailedError
from nectar.manage.files.authored import CODE, read_toml
from nectar.manage.files.tables import section
from nectar.manage.source.pyproject import normalise
from nectar.manage.wheels import fetching
from nectar.manage.wheels.told import LOCAL, tell

if TYPE_CHECKING:
    from nectar.manage.environment.build_directory import Workshop
    from nectar.manage.source.plan import Plan
    from nectar.manage.uv.uv import Outcome
    from nectar.manage.wheels.builder import Wheel
    from nectar.manage.wheels.told import Told

_WRAPPER = "nectar-environment"
_HAS_NO_WHEEL = r"Distribution `(?P<name>[A-Za-z0-9._-]+)(?:==(?P<version>[^ ]+))? @ [^`]*` can't be installed because it is marked as `--no-build`"


def resolve(shop: Workshop, plan: Plan, *, upgrade: bool) -> tuple[Outcome, bytes]:
    """Have uv resolve, by what the projects say.

    :returns: what it said, and the lock; nothing where it failed.
    """
    with tell(shop, plan) as told:
        outcome = shop.uv.run("lock", *(["--upgrade"] if upgrade else []), "--no-build", *_named(shop, plan), quiet=True)
        return outcome, b"" if outcome.code else told.read_lock()


def sync(shop: Workshop, plan: Plan) -> Outcome:
    """Install what a plan's lock says, where that is the project's, into an environment that is empty.

    :raises EnvironmentFailedError: something cannot be built, or fetched to be built.
    """
    with tell(shop, plan) as told:
        outcome = shop.uv.run("lock", "--locked", "--no-build", *_named(shop, plan), quiet=True)
        if outcome.code:
            return outcome
        lock = _Lock(told, read_toml(told.tree / plan.locking.place, CODE), offline=bool(shop.uv.variables.get("UV_OFFLINE")))
        if not plan.wrapped:
            lock.wrap(plan)
        command = ("sync", "--frozen", "--no-build", "--no-default-groups", "--no-editable", "--no-compile-bytecode")
        place = ("--project", told.root, "--python", shop.venv / "bin" / "python")
        variables = {"UV_PROJECT_ENVIRONMENT": str(shop.venv)}
        while True:
            lock.write()
            outcome = shop.uv.run(*command, "--dry-run", *place, variables=variables, quiet=True)
            lacking = re.search(_HAS_NO_WHEEL, " ".join(outcome.errors.split())) if outcome.code else None
            if lacking is None or not lock.build(lacking["name"], lacking["version"]):
                return outcome if outcome.code else shop.uv.run(*command, *place, variables=variables)


def _named(shop: Workshop, plan: Plan) -> tuple[str | Path, ...]:
    return ("--project", shop.tree / plan.project, "--python", shop.choose_python(plan))


class _Lock:
    """A lock, of which more and more packages are wheels."""

    def __init__(self, told: Told, table: dict[str, Any], *, offline: bool) -> None:
        self._told = told
        self._offline = offline
        self._table = {name: value for name, value in table.items() if name != "manifest"}
        self._packages: list[dict[str, Any]] = table["package"]
        self._fetched = 0

    def wrap(self, plan: Plan) -> None:
        """Have a project that has the handler's as its one dependency at its root: a root is built, a dependency need not be."""
        extras = {"extra": list(plan.asked.extras)} if plan.asked.extras else {}
        wrapper = {"name": _WRAPPER, "version": "0", "source": {"virtual": "."}}
        self._packages.append({**wrapper, "dependencies": [{"name": plan.distribution, **extras}]})
        for each in self._packages:
            if "editable" in each["source"]:
                each["source"] = {"directory": each["source"]["editable"]}
        project = {"name": _WRAPPER, "version": "0", "requires-python": self._table["requires-python"]}
        project["dependencies"] = [plan.distribution]
        text = tomli_w.dumps({"project": project, "tool": {"uv": {"package": False}}})
        (self._told.root / "pyproject.toml").write_text(text, encoding="utf-8")
        self.build(plan.distribution, None)

    def write(self) -> None:
        text = tomli_w.dumps({**self._table, "package": self._packages})
        (self._told.root / "uv.lock").write_text(text, encoding="utf-8")

    def build(self, name: str, version: str | None) -> bool:
        """Have a package as a wheel.

        :returns: whether that makes a difference.
        """
        changed = False
        for each in self._packages:
            if each["name"] == name and version in (None, each.get("version")) and not _is_built(each, self._told):
                self._have(each, self._make(each))
                changed = True
        return changed

    def _have(self, package: dict[str, Any], wheel: Wheel) -> None:
        if wheel.name != normalise(package["name"]):
            raise EnvironmentFailedError(f"The build of {package['name']} left a wheel of {wheel.name}.")
        package |= {"version": wheel.version, "source": {"path": str(wheel.path)}}
        package["wheels"] = [{"filename": wheel.path.name, "hash": f"sha256:{wheel.digest()}"}]
        package.pop("sdist", None)

    def _make(self, package: dict[str, Any]) -> Wheel:
        source, name = package["source"], package["name"]
        for kind in LOCAL:
            if kind in source:
                return self._told.builder.build_project(self._told.find_project(str(source[kind])))
        if "git" in source:
            raise EnvironmentFailedError(
                f"{name} comes from git ({source['git'].partition('?')[0].partition('#')[0]}), and would have to be built.",
                hint="Behind a wall is built what lies in the handler's source or has an sdist: have a wheel of it, or put it beside the handler.",
            )
        sdist = section(package, "sdist")
        if "path" in source:
            return self._told.builder.build_archive(self._told.find_file(str(source["path"])))
        if "url" in source:
            sdist = {"url": source["url"], **sdist}
        return self._told.builder.build_archive(self._fetch(name, sdist, self._told.root / str(source.get("registry", ""))))

    def _fetch(self, name: str, sdist: dict[str, Any], base: Path) -> Path:
        self._fetched += 1
        into = self._told.builder.make_place()
        return fetching.fetch(name, sdist, base, into, offline=self._offline)


def _is_built(package: dict[str, Any], told: Told) -> bool:
    return str(package["source"].get("path", "")).startswith(str(told.builder.place))
