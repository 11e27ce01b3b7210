"""Building an environment aside: a copy of the source, a venv beside it, and a rename at the end."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nectar import __version__
from nectar.errors import EnvironmentFailedError
from nectar.locks import hold
from nectar.manage.environment import edits, generations, installed, locking, notes, origins, resolution, steering, trials
from nectar.manage.environment.build_directory import repeat
from nectar.manage.environment.marker import Marker
from nectar.manage.source import extras
from nectar.manage.source.pyproject import open_project
from nectar.manage.source.script import MANIFEST, SNAPSHOT
from nectar.manage.tree import unlisted
from nectar.manage.uv import interpreters
from nectar.manage.wheels import syncing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nectar.home import Home
    from nectar.manage.environment.build_directory import Workshop
    from nectar.manage.environment.generations import Environment
    from nectar.manage.environment.installed import Distribution
    from nectar.manage.environment.survey import Survey
    from nectar.manage.source.plan import Plan
    from nectar.manage.uv.uv import Outcome
    from nectar.protocol import EntryPoint


def build(home: Home, found: Survey, shop: Workshop, *, upgrade: bool, last: bool, trial: bool = False) -> Environment | None:
    """Lock, then sync: the environment of what a source is, finished and in its place, be it by another command.

    :param upgrade: resolve anew what the project itself has no lock for.
    :param last: whether a kept lock that does not fit is an error, and not to be made anew.
    :param trial: mark it as one that is only tried.
    :returns: None where it has to be done again: the source has changed meanwhile, or a kept lock does not fit.
    :raises EnvironmentFailedError: it cannot be built.
    """
    begun = time.monotonic()
    locked = locking.lock(home, found, shop, upgrade=upgrade)
    key = locked.key
    assert key is not None, "it has a lock"
    with hold(
        home.env_locks / key, waiting=lambda: shop.uv.report("Another command is building this environment; waiting for it.")
    ):
        newest = generations.find_newest(home, key)
        if newest and not newest.changed:
            return newest
        rebuilt = edits.remember(newest, shop.source, locked.plan) if newest else {}
        if newest:
            shop.uv.report(edits.tell(newest, shop.source, locked.plan))
        for path in generations.find_newer(home, key):
            shop.uv.report(
                f"{path} was made by a newer nectar than this one, and is left as it is: another one is built beside it."
            )
        if locked.plan.digests(shop.copy(locked.plan)) != locked.plan.digests(locked.seen):
            return None  # it is no longer what the key was made of
        try:
            with _naming_ignored(locked.plan, shop):
                marker = _inspect(locked.plan, shop, _install(locked.plan, shop))
        except locking.LockMismatchError:
            if found.has_own_lock or last:
                raise
            # A kept lock is ours to mend: a newer uv, or what a build says of itself, may ask for another.
            resolution.forget(home, locked.resolution)
            return None
        took = round(time.monotonic() - begun, 3)
        marker._replace(key=key, digests=dict(locked.digests), rebuilt=rebuilt, took=took).write(shop.venv)
        _put_in_place(home, key, shop, trial=trial)
        return generations.find_whole(home, key)


def _put_in_place(home: Home, key: str, shop: Workshop, *, trial: bool) -> None:
    name = generations.choose_name(home, key)
    if trial:
        trials.mark(home, name, shop.source)  # before anybody can find it, who may take the mark away
    shop.venv.rename(home.envs / name)


@contextmanager
def _naming_ignored(plan: Plan, shop: Workshop) -> Iterator[None]:
    """Say which files of the handler's packages git ignores: in an error, all of them; else, those that were not installed."""
    if shop.source.kind != "package":
        yield
        return
    project = open_project(shop.source.path.resolve())
    below = f"{plan.project}/" if plan.project else ""
    ignored = unlisted.find_in_packages(project, [name.removeprefix(below) for name in plan.tree.pieces if name.startswith(below)])
    with repeat([unlisted.describe(project, ignored)] if ignored else []):
        yield
    if ignored:
        there = installed.list_paths(installed.read_distributions(shop.venv), plan.distribution)
        lacking = unlisted.select_lacking(ignored, there)
        if lacking:
            shop.uv.report(f"warning: {unlisted.describe(project, lacking)}")


def _install(plan: Plan, shop: Workshop) -> Mapping[str, tuple[int, int, int]]:
    """Make the venv and sync it.

    :returns: what steered its Python before the sync.
    """
    project = ("--project", shop.tree / plan.project)
    flags = ("--no-project", "--relocatable", "--python", shop.choose_python(plan))
    made = shop.uv.run("venv", *flags, *project, shop.venv, quiet=True)
    if made.code:
        raise shop.failure("uv could not make the virtual environment.", made)
    interpreters.check(installed.read_version(shop.venv), plan.asked.python)
    assert "relocatable = true" in (shop.venv / "pyvenv.cfg").read_text(encoding="utf-8"), "uv made another venv"
    steered = steering.look(shop.venv)
    outcome = syncing.sync(shop, plan) if shop.by_wheels else _sync(plan, shop)
    if outcome.code == 0:
        return steered
    locking.refuse_mismatch(plan, shop, outcome)
    raise shop.failure("The environment could not be built.", outcome)


def _sync(plan: Plan, shop: Workshop) -> Outcome:
    # Not --refresh-package: what uv caches of local projects goes by their path, and this tree's is like no other's; and it
    # cannot be combined with working offline.
    return shop.uv.run(
        *("sync", "--locked", "--no-default-groups", "--no-editable"),
        *(f"--extra={name}" for name in plan.asked.extras if not plan.wrapped),
        *("--project", shop.tree / plan.project, "--python", shop.venv / "bin" / "python"),
        variables={"UV_PROJECT_ENVIRONMENT": str(shop.venv)},
    )


def _inspect(plan: Plan, shop: Workshop, made: Mapping[str, tuple[int, int, int]]) -> Marker:
    """Check the venv, note what is in it, and say what it is.

    :param made: what steered its Python before anything was installed.
    """
    found = installed.read_distributions(shop.venv)
    noted = _take_notes(shop, found, made)
    own, entries = _require_handler(plan, shop, found)
    for path in origins.find_differing(shop.venv, shop.tree, found, plan.locals_)[:3]:
        shop.uv.report(
            f"warning: the installed {path} is not the one in the source; either the build backend changes it, or it took an old copy."
        )
    notes.write(shop.venv, noted)
    if shop.source.kind in ("package", "file"):  # what was made of others is nobody's file here
        origins.write(shop.venv, origins.find(shop.venv, found, noted, plan, shop.copy(plan)))
    manifest = installed.find_site_packages(shop.venv) / SNAPSHOT / MANIFEST
    return Marker(
        python_version=installed.read_version(shop.venv),
        distribution=f"{own.name} {own.version}",
        entries=entries,
        plugins=installed.find_plugins(found),
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


def _take_notes(shop: Workshop, found: list[Distribution], made: Mapping[str, tuple[int, int, int]]) -> dict[str, notes.Note]:
    """Note all files of the venv, which are those that its distributions say, and none that harms it."""
    steering.refuse(shop.venv, made, found)
    installed.refuse_outside(shop.venv, found)
    noted = notes.take(shop.venv)
    broken = list(installed.find_mismatches(shop.venv, found, digests={path: str(note[-1]) for path, note in noted.items()}))
    if broken:
        raise EnvironmentFailedError(
            "What uv installed is not what the distributions' records say: " + "; ".join(broken[:3]) + ".",
            where=f"the whole log is {shop.log}",
            hint=f"A damaged or edited copy may lie in uv's cache: uv cache clean {broken[0].split(':')[0]}",
        )
    installed.refuse_ours(found)
    return noted


def _require_handler(plan: Plan, shop: Workshop, found: list[Distribution]) -> tuple[Distribution, tuple[EntryPoint, ...]]:
    """The handler's own distribution, and its entry points for handlers."""
    own = next((each for each in found if each.name == plan.distribution), None)
    entries = installed.find_entries(found, plan.distribution)
    if own is None or not entries:
        raise EnvironmentFailedError(
            f"{plan.distribution} was installed without an entry point in the group nectar.handlers."
            if own
            else f"{plan.distribution} was not installed.",
            where=str(shop.source.shown),
            hint='Declare the handler under [project.entry-points."nectar.handlers"], and a [build-system].',
        )
    extras.require(plan.asked.extras, own.extras, where=shop.source.shown)
    if shop.source.kind != "file":  # whose module is in the snapshot
        installed.refuse_lost_entries(shop.venv, entries)
    return own, entries
