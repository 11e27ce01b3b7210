"""Having uv resolve, with nothing that it could run."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w

from nectar.errors import EnvironmentFailedError
from nectar.manage.files.authored import CODE, read_toml
from nectar.manage.source.pyproject import normalise
from nectar.manage.wheels import blind
from nectar.manage.wheels.locked import make_wheel
from nectar.manage.wheels.told import UNTOLD, tell

if TYPE_CHECKING:
    from nectar.manage.environment.build_directory import Workshop
    from nectar.manage.source.plan import Plan
    from nectar.manage.uv.uv import Outcome
    from nectar.manage.wheels.builder import Wheel
    from nectar.manage.wheels.told import Told

_NOT_BUILT = ("--no-build", "is disabled")
_NOT_TOLD = r"Failed to build `(?P<name>[A-Za-z0-9._-]+)(?:==(?P<version>[^` ]+)| @ git\+[^`]*)`"
"""Of a file that is an sdist uv wants to read itself what it needs."""
_MOST = 200
"""Packages of which only a build tells what they need."""


def resolve(shop: Workshop, plan: Plan, *, upgrade: bool) -> tuple[Outcome, bytes]:
    """Have uv resolve, by what the projects say: among wheels, and only where these do not do, with what a build tells behind the wall.

    :returns: what it said, and the lock; nothing where it failed.
    """
    with tell(shop, plan) as told:
        command: list[str | Path] = ["lock", *(["--upgrade"] if upgrade else []), "--project", shop.tree / plan.project, "--python"]
        outcome = shop.uv.run(*command, shop.choose_python(plan), "--no-build", quiet=True)
        if outcome.code and shop.walled and not shop.source.no_build and any(each in outcome.errors for each in _NOT_BUILT):
            if plan.wrapped and told.tell_sdist():
                outcome = shop.uv.run(*command, shop.choose_python(plan), "--no-build", quiet=True)
            if outcome.code:
                outcome = _Asking(shop, told).run(command) or outcome
        return outcome, b"" if outcome.code else told.read_lock()


def read_words(outcome: Outcome) -> str:
    """What uv said as one line: older ones break it, and draw beside it."""
    return " ".join(re.sub("[│├╰─▶]", " ", outcome.errors).split())


def check(shop: Workshop, plan: Plan, script: Path | None = None) -> Outcome:
    """Ask uv, of what is told, whether the lock is that of its project, or of a single file."""
    named = ("--script", script) if script else ()
    command = ("lock", "--locked", "--no-build", *named, "--project", shop.tree / plan.project)
    return shop.uv.run(*command, "--python", shop.choose_python(plan), quiet=True)


def check_script(shop: Workshop, plan: Plan) -> Outcome:
    """The same of the lock beside a single file."""
    assert plan.locking.script is not None
    with tell(shop, plan) as told:
        return check(shop, plan, told.tree / plan.locking.script.removesuffix(".lock"))


class _Asking:
    """Has uv resolve again and again, and tells it what each package needs that it cannot build to know."""

    def __init__(self, shop: Workshop, told: Told) -> None:
        self._shop = shop
        self._told = told
        self._known: dict[str, dict[str, Any]] = {}
        self._guessed: set[str] = set()

    def run(self, command: list[str | Path]) -> Outcome | None:
        """:returns: how uv ended; None where that is as without asking."""
        place = self._told.builder.make_place()
        python = blind.make(place, self._told.builder.python)
        settings = self._shop.directory / "asking.toml"  # beside the other: relative paths in it are meant from there
        uv = replace(self._shop.uv, settings=settings)
        for _ in range(_MOST):
            self._write(settings)
            outcome = uv.run(*command, python, quiet=True)
            if outcome.code == 0 and not self._guessed:
                self._forget()
                return outcome
            if outcome.code == 0:
                self._build()
                continue
            untold = re.search(_NOT_TOLD, read_words(outcome))
            if untold is None or not self._guess(untold["name"], untold["version"]):
                return None if "Failed to build" in outcome.errors else outcome
        raise EnvironmentFailedError(f"More than {_MOST} packages have to be built to say what they need.")

    def _guess(self, name: str, version: str | None) -> bool:
        """Have a package need nothing for the moment: then the lock says where its source is."""
        key = f"{name}=={version}"
        new = key not in self._known
        self._known.setdefault(key, {"name": name, "version": version or UNTOLD, "requires-dist": []})
        self._guessed.add(key)
        return new

    def _build(self) -> None:
        """Build what the lock has of the guessed ones."""
        lock = read_toml(self._told.tree / self._told.plan.locking.place, CODE)
        self._told.check(lock)
        for package in lock["package"]:
            for key in (f"{package['name']}=={package.get('version')}", f"{package['name']}==None"):
                if key in self._guessed:
                    self._known[key] |= _tell(make_wheel(self._told, package))
                    self._guessed.discard(key)
        self._guessed.clear()  # the others are not needed any more

    def _write(self, settings: Path) -> None:
        assert self._shop.uv.settings is not None
        table = read_toml(self._shop.uv.settings, CODE)
        table["dependency-metadata"] = [*table.get("dependency-metadata", []), *self._known.values()]
        settings.write_text(tomli_w.dumps(table), encoding="utf-8")

    def _forget(self) -> None:
        """Have the lock as if uv had asked the builds itself."""
        place = self._told.tree / self._told.plan.locking.place
        table = read_toml(place, CODE)
        manifest = table.get("manifest", {})
        told = {(normalise(each["name"]), each.get("version")) for each in self._known.values()}
        listed = manifest.pop("dependency-metadata", [])
        kept = [each for each in listed if (normalise(each["name"]), each.get("version")) not in told]
        if kept:
            manifest["dependency-metadata"] = kept
        if not manifest:
            table.pop("manifest", None)
        place.write_text(tomli_w.dumps(table), encoding="utf-8")


def _tell(wheel: Wheel) -> dict[str, Any]:
    requires = wheel.metadata["Requires-Python"]
    return {
        "version": wheel.version,
        "requires-dist": list(map(str, wheel.metadata.get_all("Requires-Dist") or [])),
        "provides-extra": list(map(str, wheel.metadata.get_all("Provides-Extra") or [])),
        **({"requires-python": str(requires)} if requires else {}),
    }
