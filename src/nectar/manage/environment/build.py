"""Building an environment aside: a copy of the source, a venv beside it, and a rename at the end."""

from __future__ import annotations

import os
import shlex
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from nectar import __version__
from nectar.errors import EnvironmentFailedError
from nectar.manage.environment import generations, installed, notes, stale, steering
from nectar.manage.environment.marker import Marker
from nectar.manage.source import extras
from nectar.manage.source.plan import LOCK, key_of
from nectar.manage.source.pyproject import open_project
from nectar.manage.source.script import MANIFEST, SNAPSHOT
from nectar.manage.tree import unlisted
from nectar.manage.uv import interpreters

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nectar.home import Home
    from nectar.manage.environment.build_directory import Workshop
    from nectar.manage.source.plan import Plan
    from nectar.manage.uv.uv import Outcome

_MISMATCH = "needs to be updated, but `--locked` was provided"


class LockMismatchError(EnvironmentFailedError):
    """The lock is not that of the project."""


def build(home: Home, plan: Plan, shop: Workshop, digests: dict[str, str], rebuilt: dict[str, float]) -> bool:
    """Build the environment of a plan, under a lock on its key, and put it in its place, finished.

    :param rebuilt: for which files this is done again, as the marker says it.
    :returns: False where the source is no longer what the key was made of.
    :raises EnvironmentFailedError: it cannot be built.
    """
    copied = shop.copy(plan)
    if any(digests[part] != digest for part, digest in copied.items()):
        shop.clear()
        return False
    key = key_of(digests)
    with _naming_ignored(plan, shop):
        made = _install(plan, shop)
        marker = replace(_inspect(plan, shop, made), key=key, digests=digests, rebuilt=rebuilt)
    marker.write(shop.venv)
    shop.venv.rename(home.envs / generations.next_name(home, key))
    return True


@contextmanager
def _naming_ignored(plan: Plan, shop: Workshop) -> Iterator[None]:
    """Say which files of the handler's packages git ignores: in an error, all of them; else, those that were not installed."""
    if shop.source.kind != "package":
        yield
        return
    project = open_project(shop.source.path.resolve())
    below = f"{plan.project}/" if plan.project else ""
    ignored = unlisted.of_packages(project, [name.removeprefix(below) for name in plan.pieces if name.startswith(below)])
    if ignored:
        shop.left_out.append(unlisted.line(project, ignored))
    yield
    if ignored:
        shop.left_out.pop()
        there = installed.paths(installed.distributions(shop.venv), plan.distribution)
        lacking = unlisted.lacking(ignored, there)
        if lacking:
            shop.uv.report(f"warning: {unlisted.line(project, lacking)}")


def _install(plan: Plan, shop: Workshop) -> Mapping[str, tuple[int, int, int]]:
    """Make the venv and sync it.

    :returns: what steered its Python before the sync.
    """
    project = ("--project", shop.tree / plan.project)
    flags = ("--no-project", "--relocatable", "--python", shop.interpreter(plan))
    made = shop.uv.run("venv", *flags, *project, shop.venv, quiet=True)
    if made.code:
        raise shop.failure("uv could not make the virtual environment.", made)
    interpreters.check(installed.version_of(shop.venv), plan.python)
    assert "relocatable = true" in (shop.venv / "pyvenv.cfg").read_text(encoding="utf-8"), "uv made another venv"
    steered = steering.made(shop.venv)
    # Not --refresh-package: what uv caches of local projects goes by their path, and this tree's is like no other's; and it
    # cannot be combined with working offline.
    outcome = shop.uv.run(
        *("sync", "--locked", "--no-default-groups", "--no-editable"),
        *(f"--extra={name}" for name in plan.extras if not plan.wrapped),
        *(*project, "--python", shop.venv / "bin" / "python"),
        variables={"UV_PROJECT_ENVIRONMENT": str(shop.venv)},
    )
    if outcome.code == 0:
        return steered
    if is_mismatch(outcome):
        raise mismatch(plan, shop, outcome)
    raise shop.failure("The environment could not be built.", outcome)


def is_mismatch(outcome: Outcome) -> bool:
    """Whether uv refused a lock because it is not that of its project."""
    return _MISMATCH in " ".join(outcome.errors.split())


def mismatch(plan: Plan, shop: Workshop, outcome: Outcome) -> LockMismatchError:
    """The error for a lock that is not that of its project, with the command that mends it."""
    return LockMismatchError(
        "The lock does not match the project."
        if shop.source.kind != "file"
        else "The lock does not match the file's inline metadata.",
        where=str(plan.lock_of or shop.source.directory / LOCK),
        hint=command_to_lock(plan, shop),
        detail=shop.words(outcome),
    )


def command_to_lock(plan: Plan, shop: Workshop) -> str:
    """What a person types to lock the source anew."""
    if shop.source.kind == "file":
        return f"uv lock --script {shlex.quote(str(shop.source.path))}"
    return f"uv lock --project {shlex.quote(str(plan.lock_of.parent if plan.lock_of else shop.source.directory))}"


def _inspect(plan: Plan, shop: Workshop, made: Mapping[str, tuple[int, int, int]]) -> Marker:
    """Check the venv, note what is in it, and say what it is.

    :param made: what steered its Python before anything was installed.
    """
    found = installed.distributions(shop.venv)
    steering.refuse(shop.venv, made, found)
    installed.refuse_outside(shop.venv, found)
    noted = notes.take(shop.venv)
    broken = list(installed.mismatches(shop.venv, found, digests={path: str(note[-1]) for path, note in noted.items()}))
    if broken:
        raise EnvironmentFailedError(
            "What uv installed is not what the distributions' records say: " + "; ".join(broken[:3]) + ".",
            where=f"the whole log is {shop.log}",
            hint=f"A damaged or edited copy may lie in uv's cache: uv cache clean {broken[0].split(':')[0]}",
        )
    installed.refuse_ours(found)
    own = next((each for each in found if each.name == plan.distribution), None)
    entries = installed.entries(found, plan.distribution)
    if own is None or not entries:
        raise EnvironmentFailedError(
            f"{plan.distribution} was installed without an entry point in the group nectar.handlers."
            if own
            else f"{plan.distribution} was not installed.",
            where=str(shop.source.shown),
            hint='Declare the handler under [project.entry-points."nectar.handlers"], and a [build-system].',
        )
    extras.require(plan.extras, own.extras, where=shop.source.shown)
    if shop.source.kind != "file":  # whose module is in the snapshot
        installed.refuse_lost_entries(shop.venv, entries)
    for path in stale.modules(shop.venv, shop.tree, found, plan.locals_)[:3]:
        shop.uv.report(
            f"warning: the installed {path} is not the one in the source; either the build backend changes it, or it took an old copy."
        )
    notes.write(shop.venv, noted)
    manifest = installed.site_packages(shop.venv) / SNAPSHOT / MANIFEST
    return Marker(
        python_version=installed.version_of(shop.venv),
        distribution=f"{own.name} {own.version}",
        entries=entries,
        plugins=[list(each) for each in installed.plugins(found)],
        distributions=[[each.name, each.version] for each in found],
        settings=shop.source.settings.to_mapping(),
        digests={},
        snapshot=str(manifest.relative_to(shop.venv)) if shop.source.kind == "file" else None,
        base_python=os.path.realpath(shop.venv / "bin" / "python"),
        source=shop.source.shown,
        created=time.time(),
        nectar=__version__,
        noted=True,
    )
