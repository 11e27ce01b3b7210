"""From a plan without a lock to one with: what is kept, or what uv resolves now."""

from __future__ import annotations

import shlex
import tomllib
from typing import TYPE_CHECKING

import tomli_w

from nectar.errors import EnvironmentFailedError
from nectar.manage.environment import resolution
from nectar.manage.environment.survey import never_source
from nectar.manage.files.authored import CODE, read_toml
from nectar.manage.source import inline_metadata
from nectar.manage.source.plan import LOCK
from nectar.manage.tree.pieces import rewrite
from nectar.manage.uv import passing
from nectar.manage.wheels import resolving

if TYPE_CHECKING:
    from nectar.home import Home
    from nectar.manage.environment.build_directory import Workshop
    from nectar.manage.environment.survey import Survey
    from nectar.manage.source.plan import Plan
    from nectar.manage.source.source import Source
    from nectar.manage.uv.uv import Outcome

_MISMATCH = "needs to be updated, but `--locked` was provided"


class LockMismatchError(EnvironmentFailedError):
    """The lock is not that of the project."""


def lock(home: Home, found: Survey, shop: Workshop, *, upgrade: bool) -> Survey:
    """What was found, with a lock: its own, the kept one, or a new one, which is kept.

    :param upgrade: make a new one even where one is kept.
    :raises EnvironmentFailedError: it cannot be resolved, or its sources lie outside, so that nobody could keep it.
    """
    if found.key:
        return found
    plan = found.plan
    if plan.locking.outside:
        raise EnvironmentFailedError(
            f"There is no lock, and some of the handler's sources lie outside its directory: {plan.locking.outside}.",
            where=str(shop.source.path),
            hint=_command_to_lock(plan, shop.source),
        )
    with resolution.guard(home, found.resolution):
        kept = None if upgrade else resolution.use(home, found.resolution)
        if kept is not None:
            return found.with_lock(kept)
        shop.copy(plan)
        content = _from_script(plan, shop) if plan.locking.script else _resolve(plan, shop, upgrade=upgrade)
        resolution.keep(home, found.resolution, content)
    if not plan.locking.script and content.count(b"\n[[package]]") > 1:
        shop.uv.report("There is no lock beside the handler: its dependencies were resolved, and that is kept for the next time.")
    return found.with_lock(content)


def require(home: Home, source: Source) -> None:
    """Refuse what has no lock of the author's, where it is to be the same on several machines.

    :raises EnvironmentFailedError: it has none; the hint says how it gets one.
    """
    plan = source.plan(but=never_source(home))
    if plan.has_lock or plan.locking.script:
        return
    raise EnvironmentFailedError(
        "A handler on an engine needs a lock: without one its dependencies are others on each machine and day.",
        where=source.shown,
        hint="Make a project that depends on it, and lock that."
        if source.kind in ("wheel", "sdist", "requirement")
        else _command_to_lock(plan, source),
    )


def _resolve(plan: Plan, shop: Workshop, *, upgrade: bool = False) -> bytes:
    """Have uv resolve, preferring the versions of a lock that is in the tree."""
    if shop.by_wheels:
        outcome, content = resolving.resolve(shop, plan, upgrade=upgrade)
        if outcome.code:
            raise shop.failure("The handler's dependencies could not be resolved.", outcome, _explain(outcome))
        return content
    outcome = shop.uv.run(
        "lock",
        *(["--upgrade"] if upgrade else []),
        "--project",
        shop.tree / plan.project,
        "--python",
        shop.choose_python(plan),
        quiet=True,
    )
    if outcome.code:
        raise shop.failure("The handler's dependencies could not be resolved.", outcome)
    return (shop.tree / plan.locking.place).read_bytes()


def _from_script(plan: Plan, shop: Workshop) -> bytes:
    """A single file's own lock as a project's: uv adds the project to it, and every other package stays word for word.

    :raises EnvironmentFailedError: the lock is not that of the file, or cannot be read.
    """
    assert plan.locking.script is not None
    place = shop.tree / plan.locking.script
    script = place.with_suffix("")
    said = inline_metadata.read(script)
    # uv would go by all settings in it, whatever file of settings it is given.
    rewrite(
        shop.tree, plan.locking.script.removesuffix(".lock"), inline_metadata.write(passing.select_of_script(said.table)).encode()
    )
    if shop.by_wheels:
        checked = resolving.check_script(shop, plan)
    else:
        project = ("--project", shop.tree / plan.project, "--python", shop.choose_python(plan))
        checked = shop.uv.run("lock", "--locked", "--script", script, *project, quiet=True)
    refuse_mismatch(plan, shop, checked)
    if checked.code:
        raise shop.failure("The lock beside the file cannot be used.", checked)
    given = read_toml(place, CODE)
    seed = {name: value for name, value in given.items() if name != "manifest"}
    rewrite(shop.tree, plan.locking.place, tomli_w.dumps(seed).encode())
    made = tomllib.loads(_resolve(plan, shop).decode())
    theirs = {(each["name"], each.get("version")): each for each in given.get("package", [])}
    packages = [theirs.get((each["name"], each.get("version")), each) for each in made.get("package", [])]
    strangers = [each["name"] for each in packages if each not in theirs.values() and each["name"] != plan.distribution]
    if strangers:
        raise EnvironmentFailedError(
            f"The lock beside the file does not hold all that it needs: {', '.join(strangers)}.",
            where=str(plan.locking.authors),
            hint=_command_to_lock(plan, shop.source),
        )
    return tomli_w.dumps({**made, "package": packages}).encode()


def _explain(outcome: Outcome) -> str | None:
    """A hint where something would have been built to tell what it needs."""
    if "--no-build" not in outcome.errors and "is disabled" not in outcome.errors:
        return None
    return "What has no wheel is not built to tell what it needs: have a wheel of it, or a lock beside the handler."


def refuse_mismatch(plan: Plan, shop: Workshop, outcome: Outcome) -> None:
    """:raises LockMismatchError: uv refused a lock because it is not that of its project; the hint has the command that mends it."""
    if outcome.code and _MISMATCH in " ".join(outcome.errors.split()):
        raise LockMismatchError(
            "The lock does not match the project."
            if shop.source.kind != "file"
            else "The lock does not match the file's inline metadata.",
            where=str(plan.locking.authors or shop.source.directory / LOCK),
            hint=_command_to_lock(plan, shop.source),
            detail=shop.words(outcome),
        )


def _command_to_lock(plan: Plan, source: Source) -> str:
    """What a person types to lock the source anew."""
    if source.kind == "file":
        return f"uv lock --script {shlex.quote(str(source.path))}"
    directory = plan.locking.authors.parent if plan.locking.authors else source.directory
    return f"uv lock --project {shlex.quote(str(directory))}"
