"""A lock, of which more and more packages are wheels that were built here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tomli_w

from nectar.errors import EnvironmentFailedError
from nectar.manage.files.tables import section
from nectar.manage.source.pyproject import normalise
from nectar.manage.wheels.told import LOCAL

if TYPE_CHECKING:
    from nectar.manage.source.plan import Plan
    from nectar.manage.wheels.builder import Wheel
    from nectar.manage.wheels.told import Told

_WRAPPER = "nectar-environment"


def make_wheel(told: Told, package: dict[str, Any]) -> Wheel:
    """Build what a lock says of a package, once.

    :raises EnvironmentFailedError: it cannot be built, or fetched to be built.
    """
    source, name = package["source"], package["name"]
    for kind in LOCAL:
        if kind in source:
            return told.builder.build_project(told.find_project(str(source[kind])))
    if "git" in source:
        return told.builder.build_clone(told.clone(name, str(source["git"])))
    if "path" in source:
        return told.builder.build_archive(told.find_file(str(source["path"])))
    sdist = {**({"url": source["url"]} if "url" in source else {}), **section(package, "sdist")}
    file = told.fetch(name, sdist, told.root / str(source.get("registry", "")))
    return told.builder.build_archive(file, str(source.get("subdirectory", "")))


class Lock:
    """A lock, of which more and more packages are wheels."""

    def __init__(self, told: Told, table: dict[str, Any]) -> None:
        self._told = told
        self._table = {name: value for name, value in table.items() if name != "manifest"}
        self._packages: list[dict[str, Any]] = table["package"]

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
                self._have(each, make_wheel(self._told, each))
                changed = True
        return changed

    def _have(self, package: dict[str, Any], wheel: Wheel) -> None:
        if wheel.name != normalise(package["name"]):
            raise EnvironmentFailedError(f"The build of {package['name']} left a wheel of {wheel.name}.")
        local = package["source"].keys() & {*LOCAL}
        if not local and package.get("version") not in (wheel.version, wheel.path.name.split("-")[1]):
            raise EnvironmentFailedError(f"The build of {package['name']} {package.get('version')} left version {wheel.version}.")
        package |= {"version": wheel.version, "source": {"path": str(wheel.path)}}
        package["wheels"] = [{"filename": wheel.path.name, "hash": f"sha256:{wheel.digest()}"}]
        package.pop("sdist", None)


def _is_built(package: dict[str, Any], told: Told) -> bool:
    return str(package["source"].get("path", "")).startswith(str(told.builder.place))
