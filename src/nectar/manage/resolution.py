"""What was resolved for handlers that have no lock of their own: kept, so that every verb sees the same versions."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from nectar.errors import EnvironmentFailedError
from nectar.manage import configuration
from nectar.manage.locking import held
from nectar.manage.plan import Piece

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nectar.home import Home
    from nectar.manage.building import Workshop
    from nectar.manage.plan import Plan


def use_kept(home: Home, plan: Plan, index: str) -> bool:
    """Put the kept lock into a plan that has none, and say whether there is one.

    :param index: the digest of uv's settings.
    """
    try:
        content = _place(home, plan, index).read_bytes()
    except OSError:
        return False
    plan.pieces[plan.lock] = Piece(content=content)
    return True


def resolve(home: Home, plan: Plan, shop: Workshop, environ: Mapping[str, str], *, upgrade: bool) -> None:
    """Put a lock into a plan that has none: the kept one, or a new one, which is kept.

    :param upgrade: make a new one even where one is kept.
    :raises EnvironmentFailedError: it cannot be resolved, or its sources lie outside, so that nobody could keep it.
    """
    if plan.outside:
        raise EnvironmentFailedError(
            f"The project has no uv.lock, and some of its sources lie outside its directory: {plan.outside}.",
            where=str(shop.source.path),
            hint=f"uv lock --project {shop.source.path}",
        )
    index = configuration.digest(environ, above=plan.configured_above)
    place = _place(home, plan, index)
    with held(place.with_suffix(".guard")):
        if not upgrade and use_kept(home, plan, index):
            return
        shop.copy(plan)
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
        content = (shop.tree / plan.lock).read_bytes()
        _keep(place, content)
    plan.pieces[plan.lock] = Piece(content=content)
    count = content.count(b"\n[[package]]") - 1
    if count > 0:
        shop.uv.report("There is no lock beside the handler: its dependencies were resolved, and that is kept for the next time.")


def _place(home: Home, plan: Plan, index: str) -> Path:
    key = hashlib.sha256(f"{plan.resolution_digest()} {index}".encode()).hexdigest()[:20]
    return home.resolutions / f"{key}.lock"


def _keep(place: Path, content: bytes) -> None:
    descriptor, aside = tempfile.mkstemp(dir=place.parent, prefix=".")
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    Path(aside).replace(place)
