"""Installing by a lock, with wheels alone: what has none is built first, and stands in the lock as a wheel then."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nectar.manage.files.authored import CODE, read_toml
from nectar.manage.wheels.locked import Lock
from nectar.manage.wheels.resolving import check, read_words
from nectar.manage.wheels.told import tell

if TYPE_CHECKING:
    from nectar.manage.environment.build_directory import Workshop
    from nectar.manage.source.plan import Plan
    from nectar.manage.uv.uv import Outcome

_HAS_NO_WHEEL = r"Distribution `(?P<name>[A-Za-z0-9._-]+)(?:==(?P<version>[^ ]+))? @ [^`]*` can't be installed because it is marked as `--no-build`"


def sync(shop: Workshop, plan: Plan) -> Outcome:
    """Install what a plan's lock says, where that is the project's, into an environment that is empty.

    :raises EnvironmentFailedError: something cannot be built, or fetched to be built.
    """
    with tell(shop, plan) as told:
        if not plan.wrapped:  # else the lock is ours
            outcome = check(shop, plan)
            if outcome.code:
                return outcome
        lock = Lock(told, read_toml(told.tree / plan.locking.place, CODE))
        if not plan.wrapped:
            lock.wrap(plan)
        command = ("sync", "--frozen", "--no-build", "--no-default-groups", "--no-editable", "--no-compile-bytecode")
        place = ("--project", told.root, "--python", shop.venv / "bin" / "python")
        variables = {"UV_PROJECT_ENVIRONMENT": str(shop.venv)}
        while True:
            lock.write()
            outcome = shop.uv.run(*command, "--dry-run", *place, variables=variables, quiet=True)
            lacking = re.search(_HAS_NO_WHEEL, read_words(outcome)) if outcome.code else None
            if lacking is None or not lock.build(lacking["name"], lacking["version"]):
                return outcome if outcome.code else shop.uv.run(*command, *place, variables=variables)
