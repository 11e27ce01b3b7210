"""What somebody changed in an environment, told to a person, and when it is not built anew for it once more."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from nectar.errors import EnvironmentFailedError
from nectar.manage.environment import installed
from nectar.manage.source.script import SNAPSHOT

if TYPE_CHECKING:
    from pathlib import Path

    from nectar.manage.environment.generations import Environment
    from nectar.manage.source.plan import Plan
    from nectar.manage.source.source import Source

_SOON = 3600
"""Seconds within which a file that is changed a second time is not somebody's hand any more."""
_MANY = 100
"""Files that are remembered, of those that were changed at once."""


def tell(found: Environment, source: Source, plan: Plan) -> str:
    """What has been changed, and where it is to be changed instead; of several files, one of the author's."""
    origins = _origins(found, source, plan)
    path = next(iter(origins), found.changed[0])
    more = f" (and {len(found.changed) - 1} more)" if len(found.changed) > 1 else ""
    done = "changed" if (found.path / path).exists() else "removed"
    return (
        f"{found.path / path}{more} was {done} after the environment had been built. "
        f"That is not in use: the environment is built anew. {_instead(origins.get(path))}"
    )


def remember(found: Environment, source: Source, plan: Plan) -> dict[str, float]:
    """For which files an environment takes the place of this one, and lately took others', as its marker says it.

    :raises EnvironmentFailedError: it did so for one of them a moment ago.
    """
    now = time.time()
    lately = {path: at for path, at in found.marker.rebuilt.items() if abs(now - at) < _SOON}
    again = next((path for path in found.changed if path in lately), None)
    if again is not None:
        raise EnvironmentFailedError(
            "The environment was built anew because a file in it had been changed, and within an hour the same file is changed again.",
            where=str(found.path / again),
            hint=f"If the handler does that, have it write elsewhere. {_instead(_origins(found, source, plan).get(again))}",
        )
    return lately | dict.fromkeys(found.changed[:_MANY], now)


def _instead(origin: Path | None) -> str:
    if origin is None:
        return "To change a dependency, let the handler depend on a copy of it."
    return f"To change the handler, edit {origin}."


def _origins(environment: Environment, source: Source, plan: Plan) -> dict[str, Path]:
    """For each changed file that was made from one of the author's, that one, as far as it can be told."""
    try:
        found = installed.read_distributions(environment.path)
    except EnvironmentFailedError:
        return {}
    own = {path for each in found if each.name in plan.locals_ for path, _, _ in each.files}
    origins = {}
    for path in environment.changed:
        _, _, module = path.partition("/site-packages/")
        made_from = (piece.origin for name, piece in sorted(plan.tree.pieces.items()) if f"/{name}".endswith(f"/{module}"))
        origin = source.path if module.startswith(f"{SNAPSHOT}/") else next(made_from, None) if module in own else None
        if origin is not None:
            origins[path] = origin
    return origins
