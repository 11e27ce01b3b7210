"""What was resolved for handlers that have no lock of their own: kept, so that every verb sees the same versions."""

from __future__ import annotations

import hashlib
import os
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import tomli_w

from nectar.errors import EnvironmentFailedError
from nectar.locks import held
from nectar.manage.files.authored import CODE, read_toml
from nectar.manage.files.writing import write_whole
from nectar.manage.source import inline_metadata
from nectar.manage.tree.pieces import Piece, rewrite
from nectar.manage.uv import configuration, passing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nectar.home import Home
    from nectar.manage.environment.build_directory import Workshop
    from nectar.manage.source.plan import Plan


def use_kept(home: Home, plan: Plan, index: str) -> bool:
    """Put the kept lock into a plan that has none, and say whether there is one.

    :param index: the digest of uv's settings.
    """
    place = _place(home, plan, index)
    try:
        content = place.read_bytes()
    except OSError:
        return False
    with suppress(OSError):
        os.utime(place)  # `gc` goes by when it was used last
    plan.put(plan.lock, Piece(content=content))
    return True


def resolve(home: Home, plan: Plan, shop: Workshop, environ: Mapping[str, str], *, upgrade: bool) -> None:
    """Put a lock into a plan that has none: the kept one, or a new one, which is kept.

    :param upgrade: make a new one even where one is kept.
    :raises EnvironmentFailedError: it cannot be resolved, or its sources lie outside, so that nobody could keep it.
    """
    from nectar.manage.environment import build  # which is not needed for what has been built

    if plan.outside:
        raise EnvironmentFailedError(
            f"There is no lock, and some of the handler's sources lie outside its directory: {plan.outside}.",
            where=str(shop.source.path),
            hint=build.command_to_lock(plan, shop),
        )
    index = configuration.digest(environ, above=plan.configured_by)
    place = _place(home, plan, index)
    with held(place.with_suffix(".guard")):
        if not upgrade and use_kept(home, plan, index):
            return
        shop.copy(plan)
        content = _from_script(plan, shop) if plan.script_lock else _lock(plan, shop, upgrade=upgrade)
        write_whole(place, content, synced=True)
    plan.put(plan.lock, Piece(content=content))
    if not plan.script_lock and content.count(b"\n[[package]]") > 1:
        shop.uv.report("There is no lock beside the handler: its dependencies were resolved, and that is kept for the next time.")


def forget(home: Home, plan: Plan, environ: Mapping[str, str]) -> None:
    """Keep a plan's lock no longer."""
    _place(home, plan, configuration.digest(environ, above=plan.configured_by)).unlink(missing_ok=True)


def _lock(plan: Plan, shop: Workshop, *, upgrade: bool = False) -> bytes:
    """Have uv resolve, preferring the versions of a lock that is in the tree."""
    outcome = shop.uv.run(
        "lock",
        *(["--upgrade"] if upgrade else []),
        "--project",
        shop.tree / plan.project,
        "--python",
        shop.interpreter(plan),
        quiet=True,
    )
    if outcome.code:
        raise shop.failure("The handler's dependencies could not be resolved.", outcome)
    return (shop.tree / plan.lock).read_bytes()


def _from_script(plan: Plan, shop: Workshop) -> bytes:
    """A single file's own lock as a project's: uv adds the project to it, and every other package stays word for word.

    :raises EnvironmentFailedError: the lock is not that of the file, or cannot be read.
    """
    from nectar.manage.environment import build

    assert plan.script_lock is not None
    place = shop.tree / plan.script_lock
    script = place.with_suffix("")
    said = inline_metadata.read(script)
    # uv would go by all settings in it, whatever file of settings it is given.
    rewrite(shop.tree, plan.script_lock.removesuffix(".lock"), inline_metadata.write(passing.script(said.table)).encode())
    project = ("--project", shop.tree / plan.project, "--python", shop.interpreter(plan))
    checked = shop.uv.run("lock", "--locked", "--script", script, *project, quiet=True)
    if build.is_mismatch(checked):
        raise build.mismatch(plan, shop, checked)
    if checked.code:
        raise shop.failure("The lock beside the file cannot be used.", checked)
    given = read_toml(place, CODE)
    seed = {name: value for name, value in given.items() if name != "manifest"}
    rewrite(shop.tree, plan.lock, tomli_w.dumps(seed).encode())
    made = tomllib.loads(_lock(plan, shop).decode())
    theirs = {(each["name"], each.get("version")): each for each in given.get("package", [])}
    packages = [theirs.get((each["name"], each.get("version")), each) for each in made.get("package", [])]
    strangers = [each["name"] for each in packages if each not in theirs.values() and each["name"] != plan.distribution]
    if strangers:
        raise EnvironmentFailedError(
            f"The lock beside the file does not hold all that it needs: {', '.join(strangers)}.",
            where=str(plan.lock_of),
            hint=build.command_to_lock(plan, shop),
        )
    return tomli_w.dumps({**made, "package": packages}).encode()


def _place(home: Home, plan: Plan, index: str) -> Path:
    key = hashlib.sha256(f"{plan.resolution_digest()} {index}".encode()).hexdigest()[:20]
    return home.resolutions / f"{key}.lock"
